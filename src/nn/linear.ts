/**
 * Linear layers that may carry low-rank additions, and groups of them that share an input and so one multiplication.
 * A model does not know what the additions are; adapters attach them.
 */
import { cat, linear } from "../tensor/functions.gen.js";
import { isRecording } from "../tensor/grad.js";
import type { Tensor } from "../tensor/tensor.js";
import type { ForwardContext } from "./context.js";
import { dropout, lowRankLinear } from "./kernels.js";
import { groupSeed, type LowRankInputs, type LowRankTerm } from "./low-rank.js";

/** y = x W^T + scale * (drop(x) A^T) B^T, the additions of one layer sharing one dropout mask. */
export interface LowRankAddition {
  /** [rank, inputs] */
  readonly a: Tensor;
  /** [outputs, rank] */
  readonly b: Tensor;
  readonly scale: number;
}

export class Linear {
  /** Owned additions, in the order in which they were attached. */
  additions: readonly LowRankAddition[] = [];
  /** Dropout on the input of the additions, while training. */
  additionDropout = 0;
  readonly inputs: number;
  readonly outputs: number;

  /** `name` is the checkpoint's module path; `weight` is [outputs, inputs]. Takes over the tensors. */
  constructor(
    readonly name: string,
    public weight: Tensor,
    public bias: Tensor | null = null,
  ) {
    this.outputs = weight.dim(0);
    this.inputs = weight.dim(1);
  }

  /** Whether the layer or an addition is being trained. */
  get isTrained(): boolean {
    return this.weight.requiresGrad || this.additions.some(({ a, b }) => a.requiresGrad || b.requiresGrad);
  }

  forward(x: Tensor, context: ForwardContext): Tensor {
    context.observe?.([this], x);
    return lowRankLinear({ x, weight: this.weight, bias: this.bias, ...lowRankOf([this], context) });
  }

  /** The second factors of all additions side by side, scaled, [outputs, sum of ranks]; null without additions. */
  additionsUp(): Tensor | null {
    const factors = this.additions.map(({ b, scale }) => b.mul(scale));
    return factors.length === 0 ? null : factors.length === 1 ? factors[0]! : cat(factors, 1);
  }
}

/**
 * Weights of so many elements are not stacked: from here on three multiplications are hardly slower than one
 * (docs/performance.md), and stacking would copy weights that can stay mapped.
 */
const APART_FROM = 2 ** 22;

/** Linear layers on the same input, computed by one multiplication with their stacked weights unless these are large. */
export class LinearGroup {
  /** Null where the members are computed one by one. */
  readonly #stack: { readonly weight: Tensor; readonly bias: Tensor | null } | null;

  /** Stacks the members' weights and biases, unless told not to; each member's then become views of its rows. */
  constructor(
    readonly members: readonly Linear[],
    stack = members.every(({ weight }) => weight.size < APART_FROM),
  ) {
    if (members.length === 1 || !stack) {
      this.#stack = null;
      return;
    }
    const weight = cat(members.map((member) => member.weight)).keep();
    const biases = members.map((member) => member.bias).filter((bias) => bias !== null);
    const bias = biases.length === members.length ? cat(biases).keep() : null;
    this.#stack = { weight, bias };
    let row = 0;
    for (const member of members) {
      const rows = (stacked: Tensor, before: Tensor): Tensor => {
        before.dispose();
        return stacked.narrow(0, row, member.outputs).keep();
      };
      member.weight = rows(weight, member.weight);
      if (bias) member.bias = rows(bias, member.bias!);
      row += member.outputs;
    }
  }

  /** Whether the members' weights have been copied. */
  get isStacked(): boolean {
    return this.#stack !== null;
  }

  /** One output [..., outputs of the member] per member. */
  forward(x: Tensor, context: ForwardContext): Tensor[] {
    const { members } = this;
    context.observe?.(members, x);
    const lowRank = lowRankOf(members, context);
    const stack = this.#usable();
    if (stack) {
      const widths = members.map((member) => member.outputs);
      return lowRankLinear({ x, ...stack, ...lowRank }).splitWithSizes(widths, -1);
    }
    // The same dropout masks as stacked.
    return members.map(({ weight, bias }, group) => {
      const own = lowRank.terms.filter((term) => term.group === group);
      const terms = own.map((term) => ({ ...term, offset: 0 }));
      return lowRankLinear({ x, weight, bias, ...lowRank, terms });
    });
  }

  /** The outputs of all members side by side, [..., sum of outputs]. */
  forwardStacked(x: Tensor, context: ForwardContext): Tensor {
    const stack = this.#usable();
    if (stack) {
      context.observe?.(this.members, x);
      return lowRankLinear({ x, ...stack, ...lowRankOf(this.members, context) });
    }
    const outputs = this.forward(x, context);
    return outputs.length === 1 ? outputs[0]! : cat(outputs, -1);
  }

  /** What the additions of each member make of x, [..., sum of ranks], under the masks of `forward`; null without additions. */
  hidden(x: Tensor, context: ForwardContext): (Tensor | null)[] {
    context.observe?.(this.members, x);
    const { terms, p, seed } = lowRankOf(this.members, context);
    return this.members.map((_, group) => {
      const factors = terms.filter((term) => term.group === group).map(({ a }) => a);
      if (factors.length === 0) return null;
      const a = factors.length === 1 ? factors[0]! : cat(factors);
      return linear(dropout(x, p, groupSeed(seed, group)), a.toDtype(x.dtype));
    });
  }

  /** Where the members are trained, the gradient has to find them: the stack does not lead to its views. */
  #usable(): { readonly weight: Tensor; readonly bias: Tensor | null } | null {
    const isTrained = isRecording() && this.members.some(({ weight }) => weight.requiresGrad);
    return isTrained ? null : this.#stack;
  }

  /** Releases the stacked weights and the members' views of them. */
  dispose(): void {
    if (!this.#stack) return;
    for (const { weight, bias } of this.members) {
      weight.dispose();
      bias?.dispose();
    }
    this.#stack.weight.dispose();
    this.#stack.bias?.dispose();
  }
}

/** The additions of layers side by side. One seed serves all; each layer has its own mask. */
function lowRankOf(
  members: readonly Linear[],
  context: ForwardContext,
): Pick<LowRankInputs, "terms" | "p" | "seed"> {
  const terms: LowRankTerm[] = [];
  let offset = 0;
  let p = 0;
  for (const [group, member] of members.entries()) {
    for (const { a, b, scale } of member.additions) terms.push({ a, b, scale, offset, group });
    if (member.additions.length > 0) p = Math.max(p, member.additionDropout);
    offset += member.outputs;
  }
  const dropout = context.training ? p : 0;
  return { terms, p: dropout, seed: dropout > 0 ? context.nextSeed() : 0 };
}
