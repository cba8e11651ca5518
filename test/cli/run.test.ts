/** Whole runs as real processes: the bundled model on three tiny tasks. Needs `npm run build`. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { loadConfig } from "../../src/experiment/config.js";
import type { RunEvent } from "../../src/learn/events.js";
import type { Inspection } from "../../src/metrics/inspection.js";
import type { RunRecord } from "../../src/runs/record.js";
import { type Finished, nlora, TASKS, tinyConfig, writeConfig, writeTasks } from "../support/command-line.js";

const root = mkdtempSync(join(tmpdir(), "nlora-run-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const names = Object.keys(TASKS);
const adapterNames = names.map((name, index) => `${index + 1}-${name}`);
const text = (...path: string[]) => readFileSync(join(root, ...path), "utf8");
const recordOf = (run: string) => JSON.parse(text(run, "record.json")) as RunRecord;
const eventsOf = (run: string) =>
  text(run, "events.jsonl")
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as RunEvent);
const adaptersOf = (run: string) =>
  adapterNames.map((name) => readFileSync(join(root, run, "adapters", name, "adapter_model.safetensors")));

let first: Finished;
beforeAll(async () => {
  writeTasks(root);
  writeConfig(root, "tiny.yaml");
  writeConfig(root, "seq.yaml", { ...tinyConfig, method: { name: "seq-lora" } });
  first = await nlora(root, ["train", "tiny.yaml", "--out", "first", "--quiet"]);
});

describe("a run", () => {
  it("ends with 0, its tables and the path of its folder", () => {
    expect(first.stderr).toBe("");
    expect(first.status).toBe(0);
    for (const name of names) expect(first.stdout).toMatch(new RegExp(`^\\d ${name} +\\d`, "m"));
    expect(first.stdout.trimEnd().split("\n").at(-1)).toBe(`run folder: ${join(root, "first")}`);
  });

  it("leaves its configuration, journal, adapters, predictions and record", () => {
    expect(loadConfig(join(root, "first", "config.yaml"))).toMatchObject({
      model: "builtin",
      seed: 7,
      lora: { rank: 2, previousAdapters: "stacked" },
      training: { maxSteps: 8, learningRate: 1e-3 },
    });
    expect(readdirSync(join(root, "first", "adapters"))).toEqual(adapterNames);
    for (const name of adapterNames) {
      expect(readdirSync(join(root, "first", "adapters", name)).sort()).toEqual([
        "README.md",
        "adapter_config.json",
        "adapter_model.safetensors",
      ]);
      expect(text("first", "adapters", name, "adapter_config.json")).not.toContain(root);
    }
    const predictions = [0, 1, 2, 3].flatMap((after) => names.map((name) => `${after}-${name}.jsonl`));
    expect(readdirSync(join(root, "first", "predictions")).sort()).toEqual(predictions.sort());
  });

  it("journals every step with its losses, and every evaluation", () => {
    const events = eventsOf("first");
    const steps = events.filter((event) => event.type === "step");
    expect(steps.map(({ task, step }) => `${task} ${step}`)).toEqual(
      [2, 6, 8].flatMap((count, k) => Array.from({ length: count }, (_, i) => `${names[k]} ${i + 1}`)),
    );
    for (const step of steps) {
      expect(step.taskLoss).toBeGreaterThan(0);
      expect(step.lr).toBe(1e-3);
      expect(step.tokensPerSecond).toBeGreaterThan(0);
      expect(Object.keys(step.penalties)).toEqual(["sparsity"]);
    }
    expect(events.filter((event) => event.type === "evaluation")).toHaveLength(4 * 3);
    expect(events.at(-1)).toMatchObject({ type: "run-end", status: "done" });
  });

  it("records what it was, what it measured and how long it took", () => {
    const record = recordOf("first");
    expect(record).toMatchObject({
      schema: "nlora-run/1",
      status: "done",
      method: "n-lora",
      model: "builtin",
      tasks: names,
      seed: 7,
      penalty: { kind: "delta-w", normalise: "rms", lambda: expect.any(Number) },
      engine: { libtorch: expect.stringMatching(/^\d+\.\d+/), dtype: "float32", threads: 1 },
    });
    const percent = (value: number | null) => value !== null && value >= 0 && value <= 100;
    expect(record.accuracy.map((row) => row.map(percent))).toEqual(names.map(() => [true, true, true]));
    expect(record.outOfLabelRate.flat().every((rate) => rate !== null && rate >= 0 && rate <= 1)).toBe(true);
    const last = record.accuracy.map((row) => row[2]!);
    expect(record.averageAccuracy).toBeCloseTo((last[0]! + last[1]! + last[2]!) / 3, 10);
    expect(record.ownTaskAccuracy).toBeCloseTo(
      (record.accuracy[0]![0]! + record.accuracy[1]![1]! + record.accuracy[2]![2]!) / 3,
      10,
    );
    expect(record.forgettingRate).toEqual(expect.any(Number));
    expect(record.deltaNorms).toHaveLength(3);
    const { orthogonalOverlap, awom, gsr, acr, timings } = record;
    for (const value of [...record.deltaNorms, ...Object.values({ ...orthogonalOverlap, ...awom })]) {
      expect(value).toBeGreaterThan(0);
    }
    for (const value of [gsr.mean, gsr.pooled, acr.relRms]) {
      expect(value).toBeGreaterThan(0);
      expect(value).toBeLessThan(1);
    }
    expect(acr.abs).toBeGreaterThanOrEqual(0);
    expect(timings.trainSeconds).toBeGreaterThan(0);
    expect(timings.totalSeconds).toBeGreaterThanOrEqual(timings.trainSeconds + timings.evaluationSeconds);
  });

  it("keeps predictions that add up to the recorded accuracy", () => {
    const rows = text("first", "predictions", "3-size.jsonl").trimEnd().split("\n");
    const predictions = rows.map(
      (line) => JSON.parse(line) as { row: number; target: string; correct: boolean },
    );
    expect(predictions.map(({ row }) => row)).toEqual([0, 1, 2, 3, 4, 5]);
    expect(predictions.map(({ target }) => target)).toEqual(
      [..."012012"].map((k) => TASKS.size!.labels[Number(k)]),
    );
    const right = predictions.filter(({ correct }) => correct).length;
    expect(recordOf("first").accuracy[1]![2]).toBeCloseTo((100 * right) / 6, 10);
  });

  it("measures of its adapters what inspect measures of the run, and of their folders", async () => {
    const folders = adapterNames.map((name) => join("first", "adapters", name));
    const { orthogonalOverlap, awom, gsr, acr } = recordOf("first");
    for (const paths of [["first"], folders]) {
      const { status, stdout } = await nlora(root, ["inspect", ...paths, "--json"]);
      expect(status).toBe(0);
      const inspection = JSON.parse(stdout) as Inspection;
      expect(inspection).toMatchObject({ orthogonalOverlap, awom, gsr, acr });
      expect(inspection.adapters.map(({ name }) => name)).toEqual(adapterNames);
      expect(inspection.pairs).toHaveLength(3);
    }
  });
});

/** Interrupts a run after its first task and goes on with it. */
async function interruptAndResume(
  config: string,
  out: string,
): Promise<{ stopped: Finished; resumed: Finished }> {
  let sent = false;
  const stopped = await nlora(root, ["train", config, "--out", out, "--json"], (line, signal) => {
    if (sent || (JSON.parse(line) as RunEvent).type !== "task-end") return;
    sent = true;
    signal("SIGINT");
  });
  expect(recordOf(out)).toMatchObject({ status: "interrupted", averageAccuracy: null });
  expect(existsSync(join(root, out, "adapters", adapterNames[0]!))).toBe(true);
  expect(existsSync(join(root, out, "adapters", adapterNames[2]!))).toBe(false);
  return { stopped, resumed: await nlora(root, ["train", "--resume", out, "--json"]) };
}

