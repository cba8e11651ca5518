import { describe, expect, it } from "vitest";
import { learn, tinyMethod, tinyModel, tinySettings, tinyTask } from "../../test/support/tiny.js";
import { batchOf } from "../data/collate.js";
import { taskContext } from "../learn/learn.js";
import type { LanguageModel } from "../models/language-model.js";
import { EVALUATION } from "../nn/context.js";
import { Rng } from "../random.js";
import { inference } from "../tensor/grad.js";
import { tidy } from "../tensor/scope.js";
import type { ActiveMethod, FinishedTask } from "./method.js";
import { METHOD_FACTS } from "./registry.js";

const tasks = ["alpha", "beta", "gamma"].map((name) => tinyTask(name, 16, 5));
const values = { name: "prog-prompt", promptLength: 3 } as const;
const settings = { ...tinySettings, epochs: 2 };

/** Logits of the first task's test rows when they are answered as rows of some task. */
const answer = (model: LanguageModel, method: ActiveMethod, index: number): number[] =>
  inference(() => {
    method.activate({ name: tasks[index]!.name, index });
    const rows = tasks[0]!.test;
    return model
      .forward({ ...batchOf(rows, model), prefix: method.prefix(rows) }, EVALUATION)
      .logits.toArray();
  });

describe.each(["t5-classic", "llama3-gqa"])("ProgPrompt on %s", (fixture) => {
  it("answers a task by the prompts that stood there when it was learned, bit for bit, whatever comes later", () => {
    const model = tinyModel(fixture);
    const finished: FinishedTask[] = [];
    const method = tinyMethod(model, values, {}, [], tasks);
    const base = answer(model, method, 0);
    learn(model, method, tasks.slice(0, 1), { settings, finished });
    const first = answer(model, method, 0);
    expect(first).not.toEqual(base);
    // A task that was not learned yet has the base model alone.
    expect(answer(model, method, 1)).toEqual(base);
    learn(model, method, tasks.slice(0, 2), { settings, finished, first: 1 });
    expect(answer(model, method, 0)).toEqual(first);
    const second = answer(model, method, 1);
    learn(model, method, tasks, { settings, finished, first: 2 });
    expect([answer(model, method, 0), answer(model, method, 1)]).toEqual([first, second]);
    const resumed = tinyMethod(model, values, {}, [], tasks);
    resumed.restore(finished);
    expect([answer(model, resumed, 0), answer(model, resumed, 1)]).toEqual([first, second]);
    resumed.dispose();
    method.dispose();
    model.dispose();
  });

  it("puts the newest prompt first, trains it alone, and shows it the frozen ones of earlier tasks", () => {
    const model = tinyModel(fixture);
    const method = tinyMethod(model, values, {}, [], tasks);
    learn(model, method, tasks.slice(0, 1), { settings });
    const earlier = method.state().tensors["prompt.1"]!.toArray();
    const [parameter, ...others] = method.beforeTask(taskContext(tasks[1]!, 1, new Rng(2)));
    expect(others).toEqual([]);
    tidy(() => {
      const rows = tasks[1]!.train;
      const prefix = method.prefix(rows)!;
      const width = model.inputEmbedding.dim(1);
      expect(prefix.shape).toEqual([1, 6, width]);
      expect(prefix.narrow(1, 0, 3).toArray()).toEqual(parameter!.tensor.toArray());
      expect(prefix.narrow(1, 3, 3).toArray()).toEqual(earlier);
      const output = model.forward({ ...batchOf(rows, model), prefix }, EVALUATION);
      output.backward(output.loss);
      expect(parameter!.tensor.grad!.abs().sum().item()).toBeGreaterThan(0);
      expect(method.state().tensors["prompt.1"]!.grad).toBeNull();
      // The earlier prompt takes part: without it the loss is another one.
      const alone = { ...batchOf(rows, model), prefix: prefix.narrow(1, 0, 3) };
      expect(model.forward(alone, EVALUATION).loss.item()).not.toBe(output.loss.item());
    });
    method.dispose();
    model.dispose();
  });
});

it("says that it has to be told the task", () => {
  expect(METHOD_FACTS["prog-prompt"].needsTaskIdentity).toBe(true);
  expect(METHOD_FACTS.l2p.needsTaskIdentity || METHOD_FACTS.lfpt5.needsTaskIdentity).toBeUndefined();
});
