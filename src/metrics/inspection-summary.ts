/** What `nlora inspect` says of a few adapters, in the order given; the last one counts as the newest task's. */
import type { AverageCollisionRate } from "./collisions.js";
import type { Awom, OrthogonalOverlap, SparsityRate } from "./geometry.js";

/** One number per reading of "this element is not zero". */
export interface ByThreshold<Value = number | null> {
  /** |dW| > 1e-3. */
  readonly abs: Value;
  /** |dW| > 0.4 rms(dW). */
  readonly relRms: Value;
  /** dW is not 0. */
  readonly exact: Value;
}

export interface AdapterInspection {
  /** The last part of the folder's path, made unique if need be; pairs name adapters by it. */
  readonly name: string;
  readonly folder: string;
  readonly modules: number;
  readonly rank: number;
  /** ||dW||_F over all modules, without the LoRA scale. */
  readonly deltaNorm: number;
  readonly gsr: number | null;
  /** Share of elements above the threshold. */
  readonly density: ByThreshold;
}

export interface PairInspection {
  readonly a: string;
  readonly b: string;
  readonly collisionRate: ByThreshold;
  /** Collision rate over what independent supports would give: 1 is chance, less is avoidance. */
  readonly lift: ByThreshold;
  /** Frobenius inner product <dW_a, dW_b>, summed over modules. */
  readonly innerProduct: number;
  /** The same over ||dW_a|| ||dW_b||; null for a zero adapter. */
  readonly cosine: number | null;
}

export interface Inspection {
  readonly adapters: readonly AdapterInspection[];
  readonly orthogonalOverlap: OrthogonalOverlap;
  readonly awom: Awom;
  readonly gsr: Pick<SparsityRate, "mean" | "pooled">;
  readonly acr: Pick<AverageCollisionRate, "abs" | "relRms" | "exact">;
  readonly pairs: readonly PairInspection[];
}
