import { describe, expect, it } from "vitest";
import { expectClose } from "../../test/support/golden.js";
import {
  learn,
  METHOD_CASES,
  methodOptions,
  runTiny,
  tinyMethod,
  tinyModel,
  tinySettings,
  tinyTask,
} from "../../test/support/tiny.js";
import type { AdapterDelta } from "../adapters/delta.js";
import { disposeDelta } from "../adapters/lora.js";
import { jointTask, taskContext, trainStep } from "../learn/learn.js";
import { EVALUATION } from "../nn/context.js";
import { AdamW } from "../nn/optim.js";
import { Rng } from "../random.js";
import { tensor } from "../tensor/create.js";
import { inference } from "../tensor/grad.js";
import { liveTensors, tidy } from "../tensor/scope.js";
import type { FinishedTask } from "./method.js";
import type { SparsityOptions } from "./options.js";
import {
  orthogonalityPenalties,
  type PenalisedModule,
  sparsityCoefficient,
  sparsityPenalty,
} from "./penalties.js";
import { METHOD_FACTS, trainsAllWeights } from "./registry.js";

const tasks = ["alpha", "beta", "gamma"].map((name) => tinyTask(name, 24, 5));
const run = (values: Parameters<typeof runTiny>[0], options: Parameters<typeof runTiny>[2] = {}) =>
  runTiny(values, tasks, options);

describe.each(METHOD_CASES)("%s", (_, values) => {
  const facts = METHOD_FACTS[values.name];
  const isFull = trainsAllWeights(methodOptions(values));

  it("learns with finite losses, repeats exactly under a seed, and leaks nothing", () => {
    const before = liveTensors();
    const first = run(values);
    expect(liveTensors()).toBe(before);
    expect(first.steps).toHaveLength(9);
    expect(first.steps.every((step) => Number.isFinite(step.taskLoss) && step.gradNorm > 0)).toBe(true);
    expect(run(values).print).toBe(first.print);
    expect(run(values, { seed: 2 }).print).not.toBe(first.print);
  });

  it.skipIf(facts.learns === "jointly")("goes on after a restart exactly as if it had not stopped", () => {
    const finished: FinishedTask[] = [];
    const whole = run(values, { finished });
    expect(run(values, { finished: finished.slice(0, 2), first: 2 }).print).toBe(whole.print);
  });

  it(isFull ? "changes every weight that learning reaches" : "changes nothing but its own adapter", () => {
    const model = tinyModel();
    const weights = () => [...model.weights.values()].map((weight) => weight.toArray());
    const before = weights();
    const method = tinyMethod(model, values, {}, [], tasks);
    learn(model, method, facts.learns === "jointly" ? [jointTask(tasks)] : tasks.slice(0, 1));
    const after = weights();
    const changed = before.filter((weight, index) => weight.some((value, i) => value !== after[index]![i]));
    expect(changed).toHaveLength(isFull ? before.length : 0);
    method.dispose();
    model.dispose();
  });
});

it("trains the same weights with IncLoRA, N-LoRA at lambda 0 and O-LoRA at lambda 0", () => {
  const plain = run({ name: "inc-lora" }).factors;
  expect(run({ name: "n-lora", lambda: 0 }).factors).toEqual(plain);
  expect(run({ name: "o-lora", lambda1: 0, lambda2: 0 }).factors).toEqual(plain);
  expect(run({ name: "o-lora-n-lora", lambda: 0, lambda1: 0 }).factors).toEqual(plain);
  expect(run({ name: "n-lora" }).factors).not.toEqual(plain);
  expect(run({ name: "o-lora" }).factors).not.toEqual(plain);
});

it("takes N-LoRA's penalty as a part of any method that trains an adapter", () => {
  const one = [tasks[0]!];
  const sparsity = { lambda: 0.1 };
  const nLora = runTiny({ name: "n-lora", lambda: 0.1 }, one);
  for (const name of ["seq-lora", "replay", "ewc", "lwf", "per-task-ft"] as const) {
    const values = name === "seq-lora" ? { name } : { name, backbone: "lora" };
    // On the first task all of them are one adapter with the penalty.
    const part = runTiny({ ...values, sparsity }, one);
    expect(part.factors, name).toEqual(nLora.factors);
    expect(part.steps.map(({ penalties }) => penalties)).toEqual(
      nLora.steps.map(({ penalties }) => penalties),
    );
    expect(runTiny({ ...values, sparsity: { lambda: 0 } }, one).factors).toEqual(
      runTiny(values, one).factors,
    );
  }
  const steered = { lambda: 0.1, target: { gsr: 0.3, every: 1 } };
  const loop = runTiny({ name: "n-lora", ...steered }, one);
  expect(loop.factors).not.toEqual(nLora.factors);
  expect(runTiny({ name: "seq-lora", sparsity: steered }, one).factors).toEqual(loop.factors);
  const last = run({ name: "replay", backbone: "lora", sparsity }).steps.at(-1)!;
  expect(Object.keys(last.penalties).sort()).toEqual(["replay", "sparsity"]);
});

