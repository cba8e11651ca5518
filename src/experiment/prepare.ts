/** The part of a run that may have to wait: finds the model's folder and loads the stream. Makes no tensors. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { LoadedStream } from "../data/assemble.js";
import { loadBenchmark } from "../data/benchmark.js";
import type { RenderChat } from "../data/chat.js";
import { type FileTask, loadFiles } from "../data/files.js";
import { type FindSource, loadHubBenchmark } from "../data/hub-benchmark.js";
import { syntheticStream } from "../data/synthetic.js";
import { CheckpointError, ConfigError, DataError } from "../errors.js";
import { ChatTemplate } from "../io/chat-template.js";
import { packageRoot } from "../tensor/native.js";
import { type Config, taskNames } from "./config.js";
import { HUB } from "./data-schema.js";
import { findDataset } from "./datasets.js";

export interface Prepared extends LoadedStream {
  /** A folder on this machine that holds the checkpoint. */
  readonly modelFolder: string;
}

/** What a run of this configuration needs before its first tensor. */
export async function prepare(config: Config): Promise<Prepared> {
  const loaded = await loadStream(config);
  return { ...loaded, modelFolder: await findModel(config) };
}

/** The folder of the bundled base model. */
export const builtinModel = (): string => join(packageRoot, "assets", "t5-mini");

/** Folder of the model that a configuration names. Throws a CheckpointError when there is none. */
export async function findModel({ model }: Pick<Config, "model">): Promise<string> {
  if (model === "builtin") return builtinModel();
  if (existsSync(model)) return model;
  throw new CheckpointError(`model folder ${model} does not exist`, {
    hint: "model takes the folder of a Hugging Face checkpoint on this machine, or builtin; nothing is downloaded",
  });
}

/**
 * Reads or makes the stream that the configuration describes; `untested`: the training rows alone, for a look at them.
 * Throws a DataError or a ConfigError.
 */
export async function loadStream(
  config: Pick<Config, "data" | "seed" | "model">,
  { untested = false }: { readonly untested?: boolean } = {},
): Promise<LoadedStream> {
  const { data, seed } = config;
  if (data.kind === "synthetic") {
    return {
      stream: syntheticStream({
        kind: data.stream,
        seed,
        trainRows: data.trainRows,
        testRows: data.testRows,
        ...(data.tasks !== null && { tasks: data.tasks }),
      }),
      notes: [],
    };
  }
  const selection = {
    seed,
    untested,
    ...(data.trainRows === null ? {} : { trainRows: data.trainRows }),
    ...(data.testRows === null ? {} : { testRows: data.testRows }),
    ...(data.holdOut === null ? {} : { holdOut: data.holdOut }),
  };
  if (data.kind === "files") {
    const { incomplete } = data;
    const tasks: FileTask[] = [];
    for (const task of data.tasks) tasks.push(await fileTask(task, untested || data.holdOut !== null));
    return loadFiles(tasks, { ...selection, incomplete, chat: () => chatOf(config) });
  }
  if (data.root === null) {
    throw new ConfigError("data.root: expected the folder of the benchmark data, found nothing", {
      hint: "pass --data DIR, or set data.root",
    });
  }
  const options = { ...selection, identity: data.promptIdentity };
  if (data.root !== HUB) return loadBenchmark(data.root, taskNames(config), options);
  const find: FindSource = ({ dataset, subset, train, test }) =>
    findDataset({ dataset, subset, train: [train], test: [test] });
  return loadHubBenchmark(taskNames(config), find, options);
}

type ConfiguredTask = Extract<Config["data"], { kind: "files" }>["tasks"][number];

/** A task's files: as named, or those of its dataset's splits. Without a test, rows of train take its place, or none. */
async function fileTask(task: ConfiguredTask, withoutTest: boolean): Promise<FileTask> {
  const list = (paths: string | string[] | null) => (typeof paths === "string" ? [paths] : paths);
  const { dataset, subset, ...rest } = task;
  const train = list(task.train);
  const test = withoutTest ? [] : list(task.test);
  const files =
    dataset === null
      ? { train: train ?? [], test }
      : await findDataset({ dataset, subset, train: train ?? ["train"], test });
  return { ...rest, ...files, test: withoutTest ? null : files.test };
}

/** Renders conversations for the run's model, up to where it answers. Throws a DataError if it has no template. */
async function chatOf(config: Pick<Config, "model">): Promise<RenderChat> {
  const folder = await findModel(config);
  const template = ChatTemplate.fromFolder(folder);
  if (template === null) {
    throw new DataError(`the data has conversations, but the model in ${folder} has no chat template`, {
      hint: "take a model with a chat template, or give the task a prompt or columns of plain text",
    });
  }
  return (messages) => template.render(messages, { addGenerationPrompt: true });
}
