/** Finished adapters on a model that only answers: their updates are added in every forward pass until taken off. */
import type { LanguageModel } from "../models/language-model.js";
import type { AdapterDelta } from "./delta.js";
import { checkFit } from "./lora.js";

/**
 * Attaches adapters on top of what the layers carry; their factors stay the caller's and must be on the model's device.
 * Returns what takes them off again. Throws a CheckpointError for one that does not fit, having changed nothing.
 */
export function attachAdapters(model: LanguageModel, deltas: readonly AdapterDelta[]): () => void {
  for (const delta of deltas) checkFit(delta, model.linears);
  const before = new Map([...model.linears.values()].map((linear) => [linear, linear.additions] as const));
  for (const { scale, modules } of deltas) {
    for (const [name, { a, b }] of modules) {
      const linear = model.linears.get(name)!;
      linear.additions = [...linear.additions, { a, b, scale }];
    }
  }
  return () => {
    for (const [linear, additions] of before) linear.additions = additions;
  };
}
