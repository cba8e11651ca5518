/**
 * A sum of adapters at a smaller rank: thin QR of the stacked factors, singular values of the small core, the largest kept.
 * The best approximation of its rank (Eckart & Young 1936), with its error known; O(d (sum of ranks)^2) per layer.
 */
import { linalgQr, linalgSvd } from "../tensor/functions.gen.js";
import { inference } from "../tensor/grad.js";
import type { Tensor } from "../tensor/tensor.js";
import type { AdapterDelta, LowRankDelta } from "./delta.js";

/** At most this rank, or the smallest at which ||dW - dW'||_F <= error ||dW||_F; in every layer. */
export type Keep = { readonly rank: number } | { readonly error: number };

export interface Consolidated {
  /** Belongs to the open scope. */
  readonly delta: AdapterDelta;
  /** ||dW - dW'||_F over all layers, and ||dW||_F. */
  readonly error: number;
  readonly norm: number;
}

interface Module {
  readonly pair: { readonly a: Tensor; readonly b: Tensor };
  /** Squares of the singular values left out, and of all. */
  readonly lost: number;
  readonly total: number;
}

/** Layers that lose nothing by it keep their factors. */
export function consolidate(delta: AdapterDelta, keep: Keep): Consolidated {
  const modules = [...delta.modules].map(([name, pair]) => [name, consolidateModule(pair, keep)] as const);
  const sum = (of: (module: Module) => number) =>
    modules.reduce((total, [, module]) => total + of(module), 0);
  return {
    delta: { ...delta, modules: new Map(modules.map(([name, { pair }]) => [name, pair])) },
    error: Math.sqrt(sum(({ lost }) => lost)),
    norm: Math.sqrt(sum(({ total }) => total)),
  };
}

function consolidateModule({ a, b }: LowRankDelta, keep: Keep): Module {
  const squares = (values: readonly number[]) => values.reduce((sum, value) => sum + value * value, 0);
  let lost = 0;
  let total = 0;
  const pair = inference(() => {
    const [columns, left] = linalgQr(b.toDtype("float64"));
    const [rows, right] = linalgQr(a.t().toDtype("float64"));
    const [u, s, v] = linalgSvd(left.matmul(right.t()), false);
    const values = s.toArray();
    total = squares(values);
    const rank = Math.max(
      1,
      "rank" in keep ? Math.min(keep.rank, values.length) : rankFor(values, keep.error),
    );
    if (rank >= a.dim(0)) return { a: a.clone(), b: b.clone() };
    lost = squares(values.slice(rank));
    // the root of each singular value goes to either side, so that both factors are of one size
    const roots = s.narrow(0, 0, rank).sqrt();
    return {
      a: roots
        .unsqueeze(1)
        .mul(v.narrow(0, 0, rank))
        .matmul(rows.t())
        .toDtype(a.dtype),
      b: columns.matmul(u.narrow(1, 0, rank).mul(roots)).toDtype(b.dtype),
    };
  });
  return { pair, lost, total };
}

/** The smallest rank that leaves out at most the share `error` of the norm. */
function rankFor(values: readonly number[], error: number): number {
  const limit = error ** 2 * values.reduce((sum, value) => sum + value * value, 0);
  let rank = values.length;
  for (let lost = 0; rank > 0; rank--) {
    lost += values[rank - 1]! ** 2;
    if (lost > limit) break;
  }
  return rank;
}
