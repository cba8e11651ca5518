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
import { inference } from "../tensor/grad.js";
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

/** Positions of one module's T updates above a threshold each. */
export interface CollisionCounts {
  /** pairs[i][j]: above the thresholds of both i and j; on the diagonal, of i. */
  readonly pairs: number[][];
  /** unions[i]: above the threshold of at least one of the updates 0 to i. */
  readonly unions: number[];
}

/** Counts |dW_i| > thresholds[i]; Infinity counts nothing. Float32, ranks may differ. */
export function collisionCounts(
  deltas: readonly LowRankDelta[],
  thresholds: readonly number[],
): CollisionCounts {
  const tasks = deltas.length;
  if (tasks === 0) return { pairs: [], unions: [] };
  if (isFast(deltas)) {
    return inference(() => {
      const [a, b] = [deltas.map((delta) => delta.a), deltas.map((delta) => delta.b)];
      const [pairs, unions] = fused.collisionCounts(a, b, thresholds);
      const flat = pairs.toArray();
      return {
        pairs: deltas.map((_, i) => flat.slice(i * tasks, (i + 1) * tasks)),
        unions: unions.toArray(),
      };
    });
  }
  const counts = { pairs: deltas.map(() => deltas.map(() => 0)), unions: deltas.map(() => 0) };
  inference(() => {
    const { a, b } = stacked(deltas);
    const limits = tensor(thresholds, [tasks, 1]).toDevice(a.device, "float32");
    const inputs = a.dim(2);
    forRows(b.dim(1), inputs * tasks, (start, length) => {
      const magnitude = b.narrow(1, start, length).bmm(a).abs();
      const masks = magnitude
        .reshape([tasks, length * inputs])
        .gt(limits)
        .toDtype("float32");
      const shared = masks.matmul(masks.transpose(0, 1)).toTypedArray() as Float32Array;
      shared.forEach((count, at) => {
        counts.pairs[Math.floor(at / tasks)]![at % tasks]! += count;
      });
      const union = zeros([length * inputs], { device: a.device });
      for (let i = 0; i < tasks; i++) {
        union.add_(masks.select(0, i)).gt_(0);
        counts.unions[i]! += union.sum().item();
      }
    });
  });
  return counts;
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
