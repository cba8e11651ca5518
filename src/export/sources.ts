/** What an export is made of: a run's state, or adapter folders, read and described together. */
import { basename, join, resolve } from "node:path";
import { increment } from "../adapters/combine.js";
import type { AdapterDelta } from "../adapters/delta.js";
import { CheckpointError, UsageError } from "../errors.js";
import { runName } from "../experiment/saved-task.js";
import { sha256 } from "../io/files.js";
import { type PeftAdapter, readPeft, weightsFile } from "../io/peft.js";
import type { BaseModel, Provenance } from "../io/provenance.js";
import { isRunFolder, type RunState, runState } from "../runs/run-state.js";

export interface Source {
  /** Adapters whose sum is the update; they belong to the open scope. */
  readonly deltas: readonly AdapterDelta[];
  readonly provenance: Provenance;
  /** What it is called in the card. */
  readonly title: string;
  /** For adapter_config.json. */
  readonly targetModules: readonly string[];
  readonly dropout: number;
  readonly taskType: "SEQ_2_SEQ_LM" | "CAUSAL_LM" | null;
  /** The base model as the run's configuration names it; null: not a run. */
  readonly model: string | null;
  /** What is worth knowing about it. */
  readonly notes: readonly string[];
}

export interface SourceOptions {
  /** Of a run: name or number from 1; null: the last one finished. */
  readonly task?: string | null;
  /** The last task's update alone, instead of everything up to it. */
  readonly delta?: boolean;
}

/** Reads what the paths name: one run, or adapter folders. Call inside a scope. */
export function readSource(
  paths: readonly string[],
  { task = null, delta = false }: SourceOptions = {},
): Source {
  const run = paths.find(isRunFolder);
  if (run !== undefined) {
    if (paths.length > 1) {
      throw new UsageError(
        `expected one run folder or several adapter folders, found the run ${run} in a list of ${paths.length}`,
      );
    }
    return readRun(runState(run, task), delta);
  }
  if (task !== null)
    throw new UsageError(`--task picks a task of a run, but ${paths[0]} is not a run folder`);
  if (delta)
    throw new UsageError(`--delta picks one task's update of a run, but ${paths[0]} is not a run folder`);
  return readAdapters(paths);
}

function readRun({ config, tasks, start, adapters, last }: RunState, isDelta: boolean): Source {
  const task = tasks.at(-1)!;
  const run = runName(config);
  const folders = isDelta ? [last.folder] : [...start.map(({ folder }) => folder), ...adapters];
  const read = folders.map(readPeft);
  const before = isDelta && last.before !== undefined ? readPeft(last.before).delta : undefined;
  const earlier = tasks.slice(0, -1).map((name, k) => `${k + 1}-${name}`);
  return {
    ...described(folders, read),
    deltas: before ? [increment(read[0]!.delta, before)] : read.flatMap(partsOf),
    title: isDelta ? `${tasks.length}-${task} of ${run}` : `${run} after ${tasks.length}-${task}`,
    provenance: {
      holds: isDelta ? "delta" : "cumulative",
      tasks: isDelta ? [task] : tasks,
      position: tasks.length,
      run,
      method: config.method.name,
      base: baseOfAll(read),
      includes: isDelta ? [] : start.map(({ name, folder }) => identified(folder, name)),
      needs: isDelta ? [...start.map(({ name }) => name), ...earlier] : [],
    },
    model: config.model,
  };
}

function readAdapters(folders: readonly string[]): Source {
  const read = folders.map(readPeft);
  refuseTwice(folders, read);
  const [only] = read;
  const said = read.length === 1 ? only!.provenance : null;
  const same = <Value>(value: (of: Provenance | null) => Value | undefined): Value | null => {
    const values = new Set(read.map(({ provenance }) => value(provenance) ?? null));
    return values.size === 1 ? [...values][0]! : null;
  };
  const missing = missingOf(folders, read);
  return {
    ...described(folders, read),
    deltas: read.flatMap(partsOf),
    title: folders.map((folder) => basename(resolve(folder))).join(" + "),
    provenance: said ?? {
      // What somebody else's folder holds is not known, but it is all that was given.
      holds: "cumulative",
      tasks: read.flatMap(({ provenance }) => provenance?.tasks ?? []),
      position: null,
      run: same((of) => of?.run),
      method: same((of) => of?.method),
      base: baseOfAll(read),
      includes: folders.filter((_, k) => read[k]!.provenance === null).map((folder) => identified(folder)),
      needs: missing,
    },
    model: null,
  };
}

/** Folders that the adapters say they need and that are not among them, by their last names. */
function missingOf(folders: readonly string[], read: readonly PeftAdapter[]): string[] {
  const given = new Set([
    ...folders.map((folder) => basename(resolve(folder))),
    ...read.map(({ provenance }) => `${provenance?.position}-${provenance?.tasks.at(-1)}`),
  ]);
  const needed = read.flatMap(({ provenance }) => provenance?.needs.map((path) => basename(path)) ?? []);
  return [...new Set(needed)].filter((name) => !given.has(name));
}

const partsOf = ({ delta, previous }: PeftAdapter): AdapterDelta[] =>
  previous ? [previous, delta] : [delta];

/** What adapter_config.json needs to know of adapters that become one. */
function described(
  folders: readonly string[],
  read: readonly PeftAdapter[],
): Pick<Source, "targetModules" | "dropout" | "taskType" | "notes"> {
  const lists = read.map(({ config }) => config.targetModules);
  const modules = read.flatMap((each) => partsOf(each).flatMap((part) => [...part.modules.keys()]));
  const type = read.findLast(({ config }) => config.taskType !== null)?.config.taskType;
  const bases = new Set(read.flatMap(({ config }) => config.base.name ?? []));
  return {
    // Short names where all have them; else every module by its whole path, which names no layer too many.
    targetModules: [...new Set(lists.every(isList) ? lists.flat() : modules)],
    dropout: read.at(-1)!.config.dropout,
    taskType: type === "SEQ_2_SEQ_LM" || type === "CAUSAL_LM" ? type : null,
    notes:
      bases.size > 1
        ? [`the adapters name different base models: ${[...bases].join(", ")} (in ${folders.length} folders)`]
        : [],
  };
}

const isList = (targets: PeftAdapter["config"]["targetModules"]): targets is readonly string[] =>
  Array.isArray(targets);

const baseOfAll = (read: readonly PeftAdapter[]): BaseModel =>
  read.findLast(({ config }) => config.base.name !== null)?.config.base ?? { name: null, revision: null };

/** An adapter of others by its name and the beginning of its weights' digest. */
const identified = (folder: string, name = basename(resolve(folder))): string =>
  `${name} sha256:${sha256(join(folder, weightsFile(folder))).slice(0, 16)}`;

/** A cumulative adapter holds the tasks before it, so another one of the same run among them would count twice. */
function refuseTwice(folders: readonly string[], read: readonly PeftAdapter[]): void {
  for (const [i, { provenance: whole }] of read.entries()) {
    for (const [j, { provenance: other }] of read.entries()) {
      if (i === j || !whole || !other || whole.run === null || whole.run !== other.run) continue;
      const isWithin =
        whole.holds === "cumulative" && other.tasks.every((task) => whole.tasks.includes(task));
      const isSame =
        i < j && whole.holds === "delta" && other.holds === "delta" && whole.position === other.position;
      if (!isWithin && !isSame) continue;
      throw new CheckpointError(
        `${folders[j]} is contained in ${folders[i]} (run ${whole.run}), so together they would count twice`,
        { hint: isWithin ? `Give ${folders[i]} alone.` : "Give one of them." },
      );
    }
  }
}
