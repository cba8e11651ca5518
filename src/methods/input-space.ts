/**
 * The directions in which the inputs of layers have been, task after task, as in gradient projection memory (Saha et al.,
 * arXiv 2103.09762): an update that is zero on them leaves what a layer made of earlier tasks' rows as it was.
 */
import { batchOf } from "../data/collate.js";
import type { EncodedExample } from "../data/encode.js";
import type { LanguageModel } from "../models/language-model.js";
import { EVALUATION } from "../nn/context.js";
import { cat, linalgSvd } from "../tensor/functions.gen.js";
import { inference } from "../tensor/grad.js";
import type { Tensor } from "../tensor/tensor.js";

export class InputSpaces {
  /** By layer: an orthonormal basis, [inputs, directions]; layers without a direction have none. */
  readonly #bases = new Map<string, Tensor>();

  /** How many of the layer's input directions are in use. */
  size(name: string): number {
    return this.#bases.get(name)?.dim(1) ?? 0;
  }

  /**
   * Adds the principal directions of the layers' inputs on the rows, until the basis holds the share `energy` of their
   * squared norm. What is there already counts and stays.
   */
  add(model: LanguageModel, names: readonly string[], rows: readonly EncodedExample[], energy: number): void {
    inference(() => {
      for (const [name, moment] of inputMoments(model, names, rows)) {
        this.#extend(name, moment, energy);
        moment.dispose();
      }
    });
  }

  #extend(name: string, moment: Tensor, energy: number): void {
    const basis = this.#bases.get(name);
    const total = moment.trace().item();
    let rest = moment;
    if (basis) {
      const half = moment.sub(basis.matmul(basis.t().matmul(moment)));
      rest = half.sub(half.matmul(basis).matmul(basis.t()));
    }
    const [directions, energies] = linalgSvd(rest);
    let missing = energy * total - (total - rest.trace().item());
    let count = 0;
    for (const value of energies.toArray()) {
      // Below this the directions are rounding.
      if (missing <= 0 || value <= 1e-7 * total) break;
      missing -= value;
      count += 1;
    }
    if (count === 0) return;
    const added = directions.narrow(1, 0, count);
    this.#bases.set(name, (basis ? cat([basis, added], 1) : added.clone()).keep());
    basis?.dispose();
  }

  /** Takes the directions of a layer out of the rows of a matrix [..., inputs], in place. */
  remove_(name: string, matrix: Tensor): void {
    const basis = this.#bases.get(name);
    if (basis) inference(() => matrix.sub_(matrix.matmul(basis).matmul(basis.t())));
  }

  /** The bases by layer, borrowed. */
  state(): Record<string, Tensor> {
    return Object.fromEntries(this.#bases);
  }

  /** Takes over the bases of a state. */
  restore(state: Readonly<Record<string, Tensor>>): void {
    this.dispose();
    for (const [name, basis] of Object.entries(state)) this.#bases.set(name, basis.keep());
  }

  dispose(): void {
    for (const basis of this.#bases.values()) basis.dispose();
    this.#bases.clear();
  }
}

/** The mean over rows of sum over positions of x x^T of each layer's inputs, [inputs, inputs], float32. */
function inputMoments(
  model: LanguageModel,
  names: readonly string[],
  rows: readonly EncodedExample[],
): Map<string, Tensor> {
  const wanted = new Set(names);
  const moments = new Map<string, Tensor>();
  const observe = (layers: readonly { readonly name: string }[], x: Tensor): void => {
    const own = layers.filter(({ name }) => wanted.has(name));
    if (own.length === 0) return;
    const flat = x.reshape([-1, x.dim(-1)]).toDtype("float32");
    const moment = flat.t().matmul(flat);
    for (const { name } of own) {
      const sum = moments.get(name);
      if (sum) sum.add_(moment);
      else moments.set(name, moment.clone().keep());
    }
  };
  // One row at a time: positions of padding would count as directions.
  for (const row of rows)
    inference(() => void model.forward(batchOf([row], model), { ...EVALUATION, observe }));
  return moments;
}
