/** What charts and bars share: title, legend, axes with ticks and grid, reference lines, small print. */
import type { Axis, Reference, Span } from "./figure.js";
import { type Attributes, element, type Markup, place, shortened, textWidth } from "./markup.js";
import { bandScale, linearScale, logScale, readable, type Scale } from "./scale.js";
import { dash, group } from "./theme.js";

/** Part of a figure with its size; it lies at the origin. */
export interface Body {
  readonly markup: readonly Markup[];
  readonly height: number;
  /** Where the area of a chart begins. */
  readonly top?: number;
}

export interface Area {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

export const FONT = 12;
export const SMALL = 11;
const LINE = 16;

export function text(content: string, x: number, y: number, attributes: Attributes = {}): Markup {
  return element("text", { x: place(x), y: place(y), ...attributes }, content);
}

/** Bold letters are so much wider. */
const BOLD = 1.1;

/** The title in lines of at most that width. */
export function titleOf(title: string, width: number): Body {
  const lines = wrapped(title, (width - 16) / BOLD, 14).slice(0, 2);
  const markup = group(
    "ink",
    { fill: "currentColor", "font-size": 14, "font-weight": 600 },
    lines.map((line, index) => text(line, 8, 20 + 18 * index)),
  );
  return { markup: [markup], height: 12 + 18 * lines.length };
}

/** Small print in lines of at most that width. */
export function notesOf(notes: readonly string[], width: number): Body {
  const lines = notes.flatMap((note) => wrapped(note, width - 16, SMALL));
  if (lines.length === 0) return { markup: [], height: 0 };
  const markup = group(
    "quiet",
    { fill: "currentColor", "font-size": SMALL },
    lines.map((line, index) => text(line, 8, 12 + 15 * index)),
  );
  return { markup: [markup], height: 8 + 15 * lines.length };
}

/** Words in lines; a word that is too long for a line is cut. */
export function wrapped(content: string, width: number, size: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of content.split(/\s+/).filter((each) => each !== "")) {
    const longer = line === "" ? word : `${line} ${word}`;
    if (line !== "" && textWidth(longer, size) > width) {
      lines.push(line);
      line = word;
    } else line = longer;
  }
  if (line !== "") lines.push(line);
  return lines.map((each) => shortened(each, width, size));
}

/** Names with samples, in as many rows as it takes. `sample` draws around (0, 0), 28 pixels wide. */
export function legendOf(
  names: readonly string[],
  width: number,
  sample: (index: number) => readonly Markup[],
): Body {
  if (names.length === 0) return { markup: [], height: 0 };
  let [x, y] = [8, 8];
  const entries = names.map((name, index) => {
    const label = shortened(name, Math.min(220, width - 60), FONT);
    const needed = 34 + textWidth(label, FONT) + 16;
    if (x > 8 && x + needed > width) [x, y] = [8, y + LINE + 2];
    const entry = element(
      "g",
      { transform: `translate(${place(x)} ${place(y)})` },
      element("g", { transform: "translate(14 0)" }, ...sample(index)),
      group("ink", { fill: "currentColor" }, text(label, 34, 4)),
    );
    x += needed;
    return entry;
  });
  return { markup: [element("g", { class: "legend" }, ...entries)], height: y + LINE };
}

export interface FrameInput {
  readonly title: string;
  readonly notes: readonly string[];
  readonly legend: (width: number) => Body;
  readonly x: Axis;
  readonly y: Axis;
  readonly xValues: readonly number[];
  readonly yValues: readonly number[];
  readonly references: readonly Reference[];
  readonly spans: readonly Span[];
  readonly width: number;
  readonly plotHeight: number;
  /** Room above the area at least, so that panels of a row are level. */
  readonly top: number;
  /** Room between the values and the ends of a linear x axis, in pixels. */
  readonly inset: number;
}

export interface Frame {
  readonly area: Area;
  readonly x: Scale;
  readonly y: Scale;
  /** Everything but the marks, which come between the two. */
  readonly below: readonly Markup[];
  readonly above: readonly Markup[];
  readonly height: number;
}

