/** T5 of a given shape with random weights. */
import { T5 } from "../models/t5.js";
import type { DType } from "../tensor/dtype.js";
import { ones, randn } from "../tensor/functions.gen.js";
import { noGrad } from "../tensor/grad.js";
import { tidy } from "../tensor/scope.js";
import type { ModelShape } from "./protocol.js";

export const SHAPES: Readonly<Record<string, ModelShape>> = {
  "t5-mini": { d_model: 256, d_ff: 1024, heads: 4, d_kv: 64, layers: 4, vocab: 8128 },
  "t5-small": { d_model: 512, d_ff: 2048, heads: 8, d_kv: 64, layers: 6, vocab: 32128 },
};

/** The model keeps its own tensors; everything else made on the way is released. */
export function randomT5(shape: ModelShape, dtype: DType, dropout: number): T5 {
  const config = {
    vocabulary: shape.vocab,
    width: shape.d_model,
    feedForward: shape.d_ff,
    heads: shape.heads,
    headWidth: shape.d_kv,
    encoderLayers: shape.layers,
    decoderLayers: shape.layers,
    buckets: 32,
    maxDistance: 128,
    epsilon: 1e-6,
    gated: false,
    tied: true,
    dropout,
    padId: 0,
    eosId: 1,
    endIds: [1],
    startId: 0,
  };
  const source = {
    tensor: (_: string, size: readonly number[]) =>
      size.length === 1 ? ones(size, { dtype }) : randn(size, { dtype }).mul_(size[1]! ** -0.5),
  };
  const made: T5[] = [];
  noGrad(() => tidy(() => void made.push(new T5(source, config, dtype))));
  return made[0]!;
}
