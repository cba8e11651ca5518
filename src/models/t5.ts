/**
 * T5: encoder-decoder with relative position bias. Classic (relu, tied head) and v1.1/Flan (gated GELU, untied head),
 * told apart by the checkpoint's config. Source: Raffel et al. 2020, and the layout of Hugging Face's checkpoints.
 */
import { backwardThrough, type Checkpointed, runStages, type Stage } from "../nn/checkpointing.js";
import { EVALUATION, type ForwardContext } from "../nn/context.js";
import { crossEntropy, dropout, lowRankLinear, rmsNorm } from "../nn/kernels.js";
import type { Linear } from "../nn/linear.js";
import { tensor } from "../tensor/create.js";
import type { Device, DType } from "../tensor/dtype.js";
import { cat, embedding, full } from "../tensor/functions.gen.js";
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
import { type Embedded, madeMask, meanOverTokens, withPrefix } from "./prefix.js";
import { RowCache } from "./row-cache.js";
import {
  CrossAttention,
  type DecoderBlock,
  type EncoderBlock,
  FeedForward,
  SelfAttention,
} from "./t5-blocks.js";
import type { T5Config } from "./t5-config.js";
import { DecoderMemory } from "./t5-memory.js";
import { PositionBias } from "./t5-position-bias.js";
import { Weights } from "./weights.js";

export class T5 implements LanguageModel {
  readonly family = "seq2seq";
  readonly defaultTargets = ["q", "v"];
  readonly linears: ReadonlyMap<string, Linear>;
  readonly weights: ReadonlyMap<string, Tensor>;
  readonly parameterCount: number;
  readonly #own: Weights;
  readonly #embedding: Tensor;
  readonly #head: Tensor;
  readonly #encoder: EncoderBlock[] = [];
  readonly #decoder: DecoderBlock[] = [];
  readonly #encoderNorm: Tensor;
  readonly #decoderNorm: Tensor;
  readonly #encoderBias: PositionBias;
  readonly #decoderBias: PositionBias;
  /** How the decoder's layers attend to the encoder's output. */
  readonly #memory: DecoderMemory;

