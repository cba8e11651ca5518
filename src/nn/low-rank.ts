/** What the fused and the plain formulation of the low-rank linear layer agree on. */
import type { Tensor } from "../tensor/tensor.js";

/** scale * (drop(x) A^T) B^T, added to the output columns from `offset` on. */
export interface LowRankTerm {
  /** [rank, inputs] */
  readonly a: Tensor;
  /** [outputs of this term, rank] */
  readonly b: Tensor;
  readonly scale: number;
  readonly offset: number;
  /** Terms of one group see the same dropout mask. */
  readonly group: number;
}

export interface LowRankInputs {
  /** [..., inputs] */
  readonly x: Tensor;
  /** [outputs, inputs] */
  readonly weight: Tensor;
  readonly bias: Tensor | null;
  readonly terms: readonly LowRankTerm[];
  /** Dropout probability; 0 outside training. */
  readonly p: number;
  readonly seed: number;
}

/** Masks are drawn from 8 bits per element, so a probability of keeping is a multiple of 1/256. */
export const keepProbability = (p: number): number => 1 - Math.round(p * 256) / 256;

/** The mask seed of one group of terms. */
export const groupSeed = (seed: number, group: number): number => (seed + group * 0x9e3779b9) % 2 ** 32;
