import { describe, expect, it } from "vitest";
import { expectClose } from "../../test/support/golden.js";
import {
  learn,
  methodOptions,
  runTiny,
  tinyMethod,
  tinyModel,
  tinySettings,
  tinyTask,
} from "../../test/support/tiny.js";
import { batchOf } from "../data/collate.js";
import { EVALUATION } from "../nn/context.js";
import { Rng } from "../random.js";
import { tensor } from "../tensor/create.js";
import { liveTensors, tidy } from "../tensor/scope.js";
import type { Tensor } from "../tensor/tensor.js";
import { unfreeze } from "./backbone.js";
import { quadraticPenalty } from "./ewc.js";
import type { FisherOptions } from "./fisher.js";
import { fisherInformation } from "./fisher.js";
import type { FinishedTask } from "./method.js";

const tasks = ["alpha", "beta", "gamma"].map((name) => tinyTask(name, 16, 5));
const optionsOf = (values: object) => methodOptions({ name: "ewc", ...values }) as FisherOptions;

it("is SeqFT bit for bit at lambda 0, and with an adapter SeqLoRA", () => {
  expect(runTiny({ name: "ewc", lambda: 0 }, tasks).learned).toBe(runTiny({ name: "seq-ft" }, tasks).learned);
  const lora = runTiny({ name: "ewc", lambda: 0, backbone: "lora" }, tasks);
  expect(lora.learned).toBe(runTiny({ name: "seq-lora" }, tasks).learned);
  const held = runTiny({ name: "ewc" }, tasks);
  expect(held.learned).not.toBe(runTiny({ name: "seq-ft" }, tasks).learned);
  expect(held.steps.map(({ penalties }) => "ewc" in penalties)).toEqual([
    false,
    false,
    true,
    true,
    true,
    true,
  ]);
});

it("leaves the weights that matter where they were as lambda grows without bound", () => {
  /** By how much the weights with some Fisher information move during the second task: root mean square. */
  const moved = (values: { name: "ewc" | "seq-ft" }, information?: Map<string, number[]>) => {
    const model = tinyModel();
    const method = tinyMethod(model, values, {}, [], tasks);
    const settings = { ...tinySettings, learningRate: 1e-3 };
    learn(model, method, tasks.slice(0, 1), { settings });
    const fisher =
      information ??
      new Map(
        Object.entries(method.state().tensors).map(([name, each]) => [
          name.slice("0.fisher.".length),
          each.toArray(),
        ]),
      );
    const before = new Map([...model.weights].map(([name, weight]) => [name, weight.toArray()]));
    learn(model, method, tasks.slice(0, 2), { settings: { ...settings, epochs: 20 }, first: 1 });
    let [sum, count] = [0, 0];
    for (const [name, weight] of model.weights) {
      const after = weight.toArray();
      for (const [index, value] of fisher.get(name)!.entries()) {
        if (value <= 1e-3) continue;
        sum += (after[index]! - before.get(name)![index]!) ** 2;
        count++;
      }
    }
    method.dispose();
    model.dispose();
    expect(count).toBeGreaterThan(1000);
    return { distance: Math.sqrt(sum / count), fisher };
  };
  const { distance, fisher } = moved({ name: "ewc", lambda: 1e9 } as { name: "ewc" });
  const free = moved({ name: "seq-ft" }, fisher).distance;
  // AdamW goes on stepping to and fro around the old weights, by about the rate.
  expect(distance).toBeLessThan(1e-3);
  expect(free).toBeGreaterThan(5 * distance);
});

it("adds lambda F (theta - theta*) to the gradients, once per anchor", () => {
  const before = liveTensors();
  tidy(() => {
    const parameter = (values: number[]): Tensor => {
      const made = tensor(values, [values.length]);
      made.requiresGrad = true;
      return made;
    };
    const parameters = [
      { name: "a", tensor: parameter([1, 2, 3]) },
      { name: "b", tensor: parameter([-1]) },
    ];
    parameters[0]!.tensor.grad = tensor([10, 10, 10], [3]);
    const anchor = {
      fisher: [tensor([1, 0, 2], [3]), tensor([4], [1])],
      weights: [tensor([0, 0, 5], [3]), tensor([1], [1])],
    };
    const value = quadraticPenalty(parameters, [anchor], 0.5).item();
    // (0.5 / 2) * (1 * 1 + 0 * 4 + 2 * 4 + 4 * 4)
    expect(value).toBeCloseTo(6.25, 6);
    expect(parameters[0]!.tensor.grad!.toArray()).toEqual([10.5, 10, 8]);
    expect(parameters[1]!.tensor.grad!.toArray()).toEqual([-4]);
    expect(quadraticPenalty(parameters, [anchor, anchor], 0.5).item()).toBeCloseTo(12.5, 6);
    expect(parameters[1]!.tensor.grad!.toArray()).toEqual([-12]);
  });
  expect(liveTensors()).toBe(before);
});