function scaleOf(
  axis: Axis,
  values: readonly number[],
  range: readonly [number, number],
  count: number,
): Scale {
  if (axis.categories) return bandScale(axis.categories, range);
  if (axis.scale === "log") return logScale(values, range);
  return linearScale(values, range, { count, min: axis.min, max: axis.max });
}

/** Puts a chart's parts around its area. */
export function frameOf(input: FrameInput): Frame {
  const { width, plotHeight, references } = input;
  const values = (axis: "x" | "y", own: readonly number[]) => [
    ...own,
    ...references.filter((each) => each.axis === axis).map(({ value }) => value),
  ];
  const title = titleOf(input.title, width);
  const legend = input.legend(width - 8);
  const own = title.height + legend.height + 12 + (input.spans.length > 0 ? 14 : 0);
  const top = Math.max(own, input.top);
  const bottom = top + plotHeight;
  const y = scaleOf(
    input.y,
    values("y", input.yValues),
    [bottom, top],
    Math.max(2, Math.round(plotHeight / 45)),
  );
  const widest = Math.max(...y.ticks.map(({ label }) => textWidth(label, SMALL)));
  const area: Area = { left: Math.ceil(34 + widest), right: width - 14, top, bottom };
  const { left, right } = area;
  const inset = input.x.categories ? 0 : input.inset;
  const x = scaleOf(
    input.x,
    values("x", input.xValues),
    [left + inset, right - inset],
    Math.max(2, Math.round((right - left) / 80)),
  );
  const xTicks = tickRow(input.x, x, area);
  const labelAt = bottom + xTicks.height + 14;
  const notes = notesOf(input.notes, width);
  const middle = (top + bottom) / 2;
  return {
    area,
    x,
    y,
    below: [
      ...title.markup,
      shifted(legend, title.height),
      ...spanBands(input.spans, x, area),
      ...grid(y, area),
    ],
    above: [
      group(
        "ink",
        {},
        element("path", {
          class: "axis",
          d: `M${left} ${top}V${bottom}H${right}`,
          fill: "none",
          stroke: "currentColor",
        }),
      ),
      ...xTicks.markup,
      group(
        "ink",
        { fill: "currentColor" },
        text(input.x.label, (left + right) / 2, labelAt, { "text-anchor": "middle" }),
        text(input.y.label, 0, 0, {
          "text-anchor": "middle",
          transform: `translate(14 ${place(middle)}) rotate(-90)`,
        }),
      ),
      ...(input.y.scale === "log" && y.ticks[0]?.value === 0 ? [yBreak(y, left)] : []),
      ...references.map((reference) => referenceLine(reference, reference.axis === "x" ? x : y, area)),
      shifted(notes, labelAt + 10),
    ],
    height: labelAt + 10 + notes.height,
  };
}

/** A body further down. */
export const shifted = (body: Body, y: number, x = 0): Markup =>
  element("g", { transform: `translate(${place(x)} ${place(y)})` }, ...body.markup);

function grid(scale: Scale, { left, right }: Area): Markup[] {
  const lines = scale.ticks.map(({ value }) =>
    element("path", { d: `M${left} ${place(scale.position(value))}H${right}`, stroke: "currentColor" }),
  );
  const labels = scale.ticks.map(({ value, label }) =>
    text(label, left - 7, scale.position(value) + 4, {
      class: "tick",
      "text-anchor": "end",
      "data-axis": "y",
      "data-value": value,
      "data-at": place(scale.position(value)),
    }),
  );
  return [
    group("grid", {}, ...lines),
    group("quiet", { fill: "currentColor", "font-size": SMALL }, ...labels),
  ];
}

