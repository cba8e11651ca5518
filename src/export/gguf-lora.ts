/**
 * An adapter as a GGUF file for llama.cpp: its names for the layers, and for the LLaMA and Mistral types its order of the
 * rows of q and k. What it expects was read from its converter of PEFT folders and its loader of adapters.
 */

import { withScale } from "../adapters/combine.js";
import type { AdapterDelta } from "../adapters/delta.js";
import { CheckpointError } from "../errors.js";
import { configReader } from "../io/config-reader.js";
import { type GgufValue, writeGguf } from "../io/gguf.js";
import { show } from "../io/json.js";
import { describeProvenance, type Provenance, provenanceMetadata } from "../io/provenance.js";
import { assertFinite } from "../io/safetensors.js";
import { inference } from "../tensor/grad.js";
import type { Tensor } from "../tensor/tensor.js";

/** A part of a base model's config.json. */
type ModelConfig = Readonly<Record<string, unknown>>;

interface Architecture {
  /** `general.architecture` */
  readonly name: string;
  /** The tensor of a linear layer, without ".weight"; undefined: it has none. */
  tensorName(module: string): string | undefined;
  /** How many heads the rows of a layer are in whose halves llama.cpp interleaves; undefined: rows stay. */
  interleavedHeads(module: string): number | undefined;
}

const DECODER_LAYERS: Readonly<Record<string, string>> = {
  "self_attn.q_proj": "attn_q",
  "self_attn.k_proj": "attn_k",
  "self_attn.v_proj": "attn_v",
  "self_attn.o_proj": "attn_output",
  "mlp.gate_proj": "ffn_gate",
  "mlp.up_proj": "ffn_up",
  "mlp.down_proj": "ffn_down",
};

const T5_LAYERS: Readonly<Record<string, string>> = {
  "SelfAttention.q": "attn_q",
  "SelfAttention.k": "attn_k",
  "SelfAttention.v": "attn_v",
  "SelfAttention.o": "attn_o",
  "EncDecAttention.q": "cross_attn_q",
  "EncDecAttention.k": "cross_attn_k",
  "EncDecAttention.v": "cross_attn_v",
  "EncDecAttention.o": "cross_attn_o",
  "DenseReluDense.wi": "ffn_up",
  "DenseReluDense.wi_0": "ffn_gate",
  "DenseReluDense.wi_1": "ffn_up",
  "DenseReluDense.wo": "ffn_down",
};

const own = (names: Readonly<Record<string, string>>, key: string): string | undefined =>
  Object.hasOwn(names, key) ? names[key] : undefined;

function decoder(name: string, isInterleaved: boolean, config: ModelConfig, file: string): Architecture {
  const read = configReader(config, file);
  return {
    name,
    tensorName(module) {
      const [, layer, kind] = /^model\.layers\.(\d+)\.(.+)$/.exec(module) ?? [];
      const tensor = own(DECODER_LAYERS, kind ?? "");
      return tensor === undefined ? undefined : `blk.${layer}.${tensor}`;
    },
    interleavedHeads(module) {
      if (!isInterleaved) return undefined;
      const heads = read.count("num_attention_heads");
      if (module.endsWith(".self_attn.q_proj")) return heads;
      return module.endsWith(".self_attn.k_proj") ? read.count("num_key_value_heads", heads) : undefined;
    },
  };
}

function architectureOf(config: ModelConfig, file: string): Architecture {
  switch (config.model_type) {
    case "llama":
    case "mistral":
      return decoder("llama", true, config, file);
    case "qwen2":
    case "qwen3":
      return decoder(config.model_type, false, config, file);
    case "t5":
      return {
        name: "t5",
        tensorName(module) {
          const match = /^(enc|dec)oder\.block\.(\d+)\.layer\.\d\.(.+)$/.exec(module);
          const tensor = own(T5_LAYERS, match?.[3] ?? "");
          return match && tensor ? `${match[1]}.blk.${match[2]}.${tensor}` : undefined;
        },
        interleavedHeads: () => undefined,
      };
    default:
      throw new CheckpointError(
        `${file}: model_type is ${show(config.model_type)}, expected llama, mistral, qwen2, qwen3 or t5 to write a GGUF adapter`,
      );
  }
}

