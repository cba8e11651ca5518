/**
 * Which rows, columns and elements of a layer an update changes, and how much: from the factors, without forming a dW
 * beyond a block of its rows. dW = B A with A [rank, inputs], B [outputs, rank], without the LoRA scale.
 */
import { stack, zeros } from "../tensor/functions.gen.js";
import { inference } from "../tensor/grad.js";
import type { Tensor } from "../tensor/tensor.js";
import type { LowRankDelta } from "./delta.js";
import { forRows } from "./tiles.js";

/** The rows of B and the columns of A that hold a non-zero; dW is exactly zero outside rows x columns. */
export interface Support {
  /** Sorted, below `outputs`. */
  readonly rows: readonly number[];
  /** Sorted, below `inputs`. */
  readonly columns: readonly number[];
}

const indices = (counts: Tensor): number[] =>
  counts.toArray().flatMap((count, index) => (count === 0 ? [] : [index]));

export function supportOf({ a, b }: LowRankDelta): Support {
  return inference(() => ({
    rows: indices(b.countNonzero(1)),
    columns: indices(a.countNonzero(0)),
  }));
}

/** Share of the elements of some layers that lie in their updates' supports: 0 for zero updates, 1 for dense ones. */
export function supportDensity(deltas: readonly LowRankDelta[]): number {
  return inference(() => {
    const sizes = deltas.map(({ a, b }) =>
      b.countNonzero(1).countNonzero().mul(a.countNonzero(0).countNonzero()),
    );
    const used = stack(sizes).sum().item();
    return used / deltas.reduce((total, { a, b }) => total + b.dim(0) * a.dim(1), 0);
  });
}

/** Squared norms of the rows of dW, [outputs]: b_a G b_a^T with G = A A^T. Belongs to the open scope. */
export function rowEnergies({ a, b }: LowRankDelta): Tensor {
  return inference(() => b.matmul(a.matmul(a.t())).mul(b).sumDim([1]).clampMin(0));
}

/** Squared norms of the columns of dW, [inputs]. Belongs to the open scope. */
export const columnEnergies = ({ a, b }: LowRankDelta): Tensor => rowEnergies({ a: b.t(), b: a.t() });

/** Rounding of a Gram matrix in float64, relative to the sum of its magnitudes; a sum below it cannot be told from zero. */
export const GRAM_ROUNDING = 1e-13;

/** ||dW||_F in float64, from tr(B^T B A A^T); 0 where the factors cancel up to rounding. */
export function deltaNorm({ a, b }: LowRankDelta): number {
  return inference(() => {
    const [wideA, wideB] = [a.toDtype("float64"), b.toDtype("float64")];
    const products = wideA.matmul(wideA.t()).mul(wideB.t().matmul(wideB));
    const [sum, scale] = [products.sum().item(), products.abs().sum().item()];
    return sum <= GRAM_ROUNDING * scale ? 0 : Math.sqrt(sum);
  });
}

/** How much earlier updates use each row and column of a layer: summed squared norms, the largest being 1. */
export interface Usage {
  /** [outputs] */
  readonly rows: Tensor;
  /** [inputs] */
  readonly columns: Tensor;
}

/** Usage by at least one update; zero where none touches. Belongs to the open scope. */
export function usageOf(deltas: readonly LowRankDelta[]): Usage {
  return inference(() => ({
    rows: shares(deltas.map(rowEnergies)),
    columns: shares(deltas.map(columnEnergies)),
  }));
}

function shares(energies: readonly Tensor[]): Tensor {
  const total = energies.slice(1).reduce((sum, energy) => sum.add(energy), energies[0]!);
  const largest = total.maxAll().item();
  return largest === 0 ? total : total.div(largest);
}

/** An element counts as used when |dW| > 0.4 rms(dW): the reading of the collision rate that size alone cannot move. */
const USED = 0.4;

/** How many updates use each element, uint8 [outputs, inputs]; starts at zero and stops at 255. Owned by the caller. */
export class ElementCounts {
  readonly counts: Tensor;

  constructor(like: LowRankDelta) {
    this.counts = zeros([like.b.dim(0), like.a.dim(1)], { dtype: "uint8", device: like.a.device }).keep();
  }

  add(delta: LowRankDelta): void {
    const limit = (USED * deltaNorm(delta)) / Math.sqrt(this.counts.size);
    forRows(delta.b.dim(0), delta.a.dim(1), (start, length) => {
      const block = this.counts.narrow(0, start, length);
      const used = delta.b.narrow(0, start, length).matmul(delta.a).abs().gt(limit).logicalAnd(block.lt(255));
      block.add_(used.toDtype("uint8"));
    });
  }

  dispose(): void {
    this.counts.dispose();
  }
}
