import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  adapterOf,
  denseOf,
  type Factors,
  frobenius,
  inner,
  l1,
  type Matrix,
  multiply,
  randomFactors,
  singularValuesOf,
  total,
  transpose,
} from "../../test/support/dense.js";
import type { AdapterDelta } from "../adapters/delta.js";
import { CheckpointError } from "../errors.js";
import { Rng } from "../random.js";
import { empty } from "../tensor/functions.gen.js";
import { manualSeed } from "../tensor/grad.js";
import { liveTensors, tidy } from "../tensor/scope.js";
import {
  awom,
  frobeniusNorms,
  geometrySummary,
  gsr,
  innerProductMatrix,
  moduleSizes,
  orthogonalOverlap,
} from "./geometry.js";

// hand-computed values; see the definitions' sources
const first: Factors = { a: [[1, 0, 2]], b: [[1], [-1]] };
const second: Factors = { a: [[0, 3, 1]], b: [[2], [0]] };
const rankTwo: Factors = {
  a: [
    [1, 2, 0, 1],
    [0, 1, -1, 2],
  ],
  b: [
    [1, 0],
    [2, 1],
    [0, -1],
  ],
};
const zero: Factors = { a: [[1, 2, 3]], b: [[0], [0]] };

const close = (actual: number | null, expected: number, relative = 1e-5) =>
  expect(Math.abs(actual! - expected)).toBeLessThanOrEqual(relative * Math.abs(expected) + 1e-12);

describe("geometry of hand-computed updates", () => {
  it("gives a pair of rank-1 updates their overlap, AWOM, sparsity and inner product", () => {
    tidy(() => {
      const pair = [adapterOf([first]), adapterOf([second])];
      const overlap = orthogonalOverlap(pair);
      close(overlap.squared, 4);
      close(overlap.abs, 2);
      close(overlap.normalised, 4 / (5 * 10));
      const magnitude = awom(pair);
      close(magnitude.spectral, 14.142136);
      close(magnitude.frobenius, 14.142136);
      close(magnitude.normalised, 14.142136 / Math.sqrt(10 * 40));
      close(gsr(pair).perTask[0]!, 0.774597);
      close(gsr(pair).perTask[1]!, 0.516398);
      close(gsr(pair).mean, (0.774597 + 0.516398) / 2);
      close(gsr(pair, { form: "eq17" }).perTask[0]!, 4.64758);
      expect(innerProductMatrix(pair)).toEqual([
        [10, 4],
        [4, 40],
      ]);
      close(frobeniusNorms(pair)[0]!, Math.sqrt(10));
    });
  });

  it("gives a rank-2 update its singular values, ranks and sparsity", () => {
    tidy(() => {
      const size = moduleSizes(adapterOf([rankTwo]))[0]!;
      close(size.spectral, 7.473382);
      close(size.nuclear, 8.939178);
      close(size.frobenius ** 2, 58);
      close(size.stableRank, 1.038469);
      close(size.effectiveRank, 1.562367);
      close(gsr([adapterOf([rankTwo])]).mean, 0.758098);
    });
  });

  it("finds AWOM 1 for two updates that share no position, so non-collision is not orthogonality", () => {
    tidy(() => {
      const pair = [adapterOf([{ a: [[1, 0]], b: [[1], [0]] }]), adapterOf([{ a: [[0, 1]], b: [[1], [0]] }])];
      const { spectral, frobenius, normalised } = awom(pair);
      expect([spectral, frobenius, normalised]).toEqual([
        expect.closeTo(1),
        expect.closeTo(1),
        expect.closeTo(1),
      ]);
      const { acr } = geometrySummary(pair);
      expect([acr.abs, acr.relRms, acr.exact]).toEqual([0, 0, 0]);
      expect(innerProductMatrix(pair)[0]![1]).toBe(0);
    });
  });

  it("is defined for one task where it can be, and null where it cannot", () => {
    tidy(() => {
      expect(geometrySummary([adapterOf([first])])).toEqual({
        orthogonalOverlap: { squared: 0, abs: 0 },
        awom: { spectral: 0, frobenius: 0 },
        gsr: { mean: expect.closeTo(0.774597, 5), pooled: expect.closeTo(0.774597, 5) },
        acr: { abs: null, relRms: null, exact: null },
      });
      expect(orthogonalOverlap([adapterOf([first])]).normalised).toBeNull();
      expect(awom([adapterOf([first])]).normalised).toBeNull();
    });
  });

  it("is null without adapters", () => {
    expect(geometrySummary([])).toEqual({
      orthogonalOverlap: { squared: null, abs: null },
      awom: { spectral: null, frobenius: null },
      gsr: { mean: null, pooled: null },
      acr: { abs: null, relRms: null, exact: null },
    });
  });

  it("leaves zero matrices out of the sparsity rate and counts them", () => {
    tidy(() => {
      const allZero = adapterOf([zero, zero]);
      const summary = geometrySummary([allZero, allZero]);
      expect(summary.gsr).toEqual({ mean: null, pooled: null });
      expect(summary.acr).toEqual({ abs: 0, relRms: 0, exact: 0 });
      expect(summary.awom).toEqual({ spectral: 0, frobenius: 0 });
      const half = gsr([adapterOf([first, zero])]);
      close(half.mean, 0.774597);
      close(half.pooled, 6 / (Math.sqrt(12) * Math.sqrt(10)));
      expect(half.zeroMatrices).toBe(1);
      expect(half.perModule[0]![1]).toBeNull();
      const { stableRank, effectiveRank, nuclear } = moduleSizes(allZero)[0]!;
      expect([stableRank, effectiveRank, nuclear]).toEqual([null, null, 0]);
    });
  });

  it("takes factors that cancel for a zero matrix", () => {
    tidy(() => {
      const { a, b } = randomFactors(new Rng(5), { outputs: 40, inputs: 30 });
      const cancelling = { a: [...a, ...a], b: b.map((row) => [...row, ...row.map((value) => -value)]) };
      const adapter = adapterOf([cancelling]);
      expect(frobeniusNorms([adapter])).toEqual([0]);
      expect(geometrySummary([adapter, adapter])).toMatchObject({ gsr: { mean: null }, acr: { relRms: 0 } });
    });
  });
});

