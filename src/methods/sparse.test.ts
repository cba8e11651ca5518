/** The methods that make exact zeros, keep tasks apart, or imitate another run's sizes: each by what defines it. */
import { describe, expect, it } from "vitest";
import { expectClose } from "../../test/support/golden.js";
import { factorsOf, learn, tinyMethod, tinyModel, tinySettings, tinyTask } from "../../test/support/tiny.js";
import type { AdapterDelta } from "../adapters/delta.js";
import { deltaNorm, supportDensity, supportOf, usageOf } from "../adapters/usage.js";
import { batchOf } from "../data/collate.js";
import type { RunEvent } from "../learn/events.js";
import { acr } from "../metrics/collisions.js";
import { awom, frobeniusNorms, orthogonalOverlap } from "../metrics/geometry.js";
import { EVALUATION } from "../nn/context.js";
import { cat } from "../tensor/functions.gen.js";
import { inference } from "../tensor/grad.js";
import { liveTensors, tidy } from "../tensor/scope.js";
import type { Tensor } from "../tensor/tensor.js";
import { choosePlaces, takenPlaces } from "./mask-lora.js";
import type { FinishedTask } from "./method.js";

const tasks = ["alpha", "beta", "gamma"].map((name) => tinyTask(name, 24, 5));
type Step = Extract<RunEvent, { type: "step" }>;
const long = { settings: { ...tinySettings, epochs: 12 } };

/** Learns the stream and looks at the adapters. */
function run<Result>(
  values: object,
  look: (deltas: readonly AdapterDelta[], steps: readonly Step[]) => Result,
  options: Parameters<typeof learn>[3] = {},
  stream = tasks,
): Result {
  const before = liveTensors();
  const model = tinyModel();
  const method = tinyMethod(model, values);
  const steps = learn(model, method, stream, options).filter((event) => event.type === "step");
  const result = look(method.deltas!, steps);
  method.dispose();
  model.dispose();
  expect(liveTensors()).toBe(before);
  return result;
}

const numbers = (deltas: readonly AdapterDelta[]): number[][] =>
  deltas.flatMap(({ modules }) => [...modules.values()].flatMap(({ a, b }) => [a.toArray(), b.toArray()]));
const pairsOf = ({ modules }: AdapterDelta) => [...modules.values()];

const VARIANTS = [
  { name: "prox-lora", warmup: 1, gamma: 5 },
  { name: "prox-lora", warmup: 1, target: { density: 0.3, every: 1 } },
  { name: "mask-lora", choice: "random", columns: "share" },
  { name: "mask-lora", rows: 20, whenFull: "share-least-used" },
  { name: "null-space-lora", energy: 0.8, lambda: 0.02 },
  { name: "norm-matched-lora", when: "task-end" },
  { name: "n-lora", penalty: { gamma: 3 } },
  { name: "n-lora", target: { gsr: 0.4, every: 1 } },
  { name: "o-lora", orth: "updates" },
];

it.each(VARIANTS)("%j goes on after a restart exactly as if it had not stopped", (values) => {
  const whole = run(values, numbers);
  const model = tinyModel();
  const early = tinyMethod(model, values);
  const finished: FinishedTask[] = [];
  learn(model, early, tasks.slice(0, 2), { finished });
  early.dispose();
  const late = tinyMethod(model, values);
  late.restore(finished);
  learn(model, late, tasks, { first: 2 });
  expect(factorsOf(late)).toEqual(whole);
  late.dispose();
  model.dispose();
});

