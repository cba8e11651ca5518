/**
 * The training process: receives one configuration, runs it, writes every event to the journal and reports it. Between
 * events the event loop turns once, so that a stop message, a signal or a request in the folder is heard after the
 * current step.
 */
import { writeFileSync } from "node:fs";
import { setImmediate as turn } from "node:timers/promises";
import { reported } from "../errors.js";
import type { RunEvent } from "../learn/events.js";
import { Journal } from "./journal.js";
import type { FromWorker, RunExperiment, ToWorker } from "./protocol.js";
import type { RunRecord } from "./record.js";
import { RunFolder } from "./run-folder.js";
import { RunLock } from "./run-lock.js";

const RECORDED: ReadonlySet<RunEvent["type"]> = new Set(["run-start", "task-end", "run-end", "run-failed"]);

/** Waits for the start message and works until the run has ended; the exit code is 0 unless the run failed. */
export function serveWorker(loadExperiment: () => Promise<{ runExperiment: RunExperiment }>): void {
  preferToBeKilled();
  let stopping = false;
  const stop = () => {
    stopping = true;
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, stop);
  process.on("disconnect", stop);
  process.on("message", (message: ToWorker) => {
    if (message.type === "stop") stop();
    else void serve(message, loadExperiment, () => stopping);
  });
}

/** Runs, tells the launcher how it ended, and leaves. */
async function serve(
  message: Extract<ToWorker, { type: "start" }>,
  loadExperiment: () => Promise<{ runExperiment: RunExperiment }>,
  isStopping: () => boolean,
): Promise<void> {
  try {
    const status = await work(message, loadExperiment, isStopping);
    await send({ type: "ended", status });
    process.exit(0);
  } catch (error) {
    console.error(error);
    await send({ type: "failed", error: reported(error) });
    process.exit(1);
  }
}

async function work(
  { config, runFolder, resume }: Extract<ToWorker, { type: "start" }>,
  loadExperiment: () => Promise<{ runExperiment: RunExperiment }>,
  isStopping: () => boolean,
): Promise<"done" | "interrupted"> {
  const folder = new RunFolder(runFolder);
  using _lock = RunLock.take(folder.lockFile);
  folder.forgetStop();
  const shouldStop = () => isStopping() || folder.isStopRequested;
  using journal = new Journal(folder.journalFile);
  const say = (event: RunEvent) => {
    void send({ type: "event", event, memory: process.memoryUsage.rss() });
    journal.append(event);
    // Kept up to date, so that whatever ends this process leaves a record of what was measured.
    if (RECORDED.has(event.type)) folder.updateRecord({ peakMemory: peakMemory() });
  };
  try {
    const { runExperiment } = await loadExperiment();
    return await consume(runExperiment(config, folder, { resume, shouldStop }), folder, say, shouldStop);
  } catch (error) {
    const { message, hint } = reported(error);
    say({ type: "run-failed", time: new Date().toISOString(), message, ...(hint !== undefined && { hint }) });
    throw error;
  } finally {
    folder.forgetStop();
  }
}

/** Takes the run's events until it has ended or should stop; leaves record.json complete. */
async function consume(
  run: ReturnType<RunExperiment>,
  folder: RunFolder,
  say: (event: RunEvent) => void,
  shouldStop: () => boolean,
): Promise<"done" | "interrupted"> {
  let status: "done" | "interrupted" | null = null;
  try {
    for (;;) {
      const next = await run.next();
      if (next.done) {
        folder.writeRecord({ ...next.value, peakMemory: peakMemory() });
        return status ?? endedAs(next.value);
      }
      say(next.value);
      if (next.value.type === "run-end") status = next.value.status;
      await turn();
      if (status === null && shouldStop()) break;
    }
  } finally {
    await run.return(undefined as never);
  }
  say({ type: "run-end", time: new Date().toISOString(), status: "interrupted" });
  return "interrupted";
}

/** Largest resident memory of this process so far, in bytes. */
const peakMemory = (): number => process.resourceUsage().maxRSS * 1024;

function endedAs(record: RunRecord): "done" | "interrupted" {
  return record.status === "interrupted" ? "interrupted" : "done";
}

/** Resolves when the launcher has it; one that is gone hears nothing, and the journal has it all. */
function send(message: FromWorker): Promise<void> {
  return new Promise((resolve) => {
    if (process.connected) process.send?.(message, undefined, undefined, () => resolve());
    else resolve();
  });
}

/** On Linux, when memory runs out, this process goes before the one that watches it. */
export function preferToBeKilled(): void {
  if (process.platform !== "linux") return;
  try {
    writeFileSync("/proc/self/oom_score_adj", "500");
  } catch {
    // Not allowed in some containers; nothing depends on it.
  }
}
