/**
 * What is to be run: a model's folder and, on top of it, states made of adapters (those of a run after each task, or
 * adapters named by hand). Plain values, found without the engine, which may be in another process.
 */
import { existsSync, readdirSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { RunError, UsageError } from "../errors.js";
import type { Config } from "../experiment/config.js";
import { findModel } from "../experiment/prepare.js";
import type { HubOptions } from "../hub/snapshot.js";
import { peftMetadata } from "../io/peft.js";
import { readProvenance } from "../io/provenance.js";
import { METHOD_FACTS, trainsPrompts } from "../methods/registry.js";
import { RunFolder } from "../runs/run-folder.js";
import { checkPromptIsKept, finishedTasks, isRunFolder, runState, taskIndex } from "../runs/run-state.js";

/** The model as it is after some adapters. */
export interface ModelState {
  /** What requests call it. */
  readonly id: string;
  /** Adapter folders whose updates are added to the base model's weights; none: the base model. */
  readonly adapters: readonly string[];
  /** Of a method that trains prompts: what of which run stands before every question. */
  readonly prompts?: TrainedPrompts;
}

export interface TrainedPrompts {
  /** The run's folder. */
  readonly run: string;
  /** Names of its finished tasks. */
  readonly finished: readonly string[];
  /** The task, from 0, as whose rows questions are answered. */
  readonly index: number;
}

export interface ModelSource {
  /** Hugging Face folder of the base model. */
  readonly folder: string;
  /** The base model first. Ids differ. */
  readonly states: readonly [ModelState, ...ModelState[]];
  /** The state to take unless another is named. */
  readonly preferred: string;
  readonly notes: readonly string[];
}

export interface SourceOptions {
  /** Task of a run, by number (from 1; 0: the base model) or name: what to prefer instead of the last one. */
  readonly task?: string | undefined;
  /** Adapter folders to add to the model, in this order. */
  readonly adapters?: readonly string[] | undefined;
  readonly hub?: HubOptions | undefined;
}

/**
 * The source that a reference names: `builtin`, the folder or hub name of a model, or the folder of a run. Throws an
 * NloraError when there is no such thing, or when a task or adapter is missing.
 */
export async function findSource(reference: string, options: SourceOptions = {}): Promise<ModelSource> {
  if (isRunFolder(reference)) return sourceOfRun(reference, options);
  const { task, adapters = [], hub } = options;
  if (task !== undefined) {
    throw new UsageError(`--task ${task} needs the folder of a run, ${reference} is none`, {
      hint: "a run's folder has a config.yaml",
    });
  }
  return withAdapters(await findModel({ model: reference }, hub), reference, adapters);
}

/** A base model and, if adapters are named, the one state with all of them. */
function withAdapters(folder: string, reference: string, adapters: readonly string[]): ModelSource {
  const base: ModelState = { id: nameOf(reference), adapters: [] };
  if (adapters.length === 0) return { folder, states: [base], preferred: base.id, notes: [] };
  const paths = adapters.map((path) => resolve(path));
  const notes = paths.flatMap((path) => {
    const missing = (readProvenance(peftMetadata(path))?.needs ?? []).flatMap((need) => {
      const beside = resolve(path, need);
      if (existsSync(beside)) return paths.includes(beside) ? [] : [beside];
      // An exported adapter has no others beside it: what it needs is known by name.
      return paths.some((other) => basename(other) === basename(need)) ? [] : [basename(need)];
    });
    return missing.length === 0
      ? []
      : [`${path} is a part of an update: the model it was made for also needs ${missing.join(", ")}`];
  });
  const names = paths.map((path) => basename(path)).join("+");
  const state: ModelState = { id: names === base.id ? `${names} (adapter)` : names, adapters: paths };
  return { folder, states: [base, state], preferred: state.id, notes };
}

/** `org/name@revision` and paths by their last part. */
const nameOf = (reference: string): string =>
  reference === "builtin" ? "t5-mini" : basename(resolve(reference.replace(/@[^/@]*$/, "")));

async function sourceOfRun(run: string, { task, adapters = [], hub }: SourceOptions): Promise<ModelSource> {
  if (adapters.length > 0) {
    throw new UsageError("--adapter and the folder of a run exclude each other", {
      hint: "name the run's base model instead, and every adapter",
    });
  }
  const folder = new RunFolder(run);
  const config = folder.readConfig();
  const record = folder.readRecord();
  const models = savedModels(folder);
  if (models.length > 0 && task !== "0") return savedModel(folder, models, task);
  const finished = finishedTasks(folder);
  if (record === null || finished.length === 0) {
    throw new RunError(`${folder.path}: no task of this run is finished`, {
      hint: "go on with it by nlora train --resume",
    });
  }
  const last = finished.length - 1;
  const index = task === undefined || task === "0" ? last : taskIndex(task, finished, record.tasks);
  const base: ModelState = { id: nameOf(config.model), adapters: [] };
  const states =
    models.length > 0
      ? []
      : trainsPrompts(config.method)
        ? promptStates(folder, config, finished, index)
        : adapterStates(run);
  return {
    folder: await findModel(config, hub, record.modelRevision ?? null),
    states: [base, ...states],
    preferred: task === "0" ? base.id : `${index + 1}-${finished[index]}`,
    notes: [],
  };
}

function adapterStates(run: string): ModelState[] {
  return runState(run).tasks.map((name, index): ModelState => {
    const { start, adapters: own } = runState(run, name);
    return { id: `${index + 1}-${name}`, adapters: [...start.map(({ folder }) => folder), ...own] };
  });
}

/** One state per task where every task is asked in its own way, else the one after the last task, which is all that is kept. */
function promptStates(
  folder: RunFolder,
  { method }: Config,
  finished: readonly string[],
  wanted: number,
): ModelState[] {
  checkPromptIsKept(folder, method, finished, wanted);
  const { needsTaskIdentity } = METHOD_FACTS[method.name];
  const last = finished.length - 1;
  return finished.flatMap((name, index) =>
    needsTaskIdentity || index === last
      ? [{ id: `${index + 1}-${name}`, adapters: [], prompts: { run: folder.path, finished, index } }]
      : [],
  );
}

const modelsOf = (folder: RunFolder): string => join(folder.path, "models");

/** Models that a method of all weights has saved in the run, `<k>-<task>`, in the order of training. */
function savedModels(folder: RunFolder): string[] {
  const path = modelsOf(folder);
  const names = existsSync(path) ? readdirSync(path).filter((name) => /^\d+-/.test(name)) : [];
  return names.sort((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10));
}

function savedModel(folder: RunFolder, models: readonly string[], task: string | undefined): ModelSource {
  const found =
    task === undefined
      ? models.at(-1)
      : models.find((name) => name.replace(/^\d+-/, "") === task || name.startsWith(`${task}-`));
  if (found === undefined) {
    throw new UsageError(
      `--task: ${folder.path} has no model of task ${task}; there are ${models.join(", ")}`,
    );
  }
  const others = models.filter((name) => name !== found).map((name) => join(modelsOf(folder), name));
  return {
    folder: join(modelsOf(folder), found),
    states: [{ id: found, adapters: [] }],
    preferred: found,
    notes: others.length === 0 ? [] : [`this is the model of ${found}; others are ${others.join(", ")}`],
  };
}
