/**
 * What must look at every element of dW = B A: sums of magnitudes, densities, shared positions. The engine's kernels count
 * on the processor; elsewhere, and with the kernels off, rows of dW are made a block at a time. A whole dW never exists.
 */
import type { LowRankDelta } from "../adapters/delta.js";
import { forRows } from "../adapters/tiles.js";
import { kernelsAreOn } from "../nn/kernels.js";
import { tensor } from "../tensor/create.js";
import * as fused from "../tensor/functions.gen.js";
import { cat, stack, zeros } from "../tensor/functions.gen.js";
import { inference, withThreads } from "../tensor/grad.js";
import { tidy } from "../tensor/scope.js";
import type { Tensor } from "../tensor/tensor.js";

/** Whether the engine's kernels apply: they read the processor's memory. */
const isFast = (deltas: readonly LowRankDelta[]): boolean =>
  kernelsAreOn() && deltas.every(({ a, b }) => a.device === "cpu" && b.device === "cpu");

/** Rows of |B A|, a tile at a time. */
function forMagnitudes({ a, b }: LowRankDelta, body: (magnitude: Tensor) => void): void {
  forRows(b.dim(0), a.dim(1), (start, length) => body(b.narrow(0, start, length).matmul(a).abs()));
}

export interface DeltaStats {
  /** Sum of |dW|. */
  readonly l1: number;
  /** For every threshold, the number of elements with |dW| > threshold. */
  readonly counts: readonly number[];
}

/** Element statistics of one dW = B A; a [r, inputs] and b [outputs, r] in float32. */
export function deltaStats(delta: LowRankDelta, thresholds: readonly number[] = []): DeltaStats {
  if (isFast([delta])) {
    return inference(() => {
      const [l1, counts] = fused.deltaStats(delta.a, delta.b, thresholds);
      return { l1: l1.item(), counts: counts.toArray() };
    });
  }
  let l1 = 0;
  const counts = thresholds.map(() => 0);
  forMagnitudes(delta, (magnitude) => {
    l1 += magnitude.sum().item();
    thresholds.forEach((threshold, k) => {
      counts[k]! += magnitude.gt(threshold).countNonzero().item();
    });
  });
  return { l1, counts };
}

/** max |dW|. */
export function largestMagnitude(delta: LowRankDelta): number {
  let largest = 0;
  forMagnitudes(delta, (magnitude) => {
    largest = Math.max(largest, magnitude.maxAll().item());
  });
  return largest;
}

/**
 * Collisions of T updates of one module: result[k][i][j] is the number of positions with |dW_i| > thresholds[k][i] and
 * |dW_j| > thresholds[k][j]; the diagonal counts |dW_i| > thresholds[k][i]. Float32, ranks may differ.
 */
export function collisionCounts(
  deltas: readonly LowRankDelta[],
  thresholds: readonly (readonly number[])[],
): number[][][] {
  const tasks = deltas.length;
  if (tasks > 0 && isFast(deltas)) return thresholds.map((limits) => kernelCounts(deltas, limits));
  const counts = thresholds.map(() => deltas.map(() => deltas.map(() => 0)));
  if (tasks === 0 || thresholds.length === 0) return counts;
  inference(() => {
    const { a, b } = stacked(deltas);
    const limits = tensor(thresholds.flat(), [thresholds.length, tasks, 1]).toDevice(a.device, "float32");
    const inputs = a.dim(2);
    forRows(b.dim(1), inputs * tasks * thresholds.length, (start, length) => {
      const magnitude = b.narrow(1, start, length).bmm(a).abs();
      const masks = magnitude
        .reshape([1, tasks, length * inputs])
        .gt(limits)
        .toDtype("float32");
      const shared = masks.bmm(masks.transpose(1, 2)).toTypedArray() as Float32Array;
      let at = 0;
      for (const matrix of counts) {
        for (const row of matrix) for (let j = 0; j < tasks; j++) row[j]! += shared[at++]!;
      }
    });
  });
  return counts;
}

/** The kernel's [T, T] counts for one threshold per task. */
function kernelCounts(deltas: readonly LowRankDelta[], limits: readonly number[]): number[][] {
  const tasks = deltas.length;
  const flat = inference(() => {
    const [a, b] = [deltas.map((delta) => delta.a), deltas.map((delta) => delta.b)];
    return fused.collisionCounts(a, b, limits).toArray();
  });
  return deltas.map((_, i) => flat.slice(i * tasks, (i + 1) * tasks));
}

/** Elements of one tile of unions: with as much again for the update at hand, half of a core's second-level cache. */
const UNION_TILE = 2 ** 16;

/**
 * How the union of supports grows: result[k][i] is the number of positions with |dW_j| > thresholds[k][j] for some j <= i. Lists
 * may end early, and Infinity counts nothing. Float32; ranks may differ. Runs on one thread: operators on one tile are too
 * short to be shared out (two threads took longer, and seven times the processor's time).
 */
export function unionCounts(
  deltas: readonly LowRankDelta[],
  thresholds: readonly (readonly number[])[],
): number[][] {
  const counts = thresholds.map((limits) => limits.map(() => 0));
  const used = deltas.map((_, i) => thresholds.flatMap((limits, k) => (limits[i]! < Infinity ? [k] : [])));
  if (used.every((readings) => readings.length === 0)) return counts;
  const [outputs, inputs] = [deltas[0]!.b.dim(0), deltas[0]!.a.dim(1)];
  const step = Math.max(1, Math.floor(UNION_TILE / inputs));
  withThreads(1, () => {
    for (let start = 0; start < outputs; start += step) {
      const length = Math.min(step, outputs - start);
      inference(() => unionsOfTile(deltas, used, thresholds, [start, length], counts));
    }
  });
  return counts;
}

