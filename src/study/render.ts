/** A study's summary as Markdown for people and CSV for spreadsheets. */
import { csvLine } from "../io/csv.js";
import { FIGURES, type Figure, type Spread, type StudySummary } from "./summary.js";

const NONE = "";

const plain = (value: number | null, digits: number): string =>
  value === null ? NONE : value.toFixed(digits);

function withSpread({ mean, deviation }: Spread, digits = 1): string {
  if (mean === null) return NONE;
  return deviation === null ? mean.toFixed(digits) : `${mean.toFixed(digits)} ± ${deviation.toFixed(digits)}`;
}

const significant = (value: number | null): string =>
  value === null ? NONE : Number(value.toPrecision(3)).toString();

function markdownTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [line(header), `|---|${"--:|".repeat(header.length - 1)}`, ...rows.map(line)].join("\n");
}

/** AA by order beside the paper's, the other figures over all orders, and the claims. */
export function markdownOf(summary: StudySummary): string {
  const { title, study, scale, done, runs, failed, cells, rows, claims } = summary;
  const orders = [...new Set(cells.map(({ order }) => order))];
  const cell = (label: string, order: string) =>
    cells.find((each) => each.label === label && each.order === order);
  const accuracy = markdownTable(
    ["AA, %", ...orders, "mean", "deviation of the orders", "seeds", "paper"],
    rows.map(({ label, figures, orderDeviation }) => [
      label,
      ...orders.map((order) =>
        withSpread(cell(label, order)?.averageAccuracy ?? { mean: null, deviation: null }),
      ),
      withSpread(figures.averageAccuracy),
      plain(orderDeviation, 2),
      [...new Set(orders.map((order) => cell(label, order)?.seeds.length ?? 0))].join("/"),
      orders.map((order) => plain(cell(label, order)?.paperAccuracy ?? null, 1)).join(", "),
    ]),
  );
  const geometry = markdownTable(
    [
      "mean over orders",
      "own-task",
      "F.Ra",
      "unseen",
      "OO (squared / abs)",
      "AWOM",
      "GSR",
      "ACR (abs / rms / exact)",
      "‖ΔW‖_F",
      "training, s",
    ],
    rows.map(({ label, figures }) => [
      label,
      withSpread(figures.ownTaskAccuracy),
      withSpread(figures.forgettingRate),
      withSpread(figures.unseenAccuracy),
      `${significant(figures.orthogonalOverlapSquared.mean)} / ${significant(figures.orthogonalOverlapAbs.mean)}`,
      significant(figures.awomSpectral.mean),
      significant(figures.gsr.mean),
      [figures.acrAbs, figures.acrRelRms, figures.acrExact].map(({ mean }) => significant(mean)).join(" / "),
      significant(figures.deltaNorm.mean),
      plain(figures.trainSeconds.mean, 0),
    ]),
  );
  const online = markdownTable(
    [
      "mean over orders",
      "answered before training, %",
      "adapters",
      "changes found",
      "rows to an alarm",
      "false alarms",
      "rows to recovery",
    ],
    rows.map(({ label, figures }) => [
      label,
      withSpread(figures.prequentialAccuracy),
      withSpread(figures.adapters),
      withSpread(figures.changesFound),
      withSpread(figures.detectionDelay, 0),
      withSpread(figures.falseAlarms),
      withSpread(figures.recovery, 0),
    ]),
  );
  const isOnline = rows.some(({ figures }) => figures.prequentialAccuracy.mean !== null);
  const parts = [
    `# ${title}`,
    `Study \`${study}\`, scale ${scale}: ${done} of ${runs} runs done${failed.length > 0 ? `, failed: ${failed.join(", ")}` : ""}. ` +
      "± is the sample deviation over seeds. Means over orders take the orders and seeds that a row has in full; orders that not every row has are left out.",
    accuracy,
    geometry,
    ...(isOnline ? [online] : []),
  ];
  if (claims.length > 0) {
    parts.push(
      markdownTable(
        ["claim", "paper", "here", "verdict"],
        claims.map(({ claim, paper, measured, verdict }) => [claim, paper, measured, verdict]),
      ),
    );
  }
  return `${parts.join("\n\n")}\n`;
}

/** One line per row, order and figure. */
export function csvOf({ cells }: StudySummary): string {
  const lines = cells.flatMap((cell) =>
    (Object.keys(FIGURES) as Figure[]).map((figure) => {
      const { mean, deviation } = cell[figure];
      return csvLine([cell.label, cell.method, cell.order, figure, mean, deviation, cell.seeds.length]);
    }),
  );
  return `label,method,order,figure,mean,deviation,seeds\n${lines.join("")}`;
}