describe("the Fisher information", () => {
  const rows = tasks[0]!.train.slice(0, 6);
  const measure = (values: object, seed = 3): number[] => {
    const model = tinyModel();
    const made = fisherInformation(model, unfreeze(model), rows, optionsOf(values), new Rng(seed));
    const numbers = made.flatMap((each) => each.toArray());
    for (const each of made) each.dispose();
    model.dispose();
    return numbers;
  };

  it("is the mean of squared gradients of single rows, rescaled to mean one", () => {
    const before = liveTensors();
    const model = tinyModel();
    const parameters = unfreeze(model);
    const sums = parameters.map(({ tensor: { size } }) => new Float64Array(size));
    for (const row of rows) {
      tidy(() => {
        const output = model.forward(batchOf([row], model), EVALUATION);
        output.loss.mul(row.target.length).backward();
        for (const [index, each] of parameters.entries()) {
          for (const [i, value] of each.tensor.grad!.toArray().entries()) sums[index]![i]! += value ** 2;
          each.tensor.grad = null;
        }
      });
    }
    model.dispose();
    const flat = sums.flatMap((each) => [...each]);
    const mean = flat.reduce((sum, value) => sum + value, 0) / flat.length;
    expectClose(
      measure({}),
      flat.map((value) => value / mean),
      1e-4,
    );
    expect(liveTensors()).toBe(before);
  });

  it("differs with gold answers, answers drawn from the model, and batch means", () => {
    const empirical = measure({});
    const sampled = measure({ fisher: "sampled" });
    const batched = measure({ fisher: "batched", fisherBatch: 3 });
    for (const [some, other] of [
      [empirical, sampled],
      [empirical, batched],
      [sampled, batched],
    ] as const) {
      expect(some).not.toEqual(other);
      const mean = some.reduce((sum, value) => sum + value, 0) / some.length;
      expect(mean).toBeCloseTo(1, 3);
    }
    expect(measure({ fisher: "batched", fisherBatch: 1 })).toEqual(empirical);
    expect(measure({ fisher: "sampled" })).toEqual(sampled);
    expect(measure({ fisher: "sampled" }, 4)).not.toEqual(sampled);
    expect(measure({ rows: 2 })).not.toEqual(empirical);
  });

  it("is summed over tasks online, kept apart separately, and comes back after a restart", () => {
    const states = (values: object) => {
      const model = tinyModel();
      const method = tinyMethod(model, { name: "ewc", backbone: "lora", ...values }, {}, [], tasks);
      learn(model, method, tasks.slice(0, 2));
      const tensors = new Map(
        Object.entries(method.state().tensors).map(([name, each]) => [name, each.toArray()]),
      );
      method.dispose();
      model.dispose();
      return tensors;
    };
    // The anchor has no say in these two tasks, so that all three train alike.
    const online = states({ lambda: 0 });
    const last = states({ lambda: 0, gamma: 0 });
    const separate = states({ lambda: 0, mode: "separate" });
    for (const [name, values] of online) {
      const [first, second] = [separate.get(name)!, separate.get(name.replace("0.", "1."))!];
      expectClose(
        values,
        first.map((value, i) => value + second[i]!),
        1e-5,
      );
      expectClose(last.get(name)!, second, 1e-5);
    }
    const finished: FinishedTask[] = [];
    const values = { name: "ewc", mode: "separate" } as const;
    const whole = runTiny(values, tasks, { finished });
    expect(runTiny(values, tasks, { finished: finished.slice(0, 2), first: 2 }).print).toBe(whole.print);
    expect(whole.print).not.toBe(runTiny({ name: "ewc" }, tasks).print);
  });
});