describe("low-rank algebra", () => {
  const cases = fc.record({
    seed: fc.integer(),
    tasks: fc.integer({ min: 1, max: 4 }),
    shapes: fc.array(
      fc.record({ outputs: fc.integer({ min: 1, max: 12 }), inputs: fc.integer({ min: 1, max: 12 }) }),
      { minLength: 1, maxLength: 3 },
    ),
  });

  /** The same quantities with every dW written out. */
  function direct(adapters: readonly AdapterDelta[]) {
    const dense = adapters.map(denseOf);
    const pairs = dense.slice(0, -1).flatMap((task) => task.map((dW, m) => [dW, dense.at(-1)![m]!] as const));
    const products = pairs.map(([dW, last]) => multiply(transpose(last), dW));
    const factors = adapters.map(({ modules }) => [...modules.values()].map(({ a }) => matrixOf(a)));
    const overlaps = factors
      .slice(0, -1)
      .flatMap((task) => task.map((a, m) => multiply(a, transpose(factors.at(-1)![m]!)).flat()));
    const rates = dense.map((task) =>
      task
        .filter((dW) => frobenius(dW) > 0)
        .map((dW) => l1(dW) / (Math.sqrt(dW.flat().length) * frobenius(dW))),
    );
    const means = rates.filter((task) => task.length > 0).map((task) => total(task) / task.length);
    return {
      squared: total(overlaps.flat().map((value) => value ** 2)),
      abs: total(overlaps.flat().map(Math.abs)),
      spectral: total(products.map((product) => singularValuesOf(product)[0]!)),
      frobenius: total(products.map(frobenius)),
      gsr: means.length === 0 ? null : total(means) / means.length,
      norms: dense.map((task) => Math.hypot(...task.map(frobenius))),
      inner: dense.map((x) => dense.map((y) => total(x.map((dW, m) => inner(dW, y[m]!))))),
      nuclear: dense[0]!.map((dW) => total(singularValuesOf(dW))),
    };
  }

  function matrixOf(factor: { toArray(): number[]; dim(index: number): number }): Matrix {
    const values = factor.toArray();
    const width = factor.dim(1);
    return Array.from({ length: factor.dim(0) }, (_, k) => values.slice(k * width, (k + 1) * width));
  }

  it("equals the dense computation for unequal shapes and ranks and for zero matrices", () => {
    fc.assert(
      fc.property(cases, ({ seed, tasks, shapes }) => {
        tidy(() => {
          const rng = new Rng(seed);
          const adapters = Array.from({ length: tasks }, () =>
            adapterOf(shapes.map((shape) => randomFactors(rng, shape, 0.2))),
          );
          const expected = direct(adapters);
          const overlap = orthogonalOverlap(adapters);
          close(overlap.squared, expected.squared);
          close(overlap.abs, expected.abs);
          close(awom(adapters).spectral, expected.spectral);
          close(awom(adapters).frobenius, expected.frobenius);
          if (expected.gsr === null) expect(gsr(adapters).mean).toBeNull();
          else close(gsr(adapters).mean, expected.gsr);
          frobeniusNorms(adapters).forEach((norm, i) => {
            close(norm, expected.norms[i]!);
          });
          innerProductMatrix(adapters).forEach((row, i) => {
            row.forEach((product, j) => {
              const scale = expected.norms[i]! * expected.norms[j]!;
              expect(Math.abs(product - expected.inner[i]![j]!)).toBeLessThanOrEqual(1e-6 * scale);
            });
          });
          moduleSizes(adapters[0]!).forEach(({ nuclear }, m) => {
            close(nuclear, expected.nuclear[m]!);
          });
        });
      }),
      { numRuns: 40 },
    );
  });

  it("keeps the scale-free readings in their bounds and unmoved by scaling", () => {
    fc.assert(
      fc.property(cases, fc.integer({ min: -8, max: 8 }), ({ seed, tasks, shapes }, exponent) => {
        tidy(() => {
          const rng = new Rng(seed);
          const modules = Array.from({ length: tasks }, () =>
            shapes.map((shape) => randomFactors(rng, shape, 0.2)),
          );
          const factor = 2 ** exponent;
          const scaled = modules.map((task) =>
            task.map(({ a, b }) => ({ a, b: b.map((row) => row.map((value) => value * factor)) })),
          );
          const [plain, grown] = [modules, scaled].map((each) => each.map((task) => adapterOf(task))) as [
            AdapterDelta[],
            AdapterDelta[],
          ];
          const rates = gsr(plain);
          rates.perModule.flat().forEach((rate) => {
            if (rate !== null) expect(rate > 0 && rate < 1 + 1e-6).toBe(true);
          });
          if (rates.mean !== null) close(gsr(grown).mean, rates.mean);
          expect(orthogonalOverlap(grown)).toEqual(orthogonalOverlap(plain));
          const { normalised } = orthogonalOverlap(plain);
          if (normalised !== null) expect(normalised >= 0 && normalised <= 1 + 1e-9).toBe(true);
          const share = awom(plain).normalised;
          if (share !== null) {
            expect(share >= 0 && share <= 1 + 1e-9).toBe(true);
            close(awom(grown).normalised, share);
          }
          close(awom(grown).spectral, awom(plain).spectral! * factor ** 2);
        });
      }),
      { numRuns: 30 },
    );
  });

  it("measures scale * dW when asked to", () => {
    tidy(() => {
      const pair = [adapterOf([first], "x", 4), adapterOf([second], "y", 4)];
      close(awom(pair, { includeScaling: true }).spectral, 16 * 14.142136);
      close(frobeniusNorms(pair, { includeScaling: true })[1]!, 4 * Math.sqrt(40));
      close(moduleSizes(pair[0]!, { includeScaling: true })[0]!.nuclear, 4 * Math.sqrt(10));
      expect(innerProductMatrix(pair, { includeScaling: true })[0]![1]).toBe(64);
    });
  });
});

