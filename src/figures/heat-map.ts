/** A table of values as colours, each value printed where there is room for it. */
import type { HeatMap } from "./figure.js";
import { type Body, FONT, notesOf, SMALL, shifted, text, titleOf } from "./frame.js";
import { element, type Markup, place, shortened, textWidth } from "./markup.js";
import { readable } from "./scale.js";
import { group, rampColour, textOn } from "./theme.js";

const NAMES_WIDTH = 130;
const BAR_WIDTH = 64;

export function heatMapBody(map: HeatMap, width: number): Body {
  const { rows, columns, values, range } = map;
  const title = titleOf(map.title, width);
  const names = Math.min(NAMES_WIDTH, Math.max(0, ...rows.map((name) => textWidth(name, FONT)))) + 34;
  const cellWidth = Math.min(96, (width - names - BAR_WIDTH - 12) / Math.max(1, columns.length));
  const cellHeight = Math.min(36, Math.max(4, Math.min(cellWidth, 520 / Math.max(1, rows.length))));
  const top = title.height + 22;
  const bottom = top + cellHeight * rows.length;
  const right = names + cellWidth * columns.length;
  const printed = (value: number) => (cellWidth < 40 ? String(Math.round(value)) : value.toFixed(1));
  const size = Math.min(FONT, cellHeight * 0.55);
  const isPrinted = size >= 6 && textWidth("100", size) <= cellWidth;

  const cells = rows.flatMap((row, i) =>
    columns.flatMap((column, j): Markup[] => {
      const value = values[i]?.[j] ?? null;
      const box = {
        x: place(names + j * cellWidth),
        y: place(top + i * cellHeight),
        width: place(cellWidth),
        height: place(cellHeight),
      };
      const said = element(
        "title",
        {},
        `${row}, ${column}: ${readable(value)}${value === null ? "" : ` ${map.unit}`}`,
      );
      const middle = [box.x + cellWidth / 2, box.y + cellHeight / 2 + size * 0.36] as const;
      if (value === null) return isPrinted ? [missing(box, said, middle)] : [];
      const colour = rampColour((value - range[0]) / (range[1] - range[0]));
      return [
        element(
          "g",
          { class: "cell", "data-row": i, "data-column": j, "data-value": value },
          said,
          element("rect", {
            ...box,
            fill: colour,
            stroke: "#ffffff",
            "stroke-width": cellWidth > 12 ? 1 : 0,
          }),
          isPrinted
            ? text(printed(value), ...middle, {
                "text-anchor": "middle",
                "font-size": place(size),
                fill: textOn(colour),
              })
            : null,
        ),
      ];
    }),
  );
  const everyRow = Math.max(1, Math.ceil(11 / cellHeight));
  const everyColumn = Math.max(
    1,
    Math.ceil(Math.max(0, ...columns.map((name) => textWidth(name, SMALL) + 6)) / cellWidth),
  );
  const ground = group(
    "grid",
    {},
    element("rect", {
      x: place(names),
      y: place(top),
      width: place(right - names),
      height: place(bottom - top),
      fill: "currentColor",
      "fill-opacity": isPrinted ? 0 : 0.6,
    }),
  );
  const labels = group(
    "ink",
    { fill: "currentColor" },
    rows.map((name, i) =>
      i % everyRow === 0
        ? text(shortened(name, NAMES_WIDTH, FONT), names - 8, top + (i + 0.5) * cellHeight + 4, {
            "text-anchor": "end",
          })
        : null,
    ),
    columns.map((name, j) =>
      j % everyColumn === 0
        ? text(name, names + (j + 0.5) * cellWidth, top - 7, { "text-anchor": "middle", "font-size": SMALL })
        : null,
    ),
    text(map.columnLabel, (names + right) / 2, bottom + 18, { "text-anchor": "middle" }),
    text(map.rowLabel, 0, 0, {
      "text-anchor": "middle",
      transform: `translate(14 ${place((top + bottom) / 2)}) rotate(-90)`,
    }),
  );
  const bar = colourBar(map, right + 16, top, Math.max(60, bottom - top));
  const notes = notesOf(map.notes ?? [], width);
  const end = Math.max(bottom, top + 60) + 28;
  return {
    markup: [...title.markup, ground, ...cells, labels, bar, shifted(notes, end)],
    height: end + notes.height,
  };
}

/** A cell without a value: no colour, and a dash. */
function missing(
  box: Readonly<Record<"x" | "y" | "width" | "height", number>>,
  said: Markup,
  middle: readonly [number, number],
): Markup {
  return element(
    "g",
    { class: "missing" },
    said,
    group("grid", {}, element("rect", { ...box, fill: "none", stroke: "currentColor" })),
    group(
      "quiet",
      { fill: "currentColor", "font-size": SMALL },
      text("–", ...middle, { "text-anchor": "middle" }),
    ),
  );
}

function colourBar({ range, unit }: HeatMap, x: number, top: number, height: number): Markup {
  const steps = 20;
  const boxes = Array.from({ length: steps }, (_, index) =>
    element("rect", {
      x,
      y: place(top + (height * index) / steps),
      width: 12,
      height: place(height / steps + 0.5),
      fill: rampColour(1 - (index + 0.5) / steps),
    }),
  );
  const middle = (range[0] + range[1]) / 2;
  const ends = [
    [range[1], top + 9],
    [middle, top + height / 2 + 4],
    [range[0], top + height],
  ] as const;
  return element(
    "g",
    { class: "colour-bar" },
    ...boxes,
    group(
      "quiet",
      { fill: "currentColor", "font-size": SMALL },
      ends.map(([value, y]) => text(`${readable(value)}${value === range[1] ? ` ${unit}` : ""}`, x + 17, y)),
    ),
  );
}
