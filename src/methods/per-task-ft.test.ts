import { expect, it } from "vitest";
import { learn, tinyMethod, tinyModel, tinySettings, tinyTask } from "../../test/support/tiny.js";
import { batchOf } from "../data/collate.js";
import { EVALUATION } from "../nn/context.js";
import { inference } from "../tensor/grad.js";
import type { FinishedTask } from "./method.js";
import { METHOD_FACTS } from "./registry.js";

const tasks = ["alpha", "beta", "gamma"].map((name) => tinyTask(name, 16, 5));

it.each(["full", "lora"] as const)(
  "answers a task the same after any number of later ones, and by its own model alone (%s)",
  (backbone) => {
    expect(METHOD_FACTS["per-task-ft"].needsTaskIdentity).toBe(true);
    const model = tinyModel();
    const finished: FinishedTask[] = [];
    const values = { name: "per-task-ft", backbone } as const;
    const method = tinyMethod(model, values, {}, [], tasks);
    const answer = (index: number, by = method): number[] => {
      by.activate({ name: tasks[index]!.name, index });
      return inference(() => model.forward(batchOf(tasks[0]!.test, model), EVALUATION).logits.toArray());
    };
    const settings = { ...tinySettings, epochs: 2 };
    const base = answer(0);
    learn(model, method, tasks.slice(0, 1), { settings, finished });
    const first = answer(0);
    expect(first).not.toEqual(base);
    expect(answer(1)).toEqual(base);
    learn(model, method, tasks.slice(0, 2), { settings, finished, first: 1 });
    expect(answer(0)).toEqual(first);
    const second = answer(1);
    expect(second).not.toEqual(first);
    learn(model, method, tasks, { settings, finished, first: 2 });
    expect([answer(0), answer(1)]).toEqual([first, second]);
    const third = answer(2);
    method.dispose();
    model.dispose();

    // The third task, learned on its own, gives the same model: nothing of the others is in it.
    const other = tinyModel();
    const alone = tinyMethod(other, values, {}, [], tasks);
    learn(other, alone, tasks, { settings, first: 2 });
    if (backbone === "full") {
      const logits = inference(() =>
        other.forward(batchOf(tasks[0]!.test, other), EVALUATION).logits.toArray(),
      );
      expect(logits).toEqual(third);
    } else {
      expect(alone.deltas).toHaveLength(1);
    }
    alone.dispose();
    other.dispose();
  },
);
