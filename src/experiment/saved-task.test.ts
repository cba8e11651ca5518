/** Whole runs whose methods keep more than adapters: what is in the folder, and going on from it. */
import { appendFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { writeTinyLlama } from "../../test/support/tiny-llama.js";
import type { RunEvent } from "../learn/events.js";
import { loadModel } from "../models/registry.js";
import type { RunRecord } from "../runs/record.js";
import { RunFolder } from "../runs/run-folder.js";
import { liveTensors } from "../tensor/scope.js";
import { resolveConfig } from "./config.js";
import { runExperiment } from "./run.js";

const root = mkdtempSync(join(tmpdir(), "nlora-saved-"));
const checkpoint = join(root, "tiny-llama");
beforeAll(() => writeTinyLlama(checkpoint));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const TASKS = ["diary", "scenes", "letters", "pictures"];
const configOf = (method: object, more: object = {}) =>
  resolveConfig({
    model: checkpoint,
    threads: 1,
    data: { kind: "synthetic", trainRows: 24, testRows: 4 },
    maxSourceLength: 160,
    truncate: "body",
    lora: { rank: 4 },
    method,
    training: { epochs: 1, batchSize: 8, learningRate: 0.003 },
    evaluation: { tasks: "all", batchSize: 4, maxNewTokens: 3, base: true },
    ...more,
  });

/** Runs to the end or until `stop` says so; the journal is written as the launcher writes it. */
async function run(
  name: string,
  config: ReturnType<typeof configOf>,
  stop: (event: RunEvent) => boolean = () => false,
  resume = false,
): Promise<{ record: RunRecord | undefined; events: RunEvent[]; folder: RunFolder }> {
  const path = join(root, name);
  const folder = resume ? RunFolder.resume(path, config) : RunFolder.create(path, config);
  const events: RunEvent[] = [];
  const running = runExperiment(config, folder, { resume, shouldStop: () => false });
  for (;;) {
    const next = await running.next();
    if (next.done) return { record: next.value, events, folder };
    events.push(next.value);
    appendFileSync(folder.journalFile, `${JSON.stringify(next.value)}\n`);
    if (!stop(next.value)) continue;
    await running.return(undefined as never);
    return { record: undefined, events, folder };
  }
}

const saved = ({ folder }: { folder: RunFolder }, kind: string): string[] => {
  const path = join(folder.path, kind);
  return existsSync(path) ? readdirSync(path).sort() : [];
};
const predictions = ({ folder }: { folder: RunFolder }): string[] =>
  TASKS.map((task) => readFileSync(join(folder.path, "predictions", `4-${task}.jsonl`), "utf8"));
const every = TASKS.map((task, index) => `${index + 1}-${task}`);

/** Method, and what its run folder holds in the end. */
const CASES = [
  [{ name: "seq-ft" }, { adapters: [], models: ["4-pictures"], state: [] }],
  [{ name: "per-task-ft" }, { adapters: [], models: every, state: [] }],
  [
    { name: "per-task-ft", backbone: "lora" },
    { adapters: every, models: [], state: [] },
  ],
  [{ name: "replay" }, { adapters: [], models: ["4-pictures"], state: ["4-pictures"] }],
  [
    { name: "ewc", rows: 8 },
    { adapters: [], models: ["4-pictures"], state: ["4-pictures"] },
  ],
  [
    { name: "lwf", backbone: "lora" },
    { adapters: every, models: [], state: [] },
  ],
  [{ name: "l2p" }, { adapters: [], models: [], state: ["4-pictures"] }],
  [
    { name: "lfpt5", promptLength: 8, fraction: 0 },
    { adapters: [], models: [], state: ["4-pictures"] },
  ],
  [
    { name: "prog-prompt", promptLength: 8 },
    { adapters: [], models: [], state: ["4-pictures"] },
  ],
] as const;

describe.each(CASES)("a run of %o", (method, expected) => {
  it("saves what it needs to go on, no more, and goes on from it as if it had not stopped", async () => {
    const before = liveTensors();
    const name = Object.values(method).join("-");
    const whole = await run(name, configOf(method));
    expect(liveTensors()).toBe(before);
    for (const [kind, folders] of Object.entries(expected)) expect(saved(whole, kind)).toEqual(folders);
    expect(whole.record!.status).toBe("done");
    expect(whole.record!.keptBytes.every((bytes) => bytes! > 1000)).toBe(true);
    expect(
      whole.record!.deltaNorms.every((norm) => (norm === null) === (expected.adapters.length === 0)),
    ).toBe(true);

    const inThird = (event: RunEvent) =>
      event.type === "step" && event.task === "letters" && event.step === 2;
    await run(`${name}-stopped`, configOf(method), inThird);
    const resumed = await run(`${name}-stopped`, configOf(method), undefined, true);
    expect(resumed.events.find((event) => event.type === "run-start")).toMatchObject({ resumedAt: 2 });
    expect(predictions(resumed)).toEqual(predictions(whole));
    for (const [kind, folders] of Object.entries(expected)) expect(saved(resumed, kind)).toEqual(folders);
    if (expected.state.length > 0) {
      const file = join("state", "4-pictures", "state.safetensors");
      const bytes = (each: { folder: RunFolder }) => readFileSync(join(each.folder.path, file));
      expect(bytes(resumed).equals(bytes(whole))).toBe(true);
    }
    if (saved(whole, "models").length > 0) {
      const file = join("models", "4-pictures", "model.safetensors");
      const bytes = (each: { folder: RunFolder }) => readFileSync(join(each.folder.path, file));
      expect(bytes(resumed).equals(bytes(whole))).toBe(true);
      // A whole model, that any program that reads such folders can open.
      const model = loadModel(join(whole.folder.path, "models", "4-pictures"), "float32");
      expect(model.family).toBe("causal");
      model.dispose();
    }
  });
});

it("answers a task with its own model alone, whatever was learned since, and an unseen one with the base model", async () => {
  const { record, events, folder } = await run("own", configOf({ name: "per-task-ft" }));
  for (const [task, name] of TASKS.entries()) {
    const after = (k: number) => readFileSync(join(folder.path, "predictions", `${k}-${name}.jsonl`), "utf8");
    for (let k = 0; k <= 4; k++) expect(after(k)).toBe(after(k <= task ? 0 : task + 1));
  }
  expect(record!.forgettingRate).toBe(0);
  expect(events).toContainEqual(
    expect.objectContaining({
      type: "note",
      message: "PerTaskFT is told which task a row is of when it answers",
    }),
  );
});

it("learns all tasks at once with MTL, and counts what is measured then as the end", async () => {
  const whole = await run("joint", configOf({ name: "mtl", backbone: "lora" }));
  expect(saved(whole, "adapters")).toEqual(["4-joint"]);
  const starts = whole.events.filter((event) => event.type === "task-start");
  expect(starts).toMatchObject([{ task: "joint", index: 3, rows: 96, steps: 12 }]);
  const { averageAccuracy, forgettingRate, accuracy } = whole.record!;
  expect(averageAccuracy).not.toBeNull();
  expect(forgettingRate).toBeNull();
  for (const row of accuracy) expect(row.slice(0, 3)).toEqual([null, null, null]);
  const again = await run("joint", configOf({ name: "mtl", backbone: "lora" }), undefined, true);
  expect(again.events.some((event) => event.type === "step")).toBe(false);
});

it("refuses a memory larger than the data before anything is trained", async () => {
  const refused = run("large", configOf({ name: "replay", memory: { perTask: 25 } }));
  await expect(refused).rejects.toThrowError(/method\.memory\.perTask: expected at most 24/);
});
