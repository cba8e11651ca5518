/** Which rows go into which batch, and padded token arrays. Plain numbers: no tensors, no model family. */
import { DataError } from "../errors.js";
import type { Rng } from "../random.js";

export interface BatchPlan {
  readonly batchSize: number;
  readonly rng: Rng;
  readonly epochs: number;
  /** "length" (default) puts rows of similar length together, which saves padding; "none" is plain shuffling. */
  readonly bucket?: "none" | "length";
}

/** Batches whose rows are sorted together by length; more would save little padding and cost randomness. */
const WINDOW_BATCHES = 50;

/** Optimizer steps in one epoch; the last batch may be smaller. */
export function batchesPerEpoch(rows: number, batchSize: number): number {
  return Math.ceil(rows / batchSize);
}

/**
 * Row indices batch by batch, every row exactly once per epoch, in an order that depends on the seed of `rng` and on
 * nothing else. `lengths[i]` is the length of row i in tokens. Each epoch has its own fork of `rng`.
 */
export function* planBatches(lengths: readonly number[], plan: BatchPlan): Generator<number[], void, void> {
  checkCount("batch size", plan.batchSize);
  if (lengths.length === 0) throw new DataError("there are no rows to make batches of");
  const rows = lengths.map((_, index) => index);
  for (let epoch = 1; epoch <= plan.epochs; epoch++) {
    const rng = plan.rng.fork(`epoch ${epoch}`);
    const shuffled = rng.shuffle(rows);
    if (plan.bucket === "none") yield* chunks(shuffled, plan.batchSize);
    else yield* bucketed(shuffled, lengths, plan.batchSize, rng);
  }
}

function bucketed(
  shuffled: readonly number[],
  lengths: readonly number[],
  batchSize: number,
  rng: Rng,
): number[][] {
  const batches = chunks(shuffled, batchSize * WINDOW_BATCHES).flatMap((window) => {
    const sorted = window.toSorted((a, b) => lengths[a]! - lengths[b]!);
    // The window's incomplete batch sits at a random place, so that it is not always the longest rows'.
    const short = sorted.length % batchSize;
    const start = short === 0 ? sorted.length : rng.integer(Math.ceil(sorted.length / batchSize)) * batchSize;
    return [
      ...chunks(sorted.slice(0, start), batchSize),
      ...chunks(sorted.slice(start, start + short), batchSize),
      ...chunks(sorted.slice(start + short), batchSize),
    ];
  });
  return rng.shuffle(batches);
}

/** Batches for answering: sorted by length, longest first, so that the largest allocation comes first. */
export function evaluationBatches(lengths: readonly number[], batchSize: number): number[][] {
  checkCount("batch size", batchSize);
  const rows = lengths.map((_, index) => index).sort((a, b) => lengths[b]! - lengths[a]! || a - b);
  return chunks(rows, batchSize);
}

function chunks<T>(items: readonly T[], size: number): T[][] {
  const out: T[][] = [];
  for (let start = 0; start < items.length; start += size) out.push(items.slice(start, start + size));
  return out;
}

function checkCount(what: string, value: number): void {
  if (!Number.isInteger(value) || value < 1) {
    throw new DataError(`the ${what} must be a positive integer, found ${value}`);
  }
}

export interface PaddedRows {
  /** Row-major, `shape[0] * shape[1]` ids, padded at one end of each row. */
  readonly ids: Int32Array;
  /** 1 where `ids` holds a token of the row, 0 where it holds padding. */
  readonly mask: Uint8Array;
  /** [rows, longest row] */
  readonly shape: readonly [number, number];
  /** Number of ones in `mask`. */
  readonly tokens: number;
}

/**
 * Sources are padded to a multiple of this many tokens. Matrix kernels are compiled per shape, so batches of many
 * different widths would spend more time on that than a little padding costs.
 */
export const SOURCE_MULTIPLE = 16;

/** Pads rows of token ids to the longest of them, rounded up to a multiple of `multiple`, behind or before the tokens. */
export function padBatch(
  rows: readonly (readonly number[])[],
  padId: number,
  multiple = 1,
  side: "end" | "start" = "end",
): PaddedRows {
  const longest = rows.reduce((length, row) => Math.max(length, row.length), 0);
  if (longest === 0) throw new DataError(`a batch of ${rows.length} rows has no tokens`);
  const width = Math.ceil(longest / multiple) * multiple;
  const ids = new Int32Array(rows.length * width).fill(padId);
  const mask = new Uint8Array(rows.length * width);
  for (const [index, row] of rows.entries()) {
    const first = index * width + (side === "end" ? 0 : width - row.length);
    ids.set(row, first);
    mask.fill(1, first, first + row.length);
  }
  return { ids, mask, shape: [rows.length, width], tokens: rows.reduce((sum, row) => sum + row.length, 0) };
}

/** Marks label positions without a loss. */
export const IGNORED_LABEL = -100;

interface SourceAndTarget {
  readonly source: readonly number[];
  readonly target: readonly number[];
}

export interface TrainingBatch {
  readonly source: PaddedRows;
  /** `ids` holds the labels, -100 where there is no loss. */
  readonly labels: PaddedRows;
}

/** A batch for an encoder-decoder: padded sources, and targets whose padding carries no loss. */
export function seq2seqBatch(rows: readonly SourceAndTarget[], padId: number): TrainingBatch {
  return {
    source: padBatch(
      rows.map((row) => row.source),
      padId,
      SOURCE_MULTIPLE,
    ),
    labels: padBatch(
      rows.map((row) => row.target),
      IGNORED_LABEL,
    ),
  };
}

/**
 * A batch for a decoder-only model: each target behind its source in one row, the labels alike, without a loss on the
 * source. Padding stands behind the tokens, where no token sees it.
 */
export function causalBatch(rows: readonly SourceAndTarget[], padId: number): TrainingBatch {
  return {
    source: padBatch(
      rows.map(({ source, target }) => [...source, ...target]),
      padId,
      SOURCE_MULTIPLE,
    ),
    labels: padBatch(
      rows.map(({ source, target }) => [...source.map(() => IGNORED_LABEL), ...target]),
      IGNORED_LABEL,
      SOURCE_MULTIPLE,
    ),
  };
}
