/**
 * The places of a matrix that two updates use: each alone, and both over each other (the paper's Figure 2). The ground is
 * paper, a is paler than b, b paler than both, so that it can be read without colour.
 */
import type { CollisionMap } from "./figure.js";
import { type Body, notesOf, SMALL, shifted, text, titleOf, wrapped } from "./frame.js";
import { element, type Markup, place, shortened } from "./markup.js";
import { readable } from "./scale.js";
import { type Colour, group } from "./theme.js";

/** Cells along a side at most: more could not be told apart in print. */
const CELLS = 96;
/** Strengths of colour that are drawn. */
const LEVELS = 8;

interface Layer {
  readonly what: "a" | "b" | "both";
  /** Share of each cell's elements, row by row. */
  readonly shares: readonly number[];
}

interface Grid {
  readonly rows: number;
  readonly columns: number;
  readonly onlyA: number[];
  readonly onlyB: number[];
  readonly both: number[];
  /** Elements of each cell. */
  readonly sizes: number[];
}

export interface CollisionTotals {
  readonly elements: number;
  readonly onlyA: number;
  readonly onlyB: number;
  readonly both: number;
  readonly neither: number;
  /** Share of elements that both use. */
  readonly rate: number;
  /** What independent supports of the same sizes would give. */
  readonly expected: number;
}

export function collisionTotals({ onlyA, onlyB, both, outputs, inputs }: CollisionMap): CollisionTotals {
  const sum = (counts: readonly number[]) => counts.reduce((total, count) => total + count, 0);
  const [a, b, shared] = [sum(onlyA), sum(onlyB), sum(both)];
  const elements = outputs * inputs;
  return {
    elements,
    onlyA: a,
    onlyB: b,
    both: shared,
    neither: elements - a - b - shared,
    rate: shared / elements,
    expected: ((a + shared) / elements) * ((b + shared) / elements),
  };
}

/** The grid with whole cells put together, the same number everywhere, until a side has at most CELLS. */
export function coarser(map: CollisionMap): Grid {
  const [down, across] = [Math.ceil(map.height / CELLS), Math.ceil(map.width / CELLS)];
  const [rows, columns] = [Math.ceil(map.height / down), Math.ceil(map.width / across)];
  const zeros = () => Array.from({ length: rows * columns }, () => 0);
  const grid: Grid = { rows, columns, onlyA: zeros(), onlyB: zeros(), both: zeros(), sizes: zeros() };
  for (let row = 0; row < map.height; row++) {
    const outputs = map.rowEdges[row + 1]! - map.rowEdges[row]!;
    for (let column = 0; column < map.width; column++) {
      const inputs = map.columnEdges[column + 1]! - map.columnEdges[column]!;
      const from = row * map.width + column;
      const to = Math.floor(row / down) * columns + Math.floor(column / across);
      grid.onlyA[to]! += map.onlyA[from]!;
      grid.onlyB[to]! += map.onlyB[from]!;
      grid.both[to]! += map.both[from]!;
      grid.sizes[to]! += outputs * inputs;
    }
  }
  return grid;
}

