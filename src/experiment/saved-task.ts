/** What a run folder holds of a finished task, written and read: adapter, model, and what else the method keeps. */
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import type { AdapterDelta } from "../adapters/delta.js";
import { moveDelta } from "../adapters/lora.js";
import { RunError } from "../errors.js";
import { writeFileAtomic } from "../io/files.js";
import { readModelWeights, writeModelFolder } from "../io/model-folder.js";
import { readPeft, writePeft } from "../io/peft.js";
import { type BaseModel, baseModel } from "../io/provenance.js";
import { SafetensorsFile, writeSafetensors } from "../io/safetensors.js";
import type { ActiveMethod, FinishedTask, Saves, TaskState } from "../methods/method.js";
import { createMethod } from "../methods/registry.js";
import type { LanguageModel } from "../models/language-model.js";
import { RunFolder, type SavedKind, type TaskPlace } from "../runs/run-folder.js";
import type { Device } from "../tensor/dtype.js";
import { tidy } from "../tensor/scope.js";
import type { Tensor } from "../tensor/tensor.js";
import type { Config } from "./config.js";

const TENSORS = "state.safetensors";
const ROWS = ".jsonl";

export interface Saving {
  readonly folder: RunFolder;
  readonly config: Config;
  readonly model: LanguageModel;
  readonly folderOfBase: string;
  /** The base model as adapters name it. */
  readonly base: BaseModel;
  /** All tasks, in the order of training. */
  readonly tasks: readonly string[];
  /** Names of the adapters that the run started from. */
  readonly startFrom: readonly string[];
}

/** What a run is called where its folder's place must not matter: its name, method and seed. */
export const runName = ({ name, method, seed }: Config): string => `${name}-${method.name}-s${seed}`;

/** The base model as adapters of the run name it; `folder` is where it was found. */
export const baseOf = ({ model }: Pick<Config, "model">, folder: string): BaseModel =>
  model === "builtin" ? { name: "t5-mini", revision: null } : baseModel(model, folder);

/** Writes what the method saves of the task that it has just finished. */
export function saveTask(
  saving: Saving,
  task: TaskPlace,
  method: ActiveMethod,
  delta: AdapterDelta | null,
): void {
  const { folder, model, folderOfBase } = saving;
  if (delta !== null) saveAdapter(saving, task, delta, method.saves.adapter ?? "delta");
  if (method.saves.weights !== null) {
    folder.saveTask("models", task, (target) => writeModelFolder(target, folderOfBase, model.weights));
  }
  if (method.saves.state) {
    folder.saveTask("state", task, (target) => tidy(() => writeState(target, method.state())));
  }
}

/** Writes the adapter of a task with what it holds and where it comes from. */
function saveAdapter(
  { folder, config, model, base, tasks, startFrom }: Saving,
  task: TaskPlace,
  delta: AdapterDelta,
  holds: NonNullable<Saves["adapter"]>,
): void {
  const { index, name } = task;
  const run = runName(config);
  const earlier = holds === "delta" ? tasks.slice(0, index).map((other, k) => `../${k + 1}-${other}`) : [];
  folder.saveTask("adapters", task, (target) =>
    writePeft(target, delta, {
      storage: config.lora.storage,
      dropout: config.lora.dropout,
      targetModules: config.lora.targetModules ?? model.defaultTargets,
      taskType: model.family === "seq2seq" ? "SEQ_2_SEQ_LM" : "CAUSAL_LM",
      base,
      title: `${index + 1}-${name} of ${run}`,
      provenance: {
        holds: holds === "delta" ? "delta" : "cumulative",
        tasks: holds === "cumulative" ? tasks.slice(0, index + 1) : [name],
        position: index + 1,
        run,
        method: config.method.name,
        base,
        includes: [],
        needs: [...startFrom.map((other, n) => `../../start/${n + 1}-${other}`), ...earlier],
      },
    }),
  );
}

/** Removes what was saved of a task and the method needs no more, now that the next one is finished. */
export function forgetTask({ folder }: Saving, task: TaskPlace, { saves }: ActiveMethod): void {
  if (saves.weights === "last") folder.removeTask("models", task);
  if (saves.state) folder.removeTask("state", task);
}

/** Bytes of what the method keeps of the finished tasks `tasks`: what it needs to go on, and to answer all of them. */
export function keptBytes({ folder }: Saving, tasks: readonly TaskPlace[], { saves }: ActiveMethod): number {
  const last = tasks.slice(-1);
  const bytes = (kind: SavedKind, of: readonly TaskPlace[]): number => {
    const folders = of.map((task) => folder.taskFolder(kind, task)).filter((path) => existsSync(path));
    const files = folders.flatMap((path) => readdirSync(path).map((name) => join(path, name)));
    return files.reduce((sum, file) => sum + statSync(file).size, 0);
  };
  return (
    bytes("adapters", saves.adapter === "cumulative" ? last : tasks) +
    bytes("models", saves.weights === "every" ? tasks : last) +
    bytes("state", last)
  );
}

/** A task of the folder whose files can be read, on the model's device. */
export function finishedTask(
  { folder, model }: Pick<Saving, "folder" | "model">,
  task: TaskPlace,
): FinishedTask {
  const { device } = model;
  const existing = (kind: SavedKind, what: string): string => {
    const path = folder.taskFolder(kind, task);
    if (existsSync(path)) return path;
    throw new RunError(`cannot resume: the ${what} of task ${task.name} is missing, there is no ${path}`, {
      hint: "start the run anew",
    });
  };
  return {
    ...task,
    adapter: () => ({
      ...moveDelta(readPeft(existing("adapters", "adapter")).delta, device),
      name: task.name,
    }),
    weights: () => onDevice(readModelWeights(existing("models", "model")), device),
    state: () => readState(existing("state", "state"), device),
  };
}

/** The method of a run whose tasks `finished` are, ready to answer with `model`. The caller disposes of it. */
export function methodOfRun(path: string, finished: readonly string[], model: LanguageModel): ActiveMethod {
  const folder = new RunFolder(path);
  const { lora, method: options } = folder.readConfig();
  const tasks = finished.map((name) => ({ name, labels: null, train: [] }));
  const method = createMethod({ model, lora, options, tasks, startFrom: [], reference: null });
  method.restore(finished.map((name, index) => finishedTask({ folder, model }, { name, index })));
  return method;
}

function onDevice(tensors: Readonly<Record<string, Tensor>>, device: Device): Record<string, Tensor> {
  return Object.fromEntries(
    Object.entries(tensors).map(([name, tensor]) => [
      name,
      device === "cpu" ? tensor : tensor.toDevice(device, tensor.dtype),
    ]),
  );
}

function writeState(target: string, { tensors, rows }: TaskState): void {
  writeSafetensors(join(target, TENSORS), Object.entries(tensors));
  for (const [name, list] of Object.entries(rows)) {
    writeFileAtomic(
      join(target, `${name}${ROWS}`),
      list.map((row) => `${JSON.stringify(row)}\n`),
    );
  }
}

function readState(path: string, device: Device): TaskState {
  const file = SafetensorsFile.open(join(path, TENSORS));
  const tensors = Object.fromEntries(file.names.map((name) => [name, file.tensor(name)]));
  const lists = readdirSync(path).filter((name) => name.endsWith(ROWS));
  const rows = lists.map((name) => {
    const lines = readFileSync(join(path, name), "utf8").split("\n").slice(0, -1);
    return [name.slice(0, -ROWS.length), lines.map((line) => JSON.parse(line) as object)] as const;
  });
  return { tensors: onDevice(tensors, device), rows: Object.fromEntries(rows) };
}
