import { expect, it } from "vitest";
import { finishedRun } from "../../test/support/finished-run.js";
import type { Bars, Panels } from "../figures/figure.js";
import { studyFigures } from "./figures.js";
import { cellsOf, type FinishedRun, rowsOf, type StudySummary } from "./summary.js";

const summaryOf = (study: string, runs: readonly FinishedRun[]): StudySummary => ({
  study,
  title: study,
  scale: "mini",
  done: runs.length,
  runs: runs.length,
  failed: [],
  cells: cellsOf(runs),
  rows: rowsOf(runs),
  claims: [],
});

const idsOf = (summary: StudySummary) => studyFigures(summary).map(({ id }) => id);

it("compares average accuracies by order, with their deviation over seeds and the paper's values", () => {
  const runs = ["n-lora", "o-lora"].flatMap((method, i) =>
    ["order-1", "order-2"].flatMap((order, j) =>
      [42, 43].map((seed, k) => finishedRun(method, order, seed, 50 + 10 * i + 2 * j + 4 * k)),
    ),
  );
  const figures = studyFigures(summaryOf("table-4", runs));
  const bars = figures[0] as Bars;
  expect(bars.series.map(({ name, values, published }) => [name, values, published])).toEqual([
    ["n-lora", [52, 54], [79.2, 78.4]],
    ["o-lora", [62, 64], [75.4, 75.7]],
  ]);
  expect(bars.series[0]!.deviations![0]).toBeCloseTo(Math.sqrt(8), 9);
});

it("adds what was measured: unseen tasks, and sparsity against collisions", () => {
  const plain = ["n-lora", "o-lora"].map((method) => finishedRun(method, "order-1", 42, 50));
  expect(idsOf(summaryOf("table-1", plain))).toEqual(["average-accuracy", "sparsity-collision-forgetting"]);
  const unseen = plain.map((run) => ({
    ...run,
    record: {
      ...run.record,
      accuracy: [
        [80, 60],
        [12, 70],
      ],
      gsr: { mean: null, pooled: null },
    },
  }));
  expect(idsOf(summaryOf("figure-4", unseen))).toEqual(["average-accuracy", "unseen-task"]);
  expect(idsOf(summaryOf("table-1", []))).toEqual([]);
});

it("draws ablations, and sweeps over strengths by the number in their rows' labels", () => {
  const rows = (labels: readonly string[]) =>
    labels.map((label, k) => finishedRun(label, "order-1", 42, 50 + k));
  expect(idsOf(summaryOf("figure-6", rows(["NS", "SA"])))[0]).toBe("ablations");
  const sweep = studyFigures(
    summaryOf("lambda", rows(["lambda 0", "lambda 0.02", "lambda 0.4"])),
  )[0] as Panels;
  expect(sweep.id).toBe("lambda-sweep");
  expect(sweep.panels[0]).toMatchObject({
    series: [
      {
        points: [
          { x: 0, y: 50 },
          { x: 0.02, y: 51 },
          { x: 0.4, y: 52 },
        ],
      },
    ],
  });
  const search = studyFigures(
    summaryOf("search", rows(["o-lora lambda1 5", "o-lora lambda1 0.5", "n-lora lambda 0.02"])),
  )[0] as Panels;
  expect(search.panels.map(({ title }) => title)).toEqual(["o-lora lambda1", "n-lora lambda"]);
  expect(search.panels[0]).toMatchObject({
    series: [
      {
        points: [
          { x: 0.5, y: 51 },
          { x: 5, y: 50 },
        ],
      },
    ],
  });
});
