/** A model's weights while it is built and as long as it lives: where they come from, what owns them, how many they are. */
import { Linear, LinearGroup } from "../nn/linear.js";
import type { DType } from "../tensor/dtype.js";
import type { Tensor } from "../tensor/tensor.js";
import type { WeightSource } from "./language-model.js";

export class Weights {
  /** Every linear layer by its name, in the order in which they were made. */
  readonly linears = new Map<string, Linear>();
  #count = 0;
  readonly #owned = new Map<string, Tensor>();
  readonly #groups: LinearGroup[] = [];

  constructor(
    readonly source: WeightSource,
    /** What weights are kept in. */
    readonly dtype: DType,
  ) {}

  /** Number of weights taken from the source. */
  get count(): number {
    return this.#count;
  }

  /** The source's tensor: mapped where the dtype agrees, converted otherwise. */
  tensor(name: string, shape: readonly number[]): Tensor {
    const stored = this.source.tensor(name, shape);
    this.#count += stored.size;
    const isStored = stored.dtype === this.dtype;
    const weight = (isStored ? stored : stored.toDtype(this.dtype)).keep();
    this.#owned.set(name, weight);
    if (!isStored) this.source.release?.(name);
    return weight;
  }

  /** The layer whose weight, and bias if it has one, are called `<name>.weight` and `<name>.bias`. */
  linear(name: string, outputs: number, inputs: number, hasBias = false): Linear {
    const weight = this.tensor(`${name}.weight`, [outputs, inputs]);
    const made = new Linear(name, weight, hasBias ? this.tensor(`${name}.bias`, [outputs]) : null);
    this.linears.set(name, made);
    return made;
  }

  group(members: readonly Linear[]): LinearGroup {
    const made = new LinearGroup(members);
    this.#groups.push(made);
    if (made.isStacked) for (const { name } of members) this.source.release?.(`${name}.weight`);
    return made;
  }

  /** All weights by name, once the groups are made. */
  named(): ReadonlyMap<string, Tensor> {
    const named = new Map(this.#owned);
    for (const [name, { weight, bias }] of this.linears) {
      named.set(`${name}.weight`, weight);
      if (bias) named.set(`${name}.bias`, bias);
    }
    return named;
  }

  dispose(): void {
    for (const owned of this.#owned.values()) owned.dispose();
    for (const group of this.#groups) group.dispose();
  }
}
