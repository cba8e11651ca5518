/** The one seam that methods, the loop and evaluation rely on: every model family looks the same from outside. */
import type { ForwardContext } from "../nn/context.js";
import type { Linear } from "../nn/linear.js";
import type { Device, DType } from "../tensor/dtype.js";
import type { Tensor } from "../tensor/tensor.js";
import type { Decoding } from "./decoding.js";

export interface Batch {
  /** [batch, source] int64; of a decoder-only model prompt and answer, one after the other. */
  readonly inputIds: Tensor;
  /** [batch, source] bool; true where there is a token */
  readonly attentionMask: Tensor;
  /**
   * [batch, target] int64; -100 where no loss is taken. Of a decoder-only model [batch, source]: the token that stands
   * there, to be predicted from those before it.
   */
  readonly labels: Tensor;
  /**
   * [batch or 1, positions, width], any dtype: embeddings that stand directly before the tokens of each row (T5: of the
   * encoder's input). May have a history. None: the tokens alone.
   */
  readonly prefix?: Tensor | null;
}

/** What answers are written to. */
export type Prompts = Pick<Batch, "inputIds" | "attentionMask" | "prefix">;

/** Where a model's weights come from: a checkpoint, or made-up ones in a benchmark. */
export interface WeightSource {
  /** Throws when there is no such weight, or when it has another shape. */
  tensor(name: string, expectedShape: readonly number[]): Tensor;
  /** A weight has been copied and its tensor is not used any more; memory it takes may go. */
  release?(name: string): void;
}

export interface ModelOutput {
  /** Mean cross-entropy over the label tokens, a float32 scalar (methods: token mean of the batch). */
  readonly loss: Tensor;
  /** How many label tokens the mean runs over. */
  readonly labelTokens: number;
  /** Teacher-forced logits at the label tokens, row by row, [labelTokens, vocabulary]. */
  readonly logits: Tensor;
  /** Tensors that `backward` needs; they belong to the open scope. */
  readonly held: readonly Tensor[];
  /**
   * Adds the gradients of `objective`, a scalar made of this output's loss and logits, to those of everything trained.
   * To be called once.
   */
  backward(objective: Tensor): void;
}

export interface LanguageModel {
  readonly family: "seq2seq" | "causal";
  /** Dtype of the arithmetic; weights that are trained may be kept in a wider one. */
  readonly dtype: DType;
  /** Where its weights are, and where the tensors of a batch have to be. */
  readonly device: Device;
  /** Every linear layer by its checkpoint path, in traversal order (encoder before decoder, layer by layer). */
  readonly linears: ReadonlyMap<string, Linear>;
  /** Last path components that LoRA adapts unless told otherwise. */
  readonly defaultTargets: readonly string[];
  readonly padId: number;
  /** Rows of the embedding: no token id may reach it. */
  readonly vocabularySize: number;
  /** The token that training puts at the end of an answer. */
  readonly eosId: number;
  /** Every token that ends an answer; `eosId` is one of them. */
  readonly endIds: readonly number[];
  /** All weights by checkpoint name; those of `linears` are their `weight`. A tied head has no entry of its own. */
  readonly weights: ReadonlyMap<string, Tensor>;
  /** The embedding of every token, [vocabularySize, width], one of `weights`. */
  readonly inputEmbedding: Tensor;
  /** Number of weights of the base model. */
  readonly parameterCount: number;
  forward(batch: Batch, context: ForwardContext): ModelOutput;
  /**
   * What the model makes of each row without a prefix: the mean of the last hidden states (T5: the encoder's) over its
   * tokens, [batch, width] in float32, without dropout and without a history.
   */
  features(batch: Pick<Batch, "inputIds" | "attentionMask">): Tensor;
  /**
   * Runs the prompts: a decoder's are padded on the left, an encoder's on either side. How tokens are then chosen is
   * written in generate.ts for every family.
   */
  startDecoding(batch: Prompts): Decoding;
  /** The same model with weights of its own, frozen and without additions. */
  copy(): LanguageModel;
  dispose(): void;
}

/** A model's weights as a source for another: copies, owned by the open scope. */
export const copiesOf = (weights: ReadonlyMap<string, Tensor>): WeightSource => ({
  tensor: (name) => weights.get(name)!.detach().clone(),
});
