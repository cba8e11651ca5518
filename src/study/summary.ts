/** What the runs of a study amount to: means and deviations by row and order, beside the paper's figures. */
import type { RunRecord } from "../runs/record.js";
import type { Claim } from "./claims.js";
import { PAPER_ACCURACY } from "./paper.js";

/** The figures of a run that are averaged. */
export const FIGURES = {
  averageAccuracy: (run: RunRecord) => run.averageAccuracy,
  microAccuracy: (run: RunRecord) => run.microAccuracy,
  forgettingRate: (run: RunRecord) => run.forgettingRate,
  backwardTransfer: (run: RunRecord) => run.backwardTransfer,
  ownTaskAccuracy: (run: RunRecord) => run.ownTaskAccuracy,
  /** a(T, T-1): the last task before it is trained (Figure 4). */
  unseenAccuracy: (run: RunRecord) => run.accuracy.at(-1)?.at(-2) ?? null,
  unseenBase: (run: RunRecord) => run.baseAccuracy.at(-1) ?? null,
  orthogonalOverlapSquared: (run: RunRecord) => run.orthogonalOverlap.squared,
  orthogonalOverlapAbs: (run: RunRecord) => run.orthogonalOverlap.abs,
  awomSpectral: (run: RunRecord) => run.awom.spectral,
  awomFrobenius: (run: RunRecord) => run.awom.frobenius,
  gsr: (run: RunRecord) => run.gsr.mean,
  acrAbs: (run: RunRecord) => run.acr.abs,
  acrRelRms: (run: RunRecord) => run.acr.relRms,
  acrExact: (run: RunRecord) => run.acr.exact,
  deltaNorm: (run: RunRecord) => meanOf(run.deltaNorms),
  /** Of streams without boundaries. */
  prequentialAccuracy: (run: RunRecord) => run.online?.prequentialAccuracy ?? null,
  adapters: (run: RunRecord) => run.online?.adapters ?? null,
  changesFound: (run: RunRecord) => run.online?.changesFound ?? null,
  detectionDelay: (run: RunRecord) => run.online?.delay ?? null,
  falseAlarms: (run: RunRecord) => run.online?.falseAlarms ?? null,
  recovery: (run: RunRecord) => run.online?.recovery ?? null,
  trainSeconds: (run: RunRecord) => run.timings.trainSeconds,
  totalSeconds: (run: RunRecord) => run.timings.totalSeconds,
} as const satisfies Record<string, (run: RunRecord) => number | null>;

export type Figure = keyof typeof FIGURES;

export interface Spread {
  readonly mean: number | null;
  /** Sample deviation (ddof 1); null below two values. */
  readonly deviation: number | null;
}

/** One row of the study on one order. */
export interface Cell extends Readonly<Record<Figure, Spread>> {
  readonly label: string;
  readonly method: string;
  readonly order: string;
  readonly seeds: readonly number[];
  readonly paperAccuracy: number | null;
}

/** One row over its orders. */
export interface RowSummary {
  readonly label: string;
  readonly orders: readonly string[];
  /** Per seed the mean over the orders, then mean and sample deviation over the seeds that have all of them. */
  readonly figures: Readonly<Record<Figure, Spread>>;
  /** What the paper's Table 8 calls deviation: the population deviation of the orders' means of AA. */
  readonly orderDeviation: number | null;
}

export interface StudySummary {
  readonly study: string;
  readonly title: string;
  readonly scale: string;
  /** Runs that are done, and runs there are. */
  readonly done: number;
  readonly runs: number;
  readonly failed: readonly string[];
  readonly cells: readonly Cell[];
  readonly rows: readonly RowSummary[];
  readonly claims: readonly Claim[];
}

export interface FinishedRun {
  readonly label: string;
  readonly method: string;
  readonly order: string;
  readonly seed: number;
  readonly record: RunRecord;
}

const NAMES = Object.keys(FIGURES) as Figure[];

/** The mean, or null when there is nothing to average or something is missing. */
export function meanOf(values: readonly (number | null)[]): number | null {
  const known = values.filter((value) => value !== null);
  if (known.length === 0 || known.length < values.length) return null;
  return known.reduce((sum, value) => sum + value, 0) / known.length;
}

export function spreadOf(values: readonly (number | null)[]): Spread {
  const mean = meanOf(values);
  if (mean === null || values.length < 2) return { mean, deviation: null };
  const squares = values.reduce<number>((sum, value) => sum + (value! - mean) ** 2, 0);
  return { mean, deviation: Math.sqrt(squares / (values.length - 1)) };
}

function figuresOf(runs: readonly RunRecord[]): Record<Figure, Spread> {
  const entries = NAMES.map((name) => [name, spreadOf(runs.map(FIGURES[name]))] as const);
  return Object.fromEntries(entries) as Record<Figure, Spread>;
}

function groupBy<T>(items: readonly T[], key: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) groups.set(key(item), [...(groups.get(key(item)) ?? []), item]);
  return groups;
}

/** Cells in the order in which their first runs come. */
export function cellsOf(runs: readonly FinishedRun[]): Cell[] {
  return [...groupBy(runs, ({ label, order }) => `${label}\n${order}`).values()].map((group) => {
    const { label, method, order } = group[0]!;
    return {
      label,
      method,
      order,
      seeds: group.map(({ seed }) => seed),
      paperAccuracy: label === method ? (PAPER_ACCURACY[method]?.[order] ?? null) : null,
      ...figuresOf(group.map(({ record }) => record)),
    };
  });
}

/** One summary per row, over the orders that every row of the study has. */
export function rowsOf(runs: readonly FinishedRun[]): RowSummary[] {
  const byLabel = groupBy(runs, ({ label }) => label);
  const ordersOf = (group: readonly FinishedRun[]) => [...new Set(group.map(({ order }) => order))];
  const shared = [...byLabel.values()]
    .map(ordersOf)
    .reduce<string[] | null>((common, own) => common?.filter((order) => own.includes(order)) ?? own, null);
  return [...byLabel].map(([label, group]) => {
    const within = group.filter(({ order }) => shared!.includes(order));
    const seeds = [...groupBy(within, ({ seed }) => String(seed)).values()].filter(
      (one) => one.length === shared!.length,
    );
    const perSeed = (name: Figure) =>
      seeds.map((one) => meanOf(one.map(({ record }) => FIGURES[name](record))));
    const figures = Object.fromEntries(NAMES.map((name) => [name, spreadOf(perSeed(name))] as const));
    const means = [...groupBy(within, ({ order }) => order).values()].map((one) =>
      meanOf(one.map(({ record }) => record.averageAccuracy)),
    );
    return {
      label,
      orders: shared!,
      figures: figures as Record<Figure, Spread>,
      orderDeviation: populationDeviation(means),
    };
  });
}

/** With the number of values below the sum, as in the paper's Table 8; null below two values. */
export function populationDeviation(values: readonly (number | null)[]): number | null {
  const { deviation } = spreadOf(values);
  return deviation === null ? null : deviation * Math.sqrt((values.length - 1) / values.length);
}
