/**
 * What is to be run: a model's folder and, on top of it, states made of adapters (those of a run after each task, or
 * adapters named by hand). Plain values, found without the engine, which may be in another process.
 */
import { existsSync, readdirSync, statSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { CheckpointError, UsageError } from "../errors.js";
import { findModel } from "../experiment/prepare.js";
import type { HubOptions } from "../hub/snapshot.js";
import { peftMetadata } from "../io/peft.js";
import { readProvenance } from "../io/provenance.js";
import { RunFolder } from "../runs/run-folder.js";

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
  if (existsSync(join(reference, "config.yaml"))) return sourceOfRun(reference, options);
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
    const missing = needsOf(path).filter((need) => !paths.includes(need));
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

interface Place {
  readonly index: number;
  readonly task: string;
  readonly path: string;
}

/** Folders <k>-<task> of a part of a run, in the order of the tasks. */
function places(run: string, part: string): Place[] {
  const folder = join(run, part);
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .map((name) => ({ match: /^([1-9]\d*)-(.+)$/.exec(name), path: join(folder, name) }))
    .flatMap(({ match, path }) =>
      match && statSync(path).isDirectory() ? [{ index: Number(match[1]), task: match[2]!, path }] : [],
    )
    .sort((a, b) => a.index - b.index);
}

async function sourceOfRun(
  reference: string,
  { task, adapters = [], hub }: SourceOptions,
): Promise<ModelSource> {
  if (adapters.length > 0) {
    throw new UsageError("--adapter and the folder of a run exclude each other", {
      hint: "name the run's base model instead, and every adapter",
    });
  }
  const runFolder = new RunFolder(reference);
  const run = runFolder.path;
  const config = runFolder.readConfig();
  const folder = await findModel(config, hub, runFolder.readRecord()?.modelRevision ?? null);
  const base: ModelState = { id: nameOf(config.model), adapters: [] };
  const trained = places(run, "adapters");
  const whole = places(run, "models");
  if (trained.length === 0 && whole.length === 0) {
    throw new UsageError(`${run}: no task of this run is finished, so there is nothing to ask`, {
      hint: `name its base model instead: ${config.model}`,
    });
  }
  if (trained.length === 0) {
    // The method changes the model itself, so every task is a model of its own.
    const chosen = choose(whole, task, run);
    if (chosen === null) return withAdapters(folder, config.model, []);
    const state = { id: basename(chosen.path), adapters: [] };
    return { folder: chosen.path, states: [state], preferred: state.id, notes: [] };
  }
  const states = trained.map(({ path }) => ({ id: basename(path), adapters: [...needsOf(path), path] }));
  const chosen = choose(trained, task, run);
  return {
    folder,
    states: [base, ...states],
    preferred: chosen === null ? base.id : basename(chosen.path),
    notes: [],
  };
}

/** The place that `--task` names, the last one by default; null: the base model. */
function choose(all: readonly Place[], task: string | undefined, run: string): Place | null {
  if (task === undefined) return all.at(-1)!;
  if (task === "0") return null;
  const found = all.find((place) => place.task === task) ?? all.find((place) => String(place.index) === task);
  if (found) return found;
  const names = all.map(({ index, task: name }) => `${index} (${name})`).join(", ");
  throw new UsageError(`--task ${task}: ${run} has the finished tasks ${names}, and 0 (the base model)`);
}

/** Folders that an adapter has to be applied together with, as it says itself. */
function needsOf(adapter: string): string[] {
  const metadata = peftMetadata(adapter);
  const provenance = readProvenance(metadata);
  if (provenance?.holds === "delta" && metadata["nlora.needs"] === undefined && provenance.position !== 1) {
    throw new CheckpointError(
      `${adapter} is one task's update and does not say what it has to be applied with: it was made by an earlier version`,
      { hint: "name the base model and every adapter in order with --adapter" },
    );
  }
  const needs = (provenance?.needs ?? []).map((need) => resolve(adapter, need));
  const missing = needs.filter((need) => !existsSync(need));
  if (missing.length === 0) return needs;
  throw new CheckpointError(
    `${adapter} has to be applied together with adapters that are not there: ${missing.join(", ")}`,
    {
      hint: "keep the folders of a run together",
    },
  );
}
