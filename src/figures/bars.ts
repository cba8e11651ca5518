/** Groups of bars by category, with deviations, and the paper's values as marks beside them. */
import { errorBar } from "./chart.js";
import type { Bars } from "./figure.js";
import { type Body, frameOf, legendOf, SMALL, text } from "./frame.js";
import { element, type Markup, place, textWidth } from "./markup.js";
import { readable, type Scale } from "./scale.js";
import { group, hatchFill, hatchPatterns } from "./theme.js";

const PUBLISHED = "the paper's";

export function barsBody(bars: Bars, width: number, plotHeight: number, top = 0): Body {
  const { series, x, y } = bars;
  const known = (values: readonly (number | null)[] = []) => values.filter((value) => value !== null);
  const isPublished = series.some(({ published }) => known(published).length > 0);
  const ends = series.flatMap(({ values, deviations }) =>
    values.flatMap((value, index) => {
      const deviation = deviations?.[index] ?? 0;
      return value === null ? [] : [value + deviation, value - deviation, value];
    }),
  );
  const names = [
    ...(series.length > 1 ? series.map(({ name }) => name) : []),
    ...(isPublished ? [PUBLISHED] : []),
  ];
  const frame = frameOf({
    ...bars,
    notes: bars.notes ?? [],
    legend: (room) =>
      legendOf(names, room, (index) =>
        names[index] === PUBLISHED && index === names.length - 1
          ? [group("ink", {}, publishedMark(0, 0, 14))]
          : [group(index, {}, ...bar(bars.id, index, { x: -11, y: -6, width: 22, height: 12 }))],
      ),
    x,
    y,
    xValues: [],
    yValues: [0, ...ends, ...series.flatMap(({ published }) => known(published))],
    references: bars.references ?? [],
    spans: [],
    width,
    plotHeight,
    top,
    inset: 0,
  });
  const band = (frame.area.right - frame.area.left) / Math.max(1, x.categories.length);
  const thick = Math.min(48, (band * 0.82) / Math.max(1, series.length));
  const drawn = series.map((one, index) =>
    group(
      index,
      { "data-series": one.name },
      ...x.categories.flatMap((category, at) => {
        const middle = frame.x.position(at) + (index - (series.length - 1) / 2) * thick;
        return oneBar(bars, index, at, category, middle, thick, frame.y);
      }),
    ),
  );
  return {
    markup: [
      element("defs", {}, ...hatchPatterns(bars.id, series.length)),
      ...frame.below,
      ...drawn,
      ...frame.above,
    ],
    height: frame.height,
    top: frame.area.top,
  };
}

interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** A bar in its colour, with the hatching of its series over it. */
function bar(id: string, series: number, { x, y, width, height }: Box): Markup[] {
  const box = { x: place(x), y: place(y), width: place(width), height: place(height) };
  const hatch = hatchFill(id, series);
  return [
    element("rect", { ...box, fill: "currentColor" }),
    ...(hatch === null ? [] : [element("rect", { ...box, fill: hatch })]),
    element("rect", { ...box, fill: "none", stroke: "currentColor" }),
  ];
}

const publishedMark = (x: number, y: number, width: number): Markup =>
  element("path", {
    class: "published-mark",
    d: `M${place(x - width / 2)} ${place(y)}h${place(width)}M${place(x)} ${place(y - 4)}l4 4l-4 4l-4 -4z`,
    fill: "none",
    stroke: "currentColor",
    "stroke-width": 1.8,
  });

function oneBar(
  { id, series }: Bars,
  index: number,
  at: number,
  category: string,
  middle: number,
  thick: number,
  y: Scale,
): Markup[] {
  const { name, values, deviations, published } = series[index]!;
  const value = values[at] ?? null;
  const deviation = deviations?.[at] ?? null;
  const zero = y.position(0);
  const parts: Markup[] = [];
  if (value === null) {
    parts.push(
      group(
        "quiet",
        { class: "missing", fill: "currentColor", "font-size": SMALL },
        element("title", {}, `${name}, ${category}: not measured`),
        text("n/m", middle, zero - 4, { "text-anchor": "middle" }),
      ),
    );
  } else {
    const end = y.position(value);
    const spread = deviation === null ? "" : ` ± ${readable(deviation)}`;
    parts.push(
      element(
        "g",
        { class: "bar", "data-x": at, "data-y": value, "data-deviation": deviation },
        element("title", {}, `${name}, ${category}: ${readable(value)}${spread}`),
        ...bar(id, index, {
          x: middle - thick * 0.45,
          y: Math.min(zero, end),
          width: thick * 0.9,
          height: Math.abs(end - zero),
        }),
      ),
    );
    if (deviation !== null) parts.push(group("ink", {}, errorBar(middle, y, value, deviation)));
    const printed = readable(Number(value.toPrecision(3)));
    if (textWidth(printed, SMALL) <= thick + 4 && thick >= 14) {
      const above = y.position(Math.max(value, 0) + (deviation ?? 0)) - 5;
      parts.push(
        group(
          "ink",
          { fill: "currentColor", "font-size": SMALL },
          text(printed, middle, above, { "text-anchor": "middle" }),
        ),
      );
    }
  }
  const reported = published?.[at] ?? null;
  if (reported !== null) {
    parts.push(
      group(
        "ink",
        { class: "published", "data-x": at, "data-y": reported },
        element("title", {}, `${name}, ${category}, in the paper: ${readable(reported)}`),
        publishedMark(middle, y.position(reported), thick * 0.9),
      ),
    );
  }
  return parts;
}
