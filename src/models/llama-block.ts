/** A layer of the LLaMA family, with the keys and values that it keeps while it decodes. */
import type { ForwardContext } from "../nn/context.js";
import { causalAttention, rmsNorm, rotate, siluMultiply } from "../nn/kernels.js";
import type { Linear, LinearGroup } from "../nn/linear.js";
import type { Tensor } from "../tensor/tensor.js";
import type { LlamaConfig } from "./llama-config.js";
import type { Rotation } from "./rope.js";
import type { RowCache } from "./row-cache.js";

/** Where the tokens of a batch stand. */
export interface Places {
  readonly rotation: Rotation;
  /** [batch, keys] bool, true where there is a token, or null where causality alone keeps padding out. */
  readonly mask: Tensor | null;
  /** Keys and values of the tokens before, to be added to; slots 2 layer and 2 layer + 1. */
  readonly cache: RowCache | null;
}

/** One layer: attention, then the gated feed-forward, each on what the norm before it makes. */
export class LlamaBlock {
  constructor(
    readonly layer: number,
    readonly config: LlamaConfig,
    readonly attentionNorm: Tensor,
    /** Queries, keys and values. */
    readonly projections: LinearGroup,
    readonly headNorms: { readonly query: Tensor; readonly key: Tensor } | null,
    readonly output: Linear,
    readonly feedForwardNorm: Tensor,
    /** Gate and value. */
    readonly input: LinearGroup,
    readonly down: Linear,
  ) {}

  forward(x: Tensor, places: Places, context: ForwardContext): Tensor {
    const attended = x.add(
      this.#attend(rmsNorm(x, this.attentionNorm, this.config.epsilon), places, context),
    );
    const normed = rmsNorm(attended, this.feedForwardNorm, this.config.epsilon);
    const [gate, value] = this.input.forward(normed, context) as [Tensor, Tensor];
    return attended.add(this.down.forward(siluMultiply(gate, value), context));
  }

  #attend(normed: Tensor, { rotation, mask, cache }: Places, context: ForwardContext): Tensor {
    const { heads, keyValueHeads, headWidth, windows, dropout } = this.config;
    const [query, key, value] = this.projections.forward(normed, context) as [Tensor, Tensor, Tensor];
    const { cos, sin } = rotation;
    const turned = rotate(this.#normHeads(key, "key"), cos, sin, keyValueHeads, 1);
    const p = context.training ? dropout : 0;
    const mixed = causalAttention({
      // The scale of the scores goes into the queries.
      query: rotate(this.#normHeads(query, "query"), cos, sin, heads, headWidth ** -0.5),
      key: cache ? cache.write(2 * this.layer, turned) : turned,
      value: cache ? cache.write(2 * this.layer + 1, value) : value,
      heads,
      keyValueHeads,
      window: windows[this.layer]!,
      mask,
      p,
      seed: p > 0 ? context.nextSeed() : 0,
    });
    return this.output.forward(mixed, context);
  }

  #normHeads(x: Tensor, which: "query" | "key"): Tensor {
    if (!this.headNorms) return x;
    const { headWidth, epsilon } = this.config;
    const heads = x.reshape([x.dim(0), x.dim(1), x.dim(2) / headWidth, headWidth]);
    return rmsNorm(heads, this.headNorms[which], epsilon).reshape(x.shape);
  }

  get linears(): readonly Linear[] {
    return [...this.projections.members, this.output, ...this.input.members, this.down];
  }
}
