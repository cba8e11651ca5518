import { describe, expect, it } from "vitest";
import {
  learn,
  methodOptions,
  tinyLora,
  tinyModel,
  tinySettings,
  tinyTask,
} from "../../test/support/tiny.js";
import { batchOf } from "../data/collate.js";
import type { EncodedExample } from "../data/encode.js";
import { type EncodedTask, taskContext } from "../learn/learn.js";
import type { LanguageModel } from "../models/language-model.js";
import { EVALUATION } from "../nn/context.js";
import { Rng } from "../random.js";
import { noGrad } from "../tensor/grad.js";
import { liveTensors, tidy } from "../tensor/scope.js";
import type { FinishedTask, Share } from "./method.js";
import { createMethod } from "./registry.js";

const values = { name: "lfpt5", promptLength: 6, repetitionPenalty: 1, fraction: 1 } as const;
const settings = { ...tinySettings, epochs: 8, learningRate: 0.3 };
const plan = { batchSize: 8, epochs: 2, rng: new Rng(4), bucket: "none" } as const;

/** Rows without a set of labels, so that any answer is one: random models cannot be made to write a given one by a prompt. */
function tasksOf({ eosId, family }: LanguageModel): EncodedTask[] {
  return ["alpha", "beta"].map((name) => {
    const task = tinyTask(name, 24, 5);
    const train = task.train.map(({ source, target }): EncodedExample => {
      const text = source.slice(0, -1).map((id) => 10 + (id % 50));
      const ids = family === "seq2seq" ? [...text, eosId] : text;
      const answer = [target[0]!, eosId];
      return { source: ids, target: answer, sourceLength: ids.length, targetLength: 2 };
    });
    return { ...task, train };
  });
}

function open(fixture: string, options: object = {}) {
  const model = tinyModel(fixture);
  const tasks = tasksOf(model);
  const method = createMethod({
    model,
    lora: tinyLora,
    options: methodOptions({ ...values, ...options }),
    tasks: tasks.map(({ name }) => ({ name, labels: null, train: [] })),
    startFrom: [],
    reference: null,
  });
  const second = taskContext(tasks[1]!, 1, new Rng(9));
  return { model, method, tasks, second };
}

