import fc from "fast-check";
import { expect, it } from "vitest";
import { adapterOf, denseOf, frobenius, randomFactors, singularValuesOf } from "../../test/support/dense.js";
import { expectClose } from "../../test/support/golden.js";
import { Rng } from "../random.js";
import { tensor } from "../tensor/create.js";
import { liveTensors, tidy } from "../tensor/scope.js";
import { stackAdapters } from "./combine.js";
import { consolidate } from "./consolidate.js";
import type { AdapterDelta } from "./delta.js";

const seeds = fc.integer({ min: 0, max: 2 ** 31 });
const shape = { outputs: 12, inputs: 9 };
const difference = (left: AdapterDelta, right: AdapterDelta): number => {
  const others = denseOf(right);
  return Math.hypot(
    ...denseOf(left).map((matrix, m) =>
      frobenius(matrix.map((row, i) => row.map((value, j) => value - others[m]![i]![j]!))),
    ),
  );
};

it("keeps the largest singular values of the sum, and states the error that this leaves", () => {
  const before = liveTensors();
  fc.assert(
    fc.property(seeds, fc.integer({ min: 1, max: 6 }), (seed, rank) => {
      tidy(() => {
        const rng = new Rng(seed);
        const parts = [1, 2, 3].map(() =>
          adapterOf([randomFactors(rng, shape, 0.1), randomFactors(rng, { outputs: 5, inputs: 11 }, 0.1)]),
        );
        const whole = stackAdapters(parts, "sum");
        const { delta, error, norm } = consolidate(whole, { rank });
        const dense = denseOf(whole);
        const left = dense.map((matrix, m) => {
          const ranks = [...whole.modules.values()][m]!.a.dim(0);
          return rank >= ranks ? 0 : Math.hypot(0, ...singularValuesOf(matrix).slice(rank));
        });
        expectClose([error, norm], [Math.hypot(...left), Math.hypot(...dense.map(frobenius))], 1e-4);
        expectClose([difference(whole, delta)], [error], 1e-4);
        for (const [name, { a, b }] of delta.modules) {
          const [ranks, outputs, inputs] = [
            whole.modules.get(name)!.a.dim(0),
            whole.modules.get(name)!.b.dim(0),
            a.dim(1),
          ];
          expect(a.dim(0)).toBe(Math.min(rank, ranks, outputs, inputs));
          expect(b.shape).toEqual([outputs, a.dim(0)]);
        }
      });
    }),
    { numRuns: 40 },
  );
  expect(liveTensors()).toBe(before);
});

it("takes the smallest rank within an error, layer by layer", () => {
  tidy(() => {
    const diagonal = (values: readonly number[]) => ({
      a: values.map((_, k) => values.map((__, j) => (j === k ? 1 : 0))),
      b: values.map((value, k) => values.map((_, j) => (j === k ? value : 0))),
    });
    const adapter = adapterOf([diagonal([3, 4, 0.1, 0.01]), diagonal([1, 1, 1, 1])]);
    const { delta, error } = consolidate(adapter, { error: 0.021 });
    expect([...delta.modules.values()].map(({ a }) => a.dim(0))).toEqual([2, 4]);
    expect(error).toBeCloseTo(Math.hypot(0.1, 0.01), 6);
    expect([...consolidate(adapter, { error: 0 }).delta.modules.values()].map(({ a }) => a.dim(0))).toEqual([
      4, 4,
    ]);
  });
});

it("brings a stack that repeats itself down to its own rank without loss, and a zero update to rank 1", () => {
  tidy(() => {
    const one = adapterOf([{ a: [[1, 2, 3]], b: [[1], [0]] }]);
    const { delta, error } = consolidate(stackAdapters([one, one, one], "sum"), { error: 1e-6 });
    expect(delta.modules.get("m0")!.a.shape).toEqual([1, 3]);
    expect(error).toBeLessThan(1e-6);
    expectClose(denseOf(delta)[0]!.flat(), [3, 6, 9, 0, 0, 0], 1e-6);
    const zero: AdapterDelta = {
      name: "zero",
      scale: 1,
      modules: new Map([["m", { a: tensor([1, 1, 1, 1], [2, 2]), b: tensor([0, 0, 0, 0], [2, 2]) }]]),
    };
    expect(consolidate(zero, { error: 0 }).delta.modules.get("m")!.a.shape).toEqual([1, 2]);
  });
});