describe("Prox-LoRA", () => {
  const strong = { name: "prox-lora", mu: 1.2, nu: 1.2, warmup: 4 };
  const density = (deltas: readonly AdapterDelta[]) => supportDensity(deltas.flatMap(pairsOf));

  it("makes exact zeros that the collision rate counts, where IncLoRA makes none", () => {
    const look = (deltas: readonly AdapterDelta[]) => ({
      density: density(deltas),
      exact: acr(deltas).exact!,
    });
    const plain = run({ name: "inc-lora" }, look, long);
    expect([plain.density, plain.exact]).toEqual([1, 1]);
    const sparse = run(strong, look, long);
    expect(sparse.density).toBeGreaterThan(0);
    expect(sparse.density).toBeLessThan(0.7);
    expect(sparse.exact).toBeLessThan(0.6);
  });

  it("is IncLoRA at strength 0 and during the warm-up", () => {
    const plain = run({ name: "inc-lora" }, numbers);
    expect(run({ name: "prox-lora", mu: 0, nu: 0, warmup: 0 }, numbers)).toEqual(plain);
    expect(run({ name: "prox-lora", warmup: 3 }, numbers)).toEqual(plain);
    expect(run({ name: "prox-lora", warmup: 2 }, numbers)).not.toEqual(plain);
  });

  it("shrinks rows and columns that earlier tasks use harder, and so shares fewer", () => {
    const shared = (gamma: number) =>
      run(
        { ...strong, gamma },
        (deltas) => {
          const collisions = acr(deltas).readings.exact;
          return { first: numbers(deltas.slice(0, 1)), lift: collisions.pairs[0]!.lift! };
        },
        long,
      );
    const [blind, aware] = [shared(0), shared(3)];
    expect(aware.first).toEqual(blind.first);
    expect(aware.lift).toBeLessThan(0.9 * blind.lift);
  });

  it("steers its strength towards a density, and reports both", () => {
    const steered = (target: number) =>
      run(
        { name: "prox-lora", warmup: 2, target: { density: target, every: 1, kappa: 0.3 } },
        (_, steps) => steps.filter((step) => step.index === 0).map((step) => step.measures!),
        { settings: { ...tinySettings, epochs: 40 } },
        tasks.slice(0, 1),
      );
    const [sparse, dense] = [steered(0.1), steered(0.6)];
    expect(sparse.at(-1)!.density).toBeLessThan(dense.at(-1)!.density!);
    expect(Math.abs(sparse.at(-1)!.density! - 0.1)).toBeLessThan(0.1);
    expect(Math.abs(dense.at(-1)!.density! - 0.6)).toBeLessThan(0.2);
    expect(sparse[0]).toEqual({ density: 1, strength: 1 });
    expect(new Set(sparse.map(({ strength }) => strength)).size).toBeGreaterThan(10);
  });
});

describe("Null-Space-LoRA", () => {
  const shares = (values: object) => {
    const model = tinyModel();
    const method = tinyMethod(model, values);
    learn(model, method, tasks.slice(0, 1));
    const observed = new Map<string, Tensor>();
    const wanted = new Set(method.deltas![0]!.modules.keys());
    inference(() => {
      for (const row of tasks[0]!.train) {
        model.forward(batchOf([row], model), {
          ...EVALUATION,
          observe(layers, x) {
            for (const { name } of layers) {
              const before = observed.get(name);
              const rows = x.reshape([-1, x.dim(-1)]);
              if (wanted.has(name)) observed.set(name, (before ? cat([before, rows]) : rows.clone()).keep());
            }
          },
        });
      }
    });
    learn(model, method, tasks.slice(0, 2), { first: 1 });
    return tidy(() =>
      [...method.deltas![1]!.modules].map(([name, { a }]) => {
        const inputs = observed.get(name)!;
        const seen = inputs.matmul(a.t()).square().sum().item();
        const size = a.square().sum().mul(inputs.square().sum()).item();
        return seen / size;
      }),
    );
  };

  it("keeps what a layer makes of earlier tasks' inputs, but for the energy that it may change", () => {
    const values = { name: "null-space-lora", energy: 0.9, probeRows: 1000 };
    const [kept, plain] = [shares(values), shares({ name: "n-lora" })];
    expect(kept).toHaveLength(plain.length);
    for (const share of kept) expect(share).toBeLessThanOrEqual(0.1 + 1e-4);
    const mean = (list: readonly number[]) => list.reduce((sum, each) => sum + each, 0) / list.length;
    expect(mean(kept)).toBeLessThan(0.2 * mean(plain));
  });

  it("is N-LoRA where everything may change", () => {
    const plain = run({ name: "n-lora" }, numbers);
    expect(run({ name: "null-space-lora", energy: 0 }, numbers)).toEqual(plain);
    expect(run({ name: "null-space-lora", energy: 0.5 }, numbers)).not.toEqual(plain);
  });
});