it("makes updates sparser with N-LoRA and A more orthogonal with O-LoRA", () => {
  const penalties = (values: object) => {
    const model = tinyModel();
    const method = tinyMethod(model, values, { dropout: 0 });
    learn(model, method, tasks, { settings: { ...tinySettings, epochs: 12 } });
    const [first, , last] = method.deltas!;
    const measured = inference(() => {
      let l1 = 0;
      let overlap = 0;
      for (const [name, { a, b }] of last!.modules) {
        l1 += b.matmul(a).abs().sum().item();
        overlap += first!.modules.get(name)!.a.matmul(a.t()).abs().sum().item();
      }
      return { l1, overlap };
    });
    method.dispose();
    model.dispose();
    return measured;
  };
  const plain = penalties({ name: "inc-lora" });
  expect(penalties({ name: "n-lora", lambda: 0.1 }).l1).toBeLessThan(0.6 * plain.l1);
  expect(penalties({ name: "o-lora" }).overlap).toBeLessThan(0.8 * plain.overlap);
});

it("gives the same losses however the rows of a step are split, the penalty counted once", () => {
  const losses = [24, 5].map((microBatchSize) => {
    const model = tinyModel();
    const method = tinyMethod(model, { name: "n-lora", lambda: 0.05 }, { dropout: 0 });
    const parameters = method.beforeTask(taskContext(tasks[0]!, 0, new Rng(1)));
    const optimizer = new AdamW(parameters, tinySettings);
    const shares = [{ rows: tasks[0]!.train, weight: 1, term: null }];
    const seen = [1, 2, 3, 4, 5].map((step) => {
      const settings = { microBatchSize, clip: tinySettings.clip };
      const update = { step, learningRate: 1e-2 };
      const report = trainStep(model, method, optimizer, shares, settings, update, EVALUATION);
      return [report.taskLoss, report.penalties.sparsity!, report.gradNorm];
    });
    optimizer[Symbol.dispose]();
    method.dispose();
    model.dispose();
    return seen.flat();
  });
  expect(losses[0]![4]).toBeGreaterThan(0);
  expectClose(losses[1]!, losses[0]!, 1e-4);
});

it("clips the task's gradient alone when told to", () => {
  const scopes = (["total", "task-only"] as const).map(
    (scope) =>
      run({ name: "n-lora", lambda: 5 }, { settings: { ...tinySettings, clip: { norm: 0.1, scope } } })
        .factors,
  );
  expect(scopes[0]).not.toEqual(scopes[1]);
});

it("keeps the whole adapter as SeqLoRA's update, or its change", () => {
  const model = tinyModel();
  const snapshot = tinyMethod(model, { name: "seq-lora" });
  learn(model, snapshot, tasks.slice(0, 2));
  const increment = tinyMethod(model, { name: "seq-lora" }, { seqDelta: "increment" });
  learn(model, increment, tasks.slice(0, 2));
  tidy(() => {
    const [name] = snapshot.deltas![0]!.modules.keys();
    const dense = (delta: AdapterDelta) => {
      const { a, b } = delta.modules.get(name!)!;
      return b.matmul(a);
    };
    expect(increment.deltas![1]!.modules.get(name!)!.a.dim(0)).toBe(8);
    const difference = dense(snapshot.deltas![1]!).sub(dense(snapshot.deltas![0]!));
    expectClose(dense(increment.deltas![1]!).toArray(), difference.toArray(), 1e-5);
  });
  snapshot.dispose();
  increment.dispose();
  model.dispose();
});

