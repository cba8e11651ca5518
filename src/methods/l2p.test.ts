import { afterAll, describe, expect, it } from "vitest";
import { expectClose } from "../../test/support/golden.js";
import { learn, runTiny, tinyMethod, tinyModel, tinySettings, tinyTask } from "../../test/support/tiny.js";
import { batchOf, promptsOf } from "../data/collate.js";
import { taskContext, trainStep } from "../learn/learn.js";
import { EVALUATION } from "../nn/context.js";
import { AdamW } from "../nn/optim.js";
import { Rng } from "../random.js";
import { inference } from "../tensor/grad.js";
import { tidy } from "../tensor/scope.js";
import type { ActiveMethod } from "./method.js";

const tasks = ["alpha", "beta", "gamma"].map((name) => tinyTask(name, 16, 5));
const values = { name: "l2p", poolSize: 6, promptLength: 2, selected: 2 } as const;
const models = ["t5-classic", "llama3-gqa"].map((name) => [name, tinyModel(name)] as const);
afterAll(() => {
  for (const [, model] of models) model.dispose();
});

const rowsOf = (flat: readonly number[], width: number): number[][] =>
  Array.from({ length: flat.length / width }, (_, i) => flat.slice(i * width, (i + 1) * width));
const cosine = (x: readonly number[], y: readonly number[]): number =>
  x.reduce((sum, value, i) => sum + value * y[i]!, 0) / (Math.hypot(...x) * Math.hypot(...y));

describe.each(models)("L2P on %s", (_, model) => {
  const width = model.inputEmbedding.dim(1);
  const open = (
    options: object = {},
  ): { method: ActiveMethod; parameters: ReturnType<ActiveMethod["beforeTask"]> } => {
    const method = tinyMethod(model, { ...values, ...options }, {}, [], tasks);
    return { method, parameters: method.beforeTask(taskContext(tasks[0]!, 0, new Rng(1))) };
  };
  /** The prompts of a row by the definition: those whose keys are nearest to its features, computed alone. */
  const nearest = (method: ActiveMethod, source: number[]): number[] => {
    const query = inference(() => model.features(promptsOf([{ source }], model)).toArray());
    const keys = rowsOf(method.state().tensors.keys!.toArray(), width);
    const cosines = keys.map((key) => cosine(query, key));
    return [...cosines.keys()].sort((a, b) => cosines[b]! - cosines[a]!).slice(0, 2);
  };

  it("puts before each row the prompts whose keys are nearest to it, blind to padding and other rows", () => {
    const { method } = open();
    const prompts = rowsOf(method.state().tensors.prompts!.toArray(), 2 * width);
    // Rows of very different lengths, so that the batch pads them.
    const rows = [
      ...tasks[0]!.train,
      { source: [4, 1] },
      { source: Array.from({ length: 40 }, (_, i) => 3 + ((7 * i) % 70)) },
    ];
    tidy(() => {
      const found = rowsOf(method.prefix(rows)!.toArray(), 4 * width);
      const chosen = rows.map(({ source }) => nearest(method, source));
      expect(found).toEqual(chosen.map((pair) => pair.flatMap((prompt) => prompts[prompt]!)));
      expect(new Set(chosen.map(String)).size).toBeGreaterThan(1);
    });
    method.dispose();
  });

  it("trains the chosen prompts by the answers, and the chosen keys by their cosines alone", () => {
    const { method, parameters } = open();
    const [prompts, keys] = parameters.map(({ tensor }) => tensor);
    const weights = [...model.weights.values()].map((weight) => weight.toArray());
    tidy(() => {
      const share = { rows: tasks[0]!.train.slice(0, 3), weight: 1, term: null };
      const chosen = share.rows.map(({ source }) => nearest(method, source));
      const batch = { ...batchOf(share.rows, model), prefix: method.prefix(share.rows) };
      const output = model.forward(batch, EVALUATION);
      const term = method.losses({ share, batch, output }).keys!;
      const before = rowsOf(keys!.toArray(), width);
      const expected = share.rows.reduce((sum, { source }, row) => {
        const query = inference(() => model.features(promptsOf([{ source }], model)).toArray());
        return sum + chosen[row]!.reduce((own, prompt) => own + cosine(query, before[prompt]!), 0);
      }, 0);
      expect(term.item()).toBeCloseTo((-0.5 * expected) / 3, 4);
      output.backward(output.loss);
      expect(keys!.grad).toBeNull();
      const moved = (flat: number[], size: number) =>
        rowsOf(flat, size).flatMap((row, i) => (row.some((value) => value !== 0) ? [i] : []));
      const used = [...new Set(chosen.flat())].sort();
      expect(moved(prompts!.grad!.toArray(), 2 * width)).toEqual(used);
      term.backward();
      expect(moved(keys!.grad!.toArray(), width)).toEqual(used);
    });
    expect([...model.weights.values()].map((weight) => weight.toArray())).toEqual(weights);
    method.dispose();
  });

  it("counts the keys' term as a mean over rows, however they are split", () => {
    const found = [16, 5].map((microBatchSize) => {
      const { method, parameters } = open();
      using optimizer = new AdamW(parameters, tinySettings);
      // Answers of different lengths weigh differently in the task's loss, not here.
      const rows = tasks[0]!.train.map((row, i) =>
        i % 3 === 0 ? { ...row, target: [70, 71, 72, 1], targetLength: 4 } : row,
      );
      const shares = [{ rows, weight: 1, term: null }];
      const stepSettings = { microBatchSize, clip: tinySettings.clip };
      const report = trainStep(
        model,
        method,
        optimizer,
        shares,
        stepSettings,
        { step: 1, learningRate: 0.1 },
        EVALUATION,
      );
      method.dispose();
      return [report.taskLoss, report.penalties.keys!, report.gradNorm];
    });
    expectClose(found[1]!, found[0]!, 1e-4);
  });

  it("answers without prompts before its first task, and records which prompts it uses", () => {
    const method = tinyMethod(model, values, {}, [], tasks);
    expect(method.prefix(tasks[0]!.test)).toBeNull();
    expect(method.measures()).toEqual({});
    learn(model, method, tasks.slice(0, 1));
    const shares = Object.values(method.measures());
    expect(shares).toHaveLength(6);
    expect(shares.reduce((sum, share) => sum + share, 0)).toBeCloseTo(1, 6);
    const before = method.measures();
    tidy(() => method.prefix(tasks[0]!.test));
    expect(method.measures()).toEqual(before);
    method.dispose();
  });
});

it("leaves the keys where they are at beta 0, and draws them to the rows otherwise", () => {
  const keysAfter = (beta: number) => {
    const model = tinyModel();
    const method = tinyMethod(model, { ...values, beta }, {}, [], tasks);
    const keys = () => method.state().tensors.keys!.toArray();
    method.beforeTask(taskContext(tasks[0]!, 0, new Rng(1).fork("task 1").fork("initialisation")));
    const start = keys();
    learn(model, method, tasks, { settings: { ...tinySettings, epochs: 4 } });
    const end = keys();
    method.dispose();
    model.dispose();
    return { start, end };
  };
  const fixed = keysAfter(0);
  expect(fixed.end).toEqual(fixed.start);
  expect(keysAfter(0.5).end).not.toEqual(fixed.start);
  const terms = runTiny({ ...values, beta: 0.5 }, tasks, { settings: { ...tinySettings, epochs: 6 } }).steps;
  expect(terms.at(-1)!.penalties.keys!).toBeLessThan(terms[0]!.penalties.keys!);
});
