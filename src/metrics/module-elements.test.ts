import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { adapterOf, denseOf, type Factors, frobenius, randomFactors } from "../../test/support/dense.js";
import { withKernels } from "../nn/kernels.js";
import { Rng } from "../random.js";
import { liveTensors, tidy } from "../tensor/scope.js";
import { collisionMap, MAP_CELLS } from "./collision-map.js";
import { READINGS } from "./collisions.js";
import { factorsOf } from "./low-rank.js";
import { type ModuleElements, moduleElements } from "./module-elements.js";

const thresholds = [READINGS.abs, READINGS.relRms, READINGS.exact];

interface Measured {
  readonly elements: ModuleElements;
  /** Magnitudes of every dW, and the limits that the thresholds mean. */
  readonly magnitudes: readonly number[][];
  readonly limits: readonly number[][];
}

function measured(updates: readonly Factors[]): Measured {
  return tidy((): Measured => {
    const adapters = updates.map((factors) => adapterOf([factors]));
    const dense = adapters.map((adapter) => denseOf(adapter)[0]!);
    const norms = dense.map(frobenius);
    const deltas = factorsOf(adapters, "m0", "float32", {});
    const rms = norms.map((norm) => norm / Math.sqrt(dense[0]!.flat().length));
    return {
      elements: moduleElements(deltas, norms, thresholds),
      magnitudes: dense.map((matrix) => matrix.flat().map(Math.abs)),
      limits: [norms.map(() => 1e-3), rms.map((value) => 0.4 * value), norms.map(() => 0)],
    };
  });
}

/** Counts over dense matrices; elements within rounding of a limit may go either way, and are counted too. */
function directly({ magnitudes, limits }: Measured) {
  const isAbove = (k: number, i: number, at: number) => magnitudes[i]![at]! > limits[k]![i]!;
  const places = magnitudes[0]!.map((_, at) => at);
  const near = limits.map(
    (each, k) =>
      places.filter((at) =>
        magnitudes.some((all, i) => k < 2 && Math.abs(all[at]! - each[i]!) < 1e-5 * (each[i]! || 1)),
      ).length,
  );
  const union = (k: number, last: number) =>
    places.filter((at) => magnitudes.slice(0, last + 1).some((_, i) => isAbove(k, i, at))).length;
  const both = (k: number, i: number, j: number) =>
    places.filter((at) => isAbove(k, i, at) && isAbove(k, j, at)).length;
  return { near, union, both };
}

/** A random update with zero rows and columns, so that exact zeros, full and empty supports all happen. */
function sparseFactors(rng: Rng, shape: { outputs: number; inputs: number }): Factors {
  const { a, b } = randomFactors(rng, shape, 0.1);
  const kept = rng.uniform() < 0.4 ? 1 : rng.uniform();
  const columns = Array.from({ length: shape.inputs }, () => (rng.uniform() < kept ? 1 : 0));
  return {
    a: a.map((row) => row.map((value, k) => value * columns[k]!)),
    b: b.map((row) => (rng.uniform() < kept ? row : row.map(() => 0))),
  };
}

const cases = fc.record({
  seed: fc.integer(),
  tasks: fc.integer({ min: 1, max: 5 }),
  outputs: fc.integer({ min: 1, max: 24 }),
  inputs: fc.integer({ min: 1, max: 24 }),
});

