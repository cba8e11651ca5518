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

/** Attention of the last positions of a sequence over the sequence up to each of them. */
export interface CausalAttentionInputs {
  /** [batch, queries, heads * width]; scores are not scaled here. */
  readonly query: Tensor;
  /** [batch, keys, keyValueHeads * width]; the queries are the last of these positions. */
  readonly key: Tensor;
  readonly value: Tensor;
  readonly heads: number;
  /** Query heads h to h + heads / keyValueHeads - 1 share one head of keys and values. */
  readonly keyValueHeads: number;
  /** How many positions back a query reaches, its own counted; null: all. */
  readonly window: number | null;
  /** [batch, keys] bool, true where a key may be attended to, or null. */
  readonly mask: Tensor | null;
  /** Dropout on the probabilities; 0 outside training. */
  readonly p: number;
  readonly seed: number;
}
