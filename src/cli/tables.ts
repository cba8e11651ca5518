/** Tables as text: pure functions from numbers to aligned lines. Metric names carry the paper's acronyms. */

import { fixed, NONE, significant } from "../format.js";
import type { LengthReport } from "../learn/events.js";
import type { Inspection } from "../metrics/inspection-summary.js";
import { METRIC_ROWS } from "../runs/metric-rows.js";
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

/** a(i,j): row i = task i, column j = after training task j, with the base model in front where it was tested. */
export function accuracyTable(record: Pick<RunRecord, "tasks" | "accuracy" | "baseAccuracy">): string {
  const { tasks, accuracy, baseAccuracy } = record;
  const withBase = baseAccuracy.some((value) => value !== null);
  const header = [
    "accuracy (%) on",
    ...(withBase ? ["base"] : []),
    ...tasks.map((_, index) => `after ${index + 1}`),
  ];
  const rows = tasks.map((task, index) => [
    `${index + 1} ${task}`,
    ...(withBase ? [fixed(baseAccuracy[index])] : []),
    ...tasks.map((_, after) => fixed(accuracy[index]?.[after])),
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
    METRIC_ROWS.map(([name, value]) => [name, ...records.map((record) => value(record))]),
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

/** The three tables of `nlora inspect`. */
export function inspectionTables(inspection: Inspection): string {
  const { adapters, orthogonalOverlap: overlap, awom, gsr, acr, pairs } = inspection;
  const own = table(
    ["adapter", "modules", "rank", "||dW||_F", "GSR", "dense > 1e-3", "dense > 0.4 rms"],
    adapters.map(({ name, modules, rank, deltaNorm, gsr: sparsity, density }) => [
      name,
      String(modules),
      String(rank),
      significant(deltaNorm),
      significant(sparsity),
      significant(density.abs),
      significant(density.relRms),
    ]),
  );
  const summary = table(
    ["together", "value", "random"],
    [
      ["OO (squared)", significant(overlap.squared), significant(overlap.randomSquared)],
      ["OO (abs)", significant(overlap.abs), significant(overlap.randomAbs)],
      ["OO (mean squared cosine)", significant(overlap.normalised), significant(overlap.randomNormalised)],
      ["AWOM (spectral)", significant(awom.spectral), ""],
      ["AWOM (Frobenius)", significant(awom.frobenius), ""],
      ["AWOM (normalised)", significant(awom.normalised), ""],
      ["GSR (mean; small is sparse)", significant(gsr.mean), ""],
      ["GSR (pooled)", significant(gsr.pooled), ""],
      ["ACR (|dW| > 1e-3)", significant(acr.abs), ""],
      ["ACR (|dW| > 0.4 rms)", significant(acr.relRms), ""],
      ["ACR (dW not 0)", significant(acr.exact), ""],
    ],
  );
  if (pairs.length === 0) return [own, summary].join("\n\n");
  const between = table(
    ["pair", "CR > 1e-3", "lift", "CR > 0.4 rms", "lift", "<dW, dW'>", "cosine"],
    pairs.map(({ a, b, collisionRate, lift, innerProduct, cosine }) => [
      `${a} – ${b}`,
      significant(collisionRate.abs),
      lift.abs === null ? NONE : fixed(lift.abs, 3),
      significant(collisionRate.relRms),
      lift.relRms === null ? NONE : fixed(lift.relRms, 3),
      significant(innerProduct),
      cosine === null ? NONE : fixed(cosine, 4),
    ]),
  );
  return [own, summary, between].join("\n\n");
}