describe("Mask-LoRA", () => {
  const geometry = (deltas: readonly AdapterDelta[]) => ({
    exact: acr(deltas).exact,
    awom: awom(deltas).spectral,
    overlap: orthogonalOverlap(deltas).squared,
    norms: frobeniusNorms(deltas),
  });

  it.each(["gradient", "random"])("keeps tasks apart: ACR and AWOM are exactly 0 (choice: %s)", (choice) => {
    const { exact, awom: orthogonality, norms } = run({ name: "mask-lora", choice }, geometry, long);
    expect([exact, orthogonality]).toEqual([0, 0]);
    expect(Math.min(...norms)).toBeGreaterThan(0.01);
    const open = run({ name: "inc-lora" }, geometry);
    expect(open.exact).toBe(1);
    expect(open.awom).toBeGreaterThan(0);
  });

  it("on disjoint columns has an orthogonal overlap of exactly 0", () => {
    const { exact, overlap, norms } = run(
      { name: "mask-lora", rows: "all", columns: "share" },
      geometry,
      long,
    );
    expect([exact, overlap]).toEqual([0, 0]);
    expect(Math.min(...norms)).toBeGreaterThan(0.01);
  });

  it("is IncLoRA where every task gets everything", () => {
    const plain = run({ name: "inc-lora" }, numbers);
    expect(run({ name: "mask-lora", rows: "all", columns: "all" }, numbers)).toEqual(plain);
    expect(run({ name: "mask-lora", rows: 8 }, numbers)).not.toEqual(plain);
  });

  it("gives a task the rows on which the gradient of the frozen weights is largest", () => {
    const values = { name: "mask-lora", rows: 4 };
    const [task] = [tinyTask("alpha", 8, 5)];
    const found = run(values, ([delta]) => pairsOf(delta!).map((pair) => supportOf(pair).rows), {}, [task]);
    const model = tinyModel();
    const expected = tidy(() => {
      const linears = [...model.linears.values()].filter(({ name }) => /\.[qv]$/.test(name));
      for (const { weight } of linears) weight.requiresGrad = true;
      const output = model.forward(batchOf(task.train, model), EVALUATION);
      output.backward(output.loss);
      return linears.map(({ weight }) => {
        const norms = inference(() => weight.grad!.square().sumDim([1]).toArray());
        const order = norms.map((norm, row) => [norm, row] as const).sort(([x], [y]) => y - x);
        return order
          .slice(0, 4)
          .map(([, row]) => row)
          .sort((x, y) => x - y);
      });
    });
    expect(found).toEqual(expected);
    model.dispose();
  });

  it("hands out whole blocks, the best free ones first, then the least used", () => {
    const base = { size: 8, block: 2, taken: new Set([2]), usage: [0, 0, 3, 0, 1, 0, 0, 0] };
    const scores = [1, 1, 9, 9, 0, 3, 1, 0];
    expect(choosePlaces({ ...base, count: 4, scores })).toEqual([0, 1, 4, 5]);
    const full = { ...base, taken: new Set([0, 2, 4, 7]), usage: [5, 5, 3, 0, 1, 0, 9, 9] };
    expect(choosePlaces({ ...full, count: 4, scores })).toEqual([2, 3, 4, 5]);
  });

  it("frees all places again, when told to, once too few are left for another task", () => {
    const options = { size: 8, block: 2, count: 4 };
    const earlier = [
      [0, 1, 4, 5],
      [2, 3, 6],
      [4, 5],
    ];
    const taken = (tasks: number, recycle: boolean) =>
      [...takenPlaces(earlier.slice(0, tasks), { ...options, recycle })].sort((a, b) => a - b);
    expect([0, 1, 2, 3].map((tasks) => taken(tasks, true))).toEqual([[], [0, 1, 4, 5], [], [4, 5]]);
    expect(taken(3, false)).toEqual([0, 1, 2, 3, 4, 5, 6]);

    const values = { name: "mask-lora", rows: 10, whenFull: "recycle", choice: "random" };
    run(values, (deltas) => {
      for (const place of pairsOf(deltas[0]!).keys()) {
        const [first, second, third] = deltas.map((delta) => supportOf(pairsOf(delta)[place]!).rows);
        expect(first!.filter((row) => second!.includes(row))).toEqual([]);
        // 4 rows are free and 10 are wanted: the third draws from all 24.
        expect(third!.length).toBe(10);
        const left = third!.filter((row) => !first!.includes(row) && !second!.includes(row));
        expect(left.length).toBeLessThan(5);
      }
    });
  });

  it("lets later tasks share the rows used least when told to, and is refused otherwise before training", () => {
    const model = tinyModel();
    expect(() => tinyMethod(model, { name: "mask-lora", rows: 9 })).toThrow(
      /method.rows: 3 tasks of 9 rows each do not fit into .*SelfAttention.q, which has 24/,
    );
    expect(() => tinyMethod(model, { name: "mask-lora", rows: 30, whenFull: "share-least-used" })).toThrow(
      /3 tasks of 30 rows each do not fit/,
    );
    expect(() => tinyMethod(model, { name: "mask-lora", block: 5 })).toThrow(
      /method.block: .* has 24 rows, which are no whole number of blocks of 5/,
    );
    model.dispose();
    const values = { name: "mask-lora", rows: 12, whenFull: "share-least-used", choice: "random" };
    run(values, (deltas) => {
      tidy(() => {
        const [first, second, third] = deltas.map((delta) => pairsOf(delta)[0]!);
        const used = [first!, second!];
        const usage = usageOf(used).rows.toArray();
        const rows = supportOf(third!).rows;
        const others = usage.filter((_, row) => !rows.includes(row));
        expect(rows.length).toBeLessThanOrEqual(12);
        expect(Math.max(...rows.map((row) => usage[row]!))).toBeLessThanOrEqual(Math.min(...others));
      });
    });
  });
});

