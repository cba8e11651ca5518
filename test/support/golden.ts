/** Reading the golden fixtures: numbers made by the reference implementations, see tools/golden/. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import type { Batch } from "../../src/models/language-model.js";
import { tensor } from "../../src/tensor/create.js";
import { packageRoot } from "../../src/tensor/native.js";

export const goldenFolder = (name: string): string => join(packageRoot, "test/fixtures/golden", name);

export const readGolden = <T>(name: string): T =>
  JSON.parse(readFileSync(join(goldenFolder(name), "golden.json"), "utf8")) as T;

export interface GoldenBatch {
  readonly input_ids: number[][];
  readonly attention_mask: number[][];
  readonly labels: number[][];
}

const matrix = (rows: readonly (readonly number[])[], dtype: "int64" | "bool") =>
  tensor(rows.flat(), [rows.length, rows[0]!.length], dtype);

export const goldenBatch = (example: GoldenBatch): Batch => ({
  inputIds: matrix(example.input_ids, "int64"),
  attentionMask: matrix(example.attention_mask, "bool"),
  labels: matrix(example.labels, "int64"),
});

/** Every element within `tolerance` of the largest expected magnitude (at least 1). */
export function expectClose(
  found: ArrayLike<number>,
  expected: readonly number[],
  tolerance: number,
  what = "",
): void {
  expect(found.length, what).toBe(expected.length);
  const limit = tolerance * Math.max(1, ...expected.map(Math.abs));
  let worst = 0;
  for (let i = 0; i < expected.length; i++) worst = Math.max(worst, Math.abs(found[i]! - expected[i]!));
  expect(worst, `largest difference ${what}`).toBeLessThanOrEqual(limit);
}
