/** What the fused and the plain formulation of attention agree on. */
import type { Tensor } from "../tensor/tensor.js";

export interface AttentionInputs {
  /** [batch, queries, heads * width]; scores are not scaled here. */
  readonly query: Tensor;
  /** [batch, keys, heads * width] */
  readonly key: Tensor;
  readonly value: Tensor;
  readonly heads: number;
  /** [1, heads, queries, keys], added to the scores, or null. */
  readonly bias: Tensor | null;
  /** [batch, keys] bool, true where a key may be attended to, or null. */
  readonly mask: Tensor | null;
  /** Dropout on the probabilities; 0 outside training. */
  readonly p: number;
  readonly seed: number;
}