  /** Computes in `dtype`; takes its weights from the source, mapped where theirs agrees and converted otherwise. */
  constructor(
    source: WeightSource,
    readonly config: T5Config,
    readonly dtype: DType,
    weightsDtype: DType = dtype,
  ) {
    const { width, feedForward, heads, headWidth } = config;
    const inner = heads * headWidth;
    const weights = new Weights(source, weightsDtype);
    this.#own = weights;
    this.linears = weights.linears;
    const feedForwardAt = (prefix: string): FeedForward => {
      const names = config.gated ? ["wi_0", "wi_1"] : ["wi"];
      const inputs = names.map((name) =>
        weights.linear(`${prefix}.DenseReluDense.${name}`, feedForward, width),
      );
      const output = weights.linear(`${prefix}.DenseReluDense.wo`, width, feedForward);
      return new FeedForward(
        weights.tensor(`${prefix}.layer_norm.weight`, [width]),
        weights.group(inputs),
        output,
        config,
      );
    };
    const selfAttentionAt = (prefix: string): SelfAttention => {
      const projections = ["q", "k", "v"].map((name) =>
        weights.linear(`${prefix}.SelfAttention.${name}`, inner, width),
      );
      const output = weights.linear(`${prefix}.SelfAttention.o`, width, inner);
      return new SelfAttention(
        weights.tensor(`${prefix}.layer_norm.weight`, [width]),
        weights.group(projections),
        output,
        config,
      );
    };
    const biasAt = (stack: string, bidirectional: boolean): PositionBias => {
      const name = `${stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight`;
      return new PositionBias(
        weights.tensor(name, [config.buckets, heads]),
        bidirectional,
        config.maxDistance,
      );
    };

    this.#embedding = weights.tensor("shared.weight", [config.vocabulary, width]);
    for (let i = 0; i < config.encoderLayers; i++) {
      this.#encoder.push({
        attention: selfAttentionAt(`encoder.block.${i}.layer.0`),
        feedForward: feedForwardAt(`encoder.block.${i}.layer.1`),
      });
    }
    this.#encoderBias = biasAt("encoder", true);
    this.#encoderNorm = weights.tensor("encoder.final_layer_norm.weight", [width]);
    const crossMembers: Linear[] = [];
    for (let i = 0; i < config.decoderLayers; i++) {
      const block = `decoder.block.${i}`;
      const attention = selfAttentionAt(`${block}.layer.0`);
      const prefix = `${block}.layer.1`;
      const [q, k, v] = ["q", "k", "v"].map((name) =>
        weights.linear(`${prefix}.EncDecAttention.${name}`, inner, width),
      );
      const output = weights.linear(`${prefix}.EncDecAttention.o`, width, inner);
      const cross = new CrossAttention(
        weights.tensor(`${prefix}.layer_norm.weight`, [width]),
        q!,
        output,
        config,
      );
      crossMembers.push(k!, v!);
      this.#decoder.push({ attention, cross, feedForward: feedForwardAt(`${block}.layer.2`) });
    }
    this.#decoderBias = biasAt("decoder", false);
    this.#decoderNorm = weights.tensor("decoder.final_layer_norm.weight", [width]);
    this.#memory = new DecoderMemory(weights.group(crossMembers), heads);
    this.#head = config.tied ? this.#embedding : weights.tensor("lm_head.weight", [config.vocabulary, width]);
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
    return this.config.eosId;
  }

  get endIds(): readonly number[] {
    return this.config.endIds;
  }

  get inputEmbedding(): Tensor {
    return this.#embedding;
  }

  /** Final hidden states of the encoder, [batch, source, width]. */
  encode(inputIds: Tensor, attentionMask: Tensor, context: ForwardContext): Tensor {
    return this.#encode({ x: this.#embedded(inputIds), mask: attentionMask }, context).output;
  }

  features({ inputIds, attentionMask }: Pick<Batch, "inputIds" | "attentionMask">): Tensor {
    return inference(() => meanOverTokens(this.encode(inputIds, attentionMask, EVALUATION), attentionMask));
  }

  #embedded(ids: Tensor): Tensor {
    return embedding(this.#embedding, ids).toDtype(this.dtype);
  }

  #embed({ inputIds, attentionMask, prefix }: Prompts): Embedded {
    return withPrefix(this.#embedded(inputIds), attentionMask, prefix);
  }

  /** The encoder's activations may be checkpointed; the decoder's, over a short answer, are always kept. */
  #encode({ x: embedded, mask }: Embedded, context: ForwardContext): Checkpointed {
    const p = context.training ? this.config.dropout : 0;
    const made = this.#encoderBias.full(embedded.dim(1), embedded.dim(1));
    // All stages use it: when they are computed again one by one, its gradient is gathered before it goes further.
    const isGathered = context.checkpointing && made.requiresGrad;
    const bias = isGathered ? made.detach() : made;
    if (isGathered) bias.requiresGrad = true;
    const stages = this.#encoder.map(({ attention, feedForward }): Stage => {
      const linears = [...attention.projections.members, attention.output];
      linears.push(...feedForward.input.members, feedForward.output);
      return {
        forward: (x, own) => feedForward.forward(attention.forward(x, bias, mask, p, own), p, own),
        isTrained: () => linears.some((linear) => linear.isTrained),
      };
    });
    const last: Stage = {
      forward: (x, own) => dropout(rmsNorm(x, this.#encoderNorm, this.config.epsilon), p, own.nextSeed()),
      isTrained: () => false,
    };
    const x = dropout(embedded, p, context.nextSeed());
    const run = runStages([...stages, last], x, context);
    if (!isGathered) return run;
    const backward = (): void => {
      run.backward();
      made.backward({ gradient: bias.grad! });
    };
    return { ...run, held: [...run.held, made, bias], backward };
  }

  /** Final hidden states of the decoder under teacher forcing, [batch, target, width]. */
  #decode(decoderIds: Tensor, encoded: Tensor, attentionMask: Tensor, context: ForwardContext): Tensor {
    const p = context.training ? this.config.dropout : 0;
    const bias = this.#decoderBias.full(decoderIds.dim(1), decoderIds.dim(1));
    const attends = this.#memory.attend(encoded, attentionMask, decoderIds.dim(1), context);
    let x = dropout(this.#embedded(decoderIds), p, context.nextSeed());
    for (const [i, { attention, cross, feedForward }] of this.#decoder.entries()) {
      x = tidy(() => {
        const own = attention.forward(x, bias, null, p, context);
        return feedForward.forward(cross.forward(own, attends[i]!, p, context), p, context);
      });
    }
    return dropout(rmsNorm(x, this.#decoderNorm, this.config.epsilon), p, context.nextSeed());
  }

  /** Logits [..., vocabulary] of hidden states [..., width]. */
  #logits(hidden: Tensor): Tensor {
    const scaled = this.config.tied ? hidden.mul(this.config.width ** -0.5) : hidden;
    return lowRankLinear({ x: scaled, weight: this.#head, bias: null, terms: [], p: 0, seed: 0 });
  }

  /** Labels shifted right behind the start token, [batch, target]. */
  #decoderIds(labels: Tensor): Tensor {
    const { startId, padId } = this.config;
    const start = full([labels.dim(0), 1], startId, { dtype: "int64", device: this.device });
    const shifted = cat([start, labels.narrow(1, 0, labels.dim(1) - 1)], 1);
    return shifted.maskedFill(shifted.eq(-100), padId);
  }

  forward(batch: Batch, context: ForwardContext): ModelOutput {
    return tidy(() => {
      const embedded = this.#embed(batch);
      const run = this.#encode(embedded, context);
      const hidden = this.#decode(this.#decoderIds(batch.labels), run.output, embedded.mask, context);
      // The head is a large part of a small model, and most label positions are padding: only real ones are computed.
      const labels = batch.labels.toArray();
      const positions = labels.flatMap((label, position) => (label === -100 ? [] : [position]));
      const index = tensor(positions, [positions.length], "int64", this.device);
      const rows = hidden.view([-1, this.config.width]).indexSelect(0, index);
      const logits = this.#logits(rows);
      const loss = crossEntropy(logits, batch.labels.view([-1]).indexSelect(0, index));
      return {
        loss,
        logits,
        labelTokens: positions.length,
        held: [...run.held, ...madeMask(embedded.mask, batch)],
        backward: (objective) => backwardThrough(objective, run),
      };
    });
  }

  /** Logits of every target position, [batch, target, vocabulary], without dropout. */
  logits(batch: Batch, context: ForwardContext): Tensor {
    return tidy(() => {
      const embedded = this.#embed(batch);
      const encoded = this.#encode(embedded, context).output;
      return this.#logits(this.#decode(this.#decoderIds(batch.labels), encoded, embedded.mask, context));
    });
  }

  startDecoding(prompts: Prompts): Decoding {
    const rows = prompts.inputIds.dim(0);
    const own = new RowCache(rows, true);
    const crossed = new RowCache(rows, false);
    const advance = (ids: Tensor): Tensor => this.#step(ids, own, crossed);
    return new CachedDecoding({
      model: this,
      device: this.device,
      caches: [own, crossed],
      start: () => {
        const embedded = this.#embed(prompts);
        this.#memory.store(crossed, this.#encode(embedded, EVALUATION).output, embedded.mask);
        return advance(full([rows, 1], this.config.startId, { dtype: "int64", device: this.device }));
      },
      advance,
    });
  }

  /** Logits [rows, vocabulary] after one more token per row, ids [rows, 1]. */
  #step(ids: Tensor, own: RowCache, crossed: RowCache): Tensor {
    own.extend(1);
    const bias = this.#decoderBias.row(own.length);
    const mask = own.mask(this.device);
    const attends = this.#memory.stored(crossed);
    let x = this.#embedded(ids);
    for (const [i, { attention, cross, feedForward }] of this.#decoder.entries()) {
      x = tidy(() => {
        const written = attention.step(x, bias, mask, own, i);
        return feedForward.forward(cross.forward(written, attends[i]!, 0, EVALUATION), 0, EVALUATION);
      });
    }
    return this.#logits(rmsNorm(x, this.#decoderNorm, this.config.epsilon)).select(1, 0);
  }

  copy(): T5 {
    return noGrad(() => tidy(() => new T5(copiesOf(this.weights), this.config, this.dtype, this.#own.dtype)));
  }

  dispose(): void {
    this.#own.dispose();
    this.#encoderBias.dispose();
    this.#decoderBias.dispose();
  }
}
