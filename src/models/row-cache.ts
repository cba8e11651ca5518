/**
 * Tensors with one row per sequence, of different lengths: what a decoder keeps of the tokens so far (keys and values).
 * Rows are aligned on the right, so that a new token is one new column for all, whatever their lengths.
 */
import { TensorError } from "../errors.js";
import { tensor } from "../tensor/create.js";
import type { Device } from "../tensor/dtype.js";
import { empty } from "../tensor/functions.gen.js";
import { tidy } from "../tensor/scope.js";
import type { Tensor } from "../tensor/tensor.js";

const ROOM = 16;

/** Columns to allocate for `length` of them, so that growing by one column each time copies seldom. */
const withRoom = (length: number): number => Math.ceil((length + length / 4 + 1) / ROOM) * ROOM;

export class RowCache {
  /** [rows, capacity, width] per slot; columns 0 to length - 1 are in use. */
  #slots: Tensor[] = [];
  #length = 0;
  /** Tokens of each row: its last columns. What is before them is padding, finite but without meaning. */
  #lengths: readonly number[];
  /** In a cache that does not grow: rows with equal marks hold the same. */
  #origins: readonly symbol[];

  /** `grows`: columns will be added to; false for what is written once and then only read. */
  constructor(
    rows: number,
    readonly grows: boolean,
  ) {
    this.#lengths = Array.from({ length: rows }, () => 0);
    this.#origins = this.#lengths.map(() => Symbol());
  }

  get rows(): number {
    return this.#lengths.length;
  }

  /** Columns in use: the tokens of the longest row. */
  get length(): number {
    return this.#length;
  }

  /** Tokens per row, and so the position of the next one. */
  get lengths(): readonly number[] {
    return this.#lengths;
  }

  /** Adds columns, to be filled by one `write` per slot. Of row r the last tokens[r] of them are tokens (all by default). */
  extend(columns: number, tokens?: readonly number[]): void {
    this.#length += columns;
    this.#lengths = this.#lengths.map((length, row) => length + (tokens?.[row] ?? columns));
  }

  /**
   * Stores the newest columns, [rows, columns, width], and returns all of them, [rows, length, width], a view that the
   * open scope owns and that is valid until the cache changes.
   */
  write(slot: number, newest: Tensor): Tensor {
    const columns = newest.dim(1);
    const start = this.#length - columns;
    let stored = this.#slots[slot];
    if (!stored && !this.grows) {
      this.#slots[slot] = newest.keep();
      return newest;
    }
    if (!stored || stored.dim(1) < this.#length) {
      const grown = roomFor(newest, this.rows, withRoom(this.#length)).keep();
      if (stored && start > 0) grown.narrow(1, 0, start).copy_(stored.narrow(1, 0, start));
      stored?.dispose();
      stored = grown;
      this.#slots[slot] = stored;
    }
    stored.narrow(1, start, columns).copy_(newest);
    return stored.narrow(1, 0, this.#length);
  }

  /** What a slot holds, [rows, length, width]. */
  read(slot: number): Tensor {
    const stored = this.#slots[slot]!;
    return stored.dim(1) === this.#length ? stored : stored.narrow(1, 0, this.#length);
  }

  /** [rows, length] bool, true where there is a token; null when there is no padding. */
  mask(device: Device): Tensor | null {
    const length = this.#length;
    if (this.#lengths.every((tokens) => tokens === length)) return null;
    const flags = new Uint8Array(this.rows * length);
    for (const [row, tokens] of this.#lengths.entries()) {
      flags.fill(1, (row + 1) * length - tokens, (row + 1) * length);
    }
    return tensor(flags, [this.rows, length], "bool", device);
  }

  /** Keeps these rows in this order, repeats allowed; columns that only padding is left in go. */
  select(rows: readonly number[]): void {
    const lengths = rows.map((row) => this.#lengths[row]!);
    const origins = rows.map((row) => this.#origins[row]!);
    const same =
      !this.grows &&
      rows.length === this.rows &&
      origins.every((origin, row) => origin === this.#origins[row]);
    if (same) return;
    const unused = this.#length - Math.max(...lengths);
    tidy(() => {
      for (const [slot, stored] of this.#slots.entries()) {
        const index = tensor(rows, [rows.length], "int64", stored.device);
        this.#slots[slot] = stored
          .narrow(1, unused, stored.dim(1) - unused)
          .indexSelect(0, index)
          .keep();
        stored.dispose();
      }
    });
    this.#length -= unused;
    this.#lengths = lengths;
    this.#origins = origins;
  }

  /** Appends the rows of a cache with the same slots, which is used up. */
  join(other: RowCache): void {
    if (other.grows !== this.grows || other.#slots.length !== this.#slots.length) {
      throw new TensorError(
        `join: the caches have ${this.#slots.length} and ${other.#slots.length} slots, expected those of one model`,
      );
    }
    const length = Math.max(this.#length, other.#length);
    const capacity = this.grows ? withRoom(length) : length;
    tidy(() => {
      for (const [slot, stored] of this.#slots.entries()) {
        const joined = roomFor(stored, this.rows + other.rows, capacity);
        putRight(joined.narrow(0, 0, this.rows), this.read(slot), length);
        putRight(joined.narrow(0, this.rows, other.rows), other.read(slot), length);
        this.#slots[slot] = joined.keep();
        stored.dispose();
      }
    });
    this.#length = length;
    this.#lengths = [...this.#lengths, ...other.#lengths];
    this.#origins = [...this.#origins, ...other.#origins];
    other.dispose();
  }

  dispose(): void {
    for (const stored of this.#slots) stored?.dispose();
    this.#slots = [];
  }
}

const roomFor = (like: Tensor, rows: number, capacity: number): Tensor =>
  empty([rows, capacity, like.dim(2)], { dtype: like.dtype, device: like.device });

/** Copies `columns` to the columns before `end`, zeros to the left of them. */
function putRight(target: Tensor, columns: Tensor, end: number): void {
  const count = columns.dim(1);
  target.narrow(1, end - count, count).copy_(columns);
  if (count < end) target.narrow(1, 0, end - count).zero_();
}
