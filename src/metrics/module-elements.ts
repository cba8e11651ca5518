/**
 * What of one module's updates takes a look at every element: sums of magnitudes, shared positions, the growth of what is
 * occupied. Adapters without a zero in a module need no look where zeros are counted: what they share is all of it.
 */
import type { LowRankDelta } from "../adapters/delta.js";
import { type CollisionThreshold, limitsOf, type ModuleCollisions } from "./collisions.js";
import { sizeOf } from "./low-rank.js";
import { type CollisionCounts, collisionCounts, deltaStats } from "./tiles.js";

export interface ModuleElements extends ModuleCollisions {
  readonly l1: readonly number[];
  /** unions[k][i]: elements above the k-th threshold in at least one of the updates 0 to i. */
  readonly unions: readonly (readonly number[])[];
}

/** `deltas` in float32, `norms` their Frobenius norms. Call inside a scope. */
export function moduleElements(
  deltas: readonly LowRankDelta[],
  norms: readonly number[],
  thresholds: readonly CollisionThreshold[],
): ModuleElements {
  const size = sizeOf(deltas);
  const stats = deltas.map((delta) => deltaStats(delta, [0]));
  const nonzeros = stats.map(({ counts }, i) => (norms[i] === 0 ? 0 : counts[0]!));
  const limits = limitsOf(thresholds, deltas, norms);
  const counted = limits.map((each, k) =>
    thresholds[k]!.mode === "exact"
      ? exactCounts(deltas, each, nonzeros, size)
      : collisionCounts(deltas, each),
  );
  const l1 = stats.map((each, i) => (norms[i] === 0 ? 0 : each.l1));
  return {
    size,
    norms,
    counts: counted.map(({ pairs }) => pairs),
    l1,
    unions: counted.map(({ unions }) => unions),
  };
}

/** Only what is neither full nor empty is counted: with a full one it shares all, and after one the union is full. */
function exactCounts(
  deltas: readonly LowRankDelta[],
  limits: readonly number[],
  nonzeros: readonly number[],
  size: number,
): CollisionCounts {
  const partial = nonzeros.flatMap((count, i) => (count > 0 && count < size ? [i] : []));
  const counted = collisionCounts(
    partial.map((i) => deltas[i]!),
    partial.map((i) => limits[i]!),
  );
  const pairs = nonzeros.map((own, i) =>
    nonzeros.map((other, j) => {
      const [x, y] = [partial.indexOf(i), partial.indexOf(j)];
      return x === -1 || y === -1 ? Math.min(own, other) : counted.pairs[x]![y]!;
    }),
  );
  let covered = 0;
  const unions = nonzeros.map((own, i) => {
    covered = Math.max(covered, own, counted.unions[partial.indexOf(i)] ?? 0);
    return covered;
  });
  return { pairs, unions };
}