describe.each(["t5-classic", "llama3-gqa"])("LFPT5 on %s", (fixture) => {
  it("learns to write a task, then writes rows of it and replays each once per epoch beside the new ones", () => {
    const { model, method, tasks, second } = open(fixture);
    const finished: FinishedTask[] = [];
    const writing = learn(model, method, tasks.slice(0, 1), { settings, finished }).flatMap((event) =>
      event.type === "step" ? [event.penalties.writing!] : [],
    );
    expect(writing.at(-1)!).toBeLessThan(0.97 * writing[0]!);
    method.beforeTask(second);
    const { rowsWritten, rowsUsable, rowsReplayed } = method.measures();
    expect(rowsWritten).toBe(96);
    expect(rowsUsable).toBeGreaterThan(0);
    expect(rowsReplayed).toBe(Math.min(rowsUsable!, 24));
    const steps = [...method.plan(second, plan).steps];
    expect(steps).toHaveLength(6);
    const replayed = (of: readonly (readonly Share[])[]) =>
      of.flatMap((shares) => shares.find(({ term }) => term === "written")?.rows ?? []);
    for (const epoch of [steps.slice(0, 3), steps.slice(3)]) {
      const ids = replayed(epoch).map(({ source, target }) => `${source}|${target}`);
      expect(ids).toHaveLength(rowsReplayed!);
      expect(new Set(replayed(epoch)).size).toBe(rowsReplayed);
    }
    for (const shares of steps) {
      const [own, written, again] = shares;
      expect(own!.rows).toHaveLength(8);
      const all = [...own!.rows, ...(again?.rows ?? [])];
      expect(written!.rows.map(({ target }) => target.at(-2))).toEqual(
        all.map(({ target }) => target.at(-2)),
      );
      // The losses of answering together, and that of writing, count 1 - kappa.
      const rest = again ? 0.97 : 1;
      expect(own!.weight + (again?.weight ?? 0)).toBeCloseTo(rest, 6);
      expect(written!.weight).toBeCloseTo(0.25 * rest, 6);
    }
    // Written from what was saved, the rows are the same.
    const resumed = open(fixture);
    resumed.method.restore(finished);
    resumed.method.beforeTask(second);
    expect(replayed([...resumed.method.plan(second, plan).steps])).toEqual(replayed(steps));
    for (const each of [resumed, { method, model }]) {
      each.method.dispose();
      each.model.dispose();
    }
  });

  it("holds the answers on written rows to those of the prompt before the task", () => {
    const { model, method, tasks, second } = open(fixture, { kappa: 0.5 });
    learn(model, method, tasks.slice(0, 1), { settings: { ...settings, epochs: 4 } });
    const [prompt] = method.beforeTask(second);
    const shares = [...method.plan(second, plan).steps].flat();
    const live = liveTensors();
    const term = (name: string | null): number | undefined =>
      tidy(() => {
        const share = shares.find((each) => each.term === name)!;
        const batch = { ...batchOf(share.rows, model), prefix: method.prefix(share.rows) };
        const output = model.forward(batch, EVALUATION);
        return method.losses({ share, batch, output }).distillation?.item();
      });
    expect(term(null)).toBeUndefined();
    expect(Math.abs(term("written")!)).toBeLessThan(1e-6);
    noGrad(() => prompt!.tensor.mul_(1.3));
    expect(term("written")!).toBeGreaterThan(1e-5);
    // Only cached position biases stay.
    expect(liveTensors() - live).toBeLessThan(8);
    method.dispose();
    model.dispose();
  });

  it("writes behind the task's own token: it and the prompt get gradients, the model none", () => {
    const { model, method, tasks } = open(fixture);
    const [prompt, token] = method.beforeTask(taskContext(tasks[0]!, 0, new Rng(2)));
    const shares = method
      .plan(taskContext(tasks[0]!, 0, new Rng(3)), plan)
      .steps[Symbol.iterator]()
      .next().value as readonly Share[];
    expect(shares.map(({ term, weight }) => [term, weight])).toEqual([
      [null, 1],
      ["writing", 0.25],
    ]);
    const writing = shares[1]!.rows;
    const [first] = shares[0]!.rows;
    expect(writing[0]!.source).toEqual([model.eosId]);
    expect(writing[0]!.target.slice(0, 2)).toEqual(first!.source.slice(0, 2));
    tidy(() => {
      const prefix = method.prefix(writing)!;
      expect(prefix.shape).toEqual([8, 7, model.inputEmbedding.dim(1)]);
      expect(prefix.select(0, 3).narrow(0, 6, 1).toArray()).toEqual(token!.tensor.toArray());
      const output = model.forward({ ...batchOf(writing, model), prefix }, EVALUATION);
      output.backward(output.loss);
      for (const { tensor } of [prompt!, token!]) expect(tensor.grad!.abs().sum().item()).toBeGreaterThan(0);
      expect(method.prefix(shares[0]!.rows)!.shape).toEqual([1, 6, model.inputEmbedding.dim(1)]);
    });
    expect([...model.weights.values()].every((weight) => weight.grad === null)).toBe(true);
    method.dispose();
    model.dispose();
  });
});

it("replays nothing at fraction 0, and says with its terms what it does", () => {
  const terms = (options: object) => {
    const { model, method, tasks } = open("t5-classic", options);
    const events = learn(model, method, tasks, { settings: { ...settings, epochs: 4 } });
    method.dispose();
    model.dispose();
    return events.flatMap((event) => (event.type === "step" ? [Object.keys(event.penalties)] : []));
  };
  expect(new Set(terms({ fraction: 0 }).flat())).toEqual(new Set(["writing"]));
  const steps = terms({});
  expect(new Set(steps.slice(0, 12).flat())).toEqual(new Set(["writing"]));
  expect(new Set(steps.slice(12).flat())).toEqual(new Set(["writing", "written", "distillation"]));
});
