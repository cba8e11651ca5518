import fc from "fast-check";
import { expect, it } from "vitest";
import { randn } from "../tensor/functions.gen.js";
import { liveTensors, tidy } from "../tensor/scope.js";
import type { Tensor } from "../tensor/tensor.js";
import { increment, stackAdapters, withScale } from "./combine.js";
import type { AdapterDelta } from "./delta.js";

const WIDTHS: Readonly<Record<string, readonly [number, number]>> = { q: [5, 3], v: [4, 6], o: [2, 2] };

interface Plan {
  readonly rank: number;
  readonly scale: number;
  readonly modules: readonly string[];
}

const made = ({ rank, scale, modules }: Plan, index: number): AdapterDelta => ({
  name: `task ${index}`,
  scale,
  modules: new Map(
    modules.map((module) => {
      const [outputs, inputs] = WIDTHS[module]!;
      return [module, { a: randn([rank, inputs]), b: randn([outputs, rank]) }];
    }),
  ),
});

/** What a module adds to its layer's weight. */
const update = (delta: AdapterDelta, module: string): Tensor | null => {
  const pair = delta.modules.get(module);
  return pair ? pair.b.matmul(pair.a).mul(delta.scale) : null;
};

const plan = fc.record({
  rank: fc.integer({ min: 1, max: 4 }),
  scale: fc.constantFrom(4, 0.25, 10 / 3, -1),
  modules: fc.subarray(Object.keys(WIDTHS), { minLength: 1 }),
});

it("adds up to the sum of the updates, whatever their ranks, scales and modules", () => {
  fc.assert(
    fc.property(fc.array(plan, { minLength: 1, maxLength: 4 }), (plans) => {
      const before = liveTensors();
      tidy(() => {
        const deltas = plans.map(made);
        const stacked = stackAdapters(deltas, "all");
        expect(stacked.scale).toBe(plans.at(-1)!.scale);
        expect([...stacked.modules.keys()].sort()).toEqual(
          [...new Set(plans.flatMap(({ modules }) => modules))].sort(),
        );
        for (const module of stacked.modules.keys()) {
          const terms = deltas.map((delta) => update(delta, module)).filter((term) => term !== null);
          const expected = terms.slice(1).reduce((sum, term) => sum.add(term), terms[0]!);
          const difference = update(stacked, module)!.sub(expected).abs().maxAll().item();
          expect(difference).toBeLessThanOrEqual(1e-5 * Math.max(1, expected.abs().maxAll().item()));
          const ranks = plans.filter(({ modules }) => modules.includes(module)).map(({ rank }) => rank);
          expect(stacked.modules.get(module)!.a.dim(0)).toBe(ranks.reduce((sum, rank) => sum + rank, 0));
        }
      });
      expect(liveTensors()).toBe(before);
    }),
    { numRuns: 60 },
  );
});

it("keeps the factors themselves where the scales agree, and folds the ratio into b where they do not", () => {
  tidy(() => {
    const delta = made({ rank: 2, scale: 4, modules: ["q"] }, 0);
    expect(withScale(delta, 4)).toBe(delta);
    const other = withScale(delta, 0.5);
    expect(other.modules.get("q")!.a).toBe(delta.modules.get("q")!.a);
    expect(other.modules.get("q")!.b.equal(delta.modules.get("q")!.b.mul(8))).toBe(true);
    expect(() => stackAdapters([], "none")).toThrow("there are no adapters");
  });
});

it("says what an adapter gained since an earlier state of itself", () => {
  tidy(() => {
    const [before, after] = [0, 1].map((k) => made({ rank: 2, scale: 4, modules: ["q"] }, k));
    const gained = increment(after!, before!);
    const expected = update(after!, "q")!.sub(update(before!, "q")!);
    expect(update(gained, "q")!.sub(expected).abs().maxAll().item()).toBeLessThan(1e-5);
  });
});
