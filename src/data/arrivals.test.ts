import fc from "fast-check";
import { expect, test } from "vitest";
import { DataError } from "../errors.js";
import { Rng } from "../random.js";
import { arrivals } from "./arrivals.js";

const task = (name: string, count: number) => ({
  name,
  rows: Array.from({ length: count }, (_, row) => `${name}${row}`),
});

test("without mixing, tasks follow each other row by row", () => {
  const stream = arrivals([task("a", 3), task("b", 2)], 0, new Rng(1));
  expect(stream).toEqual({ rows: ["a0", "a1", "a2", "b0", "b1"], starts: [0, 3], ends: [3, 5] });
});

test("every row arrives once and in its task's order, and a task is over at its end, however much mixes", () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 20, max: 40 }), { minLength: 1, maxLength: 4 }),
      fc.integer({ min: 0, max: 10 }),
      fc.nat(),
      (sizes, half, seed) => {
        const tasks = sizes.map((size, index) => task(String.fromCharCode(97 + index), size));
        const { rows, starts, ends } = arrivals(tasks, 2 * half, new Rng(seed));
        expect([...rows].sort()).toEqual(tasks.flatMap((each) => each.rows).sort());
        for (const [index, { name, rows: own }] of tasks.entries()) {
          expect(rows.filter((row) => row.startsWith(name))).toEqual(own);
          expect(rows.findLastIndex((row) => row.startsWith(name))).toBeLessThan(ends[index]!);
          expect(rows.indexOf(own[0]!)).toBeGreaterThanOrEqual(starts[index]! - half);
        }
        expect(ends.at(-1)).toBe(rows.length);
      },
    ),
  );
});

test("in a gradual change the later task's share rises", () => {
  const { rows, starts } = arrivals([task("a", 2000), task("b", 2000)], 1000, new Rng(3));
  const share = (from: number) =>
    rows.slice(from, from + 200).filter((row) => row.startsWith("b")).length / 200;
  const [before, around, after] = [-500, -100, 300].map((offset) => share(starts[1]! + offset));
  expect(before).toBeLessThan(0.15);
  expect(around).toBeGreaterThan(0.35);
  expect(around).toBeLessThan(0.65);
  expect(after).toBeGreaterThan(0.85);
});

test("a task that is shorter than what would mix is refused by name", () => {
  expect(() => arrivals([task("a", 30), task("short", 15), task("c", 30)], 20, new Rng(1))).toThrow(
    DataError,
  );
  expect(() => arrivals([task("a", 30), task("short", 15), task("c", 30)], 20, new Rng(1))).toThrow(
    /short has 15 rows, and 20 of them/,
  );
});
