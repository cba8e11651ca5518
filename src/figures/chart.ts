/** Series of points over x: curves, and scattered points with error bars and labels. */
import type { Chart, Point, Series } from "./figure.js";
import { type Body, type Frame, frameOf, legendOf, SMALL, text } from "./frame.js";
import { element, type Markup, place, textWidth } from "./markup.js";
import { readable, type Scale } from "./scale.js";
import { dash, group, HALO, mark } from "./theme.js";

/** Above that many points a series of a line has no marks. */
const MARKED = 60;

type Known = Point & { readonly y: number };

const isShown =
  (chart: Chart) =>
  (point: Point): point is Known =>
    point.y !== null &&
    Number.isFinite(point.y) &&
    Number.isFinite(point.x) &&
    !(chart.y.scale === "log" && point.y < 0) &&
    !(chart.x.scale === "log" && !chart.x.categories && point.x < 0);

export function chartBody(chart: Chart, width: number, plotHeight: number, top = 0): Body {
  const { series, lines } = chart;
  const shown = isShown(chart);
  const points = series.flatMap((each) => each.points.filter(shown));
  const isMarked = ({ points: own }: Series) => !lines || own.length <= MARKED;
  const spreads = chart.y.scale === "log" ? [] : points.filter(({ deviation }) => deviation != null);
  const frame = frameOf({
    ...chart,
    notes: chart.notes ?? [],
    legend: (room) =>
      legendOf(series.length > 1 ? series.map(({ name }) => name) : [], room, (index) => [
        group(
          index,
          {},
          lines ? stroke(index, "M-14 0H14") : null,
          isMarked(series[index]!) ? mark(index, 0, 0, { class: null }) : null,
        ),
      ]),
    xValues: points.map(({ x }) => x),
    yValues: [
      ...points.map(({ y }) => y),
      ...spreads.flatMap(({ y, deviation }) => [y - deviation!, y + deviation!]),
    ],
    references: chart.references ?? [],
    spans: chart.spans ?? [],
    width,
    plotHeight,
    top,
    inset: lines && series.every((each) => !isMarked(each)) ? 0 : 14,
  });
  const drawn = series.map((each, index) =>
    group(
      index,
      { "data-series": each.name },
      lines ? curve(each, index, frame, shown) : null,
      isMarked(each)
        ? each.points.filter(shown).map((point) => pointMark(chart, each, index, point, frame))
        : null,
    ),
  );
  const { left, right, top: above, bottom } = frame.area;
  const nothing = group(
    "quiet",
    { fill: "currentColor" },
    text("not measured", (left + right) / 2, (above + bottom) / 2, { "text-anchor": "middle" }),
  );
  const inside = points.length > 0 ? [...drawn, pointLabels(points, frame)] : [nothing];
  return { markup: [...frame.below, ...inside, ...frame.above], height: frame.height, top: above };
}

const stroke = (index: number, path: string, weight = 2): Markup =>
  element("path", {
    d: path,
    fill: "none",
    stroke: "currentColor",
    "stroke-width": weight,
    "stroke-dasharray": dash(index),
    "stroke-linejoin": "round",
  });

/** The line through the points, broken where one is not measured. */
function curve(
  { name, points }: Series,
  index: number,
  { x, y }: Frame,
  shown: (point: Point) => point is Known,
): Markup {
  let pen = "M";
  let path = "";
  for (const point of points) {
    if (!shown(point)) {
      pen = "M";
      continue;
    }
    path += `${pen}${place(x.position(point.x))} ${place(y.position(point.y))}`;
    pen = "L";
  }
  return element(
    "path",
    {
      class: "line",
      d: path,
      fill: "none",
      stroke: "currentColor",
      "stroke-width": points.length > 200 ? 1.3 : 2,
      "stroke-dasharray": dash(index),
      "stroke-linejoin": "round",
    },
    element("title", {}, name),
  );
}

function pointMark(chart: Chart, { name }: Series, index: number, point: Known, { x, y }: Frame): Markup[] {
  const [left, top] = [x.position(point.x), y.position(point.y)];
  const { deviation = null } = point;
  const where = chart.x.categories?.[point.x] ?? `${chart.x.label} ${readable(point.x)}`;
  const spread = deviation === null ? "" : ` ± ${readable(deviation)}`;
  const said = `${name}, ${where}: ${readable(point.y)}${spread}${point.label ? ` (${point.label})` : ""}`;
  return [
    ...(deviation === null ? [] : [errorBar(left, y, point.y, deviation)]),
    mark(
      index,
      left,
      top,
      { "data-x": point.x, "data-y": point.y, "data-deviation": deviation },
      element("title", {}, said),
    ),
  ];
}

interface Box {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

/** Labels beside their points: on the side where they hide the least of other labels and points. */
function pointLabels(points: readonly Known[], { x, y, area }: Frame): Markup {
  const places = points.map((point) => ({ point, at: x.position(point.x), top: y.position(point.y) }));
  const marks = places.map(
    ({ at, top }): Box => ({ left: at - 4, right: at + 4, top: top - 4, bottom: top + 4 }),
  );
  const taken: Box[] = [];
  const labels = places.flatMap(({ point: { label }, at, top }) => {
    if (!label) return [];
    const wide = textWidth(label, SMALL);
    const boxes = [-10, 4, 18, -24].flatMap((down) =>
      [at + 7, at - 7 - wide].map((left): Box => {
        const middle = top + down;
        return { left, right: left + wide, top: middle - 4, bottom: middle + 8 };
      }),
    );
    const hidden = (box: Box) =>
      [...taken, ...marks].filter((other) => overlap(box, other)).length +
      (box.left < area.left || box.right > area.right || box.top < area.top || box.bottom > area.bottom
        ? 2
        : 0);
    const best = boxes.toSorted((one, other) => hidden(one) - hidden(other))[0]!;
    taken.push(best);
    return [text(label, best.left, best.bottom - 2, HALO)];
  });
  return group("ink", { fill: "currentColor", "font-size": SMALL }, ...labels);
}

const overlap = (one: Box, other: Box): boolean =>
  one.left < other.right && other.left < one.right && one.top < other.bottom && other.top < one.bottom;

/** A value's deviation to both sides; on a logarithmic axis it ends where the axis does. */
export function errorBar(at: number, scale: Scale, value: number, deviation: number): Markup {
  const low = scale.domain[0];
  const [top, bottom] = [value + deviation, Math.max(value - deviation, low)].map((each) =>
    place(scale.position(each)),
  );
  const x = place(at);
  return element("path", {
    class: "deviation",
    d: `M${x - 4} ${top}h8m-4 0V${bottom}m-4 0h8`,
    fill: "none",
    stroke: "currentColor",
    "stroke-width": 1.3,
  });
}
