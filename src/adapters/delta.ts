/** A task's update as its factors. The update of a module is dW = B A, without the LoRA scale. */
import type { Tensor } from "../tensor/tensor.js";

export interface LowRankDelta {
  /** [rank, inputs], float32 */
  readonly a: Tensor;
  /** [outputs, rank], float32 */
  readonly b: Tensor;
}

/** One adapter: the updates of all adapted modules, in the model's traversal order. */
export interface AdapterDelta {
  readonly name: string;
  /** alpha / rank: what the model multiplies dW by. */
  readonly scale: number;
  readonly modules: ReadonlyMap<string, LowRankDelta>;
}
