/** Whole models in Hugging Face's folder layout: weights in one safetensors file or in shards, beside them the files of the base. */
import { copyFileSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { DType } from "../tensor/dtype.js";
import type { Tensor } from "../tensor/tensor.js";
import { writeFileAtomic } from "./files.js";
import { readJsonObject } from "./json.js";
import {
  bytesOf,
  type PlannedTensor,
  SafetensorsFile,
  writeSafetensors,
  writingSafetensors,
} from "./safetensors.js";

const WEIGHTS = "model.safetensors";

/** Writes a model that has other weights than the one in `base`, all of them, of one dtype. */
export function writeModelFolder(folder: string, base: string, weights: ReadonlyMap<string, Tensor>): void {
  writeModelConfig(base, folder, [...weights.values()][0]!.dtype);
  copySharedFiles(base, folder);
  writeSafetensors(join(folder, WEIGHTS), weights, { format: "pt" });
}

/** The weights that `writeModelFolder` wrote, by name, over the mapped file; owned by the open scope. */
export function readModelWeights(folder: string): Record<string, Tensor> {
  const file = SafetensorsFile.open(join(folder, WEIGHTS));
  return Object.fromEntries(file.names.map((name) => [name, file.tensor(name)]));
}

/** What of a base model's folder belongs to every model made from it: tokenizer, generation settings, licence. */
const SHARED =
  /^(?:generation_config\.json|tokenizer(?:_config)?\.json|.*\.model|special_tokens_map\.json|added_tokens\.json|vocab\.json|merges\.txt|chat_template\.(?:jinja|json)|LICEN[CS]E.*|NOTICE.*|USE_POLICY.*)$/i;

/** Copies those files. Weights, and whatever else lies there, stay behind. */
export function copySharedFiles(base: string, target: string): void {
  for (const entry of readdirSync(base, { withFileTypes: true })) {
    // Files of the hub's cache are links.
    if (entry.isDirectory() || !SHARED.test(entry.name)) continue;
    copyFileSync(join(base, entry.name), join(target, entry.name));
  }
}

/**
 * The base's config.json with another element type, if one is given. The rest stays as it is written: 1.0 must not become
 * 1, which transformers refuses where it expects a float.
 */
export function writeModelConfig(base: string, target: string, dtype: DType | null): void {
  const path = join(base, "config.json");
  readJsonObject(path);
  const text = readFileSync(path, "utf8");
  writeFileAtomic(join(target, "config.json"), [dtype === null ? text : withElementType(text, dtype)]);
}

/** transformers 5 writes "dtype", earlier versions "torch_dtype", which every version reads. */
function withElementType(config: string, dtype: DType): string {
  const said = /("(?:torch_)?dtype"\s*:\s*)(?:"\w*"|null)/g;
  if (said.test(config)) return config.replace(said, `$1"${dtype}"`);
  return config.replace("{", `{\n  "torch_dtype": "${dtype}",`);
}

/**
 * Writes the tensors in their order, shard after shard of at most `maxShardBytes` (a larger tensor has one of its own):
 * model.safetensors, or model-00001-of-0000n.safetensors and the index. Yields the bytes written at each step.
 */
export function* writingShards(
  folder: string,
  tensors: readonly PlannedTensor[],
  maxShardBytes: number,
  metadata: Readonly<Record<string, string>>,
): Generator<number, void> {
  const shards = inShards(tensors, maxShardBytes);
  const digits = (value: number) => String(value).padStart(5, "0");
  const map: Record<string, string> = {};
  for (const [index, shard] of shards.entries()) {
    const name =
      shards.length === 1 ? WEIGHTS : `model-${digits(index + 1)}-of-${digits(shards.length)}.safetensors`;
    for (const tensor of shard) map[tensor.name] = name;
    yield* writingSafetensors(join(folder, name), shard, { format: "pt", ...metadata });
  }
  if (shards.length === 1) return;
  const names = Object.keys(map).sort();
  const index = {
    metadata: { total_size: tensors.reduce((sum, tensor) => sum + bytesOf(tensor), 0) },
    weight_map: Object.fromEntries(names.map((name) => [name, map[name]])),
  };
  writeFileAtomic(join(folder, "model.safetensors.index.json"), [`${JSON.stringify(index, null, 2)}\n`]);
}

function inShards(tensors: readonly PlannedTensor[], limit: number): PlannedTensor[][] {
  const shards: PlannedTensor[][] = [[]];
  let size = 0;
  for (const tensor of tensors) {
    const bytes = bytesOf(tensor);
    if (size > 0 && size + bytes > limit) {
      shards.push([]);
      size = 0;
    }
    shards.at(-1)!.push(tensor);
    size += bytes;
  }
  return shards;
}
