/**
 * What of one module's updates takes a look at every element: sums of magnitudes, shared positions, the growth of what is
 * occupied. Adapters without a zero in a module need no look where zeros are counted: what they share is all of it.
 */
import type { LowRankDelta } from "../adapters/delta.js";
import { type CollisionThreshold, limitsOf, type ModuleCollisions } from "./collisions.js";
import { sizeOf } from "./low-rank.js";
import { collisionCounts, deltaStats, unionCounts } from "./tiles.js";

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
  const counts = limits.map((each, k) =>
    thresholds[k]!.mode === "exact" ? exactCounts(deltas, each, nonzeros, size) : countsAt(deltas, each),
  );
  const l1 = stats.map((each, i) => (norms[i] === 0 ? 0 : each.l1));
  return { size, norms, counts, l1, unions: unionsOf(deltas, limits, counts, size) };
}

const countsAt = (deltas: readonly LowRankDelta[], limits: readonly number[]): number[][] =>
  deltas.length === 0 ? [] : collisionCounts(deltas, [limits])[0]!;

function exactCounts(
  deltas: readonly LowRankDelta[],
  limits: readonly number[],
  nonzeros: readonly number[],
  size: number,
): number[][] {
  const partial = nonzeros.flatMap((count, i) => (count > 0 && count < size ? [i] : []));
  const shared = countsAt(
    partial.map((i) => deltas[i]!),
    partial.map((i) => limits[i]!),
  );
  return nonzeros.map((own, i) =>
    nonzeros.map((other, j) => {
      const [x, y] = [partial.indexOf(i), partial.indexOf(j)];
      // one of the two is full or empty, so the smaller one is what they share
      return x === -1 || y === -1 ? Math.min(own, other) : shared[x]![y]!;
    }),
  );
}

/** What is full stays full, and the union of two follows from their counts; the rest is counted. */
function unionsOf(
  deltas: readonly LowRankDelta[],
  limits: readonly (readonly number[])[],
  counts: readonly (readonly (readonly number[])[])[],
  size: number,
): number[][] {
  const full = counts.map((matrix) => {
    const first = matrix.findIndex((row, i) => row[i] === size);
    return first === -1 ? deltas.length : first;
  });
  const open = limits.map((each, k) => (full[k]! > 2 ? each.slice(0, full[k]) : []));
  const counted = unionCounts(deltas, open);
  return counts.map((matrix, k) => {
    let largest = 0;
    return deltas.map((_, i) => {
      const covered = i >= full[k]! ? size : i < 2 ? unionOfTwo(matrix, i) : counted[k]![i]!;
      largest = Math.max(largest, covered);
      return largest;
    });
  });
}

const unionOfTwo = (counts: readonly (readonly number[])[], last: number): number =>
  last === 0 ? counts[0]![0]! : counts[0]![0]! + counts[1]![1]! - counts[0]![1]!;
