/** Sequences being written token by token: the one seam between the model families and every way of choosing tokens. */
import { TensorError } from "../errors.js";
import { tensor } from "../tensor/create.js";
import type { Device } from "../tensor/dtype.js";
import { cat } from "../tensor/functions.gen.js";
import { inference } from "../tensor/grad.js";
import type { Tensor } from "../tensor/tensor.js";
import type { RowCache } from "./row-cache.js";

/** Owns its tensors; every method may be called outside a scope. */
export interface Decoding {
  /** Sequences in it; at least one. */
  readonly rows: number;
  /** Scores of the next token, [rows, vocabulary]; valid until the next call of a method. */
  readonly logits: Tensor;
  /** Tokens that each row holds in memory, prompt included. */
  readonly lengths: readonly number[];
  /** Appends one token to every row. */
  step(ids: readonly number[]): void;
  /** Keeps these rows in this order; repeats are allowed. */
  select(rows: readonly number[]): void;
  /** Appends the rows of another decoding of the same model, which is used up. Lengths may differ. */
  join(other: Decoding): void;
  dispose(): void;
}

/** What a model family gives to have its decoding made. */
export interface DecodingParts {
  /** Tells decodings of different models apart. */
  readonly model: object;
  readonly device: Device;
  /** The growing cache of the decoder's tokens first; others as the family needs them. Taken over. */
  readonly caches: readonly [RowCache, ...RowCache[]];
  /** Runs the prompt, fills the caches and returns logits [rows, vocabulary]. */
  start(): Tensor;
  /** Runs one more token per row, ids [rows, 1], extends the caches and returns logits [rows, vocabulary]. */
  advance(ids: Tensor): Tensor;
}

export class CachedDecoding implements Decoding {
  readonly #parts: DecodingParts;
  #logits: Tensor;

  /** Runs the prompt. When that fails, the caches are released. */
  constructor(parts: DecodingParts) {
    this.#parts = parts;
    try {
      this.#logits = inference(() => parts.start()).keep();
    } catch (error) {
      for (const cache of parts.caches) cache.dispose();
      throw error;
    }
  }

  get rows(): number {
    return this.#parts.caches[0].rows;
  }

  get lengths(): readonly number[] {
    return this.#parts.caches.reduce<readonly number[]>(
      (sums, cache) => sums.map((sum, row) => sum + cache.lengths[row]!),
      Array.from({ length: this.rows }, () => 0),
    );
  }

  get logits(): Tensor {
    return this.#logits;
  }

  step(ids: readonly number[]): void {
    if (ids.length !== this.rows) {
      throw new TensorError(`step: found ${ids.length} ids, expected one for each of ${this.rows} rows`);
    }
    this.#replaceLogits(
      inference(() => this.#parts.advance(tensor(ids, [ids.length, 1], "int64", this.#parts.device))),
    );
  }

  select(rows: readonly number[]): void {
    if (rows.length === 0) throw new TensorError("select: found no rows, expected at least one");
    for (const row of rows) {
      if (this.#parts.caches[0].lengths[row] === undefined) {
        throw new TensorError(`select: there is no row ${row} among ${this.rows}`);
      }
    }
    if (rows.length === this.rows && rows.every((row, index) => row === index)) return;
    for (const cache of this.#parts.caches) cache.select(rows);
    this.#replaceLogits(
      inference(() => this.#logits.indexSelect(0, tensor(rows, [rows.length], "int64", this.#parts.device))),
    );
  }

  join(other: Decoding): void {
    if (!(other instanceof CachedDecoding) || other === this || other.#parts.model !== this.#parts.model) {
      throw new TensorError("join: expected another decoding of the same model");
    }
    for (const [index, cache] of this.#parts.caches.entries()) cache.join(other.#parts.caches[index]!);
    this.#replaceLogits(inference(() => cat([this.#logits, other.#logits])));
    other.dispose();
  }

  dispose(): void {
    for (const cache of this.#parts.caches) cache.dispose();
    this.#logits.dispose();
  }

  #replaceLogits(next: Tensor): void {
    this.#logits.dispose();
    this.#logits = next.keep();
  }
}
