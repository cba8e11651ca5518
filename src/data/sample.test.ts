import fc from "fast-check";
import { expect, test } from "vitest";
import { Rng } from "../random.js";
import { holdOutRows, stratifiedSample } from "./sample.js";

const items = fc.array(fc.constantFrom("a", "b", "c", "d"), { minLength: 1, maxLength: 200 });

function count(values: readonly string[], value: string): number {
  return values.filter((other) => other === value).length;
}

test("a stratified sample has the size asked for, keeps the order and every label's share to within a row", () => {
  fc.assert(
    fc.property(items, fc.integer({ min: 4, max: 150 }), fc.nat(), (labels, size, seed) => {
      const rows = labels.map((label, index) => ({ label, index }));
      const sample = stratifiedSample(rows, (row) => row.label, size, new Rng(seed));
      expect(sample.length).toBe(Math.min(size, labels.length));
      const indices = sample.map((row) => row.index);
      expect(indices).toEqual([...new Set(indices)].sort((a, b) => a - b));
      for (const label of new Set(labels)) {
        const kept = count(
          sample.map((row) => row.label),
          label,
        );
        const share = (count(labels, label) * sample.length) / labels.length;
        expect(kept).toBeGreaterThanOrEqual(1);
        // Above the share by less than a row, below it by less than one plus what rare labels were given.
        expect(kept - share).toBeLessThan(1);
        expect(share - kept).toBeLessThan(4);
      }
    }),
  );
});

test("the sample depends on the seed and on nothing else", () => {
  const rows = Array.from({ length: 60 }, (_, index) => index);
  const sample = (seed: number) => stratifiedSample(rows, (row) => `${row % 3}`, 20, new Rng(seed));
  expect(sample(1)).toEqual(sample(1));
  expect(sample(1)).not.toEqual(sample(2));
});

test("a hold-out takes a share or a number of rows and must leave some on both sides", () => {
  expect(holdOutRows({ fraction: 0.2 }, 50, "t")).toBe(10);
  expect(holdOutRows({ rows: 7 }, 50, "t")).toBe(7);
  for (const wrong of [{ fraction: 0 }, { fraction: 1 }, { rows: 50 }, { rows: 2.5 }, { rows: -1 }]) {
    expect(() => holdOutRows(wrong, 50, "t")).toThrowError(/t: cannot hold .* out of 50 training rows/);
  }
});
