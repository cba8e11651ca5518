/**
 * How the layers of an encoder-decoder's decoder attend to what the encoder has made of the source, the memory: over keys and
 * values projected from it, or over the memory itself, which takes fewer multiplications where few positions ask.
 */
import { EVALUATION, type ForwardContext } from "../nn/context.js";
import { attention, memoryAttention } from "../nn/kernels.js";
import type { LinearGroup } from "../nn/linear.js";
import type { Tensor } from "../tensor/tensor.js";
import type { RowCache } from "./row-cache.js";

/** One layer's cross-attention: query [batch, length, inner] to mixed values of the same shape. */
export type Attend = (query: Tensor, p: number, seed: number) => Tensor;

export class DecoderMemory {
  /** `projections` are the keys and values of every layer: k_0, v_0, k_1, v_1, ..., without biases. */
  constructor(
    readonly projections: LinearGroup,
    readonly heads: number,
  ) {}

  /** memory [batch, source, width], mask [batch, source]; `targets` positions of every row are going to ask. */
  attend(memory: Tensor, mask: Tensor, targets: number, context: ForwardContext): Attend[] {
    const headWidth = this.projections.members[0]!.outputs / this.heads;
    const source = memory.dim(1);
    // Multiplications per layer, head and column of the memory. Elsewhere than on the cpu the fused form does not exist.
    const fewer = targets * (headWidth + source) < headWidth * source;
    return memory.device === "cpu" && fewer
      ? this.#over(memory, this.projections.hidden(memory, context), mask)
      : this.#overProjected(this.projections.forward(memory, context), mask);
  }

  /** Writes what decoding will need to an empty cache: the mask, and the memory or, elsewhere than on the cpu, all keys and values. */
  store(cache: RowCache, memory: Tensor, mask: Tensor): void {
    cache.extend(memory.dim(1));
    const slots =
      memory.device === "cpu"
        ? [memory, ...this.projections.hidden(memory, EVALUATION).filter((each) => each !== null)]
        : this.projections.forward(memory, EVALUATION);
    for (const [slot, each] of [mask.unsqueeze(2), ...slots].entries()) cache.write(slot, each);
  }

  /** Over what `store` has written. */
  stored(cache: RowCache): Attend[] {
    const { members } = this.projections;
    let slot = 0;
    const next = () => cache.read(slot++);
    const mask = next().squeeze(2);
    if (mask.device !== "cpu") return this.#overProjected(members.map(next), mask);
    const memory = next();
    const hidden = members.map(({ additions }) => (additions.length > 0 ? next() : null));
    return this.#over(memory, hidden, mask);
  }

  #over(memory: Tensor, hidden: readonly (Tensor | null)[], mask: Tensor): Attend[] {
    const { heads } = this;
    const projections = this.projections.members.map((member, i) => {
      return { weight: member.weight, hidden: hidden[i]!, up: member.additionsUp() };
    });
    return pairsOf(projections).map(([key, value]) => (query, p, seed) => {
      return memoryAttention({ query, memory, key, value, heads, mask, p, seed });
    });
  }

  #overProjected(projected: readonly Tensor[], mask: Tensor): Attend[] {
    const { heads } = this;
    return pairsOf(projected).map(([key, value]) => (query, p, seed) => {
      return attention({ query, key, value, heads, bias: null, mask, p, seed });
    });
  }
}

const pairsOf = <T>(list: readonly T[]): [T, T][] =>
  list.flatMap((first, i): [T, T][] => (i % 2 === 0 ? [[first, list[i + 1]!]] : []));
