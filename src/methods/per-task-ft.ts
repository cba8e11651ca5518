/**
 * PerTaskFT: the base model trained on every task by itself, and each task answered by its own copy. Nothing is forgotten,
 * nothing is shared, and answering takes the task's name. A task that was not trained yet is answered by the base model.
 */
import type { AdapterDelta } from "../adapters/delta.js";
import { disposeDelta, keepDelta, Lora } from "../adapters/lora.js";
import type { LanguageModel } from "../models/language-model.js";
import { tidy } from "../tensor/scope.js";
import { BACKBONE, copyWeights, unfreeze } from "./backbone.js";
import { defineMethod, type FinishedTask, type MethodParts, type MethodSetup } from "./method.js";
import { type Settings, withBackbone } from "./options.js";
import { AdapterSparsity } from "./sparsity.js";

export const perTaskFt = defineMethod({
  name: "per-task-ft",
  title: "PerTaskFT",
  trains: `${BACKBONE}, of the base model, per task`,
  keeps: "every task's model or adapter",
  needsTaskIdentity: true,
  options: withBackbone,
  create: (setup) => (setup.options.backbone === "full" ? modelPerTask(setup.model) : adapterPerTask(setup)),
});

/** Finished models stay in their files; the base model is kept in memory. */
function modelPerTask(model: LanguageModel): MethodParts {
  const base = model.copy();
  const parameters = unfreeze(model);
  const finished = new Map<number, FinishedTask>();
  /** Whose weights the model has: those of a finished task, or the base model's. */
  let shown: number | null = null;
  const show = (index: number | null): void => {
    if (shown === index) return;
    tidy(() =>
      copyWeights(index === null ? Object.fromEntries(base.weights) : finished.get(index)!.weights(), model),
    );
    shown = index;
  };
  return {
    beforeTask() {
      show(null);
      return parameters;
    },
    afterTask: () => null,
    saved(task) {
      finished.set(task.index, task);
      shown = task.index;
    },
    activate: ({ index }) => show(finished.has(index) ? index : null),
    saves: { adapter: null, weights: "every", state: false },
    restore(tasks) {
      for (const task of tasks) finished.set(task.index, task);
    },
    deltas: null,
    penaltyRecord: { kind: "none" },
    dispose: () => base.dispose(),
  };
}

function adapterPerTask({
  model,
  lora: options,
  startFrom,
  options: { sparsity: penalty },
}: MethodSetup<Settings<typeof withBackbone>>): MethodParts {
  const lora = new Lora(model, options);
  const sparsity = new AdapterSparsity(lora, penalty, startFrom);
  for (const delta of startFrom) lora.addFrozen(delta);
  const deltas: AdapterDelta[] = [];
  return {
    beforeTask(task) {
      lora.discard();
      const parameters = lora.open(task.rng);
      sparsity.open(task);
      return parameters;
    },
    penalties: () => sparsity.terms(),
    afterUpdate: (update) => sparsity.afterUpdate(update),
    measures: () => sparsity.measures(),
    afterTask({ name }) {
      const delta = lora.snapshot(name);
      deltas.push(delta);
      return delta;
    },
    activate({ index }) {
      lora.discard();
      const own = deltas[index];
      if (own) lora.openWith(own);
    },
    saves: { adapter: "alone", weights: null, state: false },
    restore(tasks) {
      tidy(() => {
        for (const task of tasks) deltas.push(keepDelta(task.adapter()));
      });
    },
    deltas,
    penaltyRecord: { kind: "none", ...sparsity.record },
    dispose() {
      sparsity.dispose();
      for (const delta of deltas) disposeDelta(delta);
      lora.dispose();
    },
  };
}
