/**
 * How the updates of a sequence of tasks lie to each other: orthogonal overlap, AWOM, sparsity, collision rate, size.
 * Sources: N-LoRA, equations 7, 9 and 16 and its definition of the collision rate; the paper leaves norms, thresholds
 * and aggregation open, so both readings are given. dW = B A; sums run over modules. What is undefined is null.
 */
import { withSameModules } from "../adapters/combine.js";
import type { AdapterDelta, LowRankDelta } from "../adapters/delta.js";
import type { GeometrySummary } from "../runs/record.js";
import { inference } from "../tensor/grad.js";
import { acr } from "./collisions.js";
import {
  commonModules,
  factorsOf,
  type GeometryOptions,
  innerProducts,
  meanOf,
  moduleNorms,
  rowSpace,
  sizeOf,
} from "./low-rank.js";
import { type ModuleGeometry, moduleGeometry, type Pair, type UpdateSize } from "./module-geometry.js";
import { deltaStats } from "./tiles.js";

export interface OrthogonalOverlap {
  /** Sum of squares of A_i A_T^T over i < T and modules. */
  readonly squared: number | null;
  /** Sum of magnitudes of the same elements. */
  readonly abs: number | null;
  /** Mean squared cosine between the row spaces of A_i and A_T, in [0, 1]; shrinking A does not lower it. */
  readonly normalised: number | null;
  /** What independent, freshly initialised A of the same shapes score (expectation). */
  readonly randomSquared: number | null;
  readonly randomAbs: number | null;
  readonly randomNormalised: number | null;
}

/** What one module contributes: sums over the earlier adapters, and one cosine per pair. */
export interface OverlapParts {
  readonly squared: number;
  readonly abs: number;
  readonly randomSquared: number;
  readonly randomAbs: number;
  /** Mean squared cosines, and what random A give. */
  readonly cosines: readonly number[];
  readonly randomCosines: readonly number[];
}

/** The last of a module's updates (float64) with each earlier one; an A that is zero counts nowhere. Call inside a scope. */
export function overlapParts(deltas: readonly LowRankDelta[]): OverlapParts {
  const factors = deltas.map(({ a }) => ({ a, basis: rowSpace(a) }));
  const newest = factors.at(-1)!;
  let [squared, abs, randomSquared, randomAbs] = [0, 0, 0, 0];
  const cosines: number[] = [];
  const randomCosines: number[] = [];
  for (const { a, basis } of factors.slice(0, -1)) {
    if (basis === null || newest.basis === null) continue;
    const product = a.matmul(newest.a.t());
    squared += product.square().sum().item();
    abs += product.abs().sum().item();
    const [elements, inputs] = [product.size, a.dim(1)];
    randomSquared += elements / (9 * inputs);
    randomAbs += elements * Math.sqrt(2 / (9 * Math.PI * inputs));
    randomCosines.push(Math.min(1, Math.max(a.dim(0), newest.a.dim(0)) / inputs));
    const overlap = basis.t().matmul(newest.basis);
    cosines.push(overlap.square().sum().item() / Math.min(...overlap.shape));
  }
  return { squared, abs, randomSquared, randomAbs, cosines, randomCosines };
}

/** OO over the modules of a scope. No module: null. */
export function overlapOf(modules: readonly OverlapParts[]): OrthogonalOverlap {
  const sum = (value: (of: OverlapParts) => number) =>
    modules.length === 0 ? null : modules.reduce((total, parts) => total + value(parts), 0);
  return {
    squared: sum((of) => of.squared),
    abs: sum((of) => of.abs),
    normalised: meanOf(modules.flatMap((of) => of.cosines)),
    randomSquared: sum((of) => of.randomSquared),
    randomAbs: sum((of) => of.randomAbs),
    randomNormalised: meanOf(modules.flatMap((of) => of.randomCosines)),
  };
}

