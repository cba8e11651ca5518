/**
 * What a method trains that does not open an adapter per task: all weights of the model, or one LoRA adapter. It goes on
 * from task to task; the method decides what is added to the loss and which rows are seen.
 */
import { increment } from "../adapters/combine.js";
import type { AdapterDelta } from "../adapters/delta.js";
import { disposeDelta, keepDelta, Lora } from "../adapters/lora.js";
import type { Batch, LanguageModel } from "../models/language-model.js";
import { EVALUATION } from "../nn/context.js";
import type { Parameter } from "../nn/optim.js";
import type { Rng } from "../random.js";
import { noGrad } from "../tensor/grad.js";
import { tidy } from "../tensor/scope.js";
import type { Tensor } from "../tensor/tensor.js";
import type { FinishedTask, MethodSetup, Saves } from "./method.js";
import type { SparsityOptions } from "./options.js";
import { AdapterSparsity } from "./sparsity.js";

/** The model as it was at some time. */
export interface FrozenModel {
  /** Teacher-forced logits at the label tokens, without dropout and without a history, [labelTokens, vocabulary]. */
  logits(batch: Batch): Tensor;
  dispose(): void;
}

export interface Backbone {
  readonly saves: Pick<Saves, "adapter" | "weights">;
  /** The updates of all finished tasks; null where they are no adapters. */
  readonly deltas: readonly AdapterDelta[] | null;
  /** What is trained, the same tensors on every task; opened at the first call unless restored. */
  open(rng: Rng): readonly Parameter[];
  /** What is trained, once it is open. */
  parameters(): readonly Parameter[];
  /** The adapter after a task, owned by the backbone; null where there is none. */
  finish(task: string): AdapterDelta | null;
  restore(finished: readonly FinishedTask[]): void;
  /** The model as it is now. */
  freeze(): FrozenModel;
  /** N-LoRA's penalty on the adapter; null where there is no adapter. */
  readonly sparsity: AdapterSparsity | null;
  dispose(): void;
}

/** What is trained, in words. */
export const BACKBONE = "all weights, or one LoRA adapter (backbone)";

/** `sparsity` is for adapters; the config refuses it for all weights. */
export function openBackbone(
  setup: MethodSetup<object>,
  kind: "full" | "lora",
  sparsity: SparsityOptions | null,
): Backbone {
  return kind === "full" ? allWeights(setup.model) : oneAdapter(setup, sparsity);
}

/** All weights of a model as parameters, named as in its checkpoint. */
export function unfreeze(model: LanguageModel): Parameter[] {
  return [...model.weights].map(([name, tensor]) => {
    tensor.requiresGrad = true;
    return { name, tensor };
  });
}

/** Gives a model whose weights are trained other ones, by checkpoint name. */
export function copyWeights(weights: Readonly<Record<string, Tensor>>, model: LanguageModel): void {
  noGrad(() => {
    for (const [name, weight] of model.weights) weight.copy_(weights[name]!);
  });
}

function allWeights(model: LanguageModel): Backbone {
  const parameters = unfreeze(model);
  return {
    saves: { adapter: null, weights: "last" },
    deltas: null,
    open: () => parameters,
    parameters: () => parameters,
    finish: () => null,
    restore(finished) {
      tidy(() => copyWeights(finished.at(-1)!.weights(), model));
    },
    freeze() {
      const copy = model.copy();
      return {
        logits: (batch) => noGrad(() => tidy(() => copy.forward(batch, EVALUATION).logits)),
        dispose: () => copy.dispose(),
      };
    },
    sparsity: null,
    dispose() {},
  };
}

function oneAdapter(
  { model, lora: options, startFrom }: MethodSetup<object>,
  penalty: SparsityOptions | null,
): Backbone {
  const lora = new Lora(model, options);
  const sparsity = new AdapterSparsity(lora, penalty, startFrom);
  for (const delta of startFrom) lora.addFrozen(delta);
  let parameters: readonly Parameter[] = [];
  const snapshots: AdapterDelta[] = [];
  const increments: AdapterDelta[] = [];
  const record = (snapshot: AdapterDelta): AdapterDelta => {
    if (options.seqDelta === "increment") {
      tidy(() => void increments.push(keepDelta(increment(snapshot, snapshots.at(-1)))));
    }
    snapshots.push(snapshot);
    return snapshot;
  };
  return {
    saves: { adapter: "cumulative", weights: null },
    deltas: options.seqDelta === "increment" ? increments : snapshots,
    open(rng) {
      if (parameters.length === 0) parameters = lora.open(rng);
      return parameters;
    },
    parameters: () => parameters,
    finish: (task) => record(lora.snapshot(task)),
    restore(finished) {
      tidy(() => {
        for (const task of finished) record(keepDelta(task.adapter()));
      });
      parameters = lora.openWith(snapshots.at(-1)!);
    },
    freeze() {
      const copy = lora.snapshot("teacher");
      return {
        logits: (batch) =>
          noGrad(() => tidy(() => lora.using(copy, () => model.forward(batch, EVALUATION).logits))),
        dispose: () => disposeDelta(copy),
      };
    },
    sparsity,
    dispose() {
      sparsity.dispose();
      for (const delta of [...snapshots, ...increments]) disposeDelta(delta);
      lora.dispose();
    },
  };
}
