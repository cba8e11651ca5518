/** The part of a run that may have to wait: finds the model's folder and loads the stream. Makes no tensors. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { type LoadedStream, loadBenchmark, loadJsonl } from "../data/load.js";
import { syntheticStream } from "../data/synthetic.js";
import { CheckpointError, ConfigError } from "../errors.js";
import { packageRoot } from "../tensor/native.js";
import { type Config, taskNames } from "./config.js";

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

/** Reads or makes the stream that the configuration describes. Throws a DataError or a ConfigError. */
export async function loadStream(config: Pick<Config, "data" | "seed">): Promise<LoadedStream> {
  const { data, seed } = config;
  if (data.kind === "synthetic") {
    return {
      stream: syntheticStream({ seed, trainRows: data.trainRows, testRows: data.testRows }),
      notes: [],
    };
  }
  const selection = {
    seed,
    ...(data.trainRows === null ? {} : { trainRows: data.trainRows }),
    ...(data.testRows === null ? {} : { testRows: data.testRows }),
    ...(data.holdOut === null ? {} : { holdOut: data.holdOut }),
  };
  if (data.kind === "jsonl") {
    const sources = data.tasks.map(({ name, train, test, labels }) => ({
      name,
      train,
      ...(test === null ? {} : { test }),
      ...(labels === null ? {} : { labels }),
    }));
    return loadJsonl(sources, selection);
  }
  if (data.root === null) {
    throw new ConfigError("data.root: expected the folder of the benchmark data, found nothing", {
      hint: "pass --data DIR, or set data.root",
    });
  }
  return loadBenchmark(data.root, taskNames(config), { ...selection, identity: data.promptIdentity });
}
