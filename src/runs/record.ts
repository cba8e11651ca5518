/** record.json: what a run amounted to, in one object. */
import type { StartingAdapter } from "../learn/events.js";
import type { OnlineSummary } from "../metrics/prequential.js";

export const RECORD_SCHEMA = "nlora-run/1";

export interface RunTimings {
  readonly trainSeconds: number;
  readonly evaluationSeconds: number;
  readonly totalSeconds: number;
}

export interface GeometrySummary {
  /** OO (eq. 7): squared Frobenius and absolute sum of A_i A_T^T over i < T, summed over modules. */
  readonly orthogonalOverlap: { readonly squared: number | null; readonly abs: number | null };
  /** AWOM: norm of dW_T^T dW_i summed over i < T and modules. */
  readonly awom: { readonly spectral: number | null; readonly frobenius: number | null };
  /** GSR (eq. 9): small is sparse. */
  readonly gsr: { readonly mean: number | null; readonly pooled: number | null };
  /** ACR at |dW| > 1e-3, at |dW| > 0.4 rms(dW), and of true non-zeros (null in records of earlier versions). */
  readonly acr: {
    readonly abs: number | null;
    readonly relRms: number | null;
    readonly exact: number | null;
  };
}

export interface RunRecord extends GeometrySummary {
  readonly schema: typeof RECORD_SCHEMA;
  readonly status: "running" | "done" | "interrupted" | "failed";
  readonly method: string;
  readonly model: string;
  /** The model's commit on the hub; null where it is not from there. */
  readonly modelRevision: string | null;
  readonly tasks: readonly string[];
  readonly seed: number;
  /** Adapters that the run started from; they count as earlier tasks in OO, AWOM and ACR. */
  readonly startFrom: readonly StartingAdapter[];
  /** Row i = task i, column j = after training task j, percent; null where not measured. */
  readonly accuracy: readonly (readonly (number | null)[])[];
  /** Accuracy of the untouched base model per task, where measured. */
  readonly baseAccuracy: readonly (number | null)[];
  readonly averageAccuracy: number | null;
  readonly microAccuracy: number | null;
  readonly forgettingRate: number | null;
  readonly backwardTransfer: number | null;
  readonly ownTaskAccuracy: number | null;
  /** Frobenius norm of each task's dW over all modules, without the LoRA scale. */
  readonly deltaNorms: readonly (number | null)[];
  /** What the method measured of each task's adapter at its end; absent where no method does. */
  readonly measures?: readonly (Readonly<Record<string, number>> | null)[];
  /** After each task, bytes of what the method keeps to go on and to answer all tasks so far. */
  readonly keptBytes: readonly (number | null)[];
  /** Same layout as `accuracy`: share of predictions outside the task's label set, in [0, 1]. */
  readonly outOfLabelRate: readonly (readonly (number | null)[])[];
  /** What was measured of a stream without boundaries; absent where tasks came one after another. */
  readonly online?: OnlineSummary;
  /** What was penalised: kind, normalisation, coefficients and their unit, as used per task. */
  readonly penalty: Readonly<Record<string, unknown>>;
  readonly engine: Readonly<Record<string, unknown>>;
  readonly timings: RunTimings;
  /** Largest resident memory of the last process that trained it, bytes; absent in records of earlier versions. */
  readonly peakMemory?: number | null;
}
