import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  AccuracyMatrix,
  averageAccuracy,
  averageAccuracyCurve,
  BASE,
  backwardTransfer,
  forgettingRate,
  microAccuracy,
  ownTaskAccuracy,
  spread,
  unseenTaskAccuracy,
} from "./accuracy.js";

function matrixOf(cells: readonly (readonly (number | null)[])[], rows?: readonly number[]): AccuracyMatrix {
  const matrix = new AccuracyMatrix(cells.map((_, index) => `task ${index}`));
  cells.forEach((row, task) => {
    row.forEach((value, after) => {
      if (value !== null) matrix.set(task, after, value, rows?.[task]);
    });
  });
  return matrix;
}

const percent = fc.double({ min: 0, max: 100, noNaN: true });
/** A full matrix of 2 to 6 tasks. */
const fullMatrix = fc
  .integer({ min: 2, max: 6 })
  .chain((size) =>
    fc.array(fc.array(percent, { minLength: size, maxLength: size }), { minLength: size, maxLength: size }),
  );

describe("the published test vector", () => {
  const matrix = matrixOf([
    [90, 85, 80],
    [null, 70, 74],
    [null, null, 60],
  ]);

  test("gives AA 71.333, F.Ra 3, LA 73.333 and BWT -3", () => {
    expect(averageAccuracy(matrix)).toBeCloseTo(71.333333, 5);
    expect(forgettingRate(matrix)).toEqual({ value: 3, incomplete: false });
    expect(ownTaskAccuracy(matrix)).toBeCloseTo(73.333333, 5);
    expect(backwardTransfer(matrix)).toBeCloseTo(-3, 10);
  });

  test("gives the curve of AA after every task", () => {
    const curve = averageAccuracyCurve(matrix);
    expect(curve.slice(0, 2)).toEqual([90, 77.5]);
    expect(curve[2]).toBeCloseTo(71.333333, 5);
  });
});

test("one task: AA and LA are its accuracy, F.Ra and BWT are null", () => {
  const matrix = matrixOf([[62.5]]);
  expect(averageAccuracy(matrix)).toBe(62.5);
  expect(ownTaskAccuracy(matrix)).toBe(62.5);
  expect(forgettingRate(matrix)).toEqual({ value: null, incomplete: false });
  expect(backwardTransfer(matrix)).toBeNull();
});

test("an unfinished run has its curve so far and null for what needs the end", () => {
  const matrix = matrixOf([
    [90, 80, null],
    [null, 70, null],
    [null, null, null],
  ]);
  expect(averageAccuracyCurve(matrix)).toEqual([90, 75, null]);
  expect(averageAccuracy(matrix)).toBeNull();
  expect(forgettingRate(matrix).value).toBeNull();
  expect(backwardTransfer(matrix)).toBeNull();
  expect(ownTaskAccuracy(matrix)).toBeNull();
});

test("skipped evaluations are left out of the best and flagged", () => {
  const matrix = matrixOf([
    [90, null, 80],
    [null, 70, 74],
    [null, null, 60],
  ]);
  expect(forgettingRate(matrix)).toEqual({ value: 3, incomplete: true });
});

test("the micro average weights tasks by their test rows and needs them all", () => {
  const cells = [
    [50, 40],
    [null, 80],
  ];
  expect(microAccuracy(matrixOf(cells, [100, 300]))).toBeCloseTo(70, 10);
  expect(microAccuracy(matrixOf(cells, [100, 300]), 0)).toBeCloseTo(50, 10);
  expect(microAccuracy(matrixOf(cells))).toBeNull();
});

test("accuracy before training is the base model's for the first task and the column before for the others", () => {
  const matrix = matrixOf([
    [90, 80],
    [12, 70],
  ]);
  expect(unseenTaskAccuracy(matrix)).toEqual([null, 12]);
  matrix.set(0, BASE, 3);
  expect(unseenTaskAccuracy(matrix)).toEqual([3, 12]);
  expect(averageAccuracy(matrix)).toBe(75);
});