/** OO of the last adapter with each earlier one. One adapter: 0, and the normalised form null. None: null. */
export const orthogonalOverlap = (adapters: readonly AdapterDelta[]): OrthogonalOverlap =>
  overlapOf(ofModules(adapters, {}, overlapParts));

/** What `measure` says of every module's updates in float64. */
function ofModules<Parts extends object>(
  adapters: readonly AdapterDelta[],
  options: GeometryOptions,
  measure: (deltas: readonly LowRankDelta[]) => Parts extends PromiseLike<unknown> ? never : Parts,
): Parts[] {
  return commonModules(adapters).map(
    (module): Parts => inference(() => measure(factorsOf(adapters, module, "float64", options))),
  );
}

export interface Awom {
  /** Sum of spectral norms of dW_T^T dW_i over i < T and modules. */
  readonly spectral: number | null;
  /** Sum of their Frobenius norms. */
  readonly frobenius: number | null;
  /** Mean of ||dW_T^T dW_i||_F / (||dW_T||_F ||dW_i||_F), in [0, 1], over the pairs in which neither is zero. */
  readonly normalised: number | null;
}

/** AWOM over the modules of a scope, from pairs of the last adapter with each earlier one. No module: null. */
export function awomOf(
  modules: readonly { readonly geometry: ModuleGeometry; readonly pairs: readonly Pair[] }[],
): Awom {
  if (modules.length === 0) return { spectral: null, frobenius: null, normalised: null };
  let [spectral, frobenius] = [0, 0];
  const shares: number[] = [];
  for (const { geometry, pairs } of modules) {
    for (const [p, [i, j]] of pairs.entries()) {
      if (j !== geometry.sizes.length - 1) continue;
      const norms = geometry.sizes[i]!.frobenius * geometry.sizes[j]!.frobenius;
      if (norms === 0) continue;
      const { product } = geometry.pairs[p]!;
      spectral += product.spectral;
      frobenius += product.frobenius;
      shares.push(product.frobenius / norms);
    }
  }
  return { spectral, frobenius, normalised: meanOf(shares) };
}

/** Adapter weight orthogonality magnitude. One adapter: 0, and the normalised form null. None: null. */
export function awom(adapters: readonly AdapterDelta[], options: GeometryOptions = {}): Awom {
  const pairs = adapters.slice(1).map((_, i): Pair => [i, adapters.length - 1]);
  return awomOf(
    ofModules(adapters, options, (deltas) => ({ geometry: moduleGeometry(deltas, pairs), pairs })),
  );
}

export interface SparsityRate {
  /** Mean over the modules of each task, then over tasks. */
  readonly mean: number | null;
  /** All modules of a task as one vector, then the mean over tasks. */
  readonly pooled: number | null;
  readonly perTask: readonly (number | null)[];
  readonly perTaskPooled: readonly (number | null)[];
  /** perModule[i] belongs to task i, modules in traversal order; null for a zero matrix. */
  readonly perModule: readonly (readonly (number | null)[])[];
  /** Zero matrices, left out of the means. */
  readonly zeroMatrices: number;
}

/** One module's updates: sum of magnitudes and Frobenius norm of each, and the number of elements. */
export interface SparsityParts {
  readonly l1: readonly number[];
  readonly norms: readonly number[];
  readonly size: number;
}

/**
 * Generalised sparsity rate ||dW||_1 / (sqrt(N) ||dW||_F) of N elements, in [1 / sqrt(N), 1]; small is sparse.
 * `form: "eq17"` is the appendix's sqrt(N) ||dW||_1 / ||dW||_F, for comparison only: it grows with the size.
 */
export function gsr(
  adapters: readonly AdapterDelta[],
  options: { readonly form?: "normalised" | "eq17" } = {},
): SparsityRate {
  const norms = moduleNorms(adapters);
  const modules = commonModules(adapters).map((module, m) =>
    inference(() => {
      const deltas = factorsOf(adapters, module, "float32", {});
      const l1 = deltas.map((delta) => deltaStats(delta).l1);
      return { l1, norms: norms[m]!, size: sizeOf(deltas) };
    }),
  );
  return sparsityOf(modules, adapters.length, options.form);
}

