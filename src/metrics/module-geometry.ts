/**
 * One module's updates dW_i = U_i S_i V_i^T from their factors, in float64: sizes, and what pairs have in common. No dW and no
 * product of two is formed: all quantities are those of matrices not larger than the ranks.
 */
import type { LowRankDelta } from "../adapters/delta.js";
import { tensor } from "../tensor/create.js";
import { cat, linalgSvdvals, stack, zeros } from "../tensor/functions.gen.js";
import type { Tensor } from "../tensor/tensor.js";
import { blocksOf, innerProducts, type SpectralForm, spectralForm } from "./low-rank.js";

/** Singular values below this share of the largest are rounding of float32 factors, not directions of the update. */
export const NUMERICAL_RANK = 1e-6;

export interface UpdateSize {
  /** Directions that are not rounding: singular values above NUMERICAL_RANK of the largest. */
  readonly rank: number;
  readonly frobenius: number;
  /** Sum of singular values; grows with the matrix and is no bound of the rank. */
  readonly nuclear: number;
  /** Largest singular value. */
  readonly spectral: number;
  /** ||dW||_F^2 / ||dW||_2^2; null for a zero matrix. */
  readonly stableRank: number | null;
  /** exp of the entropy of the singular values' shares; null for a zero matrix. */
  readonly effectiveRank: number | null;
}

/** Places of two updates, i < j. */
export type Pair = readonly [i: number, j: number];

export interface PairGeometry {
  readonly innerProduct: number;
  /** Of A_i A_j^T: sum of squares and of magnitudes. */
  readonly overlap: { readonly squared: number; readonly abs: number };
  /** Norms of dW_j^T dW_i. */
  readonly product: { readonly spectral: number; readonly frobenius: number };
  /** Cosines of the principal angles between row spaces and between column spaces, largest first; null if one is zero. */
  readonly rowCosines: readonly number[] | null;
  readonly columnCosines: readonly number[] | null;
}

export interface ModuleGeometry {
  readonly sizes: readonly UpdateSize[];
  /** As the pairs asked for. */
  readonly pairs: readonly PairGeometry[];
}

/** `deltas` in float64. Call inside a scope. */
export function moduleGeometry(deltas: readonly LowRankDelta[], pairs: readonly Pair[]): ModuleGeometry {
  const inner = innerProducts(deltas);
  const forms = deltas.map((delta, i) => (inner[i]![i] === 0 ? null : spectralForm(delta)));
  const values = forms.map((form) => form?.s.toArray() ?? []);
  const sizes = values.map((singular, i) => updateSize(singular, Math.sqrt(inner[i]![i]!)));
  if (pairs.length === 0) return { sizes, pairs: [] };
  const ranks = sizes.map(({ rank }) => rank);
  const overlaps = overlapsOf(deltas);
  const touches = touchesOf(deltas);
  const shared = sharedSpaces(forms, values, ranks, pairs);
  return {
    sizes,
    pairs: pairs.map(([i, j], p) => {
      const count = Math.min(ranks[i]!, ranks[j]!);
      const cosines = (all: readonly number[]) =>
        count === 0 ? null : all.slice(0, count).map((value) => Math.min(1, value));
      const products = touches[i]![j] === 0 ? [0] : shared.products[p]!;
      return {
        innerProduct: inner[i]![j]!,
        overlap: { squared: overlaps.squared[i]![j]!, abs: overlaps.abs[i]![j]! },
        product: { spectral: products[0]!, frobenius: Math.hypot(...products) },
        rowCosines: cosines(shared.rows[p]!),
        columnCosines: cosines(shared.columns[p]!),
      };
    }),
  };
}

function updateSize(singular: readonly number[], frobenius: number): UpdateSize {
  if (singular.length === 0) {
    return { rank: 0, frobenius: 0, nuclear: 0, spectral: 0, stableRank: null, effectiveRank: null };
  }
  const [nuclear, spectral] = [singular.reduce((sum, value) => sum + value, 0), singular[0]!];
  const shares = singular.map((value) => value / nuclear).filter((share) => share > 0);
  const effectiveRank = Math.exp(-shares.reduce((sum, share) => sum + share * Math.log(share), 0));
  const rank = singular.filter((value) => value > NUMERICAL_RANK * spectral).length;
  return { rank, frobenius, nuclear, spectral, stableRank: (frobenius / spectral) ** 2, effectiveRank };
}

