/**
 * What is to be run: a model's folder and, on top of it, states made of adapters (those of a run after each task, or
 * adapters named by hand). Plain values, found without the engine, which may be in another process.
 */
import { existsSync } from "node:fs";
import { basename, resolve } from "node:path";
import { UsageError } from "../errors.js";
import { findModel } from "../experiment/prepare.js";
import type { HubOptions } from "../hub/snapshot.js";
import { peftMetadata } from "../io/peft.js";
import { readProvenance } from "../io/provenance.js";
import { RunFolder } from "../runs/run-folder.js";
import { isRunFolder, runState } from "../runs/run-state.js";

/** The model as it is after some adapters. */
export interface ModelState {
  /** What requests call it. */
  readonly id: string;
  /** Adapter folders whose updates are added to the base model's weights; none: the base model. */
  readonly adapters: readonly string[];
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
  const { tasks, config } = runState(run);
  const states = tasks.map((name, index): ModelState => {
    const { start, adapters: own } = runState(run, name);
    return { id: `${index + 1}-${name}`, adapters: [...start.map(({ folder }) => folder), ...own] };
  });
  const revision = new RunFolder(run).readRecord()?.modelRevision ?? null;
  const base: ModelState = { id: nameOf(config.model), adapters: [] };
  const chosen = task === "0" ? base : states[runState(run, task).tasks.length - 1]!;
  const folder = await findModel(config, hub, revision);
  return { folder, states: [base, ...states], preferred: chosen.id, notes: [] };
}
