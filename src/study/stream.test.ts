/** A run of three random adapters, tested after the first and the third task. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse } from "csv-parse/sync";
import { afterAll, beforeAll, expect, it } from "vitest";
import { TINY_TASKS, writeTinyRun } from "../../test/support/tiny-run.js";
import { inspectAdapters } from "../analysis/inspect.js";
import type { RunEvent } from "../learn/events.js";
import { readJournal } from "../runs/journal.js";
import { RunFolder } from "../runs/run-folder.js";
import { liveTensors } from "../tensor/scope.js";
import { streamOf } from "./stream.js";
import { streamCsv, streamMarkdown } from "./stream-text.js";

const root = mkdtempSync(join(tmpdir(), "nlora-stream-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));
const run = join(root, "run");

/** a(i, j) of the tests: after task 1, of task 2 alone after it, and of all after task 3. */
const MEASURED = [
  [80, null, 50],
  [null, 60, 40],
  [null, null, 90],
];

beforeAll(() => {
  writeTinyRun(run, "builtin");
  const folder = new RunFolder(run);
  const events = readJournal(folder.journalFile).flatMap((event): RunEvent[] => {
    if (event.type !== "task-end") return [event];
    const tests = MEASURED.flatMap((row, index): RunEvent[] => {
      const accuracy = row[event.index];
      if (accuracy == null) return [];
      const task = TINY_TASKS[index]!;
      const common = { outOfLabelRate: 0, rows: 10, seconds: 1 };
      return [{ type: "evaluation", task, index, afterIndex: event.index, accuracy, ...common }];
    });
    return [...tests, { ...event, deltaNorm: 1 }];
  });
  writeFileSync(folder.journalFile, events.map((event) => `${JSON.stringify(event)}\n`).join(""));
  folder.updateRecord();
});

it("has a point after every task behind which all tasks so far were tested", () => {
  const before = liveTensors();
  const { status, points } = streamOf(run)!;
  expect(liveTensors()).toBe(before);
  expect(status).toBe("done");
  expect(points.map(({ tasks }) => tasks)).toEqual([1, 3]);
  expect(points.map((point) => point.averageAccuracy)).toEqual([80, 60]);
  // Task 1 fell from 80 to 50, task 2 from 60 to 40; tasks 2 and 3 were learned at 60 and 90.
  expect(points.map((point) => point.forgettingRate)).toEqual([null, 25]);
  expect(points.map((point) => point.learningAccuracy)).toEqual([80, 75]);
});

it("says of the last point what an inspection of all adapters says, and keeps it", () => {
  const { points } = streamOf(run)!;
  const inspected = inspectAdapters([run]);
  for (const reading of ["abs", "relRms", "exact"] as const) {
    expect(points[1]!.acr[reading]).toBeCloseTo(inspected.acr[reading]!, 12);
    expect(points[1]!.occupied[reading]).toBeCloseTo(inspected.occupied[reading]!.at(-1)!, 12);
    expect(points[0]!.occupied[reading]).toBeCloseTo(inspected.occupied[reading]![0]!, 12);
  }
  expect(existsSync(join(run, "stream.json"))).toBe(true);
  rmSync(join(run, "adapters"), { recursive: true });
  expect(streamOf(run)).toBeNull();
});

it("is written as CSV and Markdown", () => {
  const point = {
    averageAccuracy: 60,
    forgettingRate: null,
    learningAccuracy: 70.25,
    keptBytes: 9,
    acr: { abs: null, relRms: null, exact: null },
    occupied: { abs: 0.1, relRms: 0.25, exact: 1 },
  };
  const stream = { label: "a,b", order: "long", seed: 42, status: "interrupted" as const };
  const streams = [{ ...stream, points: [{ tasks: 1, ...point }] }];
  expect(parse(streamCsv(streams), { columns: true })).toEqual([
    expect.objectContaining({
      label: "a,b",
      tasks: "1",
      learning_accuracy: "70.25",
      acr_rms: "",
      occupied_rms: "0.25",
    }),
  ]);
  expect(streamMarkdown(streams)).toContain(
    "| a,b, seed 42 (interrupted) | 1 | 60.0 | 70.3 |  |  /  /  | 0.1 / 0.25 / 1 |",
  );
});