/** Ticks and labels of the x axis: aslant where they are long, only some of them where they are many. */
function tickRow(
  axis: Axis,
  scale: Scale,
  { left, right, bottom }: Area,
): { markup: Markup[]; height: number } {
  const { ticks } = scale;
  const band = (right - left) / Math.max(1, ticks.length);
  const widest = Math.max(0, ...ticks.map(({ label }) => textWidth(label, SMALL)));
  const aslant = axis.categories !== undefined && widest > Math.max(28, band - 6);
  const every = aslant
    ? Math.max(1, Math.ceil(13 / band))
    : Math.max(1, Math.ceil((widest + 6) / Math.max(1, axis.categories ? band : widest + 6)));
  const room = 96;
  let end = Number.NEGATIVE_INFINITY;
  const labels = ticks.map(({ value, label }, index) => {
    const at = place(scale.position(value));
    const data = { class: "tick", "data-axis": "x", "data-value": value, "data-at": at };
    const half = textWidth(label, SMALL) / 2;
    // Ticks of a logarithmic axis may be too close for all labels.
    if (index % every !== 0 || (!aslant && at - half < end + 4)) return element("g", data);
    end = at + half;
    if (!aslant) return text(label, at, bottom + 18, { ...data, "text-anchor": "middle" });
    return element(
      "text",
      { ...data, transform: `translate(${place(at + 4)} ${bottom + 14}) rotate(-40)`, "text-anchor": "end" },
      shortened(label, room, SMALL),
    );
  });
  const strokes = ticks
    .filter((_, index) => index % every === 0)
    .map(({ value }) => `M${place(scale.position(value))} ${bottom}v4`)
    .join("");
  const zero = axis.scale === "log" && ticks[0]?.value === 0 ? axisBreak(scale, bottom) : "";
  return {
    markup: [
      group("ink", {}, element("path", { d: strokes + zero, stroke: "currentColor", fill: "none" })),
      group("quiet", { fill: "currentColor", "font-size": SMALL }, ...labels),
    ],
    height: aslant ? 14 + Math.min(room, widest) * Math.sin((40 * Math.PI) / 180) + 8 : 24,
  };
}

/** Two strokes where a logarithmic axis breaks off before 0. */
function axisBreak(scale: Scale, bottom: number): string {
  const at = place((scale.position(0) + scale.position(scale.domain[0])) / 2);
  return `M${at - 4} ${bottom + 5}l4 -10m3 0l-4 10`;
}

function spanBands(spans: readonly Span[], x: Scale, { top, bottom }: Area): Markup[] {
  return spans.map(({ from, to, label }, index) => {
    const [start, end] = [x.position(from), x.position(to)];
    const shade = element("rect", {
      x: place(start),
      y: top,
      width: place(end - start),
      height: bottom - top,
      fill: "currentColor",
      "fill-opacity": 0.35,
    });
    const name = shortened(label, end - start - 4, SMALL);
    return element(
      "g",
      { class: "span", "data-from": from, "data-to": to },
      element("title", {}, label),
      group("grid", {}, index % 2 === 1 ? shade : null),
      group(
        "quiet",
        { fill: "currentColor", "font-size": SMALL },
        name.length > 1 ? text(name, (start + end) / 2, top - 5, { "text-anchor": "middle" }) : null,
      ),
    );
  });
}

/** Two strokes where a logarithmic y axis breaks off before 0. */
function yBreak(scale: Scale, left: number): Markup {
  const at = place((scale.position(0) + scale.position(scale.domain[0])) / 2);
  return group(
    "ink",
    {},
    element("path", { d: `M${left - 5} ${at}l10 -4m0 3l-10 4`, stroke: "currentColor", fill: "none" }),
  );
}

/** A dashed line across the area; what it stands for is told on hovering and in the small print. */
function referenceLine({ axis, value, label, series }: Reference, scale: Scale, area: Area): Markup {
  const at = place(scale.position(value));
  const { left, right, top, bottom } = area;
  return group(
    series ?? "quiet",
    { class: "reference", "data-axis": axis, "data-value": value },
    element("title", {}, `${label}: ${readable(value)}`),
    element("path", {
      d: axis === "y" ? `M${left} ${at}H${right}` : `M${at} ${top}V${bottom}`,
      stroke: "currentColor",
      "stroke-dasharray": dash(1),
      fill: "none",
    }),
  );
}