/**
 * B with the rows of each head in llama.cpp's order: it rotates neighbours where Hugging Face's layout rotates halves, so
 * its converter deals the two halves of a head out in turn. b [heads * width, rank].
 */
function interleave(b: Tensor, heads: number): Tensor {
  const [rows, rank] = [b.dim(0), b.dim(1)];
  return b
    .reshape([heads, 2, rows / heads / 2, rank])
    .transpose(1, 2)
    .reshape([rows, rank]);
}

export interface GgufLoraOptions {
  /** The base model's config.json, and what errors call it. */
  readonly config: ModelConfig;
  readonly configFile: string;
  readonly dtype: "float32" | "float16";
  readonly provenance: Provenance;
}

/**
 * Writes an adapter. llama.cpp multiplies B A by adapter.lora.alpha / rank with the rank of each pair; ranks of one
 * adapter may differ, so where they do the ratio is multiplied into b. Throws `CheckpointError` for layers that
 * llama.cpp has no name for.
 */
export function writeGgufLora(path: string, delta: AdapterDelta, options: GgufLoraOptions): void {
  const { config, configFile, dtype, provenance } = options;
  const architecture = architectureOf(config, configFile);
  inference(() => {
    const rank = Math.max(...[...delta.modules.values()].map(({ a }) => a.dim(0)));
    const tensors: [string, Tensor][] = [];
    for (const [module, pair] of delta.modules) {
      const name = architecture.tensorName(module);
      if (name === undefined) {
        throw new CheckpointError(
          `${path}: llama.cpp has no tensor for the layer ${module} of a ${architecture.name} model`,
          { hint: `Is ${configFile} the config of the adapter's base model?` },
        );
      }
      const own = { ...delta, modules: new Map([[module, pair]]) };
      const { a, b } = withScale(own, (delta.scale * rank) / pair.a.dim(0)).modules.get(module)!;
      const heads = architecture.interleavedHeads(module);
      if (heads !== undefined && b.dim(0) % (2 * heads) !== 0) {
        throw new CheckpointError(
          `${path}: ${module} has ${b.dim(0)} outputs there, expected a multiple of twice its ${heads} heads`,
          { hint: `Is ${configFile} the config of the adapter's base model?` },
        );
      }
      const ordered = heads === undefined ? b : interleave(b, heads);
      for (const [suffix, factor] of [["a", a] as const, ["b", ordered] as const]) {
        const stored = factor.toDtype(dtype);
        assertFinite(stored, `${name}.weight.lora_${suffix}`, path);
        tensors.push([`${name}.weight.lora_${suffix}`, stored]);
      }
    }
    writeGguf(path, valuesOf(architecture.name, delta, delta.scale * rank, dtype, provenance), tensors);
  });
}

function valuesOf(
  architecture: string,
  delta: AdapterDelta,
  alpha: number,
  dtype: "float32" | "float16",
  provenance: Provenance,
): Record<string, GgufValue> {
  const { name, revision } = provenance.base;
  return {
    "general.architecture": architecture,
    "general.type": "adapter",
    "adapter.type": "lora",
    "adapter.lora.alpha": { float32: alpha },
    "general.name": delta.name,
    "general.description": describeProvenance(provenance).replaceAll(/[*`]/g, ""),
    "general.file_type": { uint32: dtype === "float32" ? 0 : 1 },
    "general.tags": ["lora", "continual-learning", "nlora"],
    ...(name !== null && {
      "general.base_model.count": { uint32: 1 },
      "general.base_model.0.name": name,
      ...(revision !== null && { "general.base_model.0.version": revision }),
    }),
    ...provenanceMetadata(provenance),
  };
}
