/** Which files of a repository are needed. Pickles are never among them. */
import { HubError } from "../errors.js";
import { isObject, parseJsonObject } from "../io/json.js";
import type { HubFile } from "./listing.js";
import type { Repository } from "./reference.js";

const WHOLE = "model.safetensors";
export const INDEX = "model.safetensors.index.json";

const SETTINGS: ReadonlySet<string> = new Set([
  ...["config.json", "generation_config.json", INDEX],
  ...["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"],
  ...["tokenizer.model", "spiece.model", "vocab.json", "merges.txt"],
  ...["chat_template.jinja", "chat_template.json"],
  ...["adapter_config.json", "adapter_model.safetensors"],
]);
const PICKLES = /(^|\/)[^/]*\.(bin|pt|pth|ckpt|pkl|pickle)$/;
const TABLES = /\.(parquet|jsonl?|csv|tsv)(\.gz)?$/;

/** Everything a model's or an adapter's folder needs but its weights. Throws HubError when it has no usable weights. */
export function modelSettings(files: readonly HubFile[], { id }: Repository): HubFile[] {
  const has = (name: string): boolean => files.some(({ path }) => path === name);
  const isAdapter = has("adapter_config.json") && !has("config.json");
  const weights = isAdapter ? ["adapter_model.safetensors"] : [WHOLE, INDEX];
  if (!weights.some(has)) {
    const pickles = files.filter(({ path }) => PICKLES.test(path)).map(({ path }) => path);
    const found = pickles.length > 0 ? `only pickles: ${pickles.slice(0, 3).join(", ")}` : "no weights";
    throw new HubError(`${id} has ${found}; expected ${weights.join(" or ")}`, {
      hint:
        pickles.length > 0
          ? "Pickles can run code when they are opened, so they are not read. Many repositories have a branch with safetensors " +
            `(often ${id}@refs/pr/1, see the Community tab), or convert it with transformers: save_pretrained(folder).`
          : "Expected the repository of a Hugging Face model in safetensors, or of a PEFT adapter.",
    });
  }
  if (!has("config.json") && !isAdapter) throw new HubError(`${id} has no config.json, so it is no model`);
  // A checkpoint in one file needs no index.
  return files.filter(({ path }) => SETTINGS.has(path) && !(path === INDEX && has(WHOLE)));
}

/** The weights of a model: one file, or the shards that the content of its index names. */
export function modelWeights(
  files: readonly HubFile[],
  index: Uint8Array | null,
  { id }: Repository,
): HubFile[] {
  if (index === null) return files.filter(({ path }) => path === WHOLE);
  return shardsOf(index, id).map((name) => {
    const file = files.find(({ path }) => path === name);
    if (file === undefined) throw new HubError(`${id}: ${INDEX} names ${name}, which the repository has not`);
    return file;
  });
}

/** The names of the shards in an index. Throws CheckpointError or HubError. */
function shardsOf(index: Uint8Array, id: string): string[] {
  const map = parseJsonObject(index, `${id}: ${INDEX}`).weight_map;
  const names = isObject(map) ? [...new Set(Object.values(map))] : [];
  const shards = names.filter((name) => typeof name === "string" && /^[\w.-]+\.safetensors$/.test(name));
  if (shards.length === 0 || shards.length < names.length) {
    throw new HubError(`${id}: ${INDEX}: expected weight_map to name safetensors files beside it`);
  }
  return shards as string[];
}

/** The tables of a dataset and its card. Throws HubError when it has none. */
export function datasetFiles(files: readonly HubFile[], { id, revision }: Repository): HubFile[] {
  if (files.some(({ path }) => TABLES.test(path))) {
    return files.filter(({ path }) => path === "README.md" || TABLES.test(path));
  }
  const scripts = files.some(({ path }) => path.endsWith(".py"));
  throw new HubError(`${id}@${revision} has no tables among its ${files.length} files`, {
    hint: scripts
      ? `It is made by a script, which is not run; the hub keeps it as Parquet in ${id}@refs/convert/parquet.`
      : "Expected Parquet, JSON, JSON Lines or CSV files.",
  });
}