function overlapsOf(deltas: readonly LowRankDelta[]): { squared: number[][]; abs: number[][] } {
  const a = cat(deltas.map((delta) => delta.a));
  const products = a.matmul(a.t());
  const ranks = deltas.map((delta) => delta.a.dim(0));
  return { squared: blocksOf(products.square(), ranks), abs: blocksOf(products.abs(), ranks) };
}

/** Sums of magnitudes of B_i^T B_j: exactly 0 where no row is shared, which orthonormal bases only come close to. */
function touchesOf(deltas: readonly LowRankDelta[]): number[][] {
  const b = cat(
    deltas.map((delta) => delta.b),
    1,
  );
  return blocksOf(
    b.t().matmul(b).abs(),
    deltas.map((delta) => delta.b.dim(1)),
  );
}

interface SharedSpaces {
  /** Per pair the singular values of dW_j^T dW_i, of V_i^T V_j and of U_i^T U_j, padded with zeros. */
  readonly products: readonly number[][];
  readonly rows: readonly number[][];
  readonly columns: readonly number[][];
}

/** All pairs at once: the forms padded to one rank with zeros, which add zeros to the singular values and nothing else. */
function sharedSpaces(
  forms: readonly (SpectralForm | null)[],
  values: readonly (readonly number[])[],
  ranks: readonly number[],
  pairs: readonly Pair[],
): SharedSpaces {
  const width = Math.max(1, ...values.map(({ length }) => length));
  const model = forms.find((form) => form !== null);
  if (!model) {
    const none = pairs.map(() => [0]);
    return { products: none, rows: none, columns: none };
  }
  const count = forms.length;
  const grams = (side: "u" | "v") => {
    const padded = forms.map((form) => paddedTo(width, form?.[side] ?? null, model[side]));
    const all = cat(padded, 1);
    const blocks = all.t().matmul(all).reshape([count, width, count, width]).permute([0, 2, 1, 3]);
    const places = pairs.map(([i, j]) => i * count + j);
    return blocks
      .reshape([count * count, width, width])
      .indexSelect(0, tensor(places, [places.length], "int64", all.device));
  };
  const perPair = (of: (i: number) => readonly number[], side: 0 | 1) =>
    stack(
      pairs.map((pair) =>
        tensor(
          Array.from({ length: width }, (_, k) => of(pair[side])[k] ?? 0),
          side === 0 ? [width, 1] : [1, width],
          "float64",
          model.u.device,
        ),
      ),
    );
  const weighed = (blocks: Tensor, of: (i: number) => readonly number[]) =>
    singularValuesOf(blocks.mul(perPair(of, 0)).mul(perPair(of, 1)));
  const isDirection = (i: number) => values[i]!.map((_, k) => (k < ranks[i]! ? 1 : 0));
  const [columns, rows] = [grams("u"), grams("v")];
  return {
    products: weighed(columns, (i) => values[i]!),
    rows: weighed(rows, isDirection),
    columns: weighed(columns, isDirection),
  };
}

function paddedTo(width: number, basis: Tensor | null, like: Tensor): Tensor {
  const missing = width - (basis?.dim(1) ?? 0);
  const fill = () => zeros([like.dim(0), missing], { dtype: "float64", device: like.device });
  if (basis === null) return fill();
  return missing === 0 ? basis : cat([basis, fill()], 1);
}

/** Of every matrix of a batch. */
function singularValuesOf(batch: Tensor): number[][] {
  const flat = linalgSvdvals(batch).toArray();
  const width = batch.dim(2);
  return Array.from({ length: batch.dim(0) }, (_, p) => flat.slice(p * width, (p + 1) * width));
}
