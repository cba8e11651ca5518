/** The merge loop of BPE: by scanning for short words, with a priority queue for long ones. */

import { MergeQueue } from "./merge-queue.js";
import type { MergeTable } from "./merge-table.js";

/** Up to this many symbols a scan for the best pair beats the queue. */
const longestScanned = 24;

/** Merges `symbols` (overwritten) until no pair has a merge, and appends what is left to `ids`. */
export function mergeSymbols(symbols: number[], merges: MergeTable, ids: number[]): void {
  if (symbols.length <= longestScanned) scan(symbols, merges, ids);
  else queue(symbols, merges, ids);
}

const ranks = new Int32Array(longestScanned);

function scan(symbols: number[], merges: MergeTable, ids: number[]): void {
  let count = symbols.length;
  for (let i = 0; i + 1 < count; i++) ranks[i] = merges.rank(symbols[i]!, symbols[i + 1]!);
  while (count > 1) {
    let best = -1;
    let bestRank = Number.POSITIVE_INFINITY;
    for (let i = 0; i + 1 < count; i++) {
      const rank = ranks[i]!;
      if (rank >= 0 && rank < bestRank) {
        best = i;
        bestRank = rank;
      }
    }
    if (best < 0) break;
    symbols[best] = merges.merged(symbols[best]!, symbols[best + 1]!);
    count--;
    for (let i = best + 1; i < count; i++) {
      symbols[i] = symbols[i + 1]!;
      ranks[i] = ranks[i + 1]!;
    }
    if (best > 0) ranks[best - 1] = merges.rank(symbols[best - 1]!, symbols[best]!);
    if (best + 1 < count) ranks[best] = merges.rank(symbols[best]!, symbols[best + 1]!);
  }
  for (let i = 0; i < count; i++) ids.push(symbols[i]!);
}

function queue(symbols: number[], merges: MergeTable, ids: number[]): void {
  const count = symbols.length;
  const candidates = new MergeQueue();
  const next = Int32Array.from({ length: count }, (_, i) => i + 1);
  const previous = Int32Array.from({ length: count }, (_, i) => i - 1);
  /** Rank of the pair that starts at a symbol now; queue entries with another rank are out of date. */
  const current = new Int32Array(count).fill(-1);
  const consider = (left: number, right: number): void => {
    const rank = merges.rank(symbols[left]!, symbols[right]!);
    current[left] = rank;
    if (rank >= 0) candidates.push(rank, left);
  };
  for (let i = 0; i + 1 < count; i++) consider(i, i + 1);
  for (let top = candidates.pop(); top !== undefined; top = candidates.pop()) {
    const left = top.position;
    if (current[left] !== top.rank) continue;
    const right = next[left]!;
    symbols[left] = merges.merged(symbols[left]!, symbols[right]!);
    current[left] = -1;
    current[right] = -1;
    const after = next[right]!;
    next[left] = after;
    if (after < count) {
      previous[after] = left;
      consider(left, after);
    }
    if (previous[left]! >= 0) consider(previous[left]!, left);
  }
  for (let i = 0; i < count; i = next[i]!) ids.push(symbols[i]!);
}
