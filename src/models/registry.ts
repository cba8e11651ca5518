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
import { Llama } from "./llama.js";
import { readLlamaConfig } from "./llama-config.js";
import { T5 } from "./t5.js";
import { readT5Config } from "./t5-config.js";

/** What a model's config alone says of how the model reads and ends text. */
export type ModelFacts = Pick<LanguageModel, "family" | "vocabularySize" | "eosId" | "endIds">;

/** What is computed in, and what weights are kept in. */
type Dtypes = readonly [computed: DType, kept: DType];

interface Family {
  facts(config: Readonly<Record<string, unknown>>, file: string): ModelFacts;
  /** `config` is the content of the file named `file`. */
  create(
    source: WeightSource,
    config: Readonly<Record<string, unknown>>,
    dtypes: Dtypes,
    file: string,
  ): LanguageModel;
  /** Weights that a checkpoint may hold and the model does not read. */
  readonly spare: RegExp;
}

const LLAMA: Family = {
  facts(config, file) {
    const { vocabulary, endIds } = readLlamaConfig(config, file);
    return { family: "causal", vocabularySize: vocabulary, eosId: endIds[0]!, endIds };
  },
  create: (source, config, dtypes, file) => new Llama(source, readLlamaConfig(config, file), ...dtypes),
  // Tables that old versions saved; the head of a model whose head is the embedding.
  spare: /\.rotary_emb\.inv_freq$|^lm_head\.weight$/,
};

const FAMILIES: Readonly<Record<string, Family>> = {
  t5: {
    facts(config, file) {
      const { vocabulary, eosId, endIds } = readT5Config(config, file);
      return { family: "seq2seq", vocabularySize: vocabulary, eosId, endIds };
    },
    create: (source, config, dtypes, file) => new T5(source, readT5Config(config, file), ...dtypes),
    spare: /./,
  },
  llama: LLAMA,
  mistral: LLAMA,
  qwen2: LLAMA,
  qwen3: LLAMA,
};

/** The source's weights on a device. */
export function onDevice(source: WeightSource, device: Device): WeightSource {
  if (device === "cpu") return source;
  return {
    tensor(name, expectedShape) {
      const stored = source.tensor(name, expectedShape);
      const copy = stored.toDevice(device, stored.dtype);
      source.release?.(name);
      return copy;
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

function familyOf(config: Readonly<Record<string, unknown>>, file: string): Family {
  const { model_type: type } = config;
  const family = typeof type === "string" && Object.hasOwn(FAMILIES, type) ? FAMILIES[type] : undefined;
  if (family) return family;
  throw new CheckpointError(
    `${file}: model_type is ${JSON.stringify(type)}; supported are ${Object.keys(FAMILIES).join(", ")}.`,
  );
}

/** The model that `config`, the content of the file named `file`, describes, with the source's weights. */
export function createModel(
  source: WeightSource,
  config: Readonly<Record<string, unknown>>,
  dtype: DType,
  file: string,
  weightsDtype: DType = dtype,
): LanguageModel {
  const family = familyOf(config, file);
  return noGrad(() => {
    let model: LanguageModel | undefined;
    tidy(() => {
      model = family.create(source, config, [dtype, weightsDtype], file);
    });
    return model!;
  });
}

/** Reads a model folder's config and no weights. Throws `CheckpointError` as `loadModel`. */
export function readModelFacts(folder: string): ModelFacts {
  const file = `${folder}/config.json`;
  const config = readJsonObject(file);
  return familyOf(config, file).facts(withEndTokens(config, folder), file);
}

/**
 * Opens a Hugging Face model folder, to compute in `dtype` with weights kept in `weightsDtype`. On the cpu, weights of
 * that dtype stay mapped and others are converted; on another device all are copies.
 */
export function loadModel(
  folder: string,
  dtype: DType,
  device: Device = "cpu",
  weightsDtype: DType = dtype,
): LanguageModel {
  const checkpoint = Checkpoint.open(folder);
  const config = withEndTokens(checkpoint.config, folder);
  const file = `${folder}/config.json`;
  const model = createModel(onDevice(checkpoint, device), config, dtype, file, weightsDtype);
  const { spare } = familyOf(config, file);
  const unread = checkpoint.unused().filter((name) => !spare.test(name));
  if (unread.length === 0) return model;
  model.dispose();
  throw new CheckpointError(
    `${folder}: ${unread.length} weights have no place in a model of type ${config.model_type}: ${unread.slice(0, 4).join(", ")}`,
    { hint: `Leaving them out would change its numbers. Does ${file} belong to these weights?` },
  );
}
