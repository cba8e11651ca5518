/**
 * Collision rate: the share of positions that two tasks both change. The paper counts non-zeros, which is 1 for any
 * trained low-rank pair, and colours "near zero" without a number; so the threshold is a choice, always named.
 */
import type { AdapterDelta, LowRankDelta } from "../adapters/delta.js";
import { inference } from "../tensor/grad.js";
import { commonModules, factorsOf, type GeometryOptions, meanOf, moduleNorms, sizeOf } from "./low-rank.js";
import { collisionCounts, energyThreshold, largestMagnitude } from "./tiles.js";

/** When |dW| counts as changed. All but `abs` are free of scale; thresholds are per task and module. */
export type CollisionThreshold =
  /** |dW| > value. Reads a small update as a sparse one. */
  | { readonly mode: "abs"; readonly value: number }
  /** |dW| > factor * rms(dW). */
  | { readonly mode: "rel-rms"; readonly factor: number }
  /** |dW| > factor * max |dW|. */
  | { readonly mode: "rel-max"; readonly factor: number }
  /** The largest elements that hold this share of ||dW||_F^2. */
  | { readonly mode: "energy"; readonly share: number }
  /** dW is not 0. */
  | { readonly mode: "exact" };

/** The published thresholds and their usual values; `abs` and `relRms` are the two to print side by side. */
export const READINGS = {
  abs: { mode: "abs", value: 1e-3 },
  relRms: { mode: "rel-rms", factor: 0.4 },
  relMax: { mode: "rel-max", factor: 0.01 },
  energy: { mode: "energy", share: 0.99 },
  exact: { mode: "exact" },
} as const satisfies Record<string, CollisionThreshold>;

export interface CollisionPair {
  readonly i: number;
  readonly j: number;
  /** CR_ij: shared positions / all positions, pooled over modules. */
  readonly rate: number;
  /** s_i s_j: the rate of independent supports. */
  readonly expected: number;
  /** rate / expected: 1 is chance, less is avoidance; null where expected is 0. */
  readonly lift: number | null;
}

export interface Collisions {
  readonly threshold: CollisionThreshold;
  /** Mean over pairs; null for fewer than two tasks. */
  readonly average: number | null;
  /** s_i: share of task i's elements above its threshold; null without modules. */
  readonly densities: readonly (number | null)[];
  /** All i < j. */
  readonly pairs: readonly CollisionPair[];
  /** Zero matrices: they collide with nothing. */
  readonly zeroMatrices: number;
}

/** What the elements of one module's updates say. */
export interface ModuleCollisions {
  /** Number of elements of dW. */
  readonly size: number;
  /** ||dW_i||_F. */
  readonly norms: readonly number[];
  /** counts[k][i][j]: elements above the k-th threshold in both; on the diagonal, in one. */
  readonly counts: readonly (readonly (readonly number[])[])[];
}

/** Densities and pairwise collisions at each threshold, from tiles of dW. */
export function collisions(
  adapters: readonly AdapterDelta[],
  thresholds: readonly CollisionThreshold[],
  options: GeometryOptions = {},
): Collisions[] {
  const norms = moduleNorms(adapters, options);
  const modules = commonModules(adapters).map((module, m) =>
    inference((): ModuleCollisions => {
      const deltas = factorsOf(adapters, module, "float32", options);
      const limits = limitsOf(thresholds, deltas, norms[m]!);
      const counts = limits.map((each) => collisionCounts(deltas, each).pairs);
      return { size: sizeOf(deltas), norms: norms[m]!, counts };
    }),
  );
  return collisionsOf(modules, adapters.length, thresholds);
}

/** Collisions of `tasks` updates over the modules of a scope, which were counted at these thresholds. */
export function collisionsOf(
  modules: readonly ModuleCollisions[],
  tasks: number,
  thresholds: readonly CollisionThreshold[],
): Collisions[] {
  const size = modules.reduce((sum, module) => sum + module.size, 0);
  const places = Array.from({ length: tasks }, (_, i) => i);
  const zeroMatrices = modules.flatMap(({ norms }) => norms).filter((norm) => norm === 0).length;
  return thresholds.map((threshold, k) => {
    const counts = places.map((i) =>
      places.map((j) => modules.reduce((sum, module) => sum + module.counts[k]![i]![j]!, 0)),
    );
    const densities = places.map((i) => (size === 0 ? null : counts[i]![i]! / size));
    const pairs = size === 0 ? [] : pairsOf(counts, size);
    return { threshold, average: meanOf(pairs.map(({ rate }) => rate)), densities, pairs, zeroMatrices };
  });
}

/** result[k][i]: above what an element of dW_i counts at the k-th threshold. */
export function limitsOf(
  thresholds: readonly CollisionThreshold[],
  deltas: readonly LowRankDelta[],
  norms: readonly number[],
): number[][] {
  return thresholds.map((threshold) =>
    deltas.map((delta, i) => {
      // a zero matrix stays one where factors cancel only up to rounding
      if (norms[i] === 0) return Number.POSITIVE_INFINITY;
      return limit(threshold, delta, norms[i]! / Math.sqrt(sizeOf(deltas)));
    }),
  );
}

function limit(threshold: CollisionThreshold, delta: LowRankDelta, rootMeanSquare: number): number {
  switch (threshold.mode) {
    case "abs":
      return threshold.value;
    case "rel-rms":
      return threshold.factor * rootMeanSquare;
    case "rel-max":
      return threshold.factor * largestMagnitude(delta);
    case "energy":
      return energyThreshold(delta, threshold.share);
    case "exact":
      return 0;
  }
}

function pairsOf(counts: readonly (readonly number[])[], size: number): CollisionPair[] {
  return counts.flatMap((row, i) =>
    row.slice(i + 1).map((shared, offset) => {
      const j = i + 1 + offset;
      const rate = shared / size;
      const expected = (row[i]! / size) * (counts[j]![j]! / size);
      return { i, j, rate, expected, lift: expected === 0 ? null : rate / expected };
    }),
  );
}

export interface AverageCollisionRate {
  /** ACR at |dW| > 1e-3, which reproduces the level of the published figures for dense updates. */
  readonly abs: number | null;
  /** ACR at |dW| > 0.4 rms(dW). A method that is low on `abs` and not here is small, not sparse. */
  readonly relRms: number | null;
  /** ACR of true non-zeros. */
  readonly exact: number | null;
  readonly readings: { readonly abs: Collisions; readonly relRms: Collisions; readonly exact: Collisions };
}

/** ACR in the three readings that are printed side by side. One task: null. */
export function acr(
  adapters: readonly AdapterDelta[],
  options: GeometryOptions & { readonly absThreshold?: number; readonly rmsFactor?: number } = {},
): AverageCollisionRate {
  const [abs, relRms, exact] = collisions(
    adapters,
    [
      { mode: "abs", value: options.absThreshold ?? READINGS.abs.value },
      { mode: "rel-rms", factor: options.rmsFactor ?? READINGS.relRms.factor },
      READINGS.exact,
    ],
    options,
  ) as [Collisions, Collisions, Collisions];
  return { abs: abs.average, relRms: relRms.average, exact: exact.average, readings: { abs, relRms, exact } };
}
