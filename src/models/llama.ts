/**
 * The LLaMA family: decoder-only transformers with RMS norm, rotary positions, gated feed-forward and grouped-query
 * attention. One implementation for LLaMA 1 to 3, Mistral, Qwen2 and Qwen3, told apart by the checkpoint's config.
 * Sources: Touvron et al. 2023, Jiang et al. 2023, the Qwen2 and Qwen3 reports, and the layout of Hugging Face's checkpoints.
 */
import { TensorError } from "../errors.js";
import { backwardThrough, runStages, type Stage } from "../nn/checkpointing.js";
import { EVALUATION, type ForwardContext } from "../nn/context.js";
import { crossEntropy, lowRankLinear, rmsNorm } from "../nn/kernels.js";
import type { Linear } from "../nn/linear.js";
import { tensor } from "../tensor/create.js";
import type { Device, DType } from "../tensor/dtype.js";
import { embedding } from "../tensor/functions.gen.js";
import { inference, noGrad } from "../tensor/grad.js";
import { tidy } from "../tensor/scope.js";
import type { Tensor } from "../tensor/tensor.js";
import { CachedDecoding, type Decoding } from "./decoding.js";
import {
  type Batch,
  copiesOf,
  type LanguageModel,
  type ModelOutput,
  type Prompts,
  type WeightSource,
} from "./language-model.js";
import { LlamaBlock, type Places } from "./llama-block.js";
import type { LlamaConfig } from "./llama-config.js";
import { type Embedded, madeMask, meanOverTokens, prefixLength, withPrefix } from "./prefix.js";
import { RotationTable } from "./rope.js";
import { RowCache } from "./row-cache.js";
import { Weights } from "./weights.js";

export class Llama implements LanguageModel {
  readonly family = "causal";
  readonly defaultTargets = ["q_proj", "v_proj"];
  readonly linears: ReadonlyMap<string, Linear>;
  readonly weights: ReadonlyMap<string, Tensor>;
  readonly parameterCount: number;
  readonly #own: Weights;
  readonly #embedding: Tensor;
  readonly #blocks: LlamaBlock[] = [];
  readonly #norm: Tensor;
  /** [vocabulary, width] */
  readonly #head: Tensor;
  readonly #rotations: RotationTable;

