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

/** A linear layer without bias on a memory that it is never applied to: its weight and, as one, its low-rank additions. */
export interface MemoryProjection {
  /** [heads * width, inputs] */
  readonly weight: Tensor;
  /** [batch, keys, rank], what the additions make of the memory; null without additions. */
  readonly hidden: Tensor | null;
  /** [heads * width, rank]: hidden up^T is added to the projection. */
  readonly up: Tensor | null;
}

/** Attention over a memory, keys and values being its projections. */
export interface MemoryAttentionInputs extends Pick<AttentionInputs, "heads" | "mask" | "p" | "seed"> {
  /** [batch, queries, heads * width]; scores are not scaled here. */
  readonly query: Tensor;
  /** [batch, keys, inputs] */
  readonly memory: Tensor;
  readonly key: MemoryProjection;
  readonly value: MemoryProjection;
}
