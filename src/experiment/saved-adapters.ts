/** The adapters that a run writes, one folder per task, and reads again when it is resumed. */
import { existsSync } from "node:fs";
import type { AdapterDelta } from "../adapters/delta.js";
import { moveDelta } from "../adapters/lora.js";
import { RunError } from "../errors.js";
import { readPeft, writePeft } from "../io/peft.js";
import { type BaseModel, baseModel } from "../io/provenance.js";
import type { ActiveMethod } from "../methods/method.js";
import type { LanguageModel } from "../models/language-model.js";
import type { RunFolder } from "../runs/run-folder.js";
import type { Device } from "../tensor/dtype.js";
import type { Config } from "./config.js";

/** Reads the adapters of the tasks before `next`, as they were saved. They belong to the open scope. */
export function finishedAdapters(
  folder: RunFolder,
  names: readonly string[],
  next: number,
  device: Device,
): AdapterDelta[] {
  return names.slice(0, next).map((name, index) => {
    const path = folder.adapterFolder(index, name);
    if (!existsSync(path)) {
      throw new RunError(`cannot resume: the adapter of task ${name} is missing, there is no ${path}`, {
        hint: "start the run anew",
      });
    }
    return { ...moveDelta(readPeft(path).delta, device), name };
  });
}

/** What a run is called where its folder's place must not matter: its name, method and seed. */
export const runName = ({ name, method, seed }: Config): string => `${name}-${method.name}-s${seed}`;

/** The base model as adapters of the run name it; `folder` is where it was found. */
export const baseOf = ({ model }: Pick<Config, "model">, folder: string): BaseModel =>
  model === "builtin" ? { name: "t5-mini", revision: null } : baseModel(model, folder);

/** Everything that the run's adapters have in common. */
export interface Lineage {
  readonly config: Config;
  readonly tasks: readonly string[];
  readonly base: BaseModel;
  /** Names of the adapters that it started from. */
  readonly startFrom: readonly string[];
}

/** Writes the adapter of the task at `index` with what it holds and where it comes from. */
export function saveAdapter(
  folder: RunFolder,
  index: number,
  holds: ActiveMethod["savedAdapter"],
  delta: AdapterDelta,
  model: LanguageModel,
  { config, tasks, base, startFrom }: Lineage,
): void {
  const task = tasks[index]!;
  const run = runName(config);
  const earlier = holds === "delta" ? tasks.slice(0, index).map((name, k) => `../${k + 1}-${name}`) : [];
  folder.saveAdapter(index, task, (target) =>
    writePeft(target, delta, {
      dropout: config.lora.dropout,
      targetModules: config.lora.targetModules ?? model.defaultTargets,
      taskType: model.family === "seq2seq" ? "SEQ_2_SEQ_LM" : "CAUSAL_LM",
      base,
      title: `${index + 1}-${task} of ${run}`,
      provenance: {
        holds,
        tasks: holds === "delta" ? [task] : tasks.slice(0, index + 1),
        position: index + 1,
        run,
        method: config.method.name,
        base,
        includes: [],
        needs: [...startFrom.map((name, n) => `../../start/${n + 1}-${name}`), ...earlier],
      },
    }),
  );
}
