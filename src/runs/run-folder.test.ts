import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { RunError } from "../errors.js";
import { resolveConfig } from "../experiment/config.js";
import type { RunEvent } from "../learn/events.js";
import { foldRecord } from "./fold-record.js";
import { Journal } from "./journal.js";
import { defaultRunPath, RunFolder } from "./run-folder.js";

const root = mkdtempSync(join(tmpdir(), "nlora-folder-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const config = resolveConfig({
  data: { kind: "jsonl", tasks: ["a", "b"].map((name) => ({ name, train: "t.jsonl", test: "e.jsonl" })) },
});
const time = "2026-01-01T00:00:00.000Z";
const start: RunEvent = {
  type: "run-start",
  time,
  method: "n-lora",
  model: "m",
  tasks: ["a", "b"],
  seed: 1,
  resumedAt: 0,
};
const endOf = (index: number): RunEvent => ({
  type: "task-end",
  task: "ab"[index]!,
  index,
  seconds: 1,
  deltaNorm: 1,
});

function write(folder: RunFolder, ...events: RunEvent[]): void {
  using journal = new Journal(folder.journalFile);
  for (const event of events) journal.append(event);
}

function errorOf(action: () => unknown): RunError {
  try {
    action();
  } catch (error) {
    expect(error).toBeInstanceOf(RunError);
    return error as RunError;
  }
  throw new Error("nothing was thrown");
}

const places = ["a", "b"].map((name, index) => ({ name, index }));
const adapters = { adapter: "delta", weights: null, state: false } as const;

describe("a new run", () => {
  it("starts in a folder of its own with its whole configuration", () => {
    const folder = RunFolder.create(join(root, "deep", "new"), config);
    expect(folder.readConfig()).toEqual(config);
    expect(folder.readRecord()).toBeNull();
    expect(folder.nextTask(places, adapters)).toBe(0);
  });

  it("may use a folder with other files, but not one with a run", () => {
    const path = join(root, "taken");
    mkdirSync(path);
    writeFileSync(join(path, "notes.txt"), "mine");
    const folder = RunFolder.create(path, config);
    expect(errorOf(() => RunFolder.create(path, config)).message).toMatch(/already holds an unfinished run/);
    expect(errorOf(() => RunFolder.create(path, config)).hint).toMatch(/--resume/);
    write(folder, start, { type: "run-end", time, status: "done" });
    folder.updateRecord();
    const error = errorOf(() => RunFolder.create(path, config));
    expect(error.message).toMatch(/already holds a finished run/);
    expect(error.hint).toMatch(/--out/);
  });

  it("may use the folder of a run that failed before it started", () => {
    const path = join(root, "failed");
    write(RunFolder.create(path, config), { type: "run-failed", time, message: "no such checkpoint" });
    expect(RunFolder.create(path, { ...config, seed: 7 }).readConfig().seed).toBe(7);
  });

  it("is named after time, name, method and seed, and never takes a name twice", () => {
    const now = new Date(2026, 0, 31, 7, 5, 9);
    const path = defaultRunPath(config, now, root);
    expect(path).toBe(join(root, "20260131-070509-run-n-lora-s42"));
    mkdirSync(path);
    expect(defaultRunPath(config, now, root)).toBe(`${path}-2`);
  });
});

describe("resuming", () => {
  it("needs a run with the same configuration and names the first difference", () => {
    const path = join(root, "resume");
    RunFolder.create(path, config);
    expect(RunFolder.resume(path, config).path).toBe(path);
    const other = structuredClone(config);
    other.training.learningRate = 0.5;
    expect(errorOf(() => RunFolder.resume(path, other)).message).toBe(
      `cannot resume ${path}: training.learningRate is 0.001 there and 0.5 here`,
    );
    expect(errorOf(() => RunFolder.resume(join(root, "nothing"), config)).message).toMatch(
      /there is no run in/,
    );
  });

  it("goes on after the last task that has ended and whose adapter is there", () => {
    const folder = RunFolder.create(join(root, "next"), config);
    write(folder, start, endOf(0), endOf(1));
    expect(folder.nextTask(places, adapters)).toBe(0);
    folder.saveTask("adapters", { index: 0, name: "a" }, (path) =>
      writeFileSync(join(path, "adapter_config.json"), "{}"),
    );
    expect(folder.nextTask(places, adapters)).toBe(1);
    folder.saveTask("adapters", { index: 1, name: "b" }, () => {});
    expect(folder.nextTask(places, adapters)).toBe(2);
  });
});