/** Adds to `counts` what rows [start, start + length) hold; `used[i]` are the readings in which update i counts. */
function unionsOfTile(
  deltas: readonly LowRankDelta[],
  used: readonly (readonly number[])[],
  thresholds: readonly (readonly number[])[],
  [start, length]: readonly [number, number],
  counts: readonly number[][],
): void {
  const shape = [length, deltas[0]!.a.dim(1)];
  const unions = thresholds.map(() => zeros(shape, { device: deltas[0]!.a.device }));
  const covered = thresholds.map(() => 0);
  for (const [i, { a, b }] of deltas.entries()) {
    const readings = used[i]!;
    if (readings.length > 0) {
      tidy(() => {
        const magnitude = b.narrow(0, start, length).matmul(a).abs_();
        for (const k of readings) {
          const own = k === readings.at(-1) ? magnitude : magnitude.clone();
          // 0 and 1, whatever was added
          const union = unions[k]!.add_(own.gt_(thresholds[k]![i]!)).gt_(0);
          covered[k] = union.sum().item();
        }
      });
    }
    for (const [k, limits] of thresholds.entries()) if (i < limits.length) counts[k]![i]! += covered[k]!;
  }
}

/** Tiles of one byte per element, from row `start` on: 1 where |dW_0| > thresholds[0], 2 where |dW_1| > thresholds[1], 3 both. */
export function supportCodes(
  deltas: readonly LowRankDelta[],
  thresholds: readonly number[],
  body: (codes: Uint8Array, start: number) => void,
): void {
  const [first, second] = deltas as [LowRankDelta, LowRankDelta];
  const mask = ({ a, b }: LowRankDelta, start: number, length: number, place: 0 | 1) =>
    b
      .narrow(0, start, length)
      .matmul(a)
      .abs_()
      .gt_(thresholds[place]!)
      .mul_(place + 1);
  forRows(first.b.dim(0), first.a.dim(1), (start, length) => {
    const codes = mask(first, start, length, 0).add_(mask(second, start, length, 1));
    body(codes.toDtype("uint8").toTypedArray() as Uint8Array, start);
  });
}

/** All factors in one tensor each, a [T, r, inputs] and b [T, outputs, r], smaller ranks filled up with zeros. */
function stacked(deltas: readonly LowRankDelta[]): { a: Tensor; b: Tensor } {
  const rank = Math.max(...deltas.map(({ a }) => a.dim(0)));
  const fill = (factor: Tensor, dim: 0 | 1) => {
    const missing = rank - factor.dim(dim);
    if (missing === 0) return factor;
    const shape = dim === 0 ? [missing, factor.dim(1)] : [factor.dim(0), missing];
    return cat([factor, zeros(shape, { device: factor.device })], dim);
  };
  return { a: stack(deltas.map(({ a }) => fill(a, 0))), b: stack(deltas.map(({ b }) => fill(b, 1))) };
}

/**
 * The largest threshold whose survivors |dW| > threshold still hold `share` (in (0, 1]) of the squared Frobenius norm;
 * 0 for a zero matrix. Exact for the float32 elements: two passes of a radix selection over their bits.
 */
export function energyThreshold(delta: LowRankDelta, share: number): number {
  const coarse = new Float64Array(2 ** 16);
  forBits(delta, (values, bits) => {
    for (let k = 0; k < bits.length; k++) coarse[bits[k]! >>> 16]! += values[k]! * values[k]!;
  });
  const wanted = share * coarse.reduce((sum, energy) => sum + energy, 0);
  if (wanted === 0) return 0;
  const high = reach(coarse, wanted);
  const fine = new Float64Array(2 ** 16);
  forBits(delta, (values, bits) => {
    for (let k = 0; k < bits.length; k++) {
      if (bits[k]! >>> 16 === high.bin) fine[bits[k]! & 0xffff]! += values[k]! * values[k]!;
    }
  });
  const low = reach(fine, wanted - high.above);
  const smallestKept = (high.bin << 16) | low.bin;
  return new Float32Array(Uint32Array.of(smallestKept - 1).buffer)[0]!;
}

/** Magnitudes with their bits; magnitudes are ordered like their bits. */
function forBits(delta: LowRankDelta, body: (values: Float32Array, bits: Uint32Array) => void): void {
  forMagnitudes(delta, (magnitude) => {
    const values = magnitude.toTypedArray() as Float32Array;
    body(values, new Uint32Array(values.buffer, values.byteOffset, values.length));
  });
}

/** The bin, from the top, in which the sum reaches `wanted` (the lowest occupied one if rounding keeps it just short). */
function reach(bins: Float64Array, wanted: number): { bin: number; above: number } {
  let found = { bin: 0, above: 0 };
  let sum = 0;
  for (let bin = bins.length - 1; bin >= 0; bin--) {
    if (bins[bin] === 0) continue;
    found = { bin, above: sum };
    sum += bins[bin]!;
    if (sum >= wanted) break;
  }
  return found;
}
