/** Whole models in Hugging Face's folder layout: the weights in one safetensors file, beside them the files of the base. */
import { copyFileSync, existsSync } from "node:fs";
import { join } from "node:path";
import type { Tensor } from "../tensor/tensor.js";
import { writeFileAtomic } from "./files.js";
import { readJsonObject } from "./json.js";
import { SafetensorsFile, writeSafetensors } from "./safetensors.js";

const WEIGHTS = "model.safetensors";
const COPIED = [
  "generation_config.json",
  "tokenizer.json",
  "tokenizer_config.json",
  "special_tokens_map.json",
  "chat_template.jinja",
];

/** Writes a model that has other weights than the one in `base`, all of them, of one dtype. */
export function writeModelFolder(folder: string, base: string, weights: ReadonlyMap<string, Tensor>): void {
  const config = readJsonObject(join(base, "config.json"));
  const { dtype } = [...weights.values()][0]!;
  const said = "dtype" in config ? "dtype" : "torch_dtype";
  writeFileAtomic(join(folder, "config.json"), [
    `${JSON.stringify({ ...config, [said]: dtype }, null, 2)}\n`,
  ]);
  for (const name of COPIED) {
    if (existsSync(join(base, name))) copyFileSync(join(base, name), join(folder, name));
  }
  writeSafetensors(join(folder, WEIGHTS), weights, { format: "pt" });
}

/** The weights that `writeModelFolder` wrote, by name, over the mapped file; owned by the open scope. */
export function readModelWeights(folder: string): Record<string, Tensor> {
  const file = SafetensorsFile.open(join(folder, WEIGHTS));
  return Object.fromEntries(file.names.map((name) => [name, file.tensor(name)]));
}