describe("what a method needs to go on", () => {
  const none = { adapter: null, weights: null, state: false } as const;
  const folder = RunFolder.create(join(root, "needs"), config);
  const save = (kind: "models" | "state", index: number) => folder.saveTask(kind, places[index]!, () => {});
  write(folder, start, endOf(0), endOf(1));

  it("is the last task's weights or state, if the method keeps only those", () => {
    expect(folder.nextTask(places, none)).toBe(2);
    save("models", 1);
    expect(folder.nextTask(places, { ...none, weights: "last" })).toBe(2);
    expect(folder.nextTask(places, { ...none, weights: "last", state: true })).toBe(0);
    save("state", 0);
    expect(folder.nextTask(places, { ...none, state: true })).toBe(1);
  });

  it("is every task's weights, if a task is answered with its own", () => {
    expect(folder.nextTask(places, { ...none, weights: "every" })).toBe(0);
    save("models", 0);
    expect(folder.nextTask(places, { ...none, weights: "every" })).toBe(2);
    folder.removeTask("models", places[1]!);
    expect(folder.nextTask(places, { ...none, weights: "every" })).toBe(1);
  });
});

describe("files of a run", () => {
  it("have the documented names, tasks counted from 1 and the base model as 0", () => {
    const folder = RunFolder.create(join(root, "files"), config);
    folder.saveTask("adapters", { index: 1, name: "b" }, (path) =>
      writeFileSync(join(path, "adapter_config.json"), "{}"),
    );
    folder.savePredictions(-1, "a", [{ answer: "x" }, { answer: "y\nz" }]);
    folder.savePredictions(0, "a", []);
    write(folder, start);
    folder.updateRecord();
    expect(readdirSync(folder.path).sort()).toEqual([
      "adapters",
      "config.yaml",
      "events.jsonl",
      "predictions",
      "record.json",
    ]);
    expect(readdirSync(join(folder.path, "adapters"))).toEqual(["2-b"]);
    expect(readdirSync(join(folder.path, "predictions")).sort()).toEqual(["0-a.jsonl", "1-a.jsonl"]);
    expect(readFileSync(folder.predictionsFile(-1, "a"), "utf8")).toBe(
      '{"answer":"x"}\n{"answer":"y\\nz"}\n',
    );
  });

  it("an adapter whose writing fails leaves the earlier one in place", () => {
    const folder = RunFolder.create(join(root, "atomic"), config);
    folder.saveTask("adapters", { index: 0, name: "a" }, (path) =>
      writeFileSync(join(path, "weights"), "old"),
    );
    const fail = () =>
      folder.saveTask("adapters", { index: 0, name: "a" }, (path) => {
        writeFileSync(join(path, "weights"), "half");
        throw new Error("disk full");
      });
    expect(fail).toThrow("disk full");
    expect(readdirSync(join(folder.path, "adapters"))).toEqual(["1-a"]);
    expect(
      readFileSync(join(folder.taskFolder("adapters", { index: 0, name: "a" }), "weights"), "utf8"),
    ).toBe("old");
    folder.saveTask("adapters", { index: 0, name: "a" }, (path) =>
      writeFileSync(join(path, "weights"), "new"),
    );
    expect(
      readFileSync(join(folder.taskFolder("adapters", { index: 0, name: "a" }), "weights"), "utf8"),
    ).toBe("new");
  });

  it("the record keeps what the journal does not say when it is brought up to date", () => {
    const folder = RunFolder.create(join(root, "record"), config);
    write(folder, start);
    folder.writeRecord(foldRecord([start], { engine: { dtype: "bfloat16" }, penalty: { kind: "delta-w" } })!);
    write(folder, endOf(0));
    expect(folder.updateRecord()).toMatchObject({
      engine: { dtype: "bfloat16" },
      penalty: { kind: "delta-w" },
      deltaNorms: [1, null],
    });
  });

  it("that cannot be written or read are RunErrors with the path", () => {
    const blocked = join(root, "file");
    writeFileSync(blocked, "");
    expect(errorOf(() => RunFolder.create(join(blocked, "run"), config)).message).toMatch(
      /cannot make the run folder/,
    );
    const folder = RunFolder.create(join(root, "bad"), config);
    writeFileSync(folder.recordFile, "{");
    expect(errorOf(() => folder.readRecord()).message).toContain(folder.recordFile);
    expect(existsSync(folder.configFile)).toBe(true);
  });
});
