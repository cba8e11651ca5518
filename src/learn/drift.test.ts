import { expect, test } from "vitest";
import { Rng } from "../random.js";
import { tensor } from "../tensor/create.js";
import { tidy } from "../tensor/scope.js";
import { InputShift, PageHinkley } from "./drift.js";

const DEFAULTS = { delta: 0.005, threshold: 30, warmUp: 32, memory: 100 };

/** A sum of twelve uniform numbers, nearly normal: mean 0, deviation 1. */
const normal = (rng: Rng) => Array.from({ length: 12 }, () => rng.uniform()).reduce((a, b) => a + b, -6);

test("a mean that rises by three deviations raises an alarm within thirty values, and the change is dated to two", () => {
  let early = 0;
  for (let seed = 0; seed < 20; seed++) {
    const rng = new Rng(seed);
    const detector = new PageHinkley(DEFAULTS);
    const before = Array.from({ length: 400 }, () => detector.add(5 + normal(rng)));
    if (before.includes(true)) {
      early++;
      continue;
    }
    let delay = 1;
    while (!detector.add(8 + normal(rng))) delay++;
    expect(delay).toBeLessThan(30);
    expect(Math.abs(detector.unchanged() - 400)).toBeLessThanOrEqual(2);
  }
  // Of 8,000 values without a change.
  expect(early).toBeLessThanOrEqual(1);
});

test("losses that fall while something is learned raise no alarm, and neither does noise around a mean", () => {
  const rng = new Rng(7);
  const detector = new PageHinkley(DEFAULTS);
  for (let n = 0; n < 2000; n++) expect(detector.add(8 * Math.exp(-n / 100) + 0.3 * normal(rng))).toBe(false);
});

test("without a memory the losses at the beginning hide a change for long, with one they do not", () => {
  const losses = (rng: Rng, n: number) => (n < 300 ? 8 * Math.exp(-n / 40) + 0.5 : 2) + 0.3 * normal(rng);
  const delay = (memory: number | null) => {
    const rng = new Rng(11);
    const detector = new PageHinkley({ ...DEFAULTS, memory });
    for (let n = 0; n < 600; n++) if (detector.add(losses(rng, n))) return n - 300;
    return null;
  };
  expect(delay(null)).toBeGreaterThan(100);
  expect(delay(100)).toBeGreaterThan(0);
  expect(delay(100)).toBeLessThan(50);
});

test("without a memory, mean and deviation are those of all values", () => {
  const rng = new Rng(2);
  const values = Array.from({ length: 200 }, (_, n) => normal(rng) + (n < 150 ? 0 : 4));
  const alarmOf = (add: (value: number, n: number) => boolean) => values.findIndex(add);
  const detector = new PageHinkley({ ...DEFAULTS, memory: null });
  let [sum, least] = [0, 0];
  const plain = (value: number, n: number) => {
    const seen = values.slice(0, n + 1);
    const mean = seen.reduce((a, b) => a + b, 0) / seen.length;
    const deviation = Math.sqrt(seen.reduce((a, b) => a + (b - mean) ** 2, 0) / seen.length);
    sum += value - mean - 0.005 * deviation;
    least = Math.min(least, sum);
    return n + 1 >= 32 && sum - least > 30 * deviation;
  };
  expect(alarmOf((value) => detector.add(value))).toBe(alarmOf(plain));
  expect(alarmOf((value) => detector.add(value))).not.toBe(-1);
});

test("values that are all the same raise no alarm, and a reset forgets", () => {
  const detector = new PageHinkley(DEFAULTS);
  for (let n = 0; n < 100; n++) expect(detector.add(1)).toBe(false);
  detector.reset();
  expect(detector.unchanged()).toBe(0);
  for (let n = 0; n < 31; n++) expect(detector.add(n < 20 ? 0 : 100)).toBe(false);
});

test("rows drawn alike are at a distance of about 1 on average, and rows of other tokens are far", () => {
  const rng = new Rng(5);
  tidy(() => {
    const embedding = tensor(
      Array.from({ length: 50 * 40 }, () => normal(rng)),
      [50, 40],
      "float32",
    );
    const shift = new InputShift(embedding, rng.fork("projection"));
    const rows = (count: number, first: number) =>
      Array.from({ length: count }, () =>
        shift.features(Array.from({ length: 20 }, () => first + rng.integer(40))),
      );
    const alike = Array.from({ length: 30 }, () => shift.distance(rows(200, 0), rows(20, 0))!);
    const mean = alike.reduce((a, b) => a + b, 0) / alike.length;
    expect(mean).toBeGreaterThan(0.7);
    expect(mean).toBeLessThan(1.4);
    expect(Math.max(...alike)).toBeLessThan(3);
    expect(shift.distance(rows(200, 0), rows(20, 10))!).toBeGreaterThan(4);
    expect(shift.distance(rows(20, 0), rows(20, 10))).toBeNull();
  });
});

test("features are the means of the projected embeddings of a row's tokens", () => {
  tidy(() => {
    const shift = new InputShift(tensor([1, 2, 3, 4, 5, 6], [3, 2], "float32"), new Rng(1));
    expect(shift.dimensions).toBe(2);
    expect([...shift.features([0, 2, 2])].map((value) => Math.round(value * 3))).toEqual([11, 14]);
  });
});
