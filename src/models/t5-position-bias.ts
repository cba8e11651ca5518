/** T5's relative position bias: a learned number per head and per bucket of distance (Raffel et al. 2020, section 2.1). */
import { tensor } from "../tensor/create.js";
import { embedding } from "../tensor/functions.gen.js";
import { tidy } from "../tensor/scope.js";
import type { Tensor } from "../tensor/tensor.js";

/** The bucket of a distance key - query. Half of the buckets are exact, the others grow with the logarithm. */
export function bucketOf(
  distance: number,
  bidirectional: boolean,
  buckets: number,
  maxDistance: number,
): number {
  let bucket = 0;
  let count = buckets;
  let length = distance;
  if (bidirectional) {
    count = buckets >> 1;
    if (distance > 0) bucket = count;
    length = Math.abs(distance);
  } else {
    length = Math.max(-distance, 0);
  }
  const exact = count >> 1;
  if (length < exact) return bucket + length;
  // float32 steps, as the published code takes them: at a bucket's edge they decide
  const ratio = Math.fround(
    Math.fround(Math.log(Math.fround(length / exact))) / Math.fround(Math.log(maxDistance / exact)),
  );
  const large = exact + Math.trunc(Math.fround(ratio * (count - exact)));
  return bucket + Math.min(large, count - 1);
}

const CACHED = 24;
/** Numbers in all cached biases, unless one alone has more: those of long inputs are large. */
const CACHED_NUMBERS = 2 ** 24;
const ROW_LENGTH = 32;

/**
 * Biases [1, heads, query, key], made once per pair of lengths unless the table is being trained. The decoder's hide the
 * future with minus infinity.
 */
export class PositionBias {
  readonly #cache = new Map<string, Tensor>();
  #numbers = 0;

  /** `table` is [buckets, heads]. */
  constructor(
    readonly table: Tensor,
    readonly bidirectional: boolean,
    readonly maxDistance: number,
  ) {}

  full(queries: number, keys: number): Tensor {
    return this.#make(0, queries, keys);
  }

  /** The bias [1, heads, 1, keys] of a query at the last key; a view that the open scope owns. */
  row(keys: number): Tensor {
    // It depends on the distance alone, so a longer one ends in it, and few lengths need to be made.
    const made = ROW_LENGTH * 2 ** Math.max(0, Math.ceil(Math.log2(keys / ROW_LENGTH)));
    return this.#make(made - 1, 1, made).narrow(3, made - keys, keys);
  }

  #make(start: number, queries: number, keys: number): Tensor {
    if (this.table.requiresGrad) {
      this.dispose();
      return this.#compute(start, queries, keys);
    }
    const name = `${start},${queries},${keys}`;
    const cached = this.#cache.get(name);
    if (cached) {
      this.#cache.delete(name);
      this.#cache.set(name, cached);
      return cached;
    }
    const bias = this.#compute(start, queries, keys).keep();
    this.#cache.set(name, bias);
    this.#numbers += bias.size;
    while (this.#cache.size > 1 && (this.#cache.size > CACHED || this.#numbers > CACHED_NUMBERS)) {
      const [oldest, dropped] = this.#cache.entries().next().value!;
      this.#cache.delete(oldest);
      this.#numbers -= dropped.size;
      dropped.dispose();
    }
    return bias;
  }

  #compute(start: number, queries: number, keys: number): Tensor {
    const buckets = this.table.dim(0);
    const { device } = this.table;
    const index = new BigInt64Array(queries * keys);
    const future = new Uint8Array(queries * keys);
    for (let q = 0; q < queries; q++) {
      for (let k = 0; k < keys; k++) {
        const distance = k - (start + q);
        index[q * keys + k] = BigInt(bucketOf(distance, this.bidirectional, buckets, this.maxDistance));
        future[q * keys + k] = !this.bidirectional && distance > 0 ? 1 : 0;
      }
    }
    return tidy(() => {
      const values = embedding(this.table, tensor(index, [queries, keys], "int64", device))
        .permute([2, 0, 1])
        .unsqueeze(0);
      if (this.bidirectional) return values.contiguous();
      return values
        .contiguous()
        .maskedFill(tensor(future, [1, 1, queries, keys], "bool", device), Number.NEGATIVE_INFINITY);
    });
  }

  dispose(): void {
    for (const bias of this.#cache.values()) bias.dispose();
    this.#cache.clear();
    this.#numbers = 0;
  }
}