describe("controls", () => {
  it("cut every layer's update to the reference's norm, at every step or at the end", () => {
    const norms = (deltas: readonly AdapterDelta[]) =>
      deltas.flatMap((delta) => pairsOf(delta).map(deltaNorm));
    const plain = run({ name: "inc-lora" }, norms);
    expect(Math.min(...plain)).toBeGreaterThan(0.05);
    const ended = run(
      { name: "norm-matched-lora", when: "task-end" },
      (deltas) => [norms(deltas), numbers(deltas)] as const,
    );
    const stepped = run({ name: "norm-matched-lora" }, (deltas) => [norms(deltas), numbers(deltas)] as const);
    expectClose(
      ended[0],
      plain.map(() => 0.05),
      1e-6,
    );
    expectClose(
      stepped[0],
      plain.map(() => 0.05),
      1e-6,
    );
    expect(stepped[1]).not.toEqual(ended[1]);
  });

  it("train on as many rows and columns as the reference has, drawn anew for every task and layer", () => {
    const supports = run({ name: "random-support-lora" }, (deltas) =>
      deltas.map((delta) => pairsOf(delta).map(supportOf)),
    );
    const places = supports.flat();
    expect(places.every(({ rows, columns }) => rows.length === 5 && columns.length === 7)).toBe(true);
    expect(new Set(places.map((place) => JSON.stringify(place))).size).toBe(places.length);
  });
});

describe("penalties on collisions", () => {
  it("with weights by earlier use are N-LoRA's on the first task, and lower the collision rate after it", () => {
    const look = (deltas: readonly AdapterDelta[]) => ({
      first: numbers(deltas.slice(0, 1)),
      later: numbers(deltas.slice(1)),
      lift: acr(deltas).readings.relRms.pairs[0]!.lift!,
    });
    const plain = run({ name: "n-lora", lambda: 0.05 }, look, long);
    const weighted = run({ name: "n-lora", lambda: 0.05, penalty: { gamma: 10 } }, look, long);
    expect(weighted.first).toEqual(plain.first);
    expect(weighted.later).not.toEqual(plain.later);
    expect(weighted.lift).toBeLessThan(0.9 * plain.lift);
  });

  it("on whole updates lower AWOM, which those on A alone leave to chance", () => {
    const normalised = (values: object) => run(values, (deltas) => awom(deltas).normalised!, long);
    const plain = normalised({ name: "inc-lora" });
    expect(normalised({ name: "o-lora", orth: "updates", lambda1: 0.5 })).toBeLessThan(0.5 * plain);
  });

  it("with a steered lambda end at the sparsity asked for", () => {
    const steered = (gsr: number) =>
      run(
        { name: "n-lora", target: { gsr, every: 1, kappa: 0.3 } },
        (_, steps) => steps.at(-1)!.measures!,
        { settings: { ...tinySettings, epochs: 40 } },
        tasks.slice(0, 1),
      );
    expect(Math.abs(steered(0.3).gsr! - 0.3)).toBeLessThan(0.1);
    expect(Math.abs(steered(0.6).gsr! - 0.6)).toBeLessThan(0.1);
  });
});
