/** What the launcher and the training process say to each other, and what the process runs. */
import type { ReportedError } from "../errors.js";
import type { Config } from "../experiment/config.js";
import type { RunEvent } from "../learn/events.js";
import type { RunRecord } from "./record.js";
import type { RunFolder } from "./run-folder.js";

export interface RunOptions {
  /** Go on at `folder.nextTask(..)` with what is saved of the tasks before it; false: from the start, in an empty folder. */
  readonly resume: boolean;
  /** True as soon as the run should end after the current step. */
  readonly shouldStop: () => boolean;
}

/**
 * Trains and evaluates, after waiting for what has to be fetched: yields events from "run-start" to "run-end", saves adapters and predictions in the folder, returns
 * the record. A task's "task-end" comes when its adapter is saved and the evaluations after it are done. The caller
 * writes journal and record.json; it may stop between two events by `return()`.
 */
export type RunExperiment = (
  config: Config,
  folder: RunFolder,
  options: RunOptions,
) => AsyncGenerator<RunEvent, RunRecord>;

export type ToWorker =
  | { readonly type: "start"; readonly config: Config; readonly runFolder: string; readonly resume: boolean }
  | { readonly type: "stop" };

export type FromWorker =
  /** `memory`: resident bytes of the training process. */
  | { readonly type: "event"; readonly event: RunEvent; readonly memory: number }
  | { readonly type: "ended"; readonly status: "done" | "interrupted" }
  | { readonly type: "failed"; readonly error: ReportedError };
