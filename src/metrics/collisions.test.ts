import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  adapterOf,
  denseOf,
  type Factors,
  frobenius,
  l1,
  type Matrix,
  randomFactors,
} from "../../test/support/dense.js";
import { withKernels } from "../nn/kernels.js";
import { Rng } from "../random.js";
import { tidy } from "../tensor/scope.js";
import { acr, type CollisionThreshold, collisions, READINGS } from "./collisions.js";
import { collisionCounts, deltaStats, energyThreshold, largestMagnitude } from "./tiles.js";

const first: Factors = { a: [[1, 0, 2]], b: [[1], [-1]] };
const second: Factors = { a: [[0, 3, 1]], b: [[2], [0]] };

const cases = fc.record({
  seed: fc.integer(),
  tasks: fc.integer({ min: 2, max: 4 }),
  shapes: fc.array(
    fc.record({ outputs: fc.integer({ min: 1, max: 30 }), inputs: fc.integer({ min: 1, max: 30 }) }),
    { minLength: 1, maxLength: 3 },
  ),
});

function adaptersOf({
  seed,
  tasks,
  shapes,
}: {
  seed: number;
  tasks: number;
  shapes: { outputs: number; inputs: number }[];
}) {
  const rng = new Rng(seed);
  return Array.from({ length: tasks }, () => shapes.map((shape) => randomFactors(rng, shape, 0.2)));
}

/** The threshold of one dense dW, computed from all its elements. */
function limitOf(threshold: CollisionThreshold, dW: Matrix): number {
  const magnitudes = dW.flat().map(Math.abs);
  switch (threshold.mode) {
    case "abs":
      return threshold.value;
    case "rel-rms":
      return threshold.factor * (frobenius(dW) / Math.sqrt(magnitudes.length));
    case "rel-max":
      return threshold.factor * Math.max(...magnitudes);
    case "energy": {
      const falling = magnitudes.toSorted((x, y) => y - x);
      const wanted = threshold.share * frobenius(dW) ** 2;
      let sum = 0;
      const last = falling.find((value) => {
        sum += value ** 2;
        return sum >= wanted;
      });
      return (last ?? falling.at(-1)!) * (1 - 1e-6);
    }
    case "exact":
      return 0;
  }
}

describe("collision rate", () => {
  it("of the hand-computed pair is 1/6 where any non-zero counts", () => {
    tidy(() => {
      const { exact, readings } = acr([adapterOf([first]), adapterOf([second])]);
      expect(exact).toBeCloseTo(1 / 6, 12);
      expect(readings.exact.densities).toEqual([4 / 6, 2 / 6]);
      expect(readings.exact.pairs).toEqual([
        { i: 0, j: 1, rate: 1 / 6, expected: (4 / 6) * (2 / 6), lift: expect.closeTo(0.75, 12) },
      ]);
    });
  });

  it("is null for one task, and its densities remain", () => {
    tidy(() => {
      const { abs, relRms, exact, readings } = acr([adapterOf([first])]);
      expect([abs, relRms, exact]).toEqual([null, null, null]);
      expect(readings.abs.densities).toEqual([4 / 6]);
    });
  });

  it("is 0 with a zero matrix, which has no lift and is counted", () => {
    tidy(() => {
      const zero = adapterOf([{ a: [[1, 1, 1]], b: [[0], [0]] }]);
      for (const result of collisions([zero, adapterOf([first])], Object.values(READINGS))) {
        expect(result).toMatchObject({
          average: 0,
          zeroMatrices: 1,
          pairs: [{ rate: 0, expected: 0, lift: null }],
        });
        expect(result.densities[0]).toBe(0);
      }
    });
  });

  it("equals the count over the dense matrices for every kind of threshold", () => {
    const thresholds = [
      ...Object.values(READINGS),
      { mode: "abs", value: 0.7 },
      { mode: "energy", share: 0.6 },
    ] as const;
    fc.assert(
      fc.property(cases, (shape) => {
        tidy(() => {
          const adapters = adaptersOf(shape).map((modules) => adapterOf(modules));
          const dense = adapters.map(denseOf);
          const size = dense[0]!.flatMap((dW) => dW.flat()).length;
          collisions(adapters, thresholds).forEach(({ threshold, pairs }) => {
            // 1 above, 0 below, undecided within rounding of the threshold
            const masks = dense.map((task) =>
              task.flatMap((dW) => {
                const isZero = frobenius(dW) === 0;
                const limit = limitOf(threshold, dW);
                const slack = 1e-5 * limit;
                return dW.flat().map((value) => {
                  if (isZero) return 0;
                  return Math.abs(Math.abs(value) - limit) <= slack && limit > 0
                    ? 0.5
                    : Number(Math.abs(value) > limit);
                });
              }),
            );
            for (const { i, j, rate } of pairs) {
              const shared = masks[i]!.map((value, k) => Math.min(value, masks[j]![k]!));
              const least = shared.filter((value) => value === 1).length;
              const most = least + shared.filter((value) => value === 0.5).length;
              const count = Math.round(rate * size);
              expect(count).toBeGreaterThanOrEqual(least);
              expect(count).toBeLessThanOrEqual(most);
            }
          });
        });
      }),
      { numRuns: 30 },
    );
  });

  it("never exceeds either density, and scale-free thresholds do not see the scale", () => {
    fc.assert(
      fc.property(cases, fc.integer({ min: -8, max: 8 }), (shape, exponent) => {
        tidy(() => {
          const modules = adaptersOf(shape);
          const scaled = modules.map((task) =>
            task.map(({ a, b }) => ({ a, b: b.map((row) => row.map((value) => value * 2 ** exponent)) })),
          );
          const plain = collisions(
            modules.map((task) => adapterOf(task)),
            Object.values(READINGS),
          );
          for (const { pairs, densities } of plain) {
            for (const { i, j, rate } of pairs)
              expect(rate).toBeLessThanOrEqual(Math.min(densities[i]!, densities[j]!));
          }
          const grown = collisions(
            scaled.map((task) => adapterOf(task)),
            Object.values(READINGS),
          );
          expect(grown.slice(1)).toEqual(plain.slice(1));
        });
      }),
      { numRuns: 20 },
    );
  });

  it("does not depend on the order of a pair", () => {
    tidy(() => {
      const [x, y] = adaptersOf({ seed: 3, tasks: 2, shapes: [{ outputs: 20, inputs: 9 }] }).map((task) =>
        adapterOf(task),
      );
      const rates = (pair: Parameters<typeof collisions>[0]) =>
        collisions(pair, Object.values(READINGS)).map(({ average }) => average);
      expect(rates([x!, y!])).toEqual(rates([y!, x!]));
    });
  });

  it("moves the absolute threshold, and only that one, when the scale counts", () => {
    tidy(() => {
      const pair = [adapterOf([first], "x", 4), adapterOf([second], "y", 4)];
      const plain = acr(pair, { absThreshold: 3 });
      const scaled = acr(pair, { absThreshold: 3, includeScaling: true });
      expect([plain.abs, scaled.abs]).toEqual([0, 1 / 6]);
      expect([scaled.relRms, scaled.exact]).toEqual([plain.relRms, plain.exact]);
    });
  });
});

