/** A Hugging Face model folder: config.json and safetensors weights, whole or in shards, mapped and never unpickled. */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { CheckpointError } from "../errors.js";
import type { Tensor } from "../tensor/tensor.js";
import { type ConfigReader, configReader } from "./config-reader.js";
import { isObject, readJsonObject, show } from "./json.js";
import { SafetensorsFile, type TensorInfo } from "./safetensors.js";

export { type ConfigReader, configReader } from "./config-reader.js";

const WHOLE = "model.safetensors";
const INDEX = "model.safetensors.index.json";
const FOREIGN = /\.(bin|pt|pth|ckpt|pkl|pickle|h5|msgpack|gguf|onnx)$/;

export class Checkpoint {
  readonly folder: string;
  readonly config: Readonly<Record<string, unknown>>;
  /** Typed access to `config`; its errors name the file and the key. */
  readonly settings: ConfigReader;
  readonly #files: ReadonlyMap<string, SafetensorsFile>;
  readonly #read = new Set<string>();

  private constructor(
    folder: string,
    config: Record<string, unknown>,
    files: ReadonlyMap<string, SafetensorsFile>,
  ) {
    this.folder = folder;
    this.config = config;
    this.settings = configReader(config, join(folder, "config.json"));
    this.#files = files;
  }

  /** Reads config.json and the headers of all weight files, no weights. Throws `CheckpointError`. */
  static open(folder: string): Checkpoint {
    if (!existsSync(folder)) throw new CheckpointError(`model folder ${folder} does not exist`);
    const config = readJsonObject(join(folder, "config.json"));
    return new Checkpoint(folder, config, openWeights(folder));
  }

  get names(): string[] {
    return [...this.#files.keys()];
  }

  has(name: string): boolean {
    return this.#files.has(name);
  }

  /** Type, shape and place in its file. Throws when there is no such tensor. */
  info(name: string): TensorInfo {
    return this.#file(name).info(name);
  }

  /**
   * A tensor over the mapped file, as stored; owned by the open scope, so `keep()` what outlives it.
   * Throws `CheckpointError` when it is missing or has another shape.
   */
  tensor(name: string, expectedShape?: readonly number[]): Tensor {
    const file = this.#file(name);
    const { shape } = file.info(name);
    if (expectedShape && show(shape) !== show(expectedShape)) {
      throw new CheckpointError(
        `${file.path}: tensor ${show(name)} has shape ${show(shape)}, expected ${show(expectedShape)}`,
        { hint: `Does ${join(this.folder, "config.json")} belong to these weights?` },
      );
    }
    this.#read.add(name);
    return file.tensor(name);
  }

  /** Lets the memory go that a tensor's values take; for one that has been copied. Reading it again reads the file again. */
  release(name: string): void {
    this.#file(name).release(name);
  }

  /** Names never read through `tensor`. */
  unused(): string[] {
    return this.names.filter((name) => !this.#read.has(name));
  }

  #file(name: string): SafetensorsFile {
    const file = this.#files.get(name);
    if (file) return file;
    const last = name.split(".").slice(-2).join(".");
    const near = this.names.filter((other) => other.endsWith(last)).slice(0, 3);
    throw new CheckpointError(
      `${this.folder}: no tensor ${show(name)} among ${this.#files.size}${near.length > 0 ? `; similar: ${near.join(", ")}` : ""}`,
      { hint: `Does ${join(this.folder, "config.json")} belong to these weights?` },
    );
  }
}

/** Which file holds which tensor. */
function openWeights(folder: string): ReadonlyMap<string, SafetensorsFile> {
  if (existsSync(join(folder, WHOLE))) {
    const file = SafetensorsFile.open(join(folder, WHOLE));
    return new Map(file.names.map((name) => [name, file]));
  }
  if (existsSync(join(folder, INDEX))) return openShards(folder);
  const foreign = readdirSync(folder).filter((name) => FOREIGN.test(name));
  if (foreign.length > 0) {
    throw new CheckpointError(
      `${folder}: found ${foreign.slice(0, 4).join(", ")}, expected ${WHOLE} or ${INDEX}. ` +
        "Pickle files can run code when they are opened, so they are not read.",
      {
        hint:
          "Convert it where Python is at hand: load it with transformers and call " +
          "save_pretrained(folder, safe_serialization=True). Many models also offer safetensors on their hub page.",
      },
    );
  }
  throw new CheckpointError(`${folder}: no weights, expected ${WHOLE} or ${INDEX}`);
}

function openShards(folder: string): ReadonlyMap<string, SafetensorsFile> {
  const path = join(folder, INDEX);
  const map = readJsonObject(path).weight_map;
  if (!isObject(map)) {
    throw new CheckpointError(`${path}: weight_map is ${show(map)}, expected tensor names with their files`);
  }
  const names = [...new Set(Object.values(map))];
  for (const name of names) {
    if (typeof name !== "string" || !/^[^./\\\0][^/\\\0]*\.safetensors$/.test(name)) {
      throw new CheckpointError(
        `${path}: weight_map names the file ${show(name)}, expected a plain name like model-00001-of-00002.safetensors`,
      );
    }
  }
  const missing = names.filter((name) => !existsSync(join(folder, String(name))));
  if (missing.length > 0) {
    throw new CheckpointError(
      `${folder}: ${missing.length} of ${names.length} shards missing: ${missing.join(", ")} (listed in ${INDEX})`,
    );
  }
  const shards = new Map(names.map((name) => [name, SafetensorsFile.open(join(folder, String(name)))]));
  return new Map(
    Object.entries(map).map(([name, shard]) => {
      const file = shards.get(shard)!;
      if (!file.has(name)) {
        throw new CheckpointError(`${file.path}: no tensor ${show(name)}, but ${INDEX} says it is there`);
      }
      return [name, file];
    }),
  );
}
