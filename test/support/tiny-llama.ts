/** Writes tiny LLaMA checkpoints with random weights, grouped-query attention and a real tokenizer. */
import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { writeSafetensors } from "../../src/io/safetensors.js";
import { Rng } from "../../src/random.js";
import { tensor } from "../../src/tensor/create.js";
import { packageRoot } from "../../src/tensor/native.js";
import { tidy } from "../../src/tensor/scope.js";
import type { Tensor } from "../../src/tensor/tensor.js";

const CONFIG = {
  model_type: "llama",
  vocab_size: 600,
  hidden_size: 32,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  intermediate_size: 48,
  rms_norm_eps: 1e-5,
  rope_theta: 10000,
  tie_word_embeddings: false,
  bos_token_id: 1,
  eos_token_id: 2,
};

/** The folder's tokenizer is a small SentencePiece BPE with byte fallback, as LLaMA's. */
export function writeTinyLlama(folder: string, overrides: Readonly<Record<string, unknown>> = {}): void {
  mkdirSync(folder, { recursive: true });
  const config = { ...CONFIG, ...overrides };
  writeFileSync(join(folder, "config.json"), JSON.stringify(config));
  copyFileSync(
    join(packageRoot, "test/fixtures/tokenizers/tiny-sp-bpe-bytes.json"),
    join(folder, "tokenizer.json"),
  );
  const rng = new Rng(1);
  const { hidden_size: width, intermediate_size: inner, vocab_size: vocabulary } = config;
  const shared = (width / config.num_attention_heads) * config.num_key_value_heads;
  const random = (name: string, rows: number, columns: number): [string, Tensor] => {
    const own = rng.fork(name);
    const size = Math.sqrt(3 / columns);
    const values = Float32Array.from({ length: rows * columns }, () => (2 * own.uniform() - 1) * size);
    return [name, tensor(values, [rows, columns])];
  };
  const ones = (name: string): [string, Tensor] => [name, tensor(new Float32Array(width).fill(1), [width])];
  tidy(() => {
    const layers = Array.from({ length: config.num_hidden_layers }, (_, i) => `model.layers.${i}.`);
    writeSafetensors(join(folder, "model.safetensors"), [
      random("model.embed_tokens.weight", vocabulary, width),
      ...layers.flatMap((layer) => [
        ones(`${layer}input_layernorm.weight`),
        random(`${layer}self_attn.q_proj.weight`, width, width),
        random(`${layer}self_attn.k_proj.weight`, shared, width),
        random(`${layer}self_attn.v_proj.weight`, shared, width),
        random(`${layer}self_attn.o_proj.weight`, width, width),
        ones(`${layer}post_attention_layernorm.weight`),
        random(`${layer}mlp.gate_proj.weight`, inner, width),
        random(`${layer}mlp.up_proj.weight`, inner, width),
        random(`${layer}mlp.down_proj.weight`, width, inner),
      ]),
      ones("model.norm.weight"),
      random("lm_head.weight", vocabulary, width),
    ]);
  });
}
