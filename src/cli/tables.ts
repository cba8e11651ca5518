/** Tables as text: pure functions from numbers to aligned lines. Metric names carry the paper's acronyms. */

import { fixed } from "../format.js";
import type { LengthReport } from "../learn/events.js";
import { metricsOf } from "../runs/metric-rows.js";
import type { RunRecord } from "../runs/record.js";

/** Rows under a header, two blanks between columns; the first column is aligned left, the others right. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = header.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const line = (cells: readonly string[]) =>
    widths
      .map((width, column) =>
        column === 0 ? (cells[0] ?? "").padEnd(width) : (cells[column] ?? "").padStart(width),
      )
      .join("  ")
      .trimEnd();
  const rule = widths.map((width) => "─".repeat(width)).join("  ");
  return [line(header), rule, ...rows.map(line)].join("\n");
}

/** Tasks up to which the whole matrix is shown. */
const WHOLE_MATRIX = 20;

/**
 * a(i,j): row i = task i, column j = after training task j, with the base model in front where it was tested. Of long streams
 * each task right after it was trained, and after the last one.
 */
export function accuracyTable(record: Pick<RunRecord, "tasks" | "accuracy" | "baseAccuracy">): string {
  const { tasks, accuracy, baseAccuracy } = record;
  const withBase = baseAccuracy.some((value) => value !== null);
  const last = tasks.length - 1;
  const columns: readonly [string, (task: number) => number][] =
    tasks.length > WHOLE_MATRIX
      ? [
          ["when trained", (task) => task],
          [`after ${last + 1}`, () => last],
        ]
      : tasks.map((_, after) => [`after ${after + 1}`, () => after]);
  const header = ["accuracy (%) on", ...(withBase ? ["base"] : []), ...columns.map(([name]) => name)];
  const rows = tasks.map((task, index) => [
    `${index + 1} ${task}`,
    ...(withBase ? [fixed(baseAccuracy[index])] : []),
    ...columns.map(([, after]) => fixed(accuracy[index]?.[after(index)])),
  ]);
  return table(header, rows);
}

/** All metrics, one run a column, under its name. */
export function metricsTable(
  records: readonly RunRecord[],
  names: readonly string[] = records.map((record) => record.method),
): string {
  return table(
    ["metric", ...names],
    metricsOf(records).map(({ name, value, format }) => [
      name,
      ...records.map((record) => format(value(record))),
    ]),
  );
}

/** How long the rows are and how many of them a limit cuts. */
export function lengthsTable(report: readonly LengthReport[]): string {
  return table(
    ["lengths in tokens", "split", "rows", "median", "95 %", "max", "limit", "cut"],
    report.map(({ task, split, rows, median, p95, max, limit, truncated }) =>
      [task, split, rows, median, p95, max, limit, truncated].map(String),
    ),
  );
}
