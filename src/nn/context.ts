/** What a forward pass needs to know besides its inputs: whether it trains, and where dropout takes its seeds from. */
import type { Rng } from "../random.js";
import type { Tensor } from "../tensor/tensor.js";

export interface ForwardContext {
  /** Dropout is active. */
  readonly training: boolean;
  /** The backward pass computes the activations of a block again instead of keeping them. */
  readonly checkpointing: boolean;
  /** A fresh seed for each dropout mask, in the order of the calls. */
  nextSeed(): number;
  /** Told the input [..., inputs] of linear layers before they are computed; layers on the same input come together. */
  observe?(layers: readonly { readonly name: string }[], x: Tensor): void;
}

/** No dropout. */
export const EVALUATION: ForwardContext = { training: false, checkpointing: false, nextSeed: () => 0 };

/** Dropout with masks that depend on the generator alone: equal seeds give equal masks, on any number of threads. */
export function trainingContext(rng: Rng, checkpointing = false): ForwardContext {
  return { training: true, checkpointing, nextSeed: () => rng.uint32() };
}