  /** Computes in `dtype`; takes its weights from the source, mapped where theirs agrees and converted otherwise. */
  constructor(
    source: WeightSource,
    readonly config: LlamaConfig,
    readonly dtype: DType,
    weightsDtype: DType = dtype,
  ) {
    const { vocabulary, width, feedForward, heads, keyValueHeads, headWidth, biases } = config;
    const weights = new Weights(source, weightsDtype);
    this.#own = weights;
    this.linears = weights.linears;
    this.#embedding = weights.tensor("model.embed_tokens.weight", [vocabulary, width]);
    for (const index of config.windows.keys()) {
      const at = (name: string) => `model.layers.${index}.${name}`;
      const norm = (name: string, size: number) => weights.tensor(at(`${name}.weight`), [size]);
      const projection = (name: string, rows: number) =>
        weights.linear(at(`self_attn.${name}_proj`), rows * headWidth, width, biases.queryKeyValue);
      const projections = weights.group([
        projection("q", heads),
        projection("k", keyValueHeads),
        projection("v", keyValueHeads),
      ]);
      const output = weights.linear(at("self_attn.o_proj"), width, heads * headWidth, biases.output);
      const inputs = ["gate", "up"].map((name) =>
        weights.linear(at(`mlp.${name}_proj`), feedForward, width, biases.feedForward),
      );
      const down = weights.linear(at("mlp.down_proj"), width, feedForward, biases.feedForward);
      const headNorms = config.headNorms
        ? { query: norm("self_attn.q_norm", headWidth), key: norm("self_attn.k_norm", headWidth) }
        : null;
      this.#blocks.push(
        new LlamaBlock(
          index,
          config,
          norm("input_layernorm", width),
          projections,
          headNorms,
          output,
          norm("post_attention_layernorm", width),
          weights.group(inputs),
          down,
        ),
      );
    }
    this.#norm = weights.tensor("model.norm.weight", [width]);
    this.#head = config.tied ? this.#embedding : weights.tensor("lm_head.weight", [vocabulary, width]);
    this.#rotations = new RotationTable(config.rope, this.device);
    this.weights = weights.named();
    this.parameterCount = weights.count;
  }

  get device(): Device {
    return this.#embedding.device;
  }

  get padId(): number {
    return this.config.padId;
  }

  get vocabularySize(): number {
    return this.config.vocabulary;
  }

  get eosId(): number {
    return this.config.endIds[0]!;
  }

  get endIds(): readonly number[] {
    return this.config.endIds;
  }

  get inputEmbedding(): Tensor {
    return this.#embedding;
  }

  #stages(places: Places): Stage[] {
    return this.#blocks.map((block) => ({
      forward: (x, context) => block.forward(x, places, context),
      isTrained: () => block.linears.some((linear) => linear.isTrained),
    }));
  }

  /** Of whole sequences. Padding behind a row needs no mask: no token looks ahead. */
  #placesOf(attentionMask: Tensor): Places {
    const [rows, length] = attentionMask.shape as [number, number];
    const flags = attentionMask.toArray();
    const isPadded = flags.some((flag, i) => flag !== 0 && i % length > 0 && flags[i - 1] === 0);
    if (!isPadded) return { rotation: this.#rotations.range(0, length), mask: null, cache: null };
    const positions: number[] = [];
    for (const [i, flag] of flags.entries()) {
      const before = i % length === 0 ? -1 : positions[i - 1]!;
      positions.push(flag === 0 ? before : before + 1);
    }
    const known = positions.map((position) => Math.max(position, 0));
    return { rotation: this.#rotations.at(known, rows), mask: attentionMask, cache: null };
  }

  #embedded(ids: Tensor): Tensor {
    return embedding(this.#embedding, ids).toDtype(this.dtype);
  }

  #embed({ inputIds, attentionMask, prefix }: Prompts): Embedded {
    return withPrefix(this.#embedded(inputIds), attentionMask, prefix);
  }

  features(batch: Pick<Batch, "inputIds" | "attentionMask">): Tensor {
    return inference(() => {
      const { x, mask } = this.#embed(batch);
      const { output } = runStages(this.#stages(this.#placesOf(mask)), x, EVALUATION);
      return meanOverTokens(this.#normed(output), mask);
    });
  }

  #normed(hidden: Tensor): Tensor {
    return rmsNorm(hidden, this.#norm, this.config.epsilon);
  }

  /** Hidden states [..., width] to logits [..., vocabulary]. */
  #logits(hidden: Tensor): Tensor {
    const x = this.#normed(hidden);
    return lowRankLinear({ x, weight: this.#head, bias: null, terms: [], p: 0, seed: 0 });
  }

  forward(batch: Batch, context: ForwardContext): ModelOutput {
    return tidy(() => {
      const length = batch.inputIds.dim(1);
      const before = prefixLength(batch.prefix);
      const { x, mask } = this.#embed(batch);
      const places = this.#placesOf(mask);
      const run = runStages(this.#stages(places), x, context);
      // A label is predicted from the position before it; the head computes those positions alone.
      const labels = batch.labels.toArray();
      const isFirst = (i: number) => before === 0 && i % length === 0;
      const positions = labels.flatMap((label, i) => (label === -100 || isFirst(i) ? [] : [i]));
      const pick = (from: Tensor, index: readonly number[]) =>
        from.indexSelect(0, tensor(index, [index.length], "int64", this.device));
      const hidden = pick(
        run.output.view([-1, this.config.width]),
        positions.map((i) => i + before * (Math.floor(i / length) + 1) - 1),
      );
      const logits = this.#logits(hidden);
      const loss = crossEntropy(logits, pick(batch.labels.view([-1]), positions));
      return {
        loss,
        logits,
        labelTokens: positions.length,
        held: [...run.held, ...madeMask(mask, batch), places.rotation.cos, places.rotation.sin],
        backward: (objective) => backwardThrough(objective, run),
      };
    });
  }

  /** Logits of every position, the prefix's included, [batch, length, vocabulary]. */
  logits(batch: Prompts, context: ForwardContext): Tensor {
    return tidy(() => {
      const { x, mask } = this.#embed(batch);
      return this.#logits(runStages(this.#stages(this.#placesOf(mask)), x, context).output);
    });
  }

  startDecoding(prompts: Prompts): Decoding {
    const cache = new RowCache(prompts.inputIds.dim(0), true);
    return new CachedDecoding({
      model: this,
      device: this.device,
      caches: [cache],
      start: () => {
        const { x, mask } = this.#embed(prompts);
        return this.#extend(x, cache, tokensOf(mask.toArray(), mask.dim(1)));
      },
      advance: (ids) => this.#extend(this.#embedded(ids), cache, undefined),
    });
  }

  /** Runs new columns, x [rows, columns, width]; `tokens` of them, at the end, are not padding (default all). */
  #extend(embedded: Tensor, cache: RowCache, tokens: readonly number[] | undefined): Tensor {
    const [rows, columns] = embedded.shape as [number, number, number];
    cache.extend(columns, tokens);
    const mask = cache.mask(this.device);
    const positions = cache.lengths.flatMap((count) =>
      Array.from({ length: columns }, (_, i) => Math.max(count - columns + i, 0)),
    );
    const rotation = mask
      ? this.#rotations.at(positions, rows)
      : this.#rotations.range(cache.length - columns, columns);
    let x = embedded;
    for (const stage of this.#stages({ rotation, mask, cache })) {
      x = tidy(() => stage.forward(x, EVALUATION));
    }
    return this.#logits(x.select(1, columns - 1));
  }

  copy(): Llama {
    return noGrad(() =>
      tidy(() => new Llama(copiesOf(this.weights), this.config, this.dtype, this.#own.dtype)),
    );
  }

  dispose(): void {
    this.#own.dispose();
    this.#rotations.dispose();
  }
}

/** Tokens of each row of a mask that is padded on the left. */
function tokensOf(flags: readonly number[], length: number): number[] {
  const counts = Array.from({ length: flags.length / length }, () => 0);
  for (const [i, flag] of flags.entries()) {
    const row = Math.floor(i / length);
    if (flag !== 0) counts[row]!++;
    else if (counts[row]! > 0) {
      throw new TensorError(`row ${row} of the prompts has padding after a token, expected it on the left`);
    }
  }
  return counts;
}