export function collisionMapBody(map: CollisionMap, width: number): Body {
  const grid = coarser(map);
  const share = (...counts: readonly (readonly number[])[]) =>
    grid.sizes.map((size, k) => (size === 0 ? 0 : counts.reduce((sum, each) => sum + each[k]!, 0) / size));
  const title = titleOf(map.title, width);
  const panelWidth = (width - 50) / 3 - 14;
  const panelHeight = Math.min(
    panelWidth * 1.4,
    Math.max(panelWidth / 3, (panelWidth * map.outputs) / map.inputs),
  );
  const top = title.height + 40;
  const panels: { readonly name: string; readonly layers: readonly Layer[] }[] = [
    { name: map.a, layers: [{ what: "a", shares: share(grid.onlyA, grid.both) }] },
    { name: map.b, layers: [{ what: "b", shares: share(grid.onlyB, grid.both) }] },
    {
      name: "over each other",
      layers: [
        { what: "a", shares: share(grid.onlyA) },
        { what: "b", shares: share(grid.onlyB) },
        { what: "both", shares: share(grid.both) },
      ],
    },
  ];
  const drawn = panels.map(({ name, layers }, index) => {
    const left = 44 + index * (panelWidth + 14);
    return element(
      "g",
      { class: "panel", transform: `translate(${place(left)} ${place(top)})` },
      group("ink", { fill: "currentColor", "font-weight": 600 }, text(shortened(name, panelWidth), 0, -8)),
      ...layers.map((layer) => cells(layer, grid, panelWidth, panelHeight)),
      group(
        "quiet",
        {},
        element("rect", {
          width: place(panelWidth),
          height: place(panelHeight),
          fill: "none",
          stroke: "currentColor",
        }),
      ),
      group(
        "quiet",
        { fill: "currentColor", "font-size": SMALL },
        text("1", 0, panelHeight + 14),
        text(`input ${map.inputs}`, panelWidth, panelHeight + 14, { "text-anchor": "end" }),
      ),
    );
  });
  const sides = group(
    "quiet",
    { fill: "currentColor", "font-size": SMALL },
    text("1", 40, top + 10, { "text-anchor": "end" }),
    text(`output ${map.outputs}`, 0, 0, {
      "text-anchor": "start",
      transform: `translate(36 ${place(top + panelHeight)}) rotate(-90)`,
    }),
  );
  const totals = collisionTotals(map);
  const percent = (count: number) => `${readable((100 * count) / totals.elements)} %`;
  const key: readonly [Colour, string][] = [
    ["a", `only ${map.a}: ${percent(totals.onlyA)}`],
    ["b", `only ${map.b}: ${percent(totals.onlyB)}`],
    ["both", `both: ${percent(totals.both)} (independent: ${percent(totals.expected * totals.elements)})`],
  ];
  const keyTop = top + panelHeight + 36;
  const lines = key.map(([colour, label], index) =>
    element(
      "g",
      { class: "key", transform: `translate(44 ${place(keyTop + 18 * index)})` },
      group(colour, {}, element("rect", { y: -10, width: 14, height: 12, fill: "currentColor" })),
      group(
        "ink",
        {},
        element("rect", { y: -10, width: 14, height: 12, fill: "none", stroke: "currentColor" }),
      ),
      group("ink", { fill: "currentColor" }, text(wrapped(label, width - 80, 12)[0] ?? "", 22, 0)),
    ),
  );
  const end = keyTop + 18 * key.length;
  const notes = notesOf(map.notes ?? [], width);
  return {
    markup: [...title.markup, sides, ...drawn, ...lines, shifted(notes, end)],
    height: end + notes.height,
  };
}

/** Cells of one colour, one path per strength: runs of cells of a row as strokes one cell wide. */
function cells({ what, shares }: Layer, { rows, columns }: Grid, width: number, height: number): Markup {
  const paths = Array.from({ length: LEVELS + 1 }, () => "");
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; ) {
      const level = levelOf(shares[row * columns + column]!);
      let end = column + 1;
      while (end < columns && levelOf(shares[row * columns + end]!) === level) end++;
      paths[level] += `M${column} ${row}h${end - column}`;
      column = end;
    }
  }
  return group(
    what,
    {
      class: "cells",
      "data-what": what,
      transform: `scale(${width / columns} ${height / rows}) translate(0 0.5)`,
      stroke: "currentColor",
      "shape-rendering": "crispEdges",
    },
    paths.map((path, level) =>
      level === 0 || path === ""
        ? null
        : element("path", { d: path, "stroke-opacity": level / LEVELS, "data-level": level }),
    ),
  );
}

/** 0 for nothing at all; whatever there is, is seen. */
export const levelOf = (share: number): number => (share <= 0 ? 0 : Math.max(1, Math.round(share * LEVELS)));
