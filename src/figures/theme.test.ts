import fc from "fast-check";
import { expect, it } from "vitest";
import {
  coloured,
  contrast,
  DARK,
  dash,
  FIGURE_STYLE,
  LIGHT,
  luminance,
  mark,
  rampColour,
  textOn,
} from "./theme.js";

const THEMES = { light: LIGHT, dark: DARK };

it.each(Object.entries(THEMES))(
  "reads well on %s ground: text 4.5 to 1 and more, lines and bars 3 to 1",
  (_, theme) => {
    for (const text of [theme.ink, theme.quiet])
      expect(contrast(text, theme.paper)).toBeGreaterThanOrEqual(4.5);
    for (const colour of theme.series) expect(contrast(colour, theme.paper)).toBeGreaterThanOrEqual(3);
  },
);

it.each(Object.entries(THEMES))(
  "tells the parts of a collision map apart by lightness alone on %s ground",
  (_, theme) => {
    const steps = [theme.paper, theme.a, theme.b, theme.both];
    for (const [index, colour] of steps.slice(1).entries()) {
      expect(contrast(colour, steps[index]!)).toBeGreaterThanOrEqual(1.7);
    }
    const light = steps.map(luminance);
    const sorted = light.toSorted((one, other) => one - other);
    expect([sorted, sorted.toReversed()]).toContainEqual(light);
  },
);

/** What people without one kind of cone see, in linear light (Machado, Oliveira and Fernandes 2009, severity 1). */
const BLINDNESS = {
  protanopia: [0.152286, 1.052583, -0.204868, 0.114503, 0.786281, 0.099216, -0.003882, -0.048116, 1.051998],
  deuteranopia: [0.367322, 0.860646, -0.227968, 0.280085, 0.672501, 0.047413, -0.01182, 0.04294, 0.968881],
  tritanopia: [1.255528, -0.076749, -0.178779, -0.078411, 0.930809, 0.147602, 0.004733, 0.691367, 0.3039],
};

function linear(colour: string): number[] {
  return [1, 3, 5].map((at) => {
    const share = Number.parseInt(colour.slice(at, at + 2), 16) / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
}

/** CIE L*a*b* of linear sRGB, D65. */
function lab([r, g, b]: number[]): number[] {
  const f = (value: number) => (value > 0.008856 ? Math.cbrt(value) : 7.787 * value + 16 / 116);
  const x = f((0.4124 * r! + 0.3576 * g! + 0.1805 * b!) / 0.95047);
  const y = f(0.2126 * r! + 0.7152 * g! + 0.0722 * b!);
  const z = f((0.0193 * r! + 0.1192 * g! + 0.9505 * b!) / 1.08883);
  return [116 * y - 16, 500 * (x - y), 200 * (y - z)];
}

it.each(Object.entries(BLINDNESS))("keeps the first five colours apart with %s", (_, matrix) => {
  for (const { series } of [LIGHT, DARK]) {
    const seen = series.slice(0, 5).map((colour) => {
      const [r, g, b] = linear(colour);
      return lab(
        [0, 3, 6].map((k) => Math.max(0, matrix[k]! * r! + matrix[k + 1]! * g! + matrix[k + 2]! * b!)),
      );
    });
    seen.forEach((one, i) => {
      for (const other of seen.slice(i + 1)) {
        expect(Math.hypot(...one.map((value, k) => value - other[k]!))).toBeGreaterThan(10);
      }
    });
  }
});

it("gives no two of 72 series the same colour and mark, and no two of the first eight the same dash", () => {
  const looks = Array.from(
    { length: 72 },
    (_, index) => `${coloured(index).color} ${mark(index, 0, 0, {}).text}`,
  );
  expect(new Set(looks).size).toBe(72);
  expect(new Set([0, 1, 2, 3, 4, 5, 6, 7].map(dash)).size).toBe(8);
});

it("prints values on a heat map readably whatever they are, and darker the higher they are", () => {
  fc.assert(
    fc.property(
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (one, other) => {
        const colour = rampColour(one);
        expect(contrast(colour, textOn(colour))).toBeGreaterThanOrEqual(4.3);
        if (one < other) expect(luminance(rampColour(other))).toBeLessThanOrEqual(luminance(colour) + 1e-9);
      },
    ),
  );
});

it("has a place in the style sheet for every colour on light, dark and printed pages", () => {
  expect(FIGURE_STYLE.match(/--nf-ink:/g)).toHaveLength(3);
  expect(FIGURE_STYLE).toContain("prefers-color-scheme:dark");
  expect(FIGURE_STYLE).toContain("@media print");
  expect(FIGURE_STYLE).not.toContain("url(");
});
