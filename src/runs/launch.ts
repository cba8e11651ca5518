/** Starts, follows and stops a training process; when it dies, says so in the journal and in record.json. */
import { type ChildProcess, fork } from "node:child_process";
import { closeSync, existsSync, openSync, readFileSync, statSync } from "node:fs";
import { availableParallelism, constants } from "node:os";
import { fileURLToPath } from "node:url";
import type { ReportedError } from "../errors.js";
import type { Config } from "../experiment/config.js";
import type { RunEvent } from "../learn/events.js";
import { Journal } from "./journal.js";
import type { FromWorker, ToWorker } from "./protocol.js";
import type { RunRecord } from "./record.js";
import type { RunFolder } from "./run-folder.js";

export interface LaunchOptions {
  readonly resume?: boolean;
  /** `memory`: resident bytes of the training process. */
  readonly onEvent?: (event: RunEvent, memory: number) => void;
  /** The script of the training process; by default this package's own. */
  readonly worker?: string;
}

export interface RunOutcome {
  readonly status: "done" | "interrupted" | "failed";
  readonly record: RunRecord | null;
  /** Why it failed. */
  readonly error?: ReportedError;
}

export interface RunningRun {
  /** Settles when the process has ended; never rejects because of the run. */
  readonly outcome: Promise<RunOutcome>;
  /** Ends the run after the current step. */
  stop(): void;
  /** Ends the process at once; what was written stays. */
  kill(): void;
}

const OWN_WORKER = fileURLToPath(new URL("./worker.js", import.meta.url));
const LOG_LINES = 12;

/** Trains `config` in a process of its own; `folder` must have been created or resumed for it. */
export function launch(config: Config, folder: RunFolder, options: LaunchOptions = {}): RunningRun {
  const log = openSync(folder.logFile, "a");
  const logStart = statSync(folder.logFile).size;
  const child = fork(options.worker ?? OWN_WORKER, {
    stdio: ["ignore", log, log, "ipc"],
    env: workerEnvironment(config, process.env),
    execArgv: [],
  });
  closeSync(log);

  let killed = false;
  let stopping = false;
  let result: Extract<FromWorker, { type: "ended" | "failed" }> | undefined;
  child.on("message", (message: FromWorker) => {
    if (message.type === "event") options.onEvent?.(message.event, message.memory);
    else if (message.type === "ended" || message.type === "failed") result = message;
  });
  tell(child, { type: "start", config, runFolder: folder.path, resume: options.resume ?? false });

  const outcome = new Promise<RunOutcome>((resolve, reject) => {
    let settled = false;
    const settle = (death: () => RunEvent) => {
      if (settled) return;
      settled = true;
      try {
        if (!result) {
          const event = death();
          using journal = new Journal(folder.journalFile);
          journal.append(event);
          options.onEvent?.(event, 0);
          const status = event.type === "run-end" ? "interrupted" : "failed";
          resolve({
            status,
            record: folder.updateRecord(),
            ...(event.type === "run-failed" && { error: event }),
          });
        } else if (result.type === "failed") {
          resolve({ status: "failed", record: folder.readRecord(), error: result.error });
        } else resolve({ status: result.status, record: folder.readRecord() });
      } catch (error) {
        reject(error);
      }
    };
    const time = () => new Date().toISOString();
    child.once("error", (error) => {
      if (child.pid === undefined) {
        settle(() => ({
          type: "run-failed",
          time: time(),
          message: `cannot start the training process: ${error.message}`,
        }));
      }
    });
    child.once("close", (code, signal) => {
      settle(() => {
        // One that a terminal interrupts before it listens to signals ends by them.
        const isInterrupted =
          killed || (stopping && (signal === "SIGINT" || signal === "SIGTERM" || signal === "SIGHUP"));
        if (isInterrupted) return { type: "run-end", time: time(), status: "interrupted" };
        return {
          type: "run-failed",
          time: time(),
          ...describeDeath(code, signal, lastLines(folder.logFile, logStart)),
        };
      });
    });
  });
  return {
    outcome,
    stop: () => {
      stopping = true;
      tell(child, { type: "stop" });
    },
    kill: () => {
      killed = true;
      child.kill("SIGKILL");
    },
  };
}

/**
 * The environment of the training process: threads as configured, and threads that wait do not spin for long, because a
 * spinning thread holds up everything else on a busy machine. Both are read when libtorch is loaded.
 */
export function workerEnvironment(
  config: Pick<Config, "threads">,
  environment: NodeJS.ProcessEnv,
): NodeJS.ProcessEnv {
  const threads = config.threads ?? environment.OMP_NUM_THREADS ?? availableParallelism();
  return {
    ...environment,
    GOMP_SPINCOUNT: environment.GOMP_SPINCOUNT ?? "2000",
    OMP_NUM_THREADS: String(threads),
  };
}

function tell(child: ChildProcess, message: ToWorker): void {
  // A process that is gone cannot be told anything; its end is reported by "close".
  if (child.connected) child.send(message, () => {});
}

function describeDeath(code: number | null, signal: NodeJS.Signals | null, lines: readonly string[]) {
  const how = signal === null ? `ended with exit code ${code}` : `was killed by ${signal}`;
  const said = lines.length === 0 ? "" : `; its last lines: ${lines.join(" | ")}`;
  const outOfMemory = signal === "SIGKILL" || code === 128 + constants.signals.SIGKILL;
  return {
    message: `the training process ${how} before the run ended${said}`,
    ...(outOfMemory && {
      hint: "if nobody killed it, memory ran out: try a smaller training.microBatchSize or evaluation.batchSize",
    }),
  };
}

/** The last lines that a process wrote to its log after byte `start`. */
function lastLines(file: string, start: number): string[] {
  if (!existsSync(file)) return [];
  const text = readFileSync(file).subarray(start).toString("utf8");
  return text
    .split("\n")
    .filter((line) => line.trim() !== "")
    .slice(-LOG_LINES);
}
