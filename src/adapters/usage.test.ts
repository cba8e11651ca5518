import fc from "fast-check";
import { expect, it } from "vitest";
import { adapterOf, denseOf, type Factors, frobenius, randomFactors } from "../../test/support/dense.js";
import { expectClose } from "../../test/support/golden.js";
import { Rng } from "../random.js";
import { liveTensors, tidy } from "../tensor/scope.js";
import type { LowRankDelta } from "./delta.js";
import {
  columnEnergies,
  deltaNorm,
  ElementCounts,
  rowEnergies,
  supportDensity,
  supportOf,
  usageOf,
} from "./usage.js";

const deltaOf = (factors: Factors): LowRankDelta => adapterOf([factors]).modules.get("m0")!;
const denseUpdate = (factors: Factors) => denseOf(adapterOf([factors]))[0]!;
const seeds = fc.integer({ min: 0, max: 2 ** 31 });
const shape = { outputs: 9, inputs: 7 };
const square = (values: readonly number[]) => values.reduce((sum, value) => sum + value * value, 0);

it("gives the row, column and whole norms of the dense update", () => {
  fc.assert(
    fc.property(seeds, (seed) => {
      tidy(() => {
        const factors = randomFactors(new Rng(seed), shape, 0.2);
        const delta = deltaOf(factors);
        const dense = denseUpdate(factors);
        const columns = dense[0]!.map((_, column) => dense.map((row) => row[column]!));
        expectClose(rowEnergies(delta).toArray(), dense.map(square), 1e-4);
        expectClose(columnEnergies(delta).toArray(), columns.map(square), 1e-4);
        expectClose([deltaNorm(delta)], [frobenius(dense)], 1e-5);
      });
    }),
    { numRuns: 50 },
  );
});

it("finds the rows and columns that hold a non-zero, and nothing is outside them", () => {
  tidy(() => {
    const factors = {
      a: [
        [0, 2, 0, 1],
        [0, 1, 0, 0],
      ],
      b: [
        [0, 0],
        [1, 0],
        [0, -1],
      ],
    };
    const delta = deltaOf(factors);
    expect(supportOf(delta)).toEqual({ rows: [1, 2], columns: [1, 3] });
    expect(supportDensity([delta])).toBeCloseTo((2 / 3) * (2 / 4), 12);
    const zero = deltaOf({ a: [[1, 1]], b: [[0], [0]] });
    expect(supportOf(zero)).toEqual({ rows: [], columns: [0, 1] });
    expect(supportDensity([zero])).toBe(0);
    expect(supportDensity([delta, zero])).toBeCloseTo(4 / (12 + 4), 12);
  });
});

it("adds up the use of several updates, the most used row and column being 1", () => {
  const before = liveTensors();
  tidy(() => {
    const first = { a: [[1, 0, 0]], b: [[2], [0]] };
    const second = { a: [[0, 1, 0]], b: [[0], [1]] };
    const { rows, columns } = usageOf([deltaOf(first), deltaOf(second)]);
    expectClose(rows.toArray(), [1, 0.25], 1e-6);
    expectClose(columns.toArray(), [1, 0.25, 0], 1e-6);
    const nothing = usageOf([deltaOf({ a: [[1, 0, 0]], b: [[0], [0]] })]);
    expect(nothing.rows.toArray()).toEqual([0, 0]);
  });
  expect(liveTensors()).toBe(before);
});

it("counts the updates that use an element, by the scale-free reading of use, up to 255", () => {
  fc.assert(
    fc.property(seeds, (seed) => {
      tidy(() => {
        const rng = new Rng(seed);
        const updates = [1, 2, 3].map(() => randomFactors(rng, shape, 0.2));
        const counts = new ElementCounts(deltaOf(updates[0]!));
        for (const update of updates) counts.add(deltaOf(update));
        const expected = shape.outputs * shape.inputs;
        const dense = updates.map((update) => denseUpdate(update).flat());
        const limits = dense.map((values) => 0.4 * Math.sqrt(square(values) / expected));
        const found = counts.counts.toArray();
        for (let k = 0; k < expected; k++) {
          // an element on the limit may fall to either side of it
          if (dense.some((values, t) => Math.abs(Math.abs(values[k]!) - limits[t]!) < 1e-5)) continue;
          expect(found[k]).toBe(dense.filter((values, t) => Math.abs(values[k]!) > limits[t]!).length);
        }
        counts.dispose();
      });
    }),
    { numRuns: 30 },
  );
  tidy(() => {
    const delta = deltaOf({ a: [[1]], b: [[1], [0]] });
    const counts = new ElementCounts(delta);
    for (let k = 0; k < 300; k++) counts.add(delta);
    expect(counts.counts.toArray()).toEqual([255, 0]);
    counts.dispose();
  });
});
