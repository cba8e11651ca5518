import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { RunEvent } from "../learn/events.js";
import { foldRecord } from "../runs/fold-record.js";
import { accuracyTable, lengthsTable, metricsTable, table } from "./tables.js";

function record(method: string, accuracies: [number, number, number][], acr: number | null = null) {
  const time = "2026-01-01T00:00:00.000Z";
  const events: RunEvent[] = [
    { type: "run-start", time, method, model: "m", tasks: ["agnews", "yelp"], seed: 1, resumedAt: 0 },
    ...accuracies.map(([index, afterIndex, accuracy]): RunEvent => {
      return {
        type: "evaluation",
        task: "",
        index,
        afterIndex,
        accuracy,
        outOfLabelRate: 0.5,
        rows: 10,
        seconds: 1,
      };
    }),
    { type: "task-end", task: "agnews", index: 0, seconds: 60, deltaNorm: 2 },
    { type: "task-end", task: "yelp", index: 1, seconds: 30, deltaNorm: 4 },
  ];
  return foldRecord(events, {
    geometry: {
      orthogonalOverlap: { squared: 12.3456, abs: 1234.5 },
      awom: { spectral: 0.000012, frobenius: 0 },
      gsr: { mean: 0.7654, pooled: null },
      acr: { abs: acr, relRms: 0.5, exact: 1 },
    },
  })!;
}

const measured = record("n-lora", [
  [0, -1, 10],
  [0, 0, 90],
  [0, 1, 85.5],
  [1, 1, 60.25],
]);

describe("tables", () => {
  it("align the first column left and the others right", () => {
    expect(
      table(
        ["name", "value"],
        [
          ["a", "1.0"],
          ["longer", "100.25"],
        ],
      ).split("\n"),
    ).toEqual(["name     value", "──────  ──────", "a          1.0", "longer  100.25"]);
  });

  it("start every column at the same place in every row", () => {
    const cell = fc.stringMatching(/^[a-z0-9.]{1,12}$/);
    const rows = fc.array(fc.array(cell, { minLength: 3, maxLength: 3 }), { minLength: 1 });
    fc.assert(
      fc.property(rows, (cells) => {
        const lines = table(["x", "y", "z"], cells).split("\n");
        expect(new Set(lines.map((line) => line.length)).size).toBe(1);
      }),
    );
  });
});

it("the accuracy matrix has a row for each task, a column for each time, and the base model where it was tested", () => {
  expect(accuracyTable(measured).split("\n")).toEqual([
    "accuracy (%) on   base  after 1  after 2",
    "───────────────  ─────  ───────  ───────",
    "1 agnews         10.00    90.00    85.50",
    "2 yelp               –        –    60.25",
  ]);
  expect(accuracyTable(record("o-lora", [[0, 0, 90]]))).not.toContain("base");
});

it("the matrix of a long stream has two columns: right after each task was trained, and after the last", () => {
  const tasks = Array.from({ length: 30 }, (_, k) => `t${k}`);
  const accuracy = tasks.map((_, i) => tasks.map((_, j) => (j < i ? null : 90 - j + i)));
  const lines = accuracyTable({ tasks, accuracy, baseAccuracy: tasks.map(() => null) }).split("\n");
  expect(lines[0]).toBe("accuracy (%) on  when trained  after 30");
  expect(lines.slice(2, 4).map((line) => line.split(/\s{2,}/))).toEqual([
    ["1 t0", "90.00", "61.00"],
    ["2 t1", "90.00", "62.00"],
  ]);
  expect(lines).toHaveLength(32);
});

it("the metrics stand side by side, one run a column, with a dash where undefined", () => {
  const text = metricsTable([measured, record("o-lora", [[0, 0, 90]], 0.25)]);
  const row = (name: string) =>
    text
      .split("\n")
      .find((line) => line.startsWith(name))
      ?.slice(name.length)
      .trim()
      .split(/\s{2,}/);
  expect(text.split("\n")[0]).toMatch(/^metric\s+n-lora\s+o-lora$/);
  expect(row("AA (average accuracy, %)")).toEqual(["72.88", "–"]);
  expect(row("F.Ra (forgetting, points)")).toEqual(["4.50", "–"]);
  expect(row("own-task accuracy (%)")).toEqual(["75.13", "–"]);
  expect(row("out-of-label answers at the end (%)")).toEqual(["50.00", "–"]);
  expect(row("OO (squared)")).toEqual(["12.35", "12.35"]);
  expect(row("AWOM (spectral)")).toEqual(["1.20e-5", "1.20e-5"]);
  expect(row("ACR (|dW| > 1e-3)")).toEqual(["–", "0.2500"]);
  expect(row("||dW||_F (mean over tasks)")).toEqual(["3.000", "3.000"]);
  expect(row("training time")).toEqual(["1 min 30 s", "1 min 30 s"]);
});

it("the length report says how many rows are cut", () => {
  const text = lengthsTable([
    {
      task: "yelp",
      split: "train",
      rows: 5000,
      median: 150,
      p95: 480,
      max: 1100,
      truncated: 210,
      limit: 512,
      targetsTruncated: 0,
    },
  ]);
  expect(text.split("\n")[2]?.split(/\s+/)).toEqual([
    "yelp",
    "train",
    "5000",
    "150",
    "480",
    "1100",
    "512",
    "210",
  ]);
});
