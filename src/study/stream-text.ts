/** Long streams point by point, as CSV and Markdown. */
import { csvLine } from "../io/csv.js";
import type { Along } from "../metrics/along.js";
import type { RunRecord } from "../runs/record.js";

/** A run after some of its tasks. */
export interface StreamPoint extends Along {
  /** Tasks trained. */
  readonly tasks: number;
  /** AA and F.Ra over these tasks, percent and points. */
  readonly averageAccuracy: number;
  readonly forgettingRate: number | null;
  /** Mean accuracy of the tasks since the last point, each right after it was learned: falling, it shows saturation. */
  readonly learningAccuracy: number | null;
  /** Of what the method keeps. */
  readonly keptBytes: number | null;
}

export interface RunStream {
  readonly label: string;
  readonly order: string;
  readonly seed: number;
  readonly status: RunRecord["status"];
  readonly points: readonly StreamPoint[];
}

const COLUMNS = [
  "label",
  "order",
  "seed",
  "tasks",
  "average_accuracy",
  "learning_accuracy",
  "forgetting_rate",
  "acr_abs",
  "acr_rms",
  "acr_exact",
  "occupied_abs",
  "occupied_rms",
  "occupied_exact",
  "kept_bytes",
];

/** A line per point. */
export function streamCsv(streams: readonly RunStream[]): string {
  const lines = streams.flatMap(({ label, order, seed, points }) =>
    points.map(
      ({
        tasks,
        averageAccuracy: average,
        learningAccuracy,
        forgettingRate: rate,
        acr,
        occupied,
        keptBytes,
      }) =>
        csvLine([
          ...[label, order, seed, tasks, average, learningAccuracy, rate],
          ...[acr, occupied].flatMap(({ abs, relRms, exact }) => [abs, relRms, exact]),
          keptBytes,
        ]),
    ),
  );
  return csvLine(COLUMNS) + lines.join("");
}

/** A table per order: rows by tasks trained, one behind the other. */
export function streamMarkdown(streams: readonly RunStream[]): string {
  const orders = [...new Set(streams.map(({ order }) => order))];
  const number = (value: number | null, digits: number) => (value === null ? "" : value.toFixed(digits));
  const three = ({ abs, relRms, exact }: Along["acr"]) =>
    [abs, relRms, exact].map((value) => (value === null ? "" : Number(value.toPrecision(3)))).join(" / ");
  return orders
    .map((order) => {
      const rows = streams
        .filter((stream) => stream.order === order)
        .flatMap(({ label, seed, status, points }) =>
          points.map((point) => {
            const name = `${label}, seed ${seed}${status === "done" ? "" : ` (${status})`}`;
            const { averageAccuracy: average, learningAccuracy, forgettingRate: rate } = point;
            const accuracies = [average, learningAccuracy, rate].map((value) => number(value, 1));
            return `| ${[name, point.tasks, ...accuracies, three(point.acr), three(point.occupied)].join(" | ")} |`;
          }),
        );
      return [
        `## ${order}, along the stream`,
        [
          "| | tasks | AA | learned since | F.Ra | ACR (abs / rms / exact) | occupied (abs / rms / exact) |",
          "|---|--:|--:|--:|--:|--:|--:|",
          ...rows,
        ].join("\n"),
      ].join("\n\n");
    })
    .join("\n\n");
}
