/** The training process as a real process, with an invented experiment (test/fixtures/fake-worker.mjs). */
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import { resolveConfig } from "../../src/experiment/config.js";
import type { RunEvent } from "../../src/learn/events.js";
import { readJournal } from "../../src/runs/journal.js";
import { launch, type RunningRun, type RunOutcome, workerEnvironment } from "../../src/runs/launch.js";
import { RunFolder } from "../../src/runs/run-folder.js";

const worker = fileURLToPath(new URL("../fixtures/fake-worker.mjs", import.meta.url));
const root = mkdtempSync(join(tmpdir(), "nlora-worker-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const places = ["one", "two"].map((name, index) => ({ name, index }));
const adapters = { adapter: "delta", weights: null, state: false } as const;
const jsonlData = {
  kind: "jsonl",
  tasks: ["one", "two"].map((name) => ({ name, train: "train.jsonl", test: "test.jsonl" })),
};

/** Starts the fake experiment; `when` may act on the running process at any event. */
function start(name: string, when: (event: RunEvent, run: RunningRun) => void = () => {}) {
  const config = resolveConfig({ name, threads: 1, data: jsonlData });
  const folder = RunFolder.create(join(root, name), config);
  const events: RunEvent[] = [];
  const run: RunningRun = launch(config, folder, {
    worker,
    onEvent: (event) => {
      events.push(event);
      when(event, run);
    },
  });
  return { config, folder, events, run };
}

const atStep = (event: RunEvent, index: number, step: number) =>
  event.type === "step" && event.index === index && event.step === step;

describe("a run in a process of its own", () => {
  it("reports every event, journals the same events and leaves the returned record", async () => {
    const { folder, events, run } = start("fine");
    const outcome = await run.outcome;
    expect(outcome.status).toBe("done");
    expect(events.at(-1)).toMatchObject({ type: "run-end", status: "done" });
    expect(readJournal(folder.journalFile)).toEqual(events);
    expect(outcome.record).toMatchObject({
      status: "done",
      accuracy: [
        [50, 60],
        [50, 60],
      ],
      engine: { name: "fake" },
    });
    expect(folder.readRecord()).toEqual(outcome.record);
    // A process of Node alone takes more than that.
    expect(outcome.record!.peakMemory).toBeGreaterThan(20 * 2 ** 20);
    expect(folder.nextTask(places, adapters)).toBe(2);
  });

  it("gets the threads of the config and waiting threads that do not spin", async () => {
    const { events, run } = start("environment");
    await run.outcome;
    expect(events).toContainEqual({
      type: "note",
      level: "info",
      message: `1 ${process.env.GOMP_SPINCOUNT ?? "2000"}`,
    });
    const config = resolveConfig({});
    expect(workerEnvironment(config, { OMP_NUM_THREADS: "3", PATH: "/bin" })).toMatchObject({
      OMP_NUM_THREADS: "3",
      GOMP_SPINCOUNT: "2000",
      PATH: "/bin",
    });
    expect(
      workerEnvironment(resolveConfig({ threads: 5 }), { OMP_NUM_THREADS: "3", GOMP_SPINCOUNT: "9" }),
    ).toEqual({
      OMP_NUM_THREADS: "5",
      GOMP_SPINCOUNT: "9",
    });
  });

  it("that is stopped finishes its step, records what it has, and goes on at the next task when resumed", async () => {
    const { config, folder, events, run } = start("slow", (event, running) => {
      if (atStep(event, 1, 1)) running.stop();
    });
    const outcome = await run.outcome;
    expect(outcome.status).toBe("interrupted");
    expect(outcome.record).toMatchObject({
      status: "interrupted",
      accuracy: [
        [50, null],
        [50, null],
      ],
    });
    expect(readJournal(folder.journalFile).at(-1)).toMatchObject({ type: "run-end", status: "interrupted" });
    expect(events.filter((event) => event.type === "step").length).toBeLessThan(10);

    const again = RunFolder.resume(folder.path, config);
    expect(again.nextTask(places, adapters)).toBe(1);
    const second = await launch(config, again, { worker, resume: true }).outcome;
    expect(second.record).toMatchObject({
      status: "done",
      accuracy: [
        [50, 60],
        [50, 60],
      ],
    });
    const starts = readJournal(folder.journalFile).filter((event) => event.type === "task-start");
    expect(starts.map((event) => event.index)).toEqual([0, 1, 1]);
  });

  it("keeps a second process out of its folder, which says so and changes nothing", async () => {
    let second: Promise<RunOutcome> | undefined;
    const { config, folder, run } = start("stuck-beside-another", (event, running) => {
      if (!atStep(event, 1, 2)) return;
      second = launch(config, RunFolder.resume(folder.path, config), { worker, resume: true }).outcome;
      void second.then(() => running.kill());
    });
    expect((await run.outcome).status).toBe("interrupted");
    expect(await second).toMatchObject({
      status: "failed",
      error: { message: expect.stringMatching(/another process, \d+, is training this run/) },
    });
    expect(readJournal(folder.journalFile).map(({ type }) => type)).not.toContain("run-failed");
    // What was killed left its lock behind, which keeps nobody out.
    expect(existsSync(folder.lockFile)).toBe(true);
    expect((await launch(config, folder, { worker, resume: true }).outcome).status).toBe("done");
    expect(existsSync(folder.lockFile)).toBe(false);
  });

  it("that is killed while it hangs counts as interrupted", async () => {
    const { folder, run } = start("stuck", (event, running) => {
      if (atStep(event, 1, 2)) {
        running.stop();
        running.kill();
      }
    });
    const outcome = await run.outcome;
    expect(outcome).toMatchObject({ status: "interrupted", record: { status: "interrupted" } });
    expect(folder.nextTask(places, adapters)).toBe(1);
  });

  it("that fails says why, in one place each: outcome, journal, record", async () => {
    const { folder, run } = start("fail");
    const outcome = await run.outcome;
    expect(outcome.status).toBe("failed");
    expect(outcome.error).toMatchObject({
      message: "the loss is NaN at step 3",
      hint: "lower the rate",
      code: "run",
    });
    expect(readJournal(folder.journalFile).at(-1)).toMatchObject({
      type: "run-failed",
      message: "the loss is NaN at step 3",
      hint: "lower the rate",
    });
    expect(folder.readRecord()).toMatchObject({
      status: "failed",
      accuracy: [
        [50, null],
        [50, null],
      ],
    });
  });

  it("that dies is reported with its exit code and its last lines, and nothing written is lost", async () => {
    const { folder, run } = start("exit");
    const outcome = await run.outcome;
    expect(outcome.status).toBe("failed");
    expect(outcome.error?.message).toBe(
      "the training process ended with exit code 7 before the run ended; its last lines: the engine said something last",
    );
    const events = readJournal(folder.journalFile);
    expect(events.filter((event) => event.type === "step")).toHaveLength(7);
    expect(events.at(-1)).toMatchObject({ type: "run-failed", message: outcome.error?.message });
    expect(folder.readRecord()).toMatchObject({ status: "failed", deltaNorms: [2, null] });
    expect(readFileSync(folder.logFile, "utf8")).toContain("the engine said something last");
    expect(existsSync(folder.taskFolder("adapters", places[0]!))).toBe(true);
  });

  it("that aborts natively is reported with its signal", async () => {
    const { folder, run } = start("abort");
    const outcome = await run.outcome;
    expect(outcome.error?.message).toMatch(/was killed by SIGABRT before the run ended/);
    expect(folder.readRecord()?.status).toBe("failed");
  });
});
