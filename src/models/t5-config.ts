/** What a T5 checkpoint's config.json says. */
import { CheckpointError } from "../errors.js";
import { configReader } from "../io/config-reader.js";

export interface T5Config {
  readonly vocabulary: number;
  readonly width: number;
  readonly feedForward: number;
  readonly heads: number;
  readonly headWidth: number;
  readonly encoderLayers: number;
  readonly decoderLayers: number;
  readonly buckets: number;
  readonly maxDistance: number;
  readonly epsilon: number;
  readonly gated: boolean;
  readonly tied: boolean;
  readonly dropout: number;
  readonly padId: number;
  readonly eosId: number;
  /** Tokens that end an answer. */
  readonly endIds: readonly number[];
  readonly startId: number;
}

/** Reads the fields of a Hugging Face config.json. Throws `CheckpointError` for a field that is missing or unsupported. */
export function readT5Config(config: Record<string, unknown>, file: string): T5Config {
  const read = configReader(config, file);
  const activation = read.string("feed_forward_proj", "relu");
  if (activation !== "relu" && activation !== "gated-gelu") {
    throw new CheckpointError(
      `${file}: feed_forward_proj is "${activation}"; T5 is supported with "relu" (classic) and "gated-gelu" (v1.1, Flan).`,
    );
  }
  const encoderLayers = read.layers("num_layers");
  const [eosId, ...otherEnds] = read.integers("eos_token_id", [1]);
  return {
    vocabulary: read.integer("vocab_size"),
    width: read.integer("d_model"),
    feedForward: read.integer("d_ff"),
    heads: read.integer("num_heads"),
    headWidth: read.integer("d_kv"),
    encoderLayers,
    decoderLayers: read.layers("num_decoder_layers", encoderLayers),
    buckets: read.integer("relative_attention_num_buckets", 32),
    maxDistance: read.integer("relative_attention_max_distance", 128),
    epsilon: read.float("layer_norm_epsilon", 1e-6),
    gated: activation === "gated-gelu",
    tied: read.boolean("tie_word_embeddings", true),
    dropout: read.float("dropout_rate", 0.1),
    padId: read.integer("pad_token_id", 0),
    eosId: eosId!,
    endIds: [eosId!, ...otherEnds],
    startId: read.integer("decoder_start_token_id", 0),
  };
}