describe("tiles", () => {
  const shapes = fc.record({
    outputs: fc.integer({ min: 1, max: 300 }),
    inputs: fc.integer({ min: 1, max: 300 }),
  });

  it("are counted by the engine's kernels as by the plain formulation", () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer({ min: 1, max: 5 }), shapes, (seed, tasks, shape) => {
        tidy(() => {
          const rng = new Rng(seed);
          // Small whole numbers: every product is exact, however it is added up, and no element is at a threshold.
          const whole = ({ a, b }: Factors): Factors => ({
            a: a.map((row) => row.map((value) => Math.round(3 * value))),
            b: b.map((row) => row.map((value) => Math.round(3 * value))),
          });
          const deltas = Array.from(
            { length: tasks },
            () => adapterOf([whole(randomFactors(rng, shape, 0.2))]).modules.get("m0")!,
          );
          const limits = [0, 4.5, 30.5].map((step) => deltas.map((_, i) => step * (1 + i)));
          limits.push(deltas.map(() => Number.POSITIVE_INFINITY));
          const measure = () => ({
            stats: deltas.map((delta) => deltaStats(delta, [0, 7.5, 100.5])),
            counts: limits.map((each) => collisionCounts(deltas, each)),
          });
          expect(measure()).toEqual(withKernels("plain", measure));
        });
      }),
      { numRuns: 40 },
    );
  });

  it("hold the same elements to rounding, whatever the factors", () => {
    tidy(() => {
      const rng = new Rng(5);
      const deltas = [1, 2, 3].map(
        () => adapterOf([randomFactors(rng, { outputs: 201, inputs: 333 })]).modules.get("m0")!,
      );
      const measure = () => {
        const { pairs, unions } = collisionCounts(deltas, [0.5, 0.7, 0.9]);
        return [...pairs.flat(), ...unions];
      };
      const [fused, plain] = [measure(), withKernels("plain", measure)];
      for (const [k, count] of fused.entries()) expect(Math.abs(count - plain[k]!)).toBeLessThanOrEqual(2);
      expect(Math.min(...plain)).toBeGreaterThan(20_000);
      const sums = (delta: (typeof deltas)[number]) => deltaStats(delta).l1;
      for (const delta of deltas) {
        expect(Math.abs(sums(delta) / withKernels("plain", () => sums(delta)) - 1)).toBeLessThan(1e-6);
      }
    });
  });

  const factors = randomFactors(new Rng(11), { outputs: 700, inputs: 600 });

  it("add up to the whole matrix when it takes many of them", () => {
    tidy(() => {
      const adapter = adapterOf([factors]);
      const [dW] = denseOf(adapter);
      const magnitudes = dW!.flat().map(Math.abs);
      const delta = adapter.modules.get("m0")!;
      const { l1: sum, counts } = deltaStats(delta, [0.5, 0]);
      expect(Math.abs(sum / l1(dW!) - 1)).toBeLessThan(1e-6);
      const count = magnitudes.filter((value) => value > 0.5).length;
      expect(Math.abs(counts[0]! - count)).toBeLessThanOrEqual(3);
      expect(counts[1]).toBe(420_000);
      expect(largestMagnitude(delta)).toBeCloseTo(
        magnitudes.reduce((most, value) => Math.max(most, value), 0),
        4,
      );
      expect(collisionCounts([delta, delta], [0.5, 0])).toEqual({
        pairs: [
          [counts[0], counts[0]],
          [counts[0], counts[1]],
        ],
        unions: [counts[0], counts[1]],
      });
    });
  });

  it("keep exactly the share of energy that is asked for", () => {
    tidy(() => {
      const delta = adapterOf([{ a: [[4, 3, -2, 1]], b: [[1]] }]).modules.get("m0")!;
      const kept = (share: number) => deltaStats(delta, [energyThreshold(delta, share)]).counts[0];
      expect([1, 29.5 / 30, 29 / 30, 25 / 30, 0.5].map(kept)).toEqual([4, 4, 3, 2, 1]);
    });
  });
});
