/** model_type of a checkpoint's config.json -> the class that computes it. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { CheckpointError } from "../errors.js";
import { Checkpoint } from "../io/checkpoint.js";
import { readJsonObject } from "../io/json.js";
import type { Device, DType } from "../tensor/dtype.js";
import { noGrad } from "../tensor/grad.js";
import { tidy } from "../tensor/scope.js";
import type { LanguageModel, WeightSource } from "./language-model.js";
import { readT5Config, T5 } from "./t5.js";

/** `config` is the content of the file named `file`. */
type Family = (
  source: WeightSource,
  config: Readonly<Record<string, unknown>>,
  dtype: DType,
  file: string,
) => LanguageModel;

const FAMILIES: Readonly<Record<string, Family>> = {
  t5: (source, config, dtype, file) => new T5(source, readT5Config(config, file), dtype),
};

/** The source's weights on a device. */
export function onDevice(source: WeightSource, device: Device): WeightSource {
  if (device === "cpu") return source;
  return {
    tensor(name, expectedShape) {
      const stored = source.tensor(name, expectedShape);
      return stored.toDevice(device, stored.dtype);
    },
  };
}

/** The config, with the end tokens of generation_config.json where that names some, as transformers takes them. */
function withEndTokens(
  config: Readonly<Record<string, unknown>>,
  folder: string,
): Readonly<Record<string, unknown>> {
  const file = join(folder, "generation_config.json");
  if (!existsSync(file)) return config;
  const { eos_token_id: ends } = readJsonObject(file);
  return ends === undefined || ends === null ? config : { ...config, eos_token_id: ends };
}

/**
 * Opens a Hugging Face model folder. On the cpu, weights of the wanted dtype stay mapped and others are converted; on
 * another device all are copies.
 */
export function loadModel(folder: string, dtype: DType, device: Device = "cpu"): LanguageModel {
  const checkpoint = Checkpoint.open(folder);
  const config = withEndTokens(checkpoint.config, folder);
  const file = `${folder}/config.json`;
  const type = checkpoint.config.model_type;
  const family = typeof type === "string" && Object.hasOwn(FAMILIES, type) ? FAMILIES[type] : undefined;
  if (!family) {
    throw new CheckpointError(
      `${file}: model_type is ${JSON.stringify(type)}; supported are ${Object.keys(FAMILIES).join(", ")}.`,
    );
  }
  return noGrad(() => {
    let model: LanguageModel | undefined;
    tidy(() => {
      model = family(onDevice(checkpoint, device), config, dtype, file);
    });
    return model!;
  });
}
