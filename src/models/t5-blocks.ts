/** The sublayers of T5's blocks: each adds what it makes of the normed input to the input. */
import { EVALUATION, type ForwardContext } from "../nn/context.js";
import {
  attention,
  dropoutAdd,
  gatedGeluDropout,
  reluDropout,
  rmsNorm,
  selfAttention,
} from "../nn/kernels.js";
import type { Linear, LinearGroup } from "../nn/linear.js";
import type { Tensor } from "../tensor/tensor.js";
import type { RowCache } from "./row-cache.js";
import type { T5Config } from "./t5-config.js";
import type { Attend } from "./t5-memory.js";

export class FeedForward {
  constructor(
    readonly norm: Tensor,
    readonly input: LinearGroup,
    readonly output: Linear,
    readonly config: T5Config,
  ) {}

  forward(x: Tensor, p: number, context: ForwardContext): Tensor {
    const normed = rmsNorm(x, this.norm, this.config.epsilon);
    const [first, second] = this.input.forward(normed, context);
    const hidden = second
      ? gatedGeluDropout(first!, second, p, context.nextSeed())
      : reluDropout(first!, p, context.nextSeed());
    return dropoutAdd(this.output.forward(hidden, context), x, p, context.nextSeed());
  }
}

export class SelfAttention {
  /** `projections` are q, k and v. */
  constructor(
    readonly norm: Tensor,
    readonly projections: LinearGroup,
    readonly output: Linear,
    readonly config: T5Config,
  ) {}

  #normed(x: Tensor): Tensor {
    return rmsNorm(x, this.norm, this.config.epsilon);
  }

  forward(x: Tensor, bias: Tensor, mask: Tensor | null, p: number, context: ForwardContext): Tensor {
    const qkv = this.projections.forwardStacked(this.#normed(x), context);
    const mixed = selfAttention(qkv, { heads: this.config.heads, bias, mask, p, seed: context.nextSeed() });
    return dropoutAdd(this.output.forward(mixed, context), x, p, context.nextSeed());
  }

  /** One step of decoding: x [rows, 1, width]; keys and values side by side go to a slot of the cache. */
  step(x: Tensor, bias: Tensor, mask: Tensor | null, cache: RowCache, slot: number): Tensor {
    const { heads, headWidth } = this.config;
    const inner = heads * headWidth;
    const qkv = this.projections.forwardStacked(this.#normed(x), EVALUATION);
    const both = cache.write(slot, qkv.narrow(2, inner, 2 * inner));
    const mixed = attention({
      query: qkv.narrow(2, 0, inner),
      key: both.narrow(2, 0, inner),
      value: both.narrow(2, inner, inner),
      heads,
      bias,
      mask,
      p: 0,
      seed: 0,
    });
    return x.add(this.output.forward(mixed, EVALUATION));
  }
}

export class CrossAttention {
  constructor(
    readonly norm: Tensor,
    readonly query: Linear,
    readonly output: Linear,
    readonly config: T5Config,
  ) {}

  forward(x: Tensor, attend: Attend, p: number, context: ForwardContext): Tensor {
    const query = this.query.forward(rmsNorm(x, this.norm, this.config.epsilon), context);
    const mixed = attend(query, p, context.nextSeed());
    return dropoutAdd(this.output.forward(mixed, context), x, p, context.nextSeed());
  }
}

export interface EncoderBlock {
  readonly attention: SelfAttention;
  readonly feedForward: FeedForward;
}

export interface DecoderBlock extends EncoderBlock {
  readonly cross: CrossAttention;
}