it("scores fresh adapters of T5-large's shapes 1.00 (squared) and 77 (abs) per pair", () => {
  manualSeed(7);
  tidy(() => {
    const bound = 1 / Math.sqrt(1024);
    const adapters = Array.from({ length: 4 }, (_, task) => {
      const module = () => ({ a: empty([8, 1024]).uniform_(-bound, bound), b: empty([1024, 8]).zero_() });
      const modules = new Map(Array.from({ length: 144 }, (_, m) => [`m${m}`, module()]));
      return { name: `task ${task}`, scale: 4, modules };
    });
    const overlap = orthogonalOverlap(adapters);
    expect(Math.abs(overlap.squared! / 3 - 1)).toBeLessThan(0.05);
    expect(Math.abs(overlap.abs! / 3 - 77)).toBeLessThan(2);
    expect(Math.abs(overlap.normalised! - 8 / 1024)).toBeLessThan(4e-4);
    close(overlap.randomSquared, 3);
    close(overlap.randomAbs, 229.8, 1e-3);
    close(overlap.randomNormalised, 8 / 1024);
  });
});

it("releases every tensor it makes", () => {
  tidy(() => {
    const rng = new Rng(1);
    const shapes = [
      { outputs: 300, inputs: 500 },
      { outputs: 3, inputs: 4 },
    ];
    const adapters = [0, 1, 2].map(() => adapterOf(shapes.map((shape) => randomFactors(rng, shape))));
    const before = liveTensors();
    geometrySummary(adapters);
    innerProductMatrix(adapters);
    moduleSizes(adapters[0]!);
    expect(liveTensors()).toBe(before);
  });
});

describe("adapters that do not fit together", () => {
  const named = (name: string, ...modules: Factors[]) => adapterOf(modules, name);

  it("are refused with the modules that differ", () => {
    tidy(() => {
      expect(() => geometrySummary([named("one", first), named("two", first, second)])).toThrow(
        /adapters one and two do not adapt the same modules: only one has none; only two has m1/,
      );
      expect(() => geometrySummary([named("one", first), named("two", rankTwo)])).toThrow(CheckpointError);
      expect(() => geometrySummary([named("one", first), named("two", rankTwo)])).toThrow(
        /module m0 differs in size: adapter one has A float32\[1, 3\].*adapter two has A float32\[2, 4\]/,
      );
    });
  });

  it("are refused when a factor's rank or a value is wrong", () => {
    tidy(() => {
      expect(() => gsr([named("one", { a: rankTwo.a, b: first.b })])).toThrow(
        /adapter one, module m0: .*expected A \[rank, inputs\]/,
      );
      expect(() => gsr([named("one", { a: [[1, Number.NaN]], b: [[1]] })])).toThrow(
        /adapter one, module m0: a value is not a finite number/,
      );
    });
  });
});