describe("an interrupted run", () => {
  it("ends with 130 and, resumed, with the adapters and numbers of a run that was not interrupted", async () => {
    const { stopped, resumed } = await interruptAndResume("tiny.yaml", "stopped");
    expect(stopped.status).toBe(130);
    expect(stopped.stderr).toContain("nlora train --resume");
    expect(resumed.status).toBe(0);
    expect(adaptersOf("stopped")).toEqual(adaptersOf("first"));
    const { timings: _, peakMemory: _m, ...record } = recordOf("stopped");
    const { timings: __, peakMemory: __m, ...expected } = recordOf("first");
    expect(record).toEqual(expected);

    const lines = resumed.stdout.trimEnd().split("\n");
    const events = lines.map((line) => JSON.parse(line) as { type: string });
    expect(events[0]).toMatchObject({ type: "run-start", resumedAt: 1 });
    expect(events.at(-1)).toMatchObject({
      type: "record",
      folder: join(root, "stopped"),
      record: { status: "done" },
    });
  });

  it("of SeqLoRA, whose one adapter is trained on, too", async () => {
    const whole = await nlora(root, ["train", "seq.yaml", "--out", "seq", "--quiet"]);
    expect(whole.status).toBe(0);
    const { stopped, resumed } = await interruptAndResume("seq.yaml", "seq-stopped");
    expect([stopped.status, resumed.status]).toEqual([130, 0]);
    expect(adaptersOf("seq-stopped")).toEqual(adaptersOf("seq"));
    expect(adaptersOf("seq")).not.toEqual(adaptersOf("first"));
  });
});

