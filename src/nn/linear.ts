/**
 * Linear layers that may carry low-rank additions, and groups of them that share an input and so one multiplication.
 * A model does not know what the additions are; adapters attach them.
 */
import { cat } from "../tensor/functions.gen.js";
import { isRecording } from "../tensor/grad.js";
import type { Tensor } from "../tensor/tensor.js";
import type { ForwardContext } from "./context.js";
import { lowRankLinear } from "./kernels.js";
import type { LowRankTerm } from "./low-rank.js";

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
    return applyLinears(x, this.weight, this.bias, [this], context);
  }
}

/** Linear layers on the same input, computed by one multiplication with their stacked weights. */
export class LinearGroup {
  readonly #weight: Tensor;
  readonly #bias: Tensor | null;

  /** Stacks the members' weights and biases; each member's become views of its rows. */
  constructor(readonly members: readonly Linear[]) {
    if (members.length === 1) {
      this.#weight = members[0]!.weight;
      this.#bias = members[0]!.bias;
      return;
    }
    this.#weight = cat(members.map((member) => member.weight)).keep();
    const biases = members.map((member) => member.bias).filter((bias) => bias !== null);
    this.#bias = biases.length === members.length ? cat(biases).keep() : null;
    let row = 0;
    for (const member of members) {
      const rows = (stacked: Tensor, before: Tensor): Tensor => {
        before.dispose();
        return stacked.narrow(0, row, member.outputs).keep();
      };
      member.weight = rows(this.#weight, member.weight);
      if (this.#bias) member.bias = rows(this.#bias, member.bias!);
      row += member.outputs;
    }
  }

  /** One output [..., outputs of the member] per member. */
  forward(x: Tensor, context: ForwardContext): Tensor[] {
    const y = this.forwardStacked(x, context);
    if (this.members.length === 1) return [y];
    return y.splitWithSizes(
      this.members.map((member) => member.outputs),
      -1,
    );
  }

  /** The outputs of all members side by side, [..., sum of outputs]. */
  forwardStacked(x: Tensor, context: ForwardContext): Tensor {
    const { weight, bias } = this.#stacked();
    return applyLinears(x, weight, bias, this.members, context);
  }

  /** Where the members are trained, the gradient has to find them: their views do not lead to the stack. */
  #stacked(): { weight: Tensor; bias: Tensor | null } {
    if (
      this.members.length === 1 ||
      !isRecording() ||
      !this.members.some((member) => member.weight.requiresGrad)
    ) {
      return { weight: this.#weight, bias: this.#bias };
    }
    return {
      weight: cat(this.members.map((member) => member.weight)),
      bias: this.#bias && cat(this.members.map((member) => member.bias!)),
    };
  }

  /** Releases the stacked weights and the members' views of them. */
  dispose(): void {
    if (this.members.length === 1) return;
    for (const { weight, bias } of this.members) {
      weight.dispose();
      bias?.dispose();
    }
    this.#weight.dispose();
    this.#bias?.dispose();
  }
}

function applyLinears(
  x: Tensor,
  weight: Tensor,
  bias: Tensor | null,
  members: readonly Linear[],
  context: ForwardContext,
): Tensor {
  const terms: LowRankTerm[] = [];
  let offset = 0;
  let p = 0;
  for (const [group, member] of members.entries()) {
    for (const { a, b, scale } of member.additions) terms.push({ a, b, scale, offset, group });
    if (member.additions.length > 0) p = Math.max(p, member.additionDropout);
    offset += member.outputs;
  }
  const dropout = context.training ? p : 0;
  const seed = dropout > 0 ? context.nextSeed() : 0;
  return lowRankLinear({ x, weight, bias, terms, p: dropout, seed });
}
