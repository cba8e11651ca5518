/**
 * Algebra of low-rank updates of one module, dW_i = B_i A_i, in float64 and without forming a dW: Gram matrices for
 * inner products, thin QR for norms that depend on the singular values. The published formulas' A and B are ours
 * transposed.
 */
import type { AdapterDelta, LowRankDelta } from "../adapters/delta.js";
import { deltaNorm, GRAM_ROUNDING } from "../adapters/usage.js";
import { CheckpointError } from "../errors.js";
import type { DType } from "../tensor/dtype.js";
import { cat, linalgQr, linalgSvd } from "../tensor/functions.gen.js";
import { inference } from "../tensor/grad.js";
import type { Tensor } from "../tensor/tensor.js";

export interface GeometryOptions {
  /** Measures scale * B A, what the model adds, instead of B A. Default false. */
  readonly includeScaling?: boolean;
}

/** Names of the modules, in the first adapter's order. Throws a CheckpointError unless the adapters fit together. */
export function commonModules(adapters: readonly AdapterDelta[]): string[] {
  const [first] = adapters;
  const names = [...(first?.modules.keys() ?? [])];
  for (const adapter of adapters) {
    const missing = names.filter((name) => !adapter.modules.has(name));
    const extra = [...adapter.modules.keys()].filter((name) => !first!.modules.has(name));
    if (missing.length > 0 || extra.length > 0) {
      throw new CheckpointError(
        `adapters ${first!.name} and ${adapter.name} do not adapt the same modules: only ${first!.name} has ${listed(missing)}; only ${adapter.name} has ${listed(extra)}`,
        { hint: "Compare adapters that were trained on the same model with the same target modules." },
      );
    }
    for (const name of names) checkFactors(adapter, first!, name);
  }
  return names;
}

function listed(names: readonly string[]): string {
  const shown = names.slice(0, 3).join(", ");
  return names.length === 0 ? "none" : names.length <= 3 ? shown : `${shown} and ${names.length - 3} more`;
}

function checkFactors(adapter: AdapterDelta, first: AdapterDelta, name: string): void {
  const { a, b } = adapter.modules.get(name)!;
  const of = (factors: LowRankDelta) => `A ${factors.a}, B ${factors.b}`;
  if (a.shape.length !== 2 || b.shape.length !== 2 || a.dim(0) !== b.dim(1)) {
    throw new CheckpointError(
      `adapter ${adapter.name}, module ${name}: ${of({ a, b })}; expected A [rank, inputs] and B [outputs, rank]`,
    );
  }
  const expected = first.modules.get(name)!;
  if (a.dim(1) !== expected.a.dim(1) || b.dim(0) !== expected.b.dim(0)) {
    throw new CheckpointError(
      `module ${name} differs in size: adapter ${first.name} has ${of(expected)}, adapter ${adapter.name} has ${of({ a, b })}`,
    );
  }
  const finite = inference(() => a.sum().add(b.sum()).isfinite().item());
  if (!finite) {
    throw new CheckpointError(`adapter ${adapter.name}, module ${name}: a value is not a finite number`);
  }
}

/** Every task's factors of one module, in `dtype`. Call inside a scope. */
export function factorsOf(
  adapters: readonly AdapterDelta[],
  module: string,
  dtype: DType,
  options: GeometryOptions,
): LowRankDelta[] {
  return adapters.map(({ modules, scale }) => {
    const { a, b } = modules.get(module)!;
    const wide = b.toDtype(dtype);
    return { a: a.toDtype(dtype), b: options.includeScaling ? wide.mul(scale) : wide };
  });
}

/** Number of elements of dW. */
export const sizeOf = ([delta]: readonly LowRankDelta[]): number => delta!.b.dim(0) * delta!.a.dim(1);

/** result[i][j] = <dW_i, dW_j> = tr((B_i^T B_j)(A_j A_i^T)); a diagonal that is only rounding is 0. */
export function innerProducts(deltas: readonly LowRankDelta[]): number[][] {
  const a = cat(deltas.map((delta) => delta.a));
  const b = cat(
    deltas.map((delta) => delta.b),
    1,
  );
  const products = a.matmul(a.t()).mul(b.t().matmul(b));
  const ranks = deltas.map((delta) => delta.a.dim(0));
  const sums = blocksOf(products, ranks);
  const scale = blocksOf(products.abs(), ranks);
  return sums.map((row, i) =>
    row.map((sum, j) => (i === j && sum <= GRAM_ROUNDING * scale[i]![i]! ? 0 : sum)),
  );
}

/** Sums over the blocks of a square matrix whose rows and columns are split into `lengths`. */
export function blocksOf(matrix: Tensor, lengths: readonly number[]): number[][] {
  const values = matrix.toTypedArray() as Float64Array;
  const blockOf = lengths.flatMap((length, block) => Array<number>(length).fill(block));
  const sums = lengths.map(() => lengths.map(() => 0));
  let at = 0;
  for (const row of blockOf) for (const column of blockOf) sums[row]![column]! += values[at++]!;
  return sums;
}

/** dW = U diag(s) V^T with orthonormal columns, from thin QR of both factors and the SVD of an r x r matrix. */
export interface SpectralForm {
  /** [outputs, k], k the smallest of rank, outputs and inputs */
  readonly u: Tensor;
  /** [k], largest first */
  readonly s: Tensor;
  /** [inputs, k] */
  readonly v: Tensor;
}

export function spectralForm({ a, b }: LowRankDelta): SpectralForm {
  const [qb, rb] = linalgQr(b);
  const [qa, ra] = linalgQr(a.t());
  const [u, s, vh] = linalgSvd(rb.matmul(ra.t()), false);
  return { u: qb.matmul(u), s, v: qa.matmul(vh.t()) };
}

/** Orthonormal basis of the rows of A as columns [inputs, rank of A]; null where A is zero. */
export function rowSpace(a: Tensor): Tensor | null {
  const [q, r] = linalgQr(a.t());
  const [u, s] = linalgSvd(r, false);
  const values = s.toArray();
  const rank = values.filter((value) => value > 1e-12 * values[0]!).length;
  return rank === 0 ? null : q.matmul(u.narrow(1, 0, rank));
}

/** result[m][i] = ||dW_i||_F of module m. */
export function moduleNorms(adapters: readonly AdapterDelta[], options: GeometryOptions = {}): number[][] {
  return commonModules(adapters).map((module) =>
    inference(() => factorsOf(adapters, module, "float64", options).map(deltaNorm)),
  );
}

/** Mean of what is not null; null of nothing. */
export function meanOf(values: readonly (number | null)[]): number | null {
  const known = values.filter((value) => value !== null);
  return known.length === 0 ? null : known.reduce((sum, value) => sum + value, 0) / known.length;
}