describe("elements of one module's updates", () => {
  it.each(["fused", "plain"] as const)("are counted as in the dense matrices (%s)", (mode) => {
    fc.assert(
      fc.property(cases, ({ seed, tasks, ...shape }) => {
        const rng = new Rng(seed);
        const updates = Array.from({ length: tasks }, () => sparseFactors(rng, shape));
        const all = withKernels(mode, () => measured(updates));
        const { near, union, both } = directly(all);
        const { counts, unions, l1 } = all.elements;
        for (const k of thresholds.keys()) {
          for (let i = 0; i < tasks; i++) {
            expect(Math.abs(unions[k]![i]! - union(k, i))).toBeLessThanOrEqual(near[k]!);
            for (let j = 0; j < tasks; j++) {
              expect(Math.abs(counts[k]![i]![j]! - both(k, i, j))).toBeLessThanOrEqual(near[k]!);
            }
          }
        }
        for (const [i, magnitudes] of all.magnitudes.entries()) {
          const sum = magnitudes.reduce((total, value) => total + value, 0);
          expect(Math.abs(l1[i]! - sum)).toBeLessThanOrEqual(1e-5 * sum);
        }
      }),
      { numRuns: 60 },
    );
  });

  it("of disjoint updates never collide and add up to what is occupied", () => {
    const row = (place: number) => [0, 1, 2].map((at) => [at === place ? 1 : 0]);
    const updates = [0, 1, 2].map((place): Factors => ({ a: [[1, 2, 3, 4]], b: row(place) }));
    const { counts, unions } = measured(updates).elements;
    for (const k of thresholds.keys()) {
      expect(counts[k]).toEqual([
        [4, 0, 0],
        [0, 4, 0],
        [0, 0, 4],
      ]);
      expect(unions[k]).toEqual([4, 8, 12]);
    }
  });

  it("of the same update collide wherever there is one and occupy nothing new", () => {
    const update: Factors = { a: [[1, 0, 3]], b: [[1], [2], [0]] };
    const { counts, unions } = measured([update, update, update]).elements;
    expect(counts[2]).toEqual([4, 4, 4].map(() => [4, 4, 4]));
    expect(unions[2]).toEqual([4, 4, 4]);
  });

  it("leave no tensor behind", () => {
    tidy(() => {
      const rng = new Rng(2);
      const adapters = [1, 2, 3].map(() => adapterOf([randomFactors(rng, { outputs: 900, inputs: 700 })]));
      const before = liveTensors();
      tidy(() => {
        moduleElements(factorsOf(adapters, "m0", "float32", {}), [1, 1, 1], thresholds);
      });
      expect(liveTensors()).toBe(before);
    });
  });
});

describe("a collision map", () => {
  const map = (updates: readonly Factors[]) =>
    tidy(() =>
      collisionMap(
        updates.map((factors, k) => adapterOf([factors], `task ${k}`)),
        { module: "m0", i: 0, j: 1, reading: "exact" },
        {},
      ),
    );

  it("shows every element where there are at most 256 rows and columns", () => {
    const found = map([
      { a: [[1, 0, 2]], b: [[1], [-1]] },
      { a: [[0, 3, 1]], b: [[2], [0]] },
    ]);
    expect(found).toMatchObject({ height: 2, width: 3, rowEdges: [0, 1, 2], columnEdges: [0, 1, 2, 3] });
    expect(found).toMatchObject({
      onlyA: [1, 0, 0, 1, 0, 1],
      onlyB: [0, 1, 0, 0, 0, 0],
      both: [0, 0, 1, 0, 0, 0],
    });
  });

  it("counts in cells of nearly equal size where there are more, and loses no element", () => {
    const rng = new Rng(8);
    const shape = { outputs: 700, inputs: 300 };
    const updates = [sparseFactors(rng, shape), sparseFactors(rng, shape)];
    const found = map(updates);
    expect([found.height, found.width]).toEqual([MAP_CELLS, MAP_CELLS]);
    const heights = found.rowEdges.slice(1).map((edge, k) => edge - found.rowEdges[k]!);
    expect([Math.min(...heights), Math.max(...heights)]).toEqual([2, 3]);
    const used = ({ b }: Factors) => b.map((row) => row.some((value) => value !== 0));
    const columns = ({ a }: Factors) => a[0]!.map((_, k) => a.some((row) => row[k] !== 0));
    const [rows, cols] = [updates.map(used), updates.map(columns)];
    const direct = { onlyA: 0, onlyB: 0, both: 0 };
    const cell = { row: 100, column: 77, onlyA: 0, onlyB: 0, both: 0 };
    for (let row = 0; row < shape.outputs; row++) {
      for (let column = 0; column < shape.inputs; column++) {
        const [a, b] = [0, 1].map((k) => rows[k]![row]! && cols[k]![column]!);
        const kind = a && b ? "both" : a ? "onlyA" : b ? "onlyB" : null;
        if (kind === null) continue;
        direct[kind] += 1;
        const isInside = (edges: readonly number[], at: number, place: number) =>
          edges[at]! <= place && place < edges[at + 1]!;
        if (isInside(found.rowEdges, cell.row, row) && isInside(found.columnEdges, cell.column, column)) {
          cell[kind] += 1;
        }
      }
    }
    for (const kind of ["onlyA", "onlyB", "both"] as const) {
      expect(found[kind].reduce((sum, count) => sum + count, 0)).toBe(direct[kind]);
      expect(found[kind][cell.row * MAP_CELLS + cell.column]).toBe(cell[kind]);
    }
  });
});