describe("penalties", () => {
  const sparsity = (values: object): SparsityOptions =>
    methodOptions({ name: "n-lora", lambda: 1, lambdaUnit: "raw", ...values }) as SparsityOptions;
  const pair = (a: number[][], b: number[][], previousA: number[][] | null = null): PenalisedModule => {
    const make = (rows: number[][]) => tensor(rows.flat(), [rows.length, rows[0]!.length]);
    return {
      name: "layer",
      a: make(a),
      b: make(b),
      inputs: a[0]!.length,
      outputs: b.length,
      previousA: previousA && make(previousA),
      uses: null,
      updates: null,
    };
  };
  const value = (module: PenalisedModule, options: SparsityOptions): number =>
    sparsityPenalty([module], options, 0, 4)?.item() ?? 0;

  it("tells the paper's form from the released code's: a dense update that the latter does not see", () => {
    tidy(() => {
      const dense = pair([[1, 1]], [[1], [-1]]);
      expect(value(dense, sparsity({ penalty: { kind: "released-code" } }))).toBe(0);
      expect(value(dense, sparsity({ penalty: { kind: "delta-w", normalise: "sum" } }))).toBe(4);
    });
  });

  it("computes every kind as its formula says", () => {
    tidy(() => {
      const module = pair(
        [
          [1, 2, 0, 1],
          [0, 1, -1, 2],
        ],
        [
          [1, 0],
          [2, 1],
          [0, -1],
        ],
      );
      expect(value(module, sparsity({ penalty: { kind: "delta-w", normalise: "sum" } }))).toBe(20);
      expect(value(module, sparsity({ penalty: { kind: "delta-w", normalise: "mean" } }))).toBeCloseTo(
        20 / 12,
        5,
      );
      expect(value(module, sparsity({ penalty: { kind: "delta-w" } }))).toBeCloseTo(20 / Math.sqrt(12), 5);
      expect(value(module, sparsity({ penalty: { kind: "factor-a" } }))).toBe(8);
      expect(value(module, sparsity({ penalty: { kind: "factor-b" } }))).toBe(5);
      expect(value(module, sparsity({ penalty: { kind: "factors" } }))).toBe(13);
      expect(value(module, sparsity({ penalty: { kind: "factor-bound", normalise: "sum" } }))).toBe(
        3 * 4 + 2 * 4,
      );
      expect(value(module, sparsity({ penalty: { kind: "none" } }))).toBe(0);
      const scaled = { kind: "delta-w", normalise: "sum", includeScaling: true };
      expect(value(module, sparsity({ penalty: scaled }))).toBe(80);
    });
  });

  it("converts a published lambda to the same initial pull", () => {
    const shape = { rank: 8, inputs: 1024, outputs: 1024 };
    const published = methodOptions({ name: "n-lora", lambda: 0.4 }) as SparsityOptions;
    // 10.03 = 8 sqrt(pi / 2)
    expect(sparsityCoefficient(published, 1, shape) * 1024).toBeCloseTo(10.0265, 3);
    const factor = methodOptions({ name: "n-lora", penalty: { kind: "factor-a" } }) as SparsityOptions;
    expect(sparsityCoefficient(factor, 1, shape, "a")).toBeCloseTo(0.051, 3);
    const released = methodOptions({ name: "n-lora", penalty: { kind: "released-code" } }) as SparsityOptions;
    expect(sparsityCoefficient(released, 0.4, shape)).toBe(0.4);
    const mean = methodOptions({ name: "n-lora", penalty: { normalise: "mean" } }) as SparsityOptions;
    expect(() => sparsityCoefficient(mean, 1, shape)).toThrow(/lambdaUnit/);
  });

  it("pulls on B at the start about as hard as the published measurements say", () => {
    tidy(() => {
      const bound = 1 / Math.sqrt(1024);
      const rng = new Rng(4);
      const random = (rows: number, columns: number, size: number) =>
        Array.from({ length: rows }, () =>
          Array.from({ length: columns }, () => size * (2 * rng.uniform() - 1)),
        );
      const norm = (options: SparsityOptions) => {
        const module = pair(random(8, 1024, bound), random(1024, 8, 1e-3));
        module.b.requiresGrad = true;
        sparsityPenalty([module], options, 0, 4)!.backward();
        return module.b.grad!.linalgVectorNorm().item();
      };
      const released = norm(sparsity({ penalty: { kind: "released-code" } }));
      expect(released).toBeGreaterThan(4.62 * 0.75);
      expect(released).toBeLessThan(4.62 * 1.25);
      const delta = norm(sparsity({ penalty: { kind: "delta-w", normalise: "sum" } }));
      expect(delta).toBeGreaterThan(472 * 0.95);
      expect(delta).toBeLessThan(472 * 1.05);
    });
  });

  it("refuses the released form on a layer that is not square, before anything is trained", () => {
    const model = tinyModel("t5-gated");
    expect(() => tinyMethod(model, { name: "n-lora", penalty: { kind: "released-code" } })).toThrow(
      /as many outputs as inputs; .*has 24 inputs and 18 outputs. Use delta-w/,
    );
    model.dispose();
  });

  it("adds O-LoRA's terms from the second task on", () => {
    tidy(() => {
      const module = pair([[0, 3, 1]], [[2], [0]], [[1, 0, 2]]);
      const options = methodOptions({ name: "o-lora", lambda1: 0.5, lambda2: 0.1 }) as never;
      expect(orthogonalityPenalties([{ ...module, previousA: null }], options, 0)).toEqual({});
      const terms = orthogonalityPenalties([module], options, 1);
      expect(terms.orthogonality!.item()).toBe(1);
      expect(terms.norms!.item()).toBeCloseTo(0.1 * (Math.sqrt(10) + 2), 5);
      const squared = methodOptions({ name: "o-lora", lambda1: 1, orth: "squared" }) as never;
      expect(orthogonalityPenalties([module], squared, 1).orthogonality!.item()).toBe(4);
    });
  });

  it("has a derivative of zero where B is zero", () => {
    tidy(() => {
      const module = pair([[1, 1]], [[0], [0]], [[1, 0]]);
      module.b.requiresGrad = true;
      const options = methodOptions({ name: "o-lora", lambda2: 1 }) as never;
      orthogonalityPenalties([module], options, 1).norms!.backward();
      expect(module.b.grad!.toArray()).toEqual([0, 0]);
    });
  });
});

it("disposes of copies without touching the originals", () => {
  const before = liveTensors();
  const delta: AdapterDelta = {
    name: "x",
    scale: 1,
    modules: new Map([["m", { a: tensor([1], [1, 1]).keep(), b: tensor([1], [1, 1]).keep() }]]),
  };
  disposeDelta(delta);
  expect(liveTensors()).toBe(before);
});
