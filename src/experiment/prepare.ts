/** The part of a run that may have to wait: finds the model's folder and loads the stream. Makes no tensors. */
import type { LoadedStream } from "../data/assemble.js";
import { loadBenchmark } from "../data/benchmark.js";
import type { RenderChat } from "../data/chat.js";
import { type FileTask, loadFiles } from "../data/files.js";
import { type FindSource, loadHubBenchmark } from "../data/hub-benchmark.js";
import { syntheticStream } from "../data/synthetic.js";
import { ConfigError, DataError } from "../errors.js";
import { resolveModel } from "../hub/resolve.js";
import type { HubOptions } from "../hub/snapshot.js";
import { ChatTemplate } from "../io/chat-template.js";
import { baseModel } from "../io/provenance.js";
import { type Config, taskNames } from "./config.js";
import { HUB } from "./data-schema.js";
import { type DatasetRequest, type FoundDataset, findDataset } from "./datasets.js";

export interface Prepared extends LoadedStream {
  /** A folder on this machine that holds the checkpoint. */
  readonly modelFolder: string;
  /** The model's name and commit on the hub; null where it is not from there. */
  readonly onHub: HubModel | null;
}

export interface HubModel {
  readonly name: string;
  readonly revision: string;
}

/**
 * What a run of this configuration needs before its first tensor. A run that goes on passes the model's `revision` as it
 * was at its start.
 */
export async function prepare(
  config: Config,
  hub: HubOptions = {},
  revision: string | null = null,
): Promise<Prepared> {
  const pinned = pin(config.model, revision);
  // The data first: it is smaller, and more often wrong.
  const { stream, notes } = await loadStream({ ...config, model: pinned }, { hub });
  const modelFolder = await resolveModel(pinned, hub);
  const onHub = hubModel(pinned, modelFolder);
  const origin = onHub === null ? [] : [`model: ${onHub.name} at commit ${onHub.revision}`];
  return { stream, notes: [...origin, ...notes], modelFolder, onHub };
}

/**
 * The folder of the model that a configuration names, fetched if it is on the hub; `revision`: the commit that a run has
 * recorded. Throws a CheckpointError or a HubError.
 */
export function findModel(
  { model }: Pick<Config, "model">,
  hub: HubOptions = {},
  revision: string | null = null,
): Promise<string> {
  return resolveModel(pin(model, revision), hub);
}

const pin = (model: string, revision: string | null): string =>
  revision === null ? model : `${model.split("@")[0]}@${revision}`;

/** The repository that a model was fetched from; `folder` is where it is now. */
function hubModel(reference: string, folder: string): HubModel | null {
  const { name, revision } = baseModel(reference, folder);
  return reference === folder || name === null || revision === null ? null : { name, revision };
}

/**
 * Reads or makes the stream that the configuration describes; `untested`: the training rows alone, for a look at them.
 * Throws a DataError or a ConfigError.
 */
export async function loadStream(
  config: Pick<Config, "data" | "seed" | "model">,
  { untested = false, hub = {} }: { readonly untested?: boolean; readonly hub?: HubOptions } = {},
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
        ...(data.recurAfter !== null && { recurAfter: data.recurAfter }),
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
  const origins = new Set<string>();
  const find: Find = async (request) => {
    const found = await findDataset(request, hub);
    if (found.commit !== null) origins.add(`${request.dataset.split("@")[0]} at commit ${found.commit}`);
    return found;
  };
  const withOrigins = ({ stream, notes }: LoadedStream): LoadedStream => ({
    stream,
    notes: [...[...origins].map((origin) => `data: ${origin}`), ...notes],
  });
  if (data.kind === "files") {
    const { incomplete } = data;
    const tasks: FileTask[] = [];
    for (const task of data.tasks) tasks.push(await fileTask(task, untested || data.holdOut !== null, find));
    const chat = () => chatOf(config, hub);
    return withOrigins(await loadFiles(tasks, { ...selection, incomplete, chat }));
  }
  if (data.root === null) {
    throw new ConfigError("data.root: expected the folder of the benchmark data, found nothing", {
      hint: "pass --data DIR, or set data.root",
    });
  }
  const options = { ...selection, identity: data.promptIdentity };
  if (data.root !== HUB) return loadBenchmark(data.root, taskNames(config), options);
  const source: FindSource = ({ dataset, subset, train, test }) =>
    find({ dataset, subset, train: [train], test: [test] });
  return withOrigins(await loadHubBenchmark(taskNames(config), source, options));
}

type Find = (request: DatasetRequest) => Promise<FoundDataset>;
type ConfiguredTask = Extract<Config["data"], { kind: "files" }>["tasks"][number];

/** A task's files: as named, or those of its dataset's splits. Without a test, rows of train take its place, or none. */
async function fileTask(task: ConfiguredTask, withoutTest: boolean, find: Find): Promise<FileTask> {
  const list = (paths: string | string[] | null) => (typeof paths === "string" ? [paths] : paths);
  const { dataset, subset, ...rest } = task;
  const train = list(task.train);
  const test = withoutTest ? [] : list(task.test);
  const files =
    dataset === null
      ? { train: train ?? [], test }
      : await find({ dataset, subset, train: train ?? ["train"], test });
  return { ...rest, ...files, test: withoutTest ? null : files.test };
}

/** Renders conversations for the run's model, up to where it answers. Throws a DataError if it has no template. */
async function chatOf({ model }: Pick<Config, "model">, hub: HubOptions): Promise<RenderChat> {
  const folder = await findModel({ model }, hub);
  const template = ChatTemplate.fromFolder(folder);
  if (template === null) {
    throw new DataError(`the data has conversations, but the model in ${folder} has no chat template`, {
      hint: "take a model with a chat template, or give the task a prompt or columns of plain text",
    });
  }
  return (messages) => template.render(messages, { addGenerationPrompt: true });
}
