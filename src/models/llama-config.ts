/**
 * What tells the members of the LLaMA family apart: LLaMA 1 to 3, Mistral, Qwen2 and Qwen3, read from config.json as
 * transformers wrote it before and since version 5.
 */
import { CheckpointError } from "../errors.js";
import { configReader } from "../io/config-reader.js";
import { show } from "../io/json.js";
import { type Rope, readRope } from "./rope.js";

export interface LlamaConfig {
  readonly vocabulary: number;
  readonly width: number;
  readonly feedForward: number;
  readonly heads: number;
  /** Heads of keys and values; each serves heads / keyValueHeads query heads (grouped-query attention). */
  readonly keyValueHeads: number;
  readonly headWidth: number;
  readonly epsilon: number;
  readonly rope: Rope;
  readonly tied: boolean;
  readonly biases: {
    readonly queryKeyValue: boolean;
    readonly output: boolean;
    readonly feedForward: boolean;
  };
  /** Queries and keys are normed head by head before they are rotated (Qwen3). */
  readonly headNorms: boolean;
  /** Per layer: how many tokens back attention reaches, its own counted; null: all. */
  readonly windows: readonly (number | null)[];
  /** On the attention's probabilities, while training. */
  readonly dropout: number;
  readonly padId: number;
  /** Each ends an answer. */
  readonly endIds: readonly number[];
}

/** Throws `CheckpointError` for a field that is missing, or that asks for something not computed here. */
export function readLlamaConfig(config: Readonly<Record<string, unknown>>, file: string): LlamaConfig {
  const read = configReader(config, file);
  const type = read.string("model_type");
  const refuse = (key: string, expected: string): never => {
    throw new CheckpointError(`${file}: ${key} is ${show(config[key])}, expected ${expected}`);
  };
  const activation = read.string("hidden_act", "silu");
  if (activation !== "silu" && activation !== "swish") refuse("hidden_act", '"silu"');
  if (config.quantization_config !== undefined && config.quantization_config !== null) {
    throw new CheckpointError(`${file}: the weights are quantised (quantization_config), which is not read`, {
      hint: "Take the checkpoint in bfloat16, float16 or float32 that it was made from.",
    });
  }
  const width = read.count("hidden_size");
  const heads = read.count("num_attention_heads");
  const keyValueHeads = read.count("num_key_value_heads", type === "mistral" ? 8 : heads);
  if (heads % keyValueHeads !== 0) {
    refuse("num_key_value_heads", `a divisor of num_attention_heads (${heads})`);
  }
  if (type !== "qwen3" && !isGiven(config.head_dim) && width % heads !== 0) {
    refuse("hidden_size", `a multiple of num_attention_heads (${heads})`);
  }
  const headWidth = read.count("head_dim", type === "qwen3" ? 128 : width / heads);
  const layers = read.layers("num_hidden_layers");
  const attentionBias = type !== "mistral" && type !== "qwen2" && read.boolean("attention_bias", false);
  const vocabulary = read.count("vocab_size");
  const endIds = read.integers("eos_token_id", type === "llama" || type === "mistral" ? [2] : undefined);
  const outside = endIds.find((id) => id < 0 || id >= vocabulary);
  if (outside !== undefined) refuse("eos_token_id", `ids below vocab_size (${vocabulary})`);
  const padId = read.integer("pad_token_id", -1);
  return {
    vocabulary,
    width,
    feedForward: read.count("intermediate_size"),
    heads,
    keyValueHeads,
    headWidth,
    epsilon: read.float("rms_norm_eps", 1e-6),
    rope: readRope(config, file, headWidth),
    tied: read.boolean("tie_word_embeddings", false),
    biases: {
      queryKeyValue: type === "qwen2" || attentionBias,
      output: attentionBias,
      feedForward: type === "llama" && read.boolean("mlp_bias", false),
    },
    headNorms: type === "qwen3",
    windows: readWindows(config, file, type, layers),
    dropout: read.float("attention_dropout", 0),
    // Padding is masked, so any id will do; LLaMA has none.
    padId: padId >= 0 && padId < vocabulary ? padId : endIds[0]!,
    endIds,
  };
}

const isGiven = (value: unknown): boolean => value !== undefined && value !== null;

function readWindows(
  config: Readonly<Record<string, unknown>>,
  file: string,
  type: string,
  layers: number,
): (number | null)[] {
  const read = configReader(config, file);
  const every = <T>(value: (layer: number) => T): T[] =>
    Array.from({ length: layers }, (_, layer) => value(layer));
  if (type === "llama") return every(() => null);
  if (type === "mistral") {
    // Absent means the first Mistral's 4096, null means none.
    const window = config.sliding_window === null ? null : read.count("sliding_window", 4096);
    return every(() => window);
  }
  const kinds = config.layer_types;
  const isOn = read.boolean("use_sliding_window", false) && config.sliding_window !== null;
  const window = isOn ? read.count("sliding_window", 4096) : null;
  if (!isGiven(kinds)) {
    const full = read.integer("max_window_layers", 28);
    return every((layer) => (layer >= full ? window : null));
  }
  if (!Array.isArray(kinds) || kinds.length !== layers) {
    throw new CheckpointError(`${file}: layer_types is ${show(kinds)}, expected a list of ${layers} names`);
  }
  return kinds.map((kind: unknown) => {
    if (kind === "full_attention" || (kind === "sliding_attention" && window !== null)) {
      return kind === "full_attention" ? null : window;
    }
    throw new CheckpointError(
      `${file}: layer_types names ${show(kind)}, expected full_attention, or sliding_attention with use_sliding_window and sliding_window`,
    );
  });
}
