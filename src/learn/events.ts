/** Everything a run can say. A run is a stream of these; the journal, the terminal and the record read nothing else. */
import type { LengthReport } from "../data/lengths.js";
import type { HubProgress } from "../hub/progress.js";
import type { Alarm, Arrival } from "../metrics/prequential.js";

export type { HubProgress, LengthReport };

/** An adapter made before the run, frozen beneath what it trains. */
export interface StartingAdapter {
  /** The last part of its folder's path. */
  readonly name: string;
  /** SHA-256 of adapter_model.safetensors and of adapter_config.json, in hexadecimal. */
  readonly weights: string;
  readonly config: string;
  /** What the folder says it holds; null where it says nothing. */
  readonly holds: "delta" | "cumulative" | null;
  /** The largest of its modules. */
  readonly rank: number;
  /** alpha / rank as it was trained. */
  readonly scale: number;
  readonly modules: number;
}

export type RunEvent =
  | {
      readonly type: "run-start";
      readonly time: string;
      readonly method: string;
      readonly model: string;
      readonly tasks: readonly string[];
      readonly seed: number;
      readonly resumedAt: number;
      /** The model's commit on the hub; absent where the model is not from there. */
      readonly modelRevision?: string;
      /** Absent: the run starts from the base model alone. */
      readonly startFrom?: readonly StartingAdapter[];
    }
  /** What is fetched before the run starts. */
  | ({ readonly type: "download" } & HubProgress)
  | { readonly type: "lengths"; readonly report: readonly LengthReport[] }
  | { readonly type: "note"; readonly level: "info" | "warning"; readonly message: string }
  | {
      readonly type: "task-start";
      readonly task: string;
      readonly index: number;
      readonly steps: number;
      readonly trainable: number;
      readonly rows: number;
    }
  | {
      readonly type: "step";
      readonly task: string;
      readonly index: number;
      /** 1-based step within the task. */
      readonly step: number;
      readonly epoch: number;
      readonly taskLoss: number;
      /** Each penalty by name, already multiplied by its coefficient: what is added to the task loss. */
      readonly penalties: Readonly<Record<string, number>>;
      readonly lr: number;
      /** Global gradient norm before clipping. */
      readonly gradNorm: number;
      /** What the method measures of the adapter after the step; absent where it measures nothing. */
      readonly measures?: Readonly<Record<string, number>>;
      /** Non-padding source and target tokens of this step per second of this step. */
      readonly tokensPerSecond: number;
    }
  | {
      readonly type: "evaluation-progress";
      readonly task: string;
      readonly afterIndex: number;
      readonly done: number;
      readonly rows: number;
    }
  | {
      readonly type: "evaluation";
      /** Task whose test rows were answered. */
      readonly task: string;
      readonly index: number;
      /** Index of the task after whose training this was measured; -1 for the untouched base model. */
      readonly afterIndex: number;
      readonly accuracy: number;
      readonly outOfLabelRate: number | null;
      readonly rows: number;
      readonly seconds: number;
    }
  | {
      readonly type: "task-end";
      readonly task: string;
      readonly index: number;
      readonly seconds: number;
      /** Frobenius norm of the task's dW over all modules; null where the method has no adapters. */
      readonly deltaNorm: number | null;
      /** What the method measured after the last step; absent where it measures nothing. */
      readonly measures?: Readonly<Record<string, number>>;
      /** Bytes of what the method keeps to go on and to answer all tasks so far: adapters, models, rows and the like. */
      readonly keptBytes?: number;
    }
  /** A batch of a stream without boundaries has been answered, and is trained on next. */
  | ({ readonly type: "arrival" } & Arrival)
  /** Its losses have risen. */
  | ({ readonly type: "alarm" } & Alarm)
  | { readonly type: "run-end"; readonly time: string; readonly status: "done" | "interrupted" }
  | { readonly type: "run-failed"; readonly time: string; readonly message: string; readonly hint?: string };

export type StepEvent = Extract<RunEvent, { type: "step" }>;
