/** Finds out from a stream of losses that it has changed, and from what was read whether the inputs changed or their answers. */
import type { Rng } from "../random.js";
import { tensor } from "../tensor/create.js";
import { linalgSvd } from "../tensor/functions.gen.js";
import { inference } from "../tensor/grad.js";
import type { Tensor } from "../tensor/tensor.js";

export interface DetectorOptions {
  /** What a loss may lie above the mean without counting, in standard deviations. */
  readonly delta: number;
  /** How much has to add up, in standard deviations. */
  readonly threshold: number;
  /** Values before there can be an alarm. */
  readonly warmUp: number;
  /** Values that mean and deviation reach back to, the newest counting most; null: all alike. */
  readonly memory: number | null;
}

/**
 * Page-Hinkley test for a mean that rises (Page 1954): m_n = sum over k <= n of (x_k - mean_k - delta sd), alarm when
 * m_n - min m > threshold sd, where mean_k and sd are those of the values since the last `reset`. The mean of all
 * values lies high where losses have fallen, and hides a change; a `memory` follows them.
 */
export class PageHinkley {
  readonly #values: number[] = [];
  #mean = 0;
  #variance = 0;
  #sum = 0;
  #least = 0;

  constructor(readonly options: DetectorOptions) {}

  /** Takes the next value; whether it raises an alarm. */
  add(value: number): boolean {
    const { delta, threshold, warmUp, memory } = this.options;
    const count = this.#values.push(value);
    const weight = 1 / Math.min(count, memory ?? count);
    const distance = value - this.#mean;
    this.#mean += weight * distance;
    this.#variance = (1 - weight) * (this.#variance + weight * distance * distance);
    const deviation = Math.sqrt(this.#variance);
    this.#sum += value - this.#mean - delta * deviation;
    this.#least = Math.min(this.#least, this.#sum);
    return count >= warmUp && deviation > 0 && this.#sum - this.#least > threshold * deviation;
  }

  /** Values since the last reset. */
  get count(): number {
    return this.#values.length;
  }

  /**
   * How many of the values since the reset came before the rise: where the mean rises most for the number of values on
   * both sides. The minimum of m would do too, but noise moves it far to the left.
   */
  unchanged(): number {
    const values = this.#values;
    const total = values.reduce((sum, value) => sum + value, 0);
    let best = { gain: 0, at: values.length };
    let before = 0;
    for (let at = 1; at < values.length; at++) {
      before += values[at - 1]!;
      const left = values.length - at;
      const rise = (total - before) / left - before / at;
      const gain = rise > 0 ? rise * rise * at * left : 0;
      if (gain > best.gain) best = { gain, at };
    }
    return best.at;
  }

  /** Forgets everything. */
  reset(): void {
    this.#values.length = 0;
    this.#mean = this.#variance = this.#sum = this.#least = 0;
  }
}

/** Dimensions that features are projected to. */
const DIMENSIONS = 32;
/** Weight of the multiple of the identity in the covariance. */
const SHRINKAGE = 0.1;

/** How far the inputs of rows are from those of earlier ones: distances of means by the earlier rows' covariance. */
export class InputShift {
  /** The tokens' embeddings, projected, one after another. */
  readonly #table: Float32Array;
  readonly dimensions: number;

  /** `embedding`: [tokens, width]. It has to stay as it is: features that move with what is learned would always shift. */
  constructor(embedding: Tensor, rng: Rng) {
    const width = embedding.dim(1);
    this.dimensions = Math.min(width, DIMENSIONS);
    this.#table = inference(() => {
      if (width <= DIMENSIONS) return embedding.toDtype("float32").contiguous().toTypedArray();
      const signs = Array.from({ length: width * DIMENSIONS }, () => (rng.uniform() < 0.5 ? -1 : 1));
      const projection = tensor(signs, [width, DIMENSIONS], "float32", embedding.device);
      return embedding.toDtype("float32").matmul(projection).toTypedArray();
    }) as Float32Array;
  }

  /** A row's features: the mean of its tokens' embeddings, projected. */
  features(tokens: readonly number[]): Float32Array {
    const { dimensions } = this;
    const mean = new Float32Array(dimensions);
    for (const token of tokens) {
      for (let k = 0; k < dimensions; k++) mean[k]! += this.#table[token * dimensions + k]! / tokens.length;
    }
    return mean;
  }

  /**
   * The mean over dimensions of the squared, standardised distance between the means of two lists of features: 1 on
   * average where both are drawn alike, whatever their lengths; null where the earlier ones are too few to tell.
   */
  distance(earlier: readonly Float32Array[], later: readonly Float32Array[]): number | null {
    const { dimensions } = this;
    if (earlier.length < 2 * dimensions || later.length === 0) return null;
    const [before, after] = [meanOf(earlier, dimensions), meanOf(later, dimensions)];
    const centred = earlier.flatMap((row) => Array.from(row, (value, k) => value - before[k]!));
    return inference(() => {
      const x = tensor(centred, [earlier.length, dimensions], "float32");
      const covariance = x
        .t()
        .matmul(x)
        .div(earlier.length - 1);
      const spread = covariance.trace().item() / dimensions;
      if (spread === 0) return null;
      const [axes, variances] = linalgSvd(covariance);
      const gap = tensor(
        Array.from(after, (value, k) => value - before[k]!),
        [1, dimensions],
        "float32",
      );
      const shrunk = variances.mul(1 - SHRINKAGE).add(SHRINKAGE * spread);
      const squared = gap.matmul(axes).square().div(shrunk).sum().item();
      return squared / dimensions / (1 / earlier.length + 1 / later.length);
    });
  }
}

function meanOf(rows: readonly Float32Array[], dimensions: number): Float64Array {
  const mean = new Float64Array(dimensions);
  for (const row of rows) for (let k = 0; k < dimensions; k++) mean[k]! += row[k]! / rows.length;
  return mean;
}