describe("the seed", () => {
  it("decides everything: the same one gives the same adapters, another one others", async () => {
    const again = await nlora(root, ["train", "tiny.yaml", "--out", "again", "--quiet"]);
    const other = await nlora(root, ["train", "tiny.yaml", "--out", "other", "--quiet", "--seed", "8"]);
    expect([again.status, other.status]).toEqual([0, 0]);
    expect(adaptersOf("again")).toEqual(adaptersOf("first"));
    const [mine, theirs] = [adaptersOf("first"), adaptersOf("other")];
    for (const [k, bytes] of mine.entries()) expect(bytes.equals(theirs[k]!)).toBe(false);
    expect(recordOf("other").seed).toBe(8);
  });
});

it("doctor says what the engine is made of", async () => {
  const { status, stdout } = await nlora(root, ["doctor", "--json"]);
  expect(status).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({
    node: process.version,
    engine: {
      libtorch: expect.stringMatching(/^\d+\.\d+/),
      origin: expect.stringMatching(/^(LIBTORCH|python|system)$/),
      buildFlags: expect.arrayContaining(["-fopenmp"]),
      blas: expect.any(String),
      threads: 1,
      cores: expect.any(Number),
      vectorExtensions: expect.any(Array),
      defaultDtype: expect.stringMatching(/^(float32|bfloat16)$/),
      cudaDevices: expect.any(Number),
      distributedBackends: expect.any(Array),
      fusedKernels: true,
    },
  });
});

describe("a stream that does not say where a task ends", () => {
  const online = {
    ...tinyConfig,
    training: { batchSize: 4, learningRate: 1e-2 },
    online: { updates: 2, boundaries: { every: 16 } },
    evaluation: { maxNewTokens: 4, tasks: "seen", base: false },
  };
  const run = "online";

  it("is learned row by row, tested after every task, and told with its alarms and adapters", async () => {
    writeConfig(root, "online.yaml", online);
    const { status, stdout, stderr } = await nlora(root, ["train", "online.yaml", "--out", run, "--quiet"]);
    expect([status, stderr]).toEqual([0, ""]);
    expect(stdout).toMatch(/answered before it was trained on \(%\) +\d/);
    const record = recordOf(run);
    expect(record).toMatchObject({ status: "done", online: { rows: 48, adapters: 3 } });
    expect(record.accuracy[0]!.every((value) => value !== null)).toBe(true);
    const arrivals = eventsOf(run).filter((event) => event.type === "arrival");
    expect(arrivals.map(({ seen }) => seen)).toEqual(Array.from({ length: 12 }, (_, k) => 4 * (k + 1)));
  });

  it("leaves after every task an adapter of what it added", async () => {
    expect(readdirSync(join(root, run, "adapters"))).toEqual(adapterNames);
    const { status, stdout } = await nlora(root, ["inspect", run, "--json"]);
    expect(status).toBe(0);
    expect((JSON.parse(stdout) as Inspection).adapters).toHaveLength(3);
    const { deltaNorms } = recordOf(run);
    expect(deltaNorms[2]).toBeGreaterThan(0);
    const merged = await nlora(root, ["merge", "builtin", run, "--out", "online-merged"]);
    expect(merged.status).toBe(0);
  });

  it("starts anew where it was stopped on the way, and says so", async () => {
    const { stopped, resumed } = await interruptAndResume("online.yaml", "online-stopped");
    expect([stopped.status, resumed.status]).toEqual([130, 0]);
    expect(text("online-stopped", "events.jsonl")).toContain("it starts anew");
    const { online: again, accuracy } = recordOf("online-stopped");
    const { online: whole, accuracy: wanted } = recordOf(run);
    expect([again, accuracy]).toEqual([whole, wanted]);
  });
});