/** GSR of `tasks` updates over the modules of a scope. */
export function sparsityOf(
  modules: readonly SparsityParts[],
  tasks: number,
  form: "normalised" | "eq17" = "normalised",
): SparsityRate {
  const rate = (l1: number, norm: number, size: number) =>
    norm === 0 ? null : (l1 / norm) * (form === "eq17" ? Math.sqrt(size) : 1 / Math.sqrt(size));
  const each = Array.from({ length: tasks }, (_, task) => {
    let [l1, squares, size] = [0, 0, 0];
    const perModule = modules.map((of) => {
      const [sum, norm] = [of.l1[task]!, of.norms[task]!];
      l1 += norm === 0 ? 0 : sum;
      squares += norm ** 2;
      size += of.size;
      return rate(sum, norm, of.size);
    });
    return { perModule, mean: meanOf(perModule), pooled: rate(l1, Math.sqrt(squares), size) };
  });
  const perModule = each.map((task) => task.perModule);
  const perTask = each.map((task) => task.mean);
  const perTaskPooled = each.map((task) => task.pooled);
  const zeroMatrices = perModule.flat().filter((value) => value === null).length;
  const [mean, pooled] = [meanOf(perTask), meanOf(perTaskPooled)];
  return { mean, pooled, perTask, perTaskPooled, perModule, zeroMatrices };
}

/** ||dW_i||_F of each task over all its modules. */
export function frobeniusNorms(adapters: readonly AdapterDelta[], options: GeometryOptions = {}): number[] {
  const norms = moduleNorms(adapters, options);
  return adapters.map((_, task) => Math.hypot(...norms.map((module) => module[task]!)));
}

/** result[i][j] = <dW_i, dW_j>, summed over modules; symmetric. */
export function innerProductMatrix(
  adapters: readonly AdapterDelta[],
  options: GeometryOptions = {},
): number[][] {
  const total = adapters.map(() => adapters.map(() => 0));
  for (const module of commonModules(adapters)) {
    const products = inference(() => innerProducts(factorsOf(adapters, module, "float64", options)));
    products.forEach((row, i) => {
      row.forEach((product, j) => {
        total[i]![j]! += product;
      });
    });
  }
  return total;
}

export interface ModuleSize extends UpdateSize {
  readonly module: string;
}

/** Size of one adapter's update per module, in traversal order. */
export function moduleSizes(adapter: AdapterDelta, options: GeometryOptions = {}): ModuleSize[] {
  const sizes = ofModules([adapter], options, (deltas) => moduleGeometry(deltas, []).sizes[0]!);
  return commonModules([adapter]).map((module, m) => ({ module, ...sizes[m]! }));
}

/**
 * OO, AWOM, GSR and ACR of the tasks' adapters in the order of training. Adapters that the stream started from count as
 * earlier tasks in all but GSR, and may have other modules. Throws a CheckpointError if the adapters do not fit.
 */
export function geometrySummary(
  adapters: readonly AdapterDelta[],
  startFrom: readonly AdapterDelta[] = [],
): GeometrySummary {
  const sparsity = gsr(adapters);
  return inference(() => {
    const all = startFrom.length === 0 ? adapters : withSameModules([...startFrom, ...adapters]);
    const overlap = orthogonalOverlap(all);
    const magnitude = awom(all);
    const { abs, relRms, exact } = acr(all);
    return {
      orthogonalOverlap: { squared: overlap.squared, abs: overlap.abs },
      awom: { spectral: magnitude.spectral, frobenius: magnitude.frobenius },
      gsr: { mean: sparsity.mean, pooled: sparsity.pooled },
      acr: { abs, relRms, exact },
    };
  });
}
