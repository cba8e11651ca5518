/** How long the rows of a split are in tokens and how many a limit will cut: known before training starts. */
import type { EncodedExample, EncodeOptions } from "./encode.js";

export interface LengthReport {
  readonly task: string;
  readonly split: "train" | "test";
  readonly rows: number;
  /** Source lengths in tokens, end token included, before any cut. */
  readonly median: number;
  readonly p95: number;
  readonly max: number;
  /** Rows whose source is longer than the limit and will be cut, and the limit. */
  readonly truncated: number;
  readonly limit: number;
  /** Rows whose target is longer than the target limit. */
  readonly targetsTruncated: number;
}

/** The length report of one split from its encoded rows. Percentiles are nearest-rank; an empty split gives zeros. */
export function lengthReport(
  task: string,
  split: "train" | "test",
  rows: readonly Pick<EncodedExample, "sourceLength" | "targetLength">[],
  limits: Pick<EncodeOptions, "sourceLimit" | "targetLimit">,
): LengthReport {
  const lengths = rows.map((row) => row.sourceLength).sort((a, b) => a - b);
  const percentile = (share: number) => lengths[Math.max(0, Math.ceil(share * lengths.length) - 1)] ?? 0;
  return {
    task,
    split,
    rows: rows.length,
    median: percentile(0.5),
    p95: percentile(0.95),
    max: percentile(1),
    truncated: lengths.filter((length) => length > limits.sourceLimit).length,
    limit: limits.sourceLimit,
    targetsTruncated: rows.filter((row) => row.targetLength > limits.targetLimit).length,
  };
}
