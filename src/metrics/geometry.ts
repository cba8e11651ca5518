/**
 * How the updates of a sequence of tasks lie to each other: orthogonal overlap, AWOM, sparsity, collision rate, size.
 * Sources: N-LoRA, equations 7, 9 and 16 and its definition of the collision rate; the paper leaves norms, thresholds
 * and aggregation open, so both readings are given. dW = B A; sums run over modules. What is undefined is null.
 */
import { withSameModules } from "../adapters/combine.js";
import type { AdapterDelta } from "../adapters/delta.js";
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
  productSingularValues,
  rowSpace,
  singularValues,
  triangles,
} from "./low-rank.js";
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

/** OO of the last adapter with each earlier one. One adapter: 0, and the normalised form null. None: null. */
export function orthogonalOverlap(adapters: readonly AdapterDelta[]): OrthogonalOverlap {
  const modules = commonModules(adapters);
  const last = adapters.length - 1;
  if (modules.length === 0) {
    const none = { squared: null, abs: null, normalised: null };
    return { ...none, randomSquared: null, randomAbs: null, randomNormalised: null };
  }
  let [squared, abs, randomSquared, randomAbs] = [0, 0, 0, 0];
  const cosines: (number | null)[] = [];
  const randomCosines: number[] = [];
  for (const module of modules) {
    inference(() => {
      const factors = factorsOf(adapters, module, "float64", {}).map(({ a }) => ({ a, basis: rowSpace(a) }));
      const newest = factors[last]!;
      for (const { a, basis } of factors.slice(0, last)) {
        const product = a.matmul(newest.a.t());
        squared += product.square().sum().item();
        abs += product.abs().sum().item();
        const [elements, inputs] = [product.size, a.dim(1)];
        randomSquared += elements / (9 * inputs);
        randomAbs += elements * Math.sqrt(2 / (9 * Math.PI * inputs));
        randomCosines.push(Math.min(1, Math.max(a.dim(0), newest.a.dim(0)) / inputs));
        if (basis === null || newest.basis === null) continue;
        const overlap = basis.t().matmul(newest.basis);
        cosines.push(overlap.square().sum().item() / Math.min(...overlap.shape));
      }
    });
  }
  const normalised = meanOf(cosines);
  return { squared, abs, normalised, randomSquared, randomAbs, randomNormalised: meanOf(randomCosines) };
}

export interface Awom {
  /** Sum of spectral norms of dW_T^T dW_i over i < T and modules. */
  readonly spectral: number | null;
  /** Sum of their Frobenius norms. */
  readonly frobenius: number | null;
  /** Mean of ||dW_T^T dW_i||_F / (||dW_T||_F ||dW_i||_F), in [0, 1], over the pairs in which neither is zero. */
  readonly normalised: number | null;
}

/** Adapter weight orthogonality magnitude. One adapter: 0, and the normalised form null. None: null. */
export function awom(adapters: readonly AdapterDelta[], options: GeometryOptions = {}): Awom {
  const modules = commonModules(adapters);
  if (modules.length === 0) return { spectral: null, frobenius: null, normalised: null };
  let [spectral, frobenius] = [0, 0];
  const shares: number[] = [];
  const last = adapters.length - 1;
  for (const module of modules) {
    inference(() => {
      const deltas = factorsOf(adapters, module, "float64", options).map((delta) => ({
        ...delta,
        ...triangles(delta),
      }));
      const norms = innerProducts(deltas).map((row, i) => Math.sqrt(row[i]!));
      for (let i = 0; i < last; i++) {
        if (norms[i] === 0 || norms[last] === 0) continue;
        const values = productSingularValues(deltas[last]!, deltas[i]!);
        const norm = Math.hypot(...values);
        spectral += values[0]!;
        frobenius += norm;
        shares.push(norm / (norms[i]! * norms[last]!));
      }
    });
  }
  return { spectral, frobenius, normalised: meanOf(shares) };
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

/**
 * Generalised sparsity rate ||dW||_1 / (sqrt(N) ||dW||_F) of N elements, in [1 / sqrt(N), 1]; small is sparse.
 * `form: "eq17"` is the appendix's sqrt(N) ||dW||_1 / ||dW||_F, for comparison only: it grows with the size.
 */
export function gsr(
  adapters: readonly AdapterDelta[],
  options: { readonly form?: "normalised" | "eq17" } = {},
): SparsityRate {
  const modules = commonModules(adapters);
  const norms = moduleNorms(adapters);
  const rate = (l1: number, norm: number, size: number) =>
    norm === 0 ? null : (l1 / norm) * (options.form === "eq17" ? Math.sqrt(size) : 1 / Math.sqrt(size));
  const tasks = adapters.map((adapter, task) => {
    let [l1, squares, size] = [0, 0, 0];
    const perModule = modules.map((module, m) => {
      const norm = norms[m]![task]!;
      const [sum, count] = inference(() => {
        const [delta] = factorsOf([adapter], module, "float32", {});
        return [deltaStats(delta!).l1, delta!.b.dim(0) * delta!.a.dim(1)] as const;
      });
      l1 += norm === 0 ? 0 : sum;
      squares += norm ** 2;
      size += count;
      return rate(sum, norm, count);
    });
    return { perModule, mean: meanOf(perModule), pooled: rate(l1, Math.sqrt(squares), size) };
  });
  const perModule = tasks.map((task) => task.perModule);
  const perTask = tasks.map((task) => task.mean);
  const perTaskPooled = tasks.map((task) => task.pooled);
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

export interface ModuleSize {
  readonly module: string;
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

/** Size of one adapter's update per module, in traversal order. */
export function moduleSizes(adapter: AdapterDelta, options: GeometryOptions = {}): ModuleSize[] {
  return commonModules([adapter]).map((module) =>
    inference(() => {
      const delta = factorsOf([adapter], module, "float64", options)[0]!;
      const frobenius = Math.sqrt(innerProducts([delta])[0]![0]!);
      if (frobenius === 0) {
        return { module, frobenius, nuclear: 0, spectral: 0, stableRank: null, effectiveRank: null };
      }
      const values = singularValues(triangles(delta));
      const [nuclear, spectral] = [values.reduce((sum, value) => sum + value, 0), values[0]!];
      const shares = values.map((value) => value / nuclear).filter((share) => share > 0);
      const effectiveRank = Math.exp(-shares.reduce((sum, share) => sum + share * Math.log(share), 0));
      return { module, frobenius, nuclear, spectral, stableRank: (frobenius / spectral) ** 2, effectiveRank };
    }),
  );
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
