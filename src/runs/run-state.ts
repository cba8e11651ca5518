/** What of a run makes the model after one of its tasks: a list of adapter folders whose updates add up. */
import { existsSync } from "node:fs";
import { basename, join } from "node:path";
import { RunError, UsageError } from "../errors.js";
import type { Config } from "../experiment/config.js";
import { PEFT_FILES, weightsFile } from "../io/peft.js";
import { readProvenance } from "../io/provenance.js";
import { SafetensorsFile } from "../io/safetensors.js";
import { METHOD_FACTS, type MethodOptions, trainsPrompts } from "../methods/registry.js";
import { nextTask } from "./fold-record.js";
import { readJournal } from "./journal.js";
import { RunFolder } from "./run-folder.js";

export interface RunState {
  readonly config: Config;
  /** The tasks trained so far, the last of them the one asked for. */
  readonly tasks: readonly string[];
  /** Adapters that the run started from. */
  readonly start: readonly { readonly name: string; readonly folder: string }[];
  /** Its own, in the order of training. `start` and these together, on the base model, are the model. */
  readonly adapters: readonly string[];
  /**
   * What makes up the last task alone: its own folder, or where that is cumulative, it and the one before, which the task
   * started from (undefined for the first).
   */
  readonly last: {
    readonly folder: string;
    readonly holds: "delta" | "cumulative";
    readonly before?: string;
  };
}

/** Whether a folder is a run and not an adapter. */
export const isRunFolder = (path: string): boolean =>
  existsSync(join(path, "config.yaml")) && !existsSync(join(path, PEFT_FILES.config));

/** The tasks of a run that are finished, in the order of training. */
export function finishedTasks(folder: RunFolder): string[] {
  const record = folder.readRecord();
  return record === null ? [] : record.tasks.slice(0, nextTask(readJournal(folder.journalFile)));
}

/**
 * The state of a run after a task: its name, its number from 1, or null for the last one that is finished. Throws a
 * RunError when nothing is finished or a folder is missing, a UsageError when there is no such finished task.
 */
export function runState(path: string, task: string | null = null): RunState {
  const folder = new RunFolder(path);
  const config = folder.readConfig();
  const record = folder.readRecord();
  const finished = finishedTasks(folder);
  if (finished.length > 0 && !existsSync(join(folder.path, "adapters"))) {
    throw new RunError(`${folder.path}: the method ${config.method.name} keeps no adapters`, {
      hint: trainsPrompts(config.method)
        ? "Its soft prompts, in state/, are no weights: nlora generate, serve and export take the run as it is."
        : "Models that a run saved are folders for transformers in models/.",
    });
  }
  if (finished.length === 0) throw new RunError(`${folder.path}: no task of this run is finished`);
  const index = task === null ? finished.length - 1 : taskIndex(task, finished, record!.tasks);
  const folders = finished
    .slice(0, index + 1)
    .map((name, k) => existing(folder.taskFolder("adapters", { index: k, name })));
  const last = folders[index]!;
  const weights = SafetensorsFile.open(existing(join(last, weightsFile(last))));
  const holds = readProvenance(weights.metadata)?.holds ?? "delta";
  return {
    config,
    tasks: finished.slice(0, index + 1),
    start: record!.startFrom.map(({ name }, k) => ({ name, folder: existing(folder.startFolder(k, name)) })),
    adapters: holds === "delta" ? folders : [last],
    last: {
      folder: last,
      holds,
      ...(holds === "cumulative" && index > 0 && { before: folders[index - 1]! }),
    },
  };
}

/** Place of a finished task, from 0, by its name or its number from 1. Throws a UsageError when there is none. */
export function taskIndex(task: string, finished: readonly string[], all: readonly string[]): number {
  const named = all.indexOf(task);
  const index = named >= 0 ? named : /^\d+$/.test(task) ? Number(task) - 1 : -1;
  if (index >= 0 && index < finished.length) return index;
  const known = index >= 0 && index < all.length;
  throw new UsageError(
    `--task: ${known ? `${task} is not trained yet` : `there is no task ${task}`}; finished are ${finished
      .map((name, k) => `${k + 1} (${name})`)
      .join(", ")}`,
  );
}

/** Refuses a task of a run whose method trains prompts and keeps those after the last task alone. Throws a RunError. */
export function checkPromptIsKept(
  { path }: RunFolder,
  method: MethodOptions,
  finished: readonly string[],
  index: number,
): void {
  const { title, needsTaskIdentity } = METHOD_FACTS[method.name];
  if (needsTaskIdentity || index === finished.length - 1) return;
  throw new RunError(`${path}: ${title} keeps its prompts as they are after the last task alone`, {
    hint: "leave --task out",
  });
}

function existing(path: string): string {
  if (existsSync(path)) return path;
  throw new RunError(`the run is not complete: there is no ${path}`, {
    hint: `Was ${basename(path)} moved or removed?`,
  });
}