test("a matrix survives JSON", () => {
  const matrix = matrixOf(
    [
      [90, 80],
      [null, 70],
    ],
    [10, 20],
  );
  matrix.set(1, BASE, 5);
  const json = JSON.stringify(matrix);
  expect(JSON.stringify(AccuracyMatrix.fromJSON(JSON.parse(json)))).toBe(json);
  expect(JSON.parse(json)).toEqual({
    tasks: ["task 0", "task 1"],
    accuracy: [
      [90, 80],
      [null, 70],
    ],
    base: [null, 5],
    rows: [10, 20],
  });
});

test("cells outside the matrix, accuracies outside 0 to 100 and changing row counts are refused", () => {
  const matrix = matrixOf([[50]], [10]);
  expect(() => matrix.set(1, 0, 50)).toThrowError(/1 tasks has no cell \(1, 0\)/);
  expect(() => matrix.get(0, -2)).toThrowError(/no cell/);
  expect(() => matrix.set(0, 0, 101)).toThrowError(/between 0 and 100 percent, found 101/);
  expect(() => matrix.set(0, 0, Number.NaN)).toThrowError(/found NaN/);
  expect(() => matrix.set(0, 0, 50, 11)).toThrowError(/11 rows, after 10 rows earlier/);
});

test("forgetting is at least minus backward transfer, and both shift with the last column alone", () => {
  fc.assert(
    fc.property(fullMatrix, (cells) => {
      const matrix = matrixOf(cells);
      const forgetting = forgettingRate(matrix).value!;
      expect(forgetting).toBeGreaterThanOrEqual(-backwardTransfer(matrix)! - 1e-9);
      const last = cells.length - 1;
      const halved = matrixOf(
        cells.map((row) => row.map((value, after) => (after === last ? value / 2 : value))),
      );
      const earlier = cells.slice(0, last).reduce((sum, row) => sum + row[last]!, 0) / last;
      expect(forgettingRate(halved).value! - forgetting).toBeCloseTo(earlier / 2, 8);
    }),
  );
});

test("entries before a task was trained change neither AA, F.Ra, LA nor BWT", () => {
  fc.assert(
    fc.property(fullMatrix, (cells) => {
      const numbers = (matrix: AccuracyMatrix) => [
        averageAccuracy(matrix),
        forgettingRate(matrix),
        ownTaskAccuracy(matrix),
        backwardTransfer(matrix),
      ];
      const seenOnly = cells.map((row, task) => row.map((value, after) => (after < task ? null : value)));
      expect(numbers(matrixOf(seenOnly))).toEqual(numbers(matrixOf(cells)));
    }),
  );
});

test("with equal test sets the micro average is AA", () => {
  fc.assert(
    fc.property(fullMatrix, fc.integer({ min: 1, max: 5000 }), (cells, rows) => {
      const matrix = matrixOf(
        cells,
        cells.map(() => rows),
      );
      expect(microAccuracy(matrix)).toBeCloseTo(averageAccuracy(matrix)!, 8);
    }),
  );
});

test("the population deviation of the paper's order means gives its printed 0.65, 3.42, 0.51 and 1.62", () => {
  const printed: [values: number[], deviation: number][] = [
    [[75.03, 76.12, 76.58], 0.65],
    [[72.39, 64.55, 71.03], 3.42],
    [[79.14, 78.29, 77.91], 0.51],
    [[73.85, 70.09, 73.07], 1.62],
  ];
  for (const [values, deviation] of printed) {
    expect(spread(values).populationDeviation).toBeCloseTo(deviation, 2);
  }
  expect(spread([1, 3])).toEqual({ mean: 2, populationDeviation: 1, sampleDeviation: Math.SQRT2 });
  expect(spread([4])).toEqual({ mean: 4, populationDeviation: 0, sampleDeviation: null });
  expect(spread([])).toEqual({ mean: null, populationDeviation: null, sampleDeviation: null });
});
