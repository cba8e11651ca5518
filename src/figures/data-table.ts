/** The exact figures behind a figure, as a table and as CSV. */
import { collisionTotals } from "./collision-map.js";
import type { Figure } from "./figure.js";

export interface DataTable {
  readonly title: string;
  readonly header: readonly string[];
  /** Null: not measured. */
  readonly rows: readonly (readonly (string | number | null)[])[];
}

/** One table, or one per panel. */
export function dataTables(figure: Figure): DataTable[] {
  const { title } = figure;
  switch (figure.kind) {
    case "panels":
      return figure.panels.flatMap(dataTables);
    case "heat-map":
      return [
        {
          title,
          header: [figure.rowLabel, ...figure.columns],
          rows: figure.rows.map((row, i) => [
            row,
            ...figure.columns.map((_, j) => figure.values[i]?.[j] ?? null),
          ]),
        },
      ];
    case "bars": {
      const { x, series } = figure;
      const columns = series.flatMap(({ name, values, deviations, published }) => [
        { name, values },
        ...(deviations ? [{ name: `${name}, deviation`, values: deviations }] : []),
        ...(published ? [{ name: `${name}, in the paper`, values: published }] : []),
      ]);
      return [
        {
          title,
          header: [x.label, ...columns.map(({ name }) => name)],
          rows: x.categories.map((category, at) => [
            category,
            ...columns.map(({ values }) => values[at] ?? null),
          ]),
        },
      ];
    }
    case "chart": {
      const { x, y, series } = figure;
      const all = series.flatMap(({ name, points }) => points.map((point) => ({ name, ...point })));
      const hasDeviation = all.some(({ deviation }) => deviation != null);
      const hasLabel = all.some(({ label }) => label);
      return [
        {
          title,
          header: [
            "series",
            x.label,
            y.label,
            ...(hasDeviation ? ["deviation"] : []),
            ...(hasLabel ? ["label"] : []),
          ],
          rows: all.map((point) => [
            point.name,
            x.categories?.[point.x] ?? point.x,
            point.y,
            ...(hasDeviation ? [point.deviation ?? null] : []),
            ...(hasLabel ? [point.label ?? ""] : []),
          ]),
        },
      ];
    }
    case "collision-map": {
      const totals = collisionTotals(figure);
      return [
        {
          title,
          header: ["of the whole matrix", "elements"],
          rows: [
            ["all", totals.elements],
            [`only ${figure.a}`, totals.onlyA],
            [`only ${figure.b}`, totals.onlyB],
            ["both", totals.both],
            ["neither", totals.neither],
            ["share of both", totals.rate],
            ["share of both if independent", totals.expected],
          ],
        },
        {
          title: "Elements by cell of the grid; a cell begins at this output and this input",
          header: ["output", "input", `only ${figure.a}`, `only ${figure.b}`, "both"],
          rows: figure.onlyA.map((onlyA, cell) => [
            figure.rowEdges[Math.floor(cell / figure.width)]! + 1,
            figure.columnEdges[cell % figure.width]! + 1,
            onlyA,
            figure.onlyB[cell]!,
            figure.both[cell]!,
          ]),
        },
      ];
    }
  }
}

/** The tables one after another, a blank line between them. */
export function csvOf(tables: readonly DataTable[]): string {
  // A cell that a spreadsheet would take for a formula is made text.
  const safe = (text: string) => (/^[=+@\t\r-]/.test(text) ? `'${text}` : text);
  const cell = (value: string | number | null) => {
    if (value === null) return "";
    if (typeof value === "number") return String(value);
    const text = safe(value);
    return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return tables
    .map(({ header, rows }) => [header, ...rows].map((row) => `${row.map(cell).join(",")}\n`).join(""))
    .join("\n");
}
