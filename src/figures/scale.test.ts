import fc from "fast-check";
import { expect, it } from "vitest";
import { bandScale, linearScale, logScale, niceStep, readable, tickText } from "./scale.js";

const finite = fc
  .double({ min: -1e9, max: 1e9, noNaN: true })
  .map((value) => (Math.abs(value) < 1e-9 ? 0 : value));
const positive = fc.double({ min: 1e-9, max: 1e9, noNaN: true });
const RANGE = [50, 450] as const;

it("takes steps of 1, 2 or 5 times a power of ten", () => {
  fc.assert(
    fc.property(positive, fc.integer({ min: 1, max: 20 }), (span, count) => {
      const step = niceStep(span, count);
      const leading = Number(step.toExponential(6).split("e")[0]);
      expect([1, 2, 5]).toContain(leading);
      expect(span / step).toBeLessThanOrEqual(count + 1e-6);
      expect(span / step).toBeGreaterThan(count / 2.6);
    }),
  );
});

it("puts every value of a linear axis between its ends, and finds it again from its place", () => {
  fc.assert(
    fc.property(fc.array(finite, { minLength: 1, maxLength: 20 }), (values) => {
      const scale = linearScale(values, RANGE);
      const span = scale.domain[1] - scale.domain[0];
      expect(span).toBeGreaterThan(0);
      for (const value of values) {
        const position = scale.position(value);
        expect(position).toBeGreaterThanOrEqual(RANGE[0] - 1e-3);
        expect(position).toBeLessThanOrEqual(RANGE[1] + 1e-3);
        expect(Math.abs(scale.invert(position) - value)).toBeLessThan(span * 1e-9);
      }
    }),
  );
});

it("has two to a dozen ticks on a linear axis, in equal steps, each labelled as its value", () => {
  fc.assert(
    fc.property(fc.array(finite, { minLength: 1, maxLength: 20 }), (values) => {
      const { ticks, domain } = linearScale(values, RANGE);
      expect(ticks.length).toBeGreaterThanOrEqual(2);
      expect(ticks.length).toBeLessThanOrEqual(12);
      const step = (domain[1] - domain[0]) / (ticks.length - 1);
      ticks.forEach(({ value, label }, index) => {
        expect(Math.abs(value - (domain[0] + index * step))).toBeLessThan(step * 1e-6);
        expect(Math.abs(Number(label.replaceAll("−", "-")) - value)).toBeLessThan(step * 1e-3);
      });
      expect(new Set(ticks.map(({ label }) => label)).size).toBe(ticks.length);
    }),
  );
});

it("keeps the ends it is given", () => {
  expect(linearScale([12, 71], RANGE, { min: 0, max: 100 }).domain).toEqual([0, 100]);
  expect(linearScale([0.3, 0.31], RANGE, { min: 0 }).domain[0]).toBe(0);
});

it("labels round values without the noise of binary fractions", () => {
  expect(linearScale([0, 0.3], RANGE).ticks.map(({ label }) => label)).toEqual(["0", "0.1", "0.2", "0.3"]);
  expect(linearScale([-20, 60], RANGE, { count: 4 }).ticks.map(({ label }) => label)).toEqual([
    "−20",
    "0",
    "20",
    "40",
    "60",
  ]);
  expect(linearScale([0, 3e-5], RANGE).ticks.map(({ label }) => label)).toEqual([
    "0",
    "1e−5",
    "2e−5",
    "3e−5",
  ]);
  expect(tickText(2_000_000, 1_000_000)).toBe("2e6");
});

it("puts equal ratios at equal distances on a logarithmic axis, and finds every value again", () => {
  fc.assert(
    fc.property(fc.array(positive, { minLength: 1, maxLength: 20 }), (values) => {
      const scale = logScale(values, RANGE);
      for (const value of values) {
        const position = scale.position(value);
        expect(position).toBeGreaterThanOrEqual(RANGE[0] - 1e-3);
        expect(position).toBeLessThanOrEqual(RANGE[1] + 1e-3);
        expect(Math.abs(scale.invert(position) / value - 1)).toBeLessThan(1e-6);
      }
      const [low] = scale.domain;
      expect(scale.position(low * 4) - scale.position(low * 2)).toBeCloseTo(
        scale.position(low * 2) - scale.position(low),
        6,
      );
    }),
  );
});

it("has two to a dozen ticks on a logarithmic axis, from its first to its last value at most", () => {
  fc.assert(
    fc.property(fc.array(positive, { minLength: 1, maxLength: 20 }), (values) => {
      const { ticks, domain } = logScale(values, RANGE);
      expect(ticks.length).toBeGreaterThanOrEqual(2);
      expect(ticks.length).toBeLessThanOrEqual(12);
      for (const { value, label } of ticks) {
        expect(value).toBeGreaterThanOrEqual(domain[0] * (1 - 1e-6));
        expect(value).toBeLessThanOrEqual(domain[1] * (1 + 1e-6));
        expect(Number(label.replaceAll("−", "-"))).toBeCloseTo(value, 12);
      }
    }),
  );
});

it("gives 0 a place and a tick of its own on a logarithmic axis", () => {
  const scale = logScale([0, 0.002, 0.4], RANGE);
  expect(scale.ticks[0]).toEqual({ value: 0, label: "0" });
  expect(scale.position(0)).toBe(50);
  expect(scale.invert(50)).toBe(0);
  expect(scale.position(0.002)).toBeGreaterThan(90);
  expect(logScale([1, 10], RANGE).zero).toBeNull();
});

it("centres categories in bands of equal width", () => {
  const scale = bandScale(["a", "b", "c", "d"], [0, 400]);
  expect([0, 1, 2, 3].map(scale.position)).toEqual([50, 150, 250, 350]);
  expect(scale.invert(250)).toBe(2);
});

it("writes numbers for people, and says what was not measured", () => {
  expect([0, 25.8, -34.8, 12345.678, 3.2e-7, 0.66627958, 5e8].map(readable)).toEqual([
    "0",
    "25.8",
    "−34.8",
    "12346",
    "3.2e−7",
    "0.6663",
    "5e8",
  ]);
  expect(readable(null)).toBe("not measured");
});
