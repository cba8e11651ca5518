/** The figures of one run: accuracies over its stream, its matrix, and the curves of its training. */
import type { OnlineSummary } from "../metrics/prequential.js";
import type { Chart, HeatMap, Point, Series, Span } from "./figure.js";

export interface AccuracyData {
  readonly tasks: readonly string[];
  /** Row i = task i, column j = after training task j, percent; null where not measured. */
  readonly accuracy: readonly (readonly (number | null)[])[];
  /** Of the untouched base model. */
  readonly baseAccuracy: readonly (number | null)[];
}

/** More tasks than that are not told apart as lines. */
const LINES = 16;

const hasBase = ({ baseAccuracy }: AccuracyData): boolean => baseAccuracy.some((value) => value !== null);

/** Accuracy on every task as later ones are learned; of a long stream, the mean so far and the newest task. */
export function accuracyOverStream(data: AccuracyData): Chart {
  const { tasks, accuracy, baseAccuracy } = data;
  const base = hasBase(data) ? ["base"] : [];
  const isLong = tasks.length > LINES;
  const places = [
    ...(base.length > 0 ? [(task: number) => baseAccuracy[task] ?? null] : []),
    ...tasks.map((_, after) => (task: number) => accuracy[task]?.[after] ?? null),
  ];
  const line = (
    name: string,
    value: (place: (task: number) => number | null, after: number) => number | null,
  ): Series => ({
    name,
    points: places.map((place, x) => ({ x, y: value(place, x - base.length) })),
  });
  return {
    kind: "chart",
    id: "accuracy",
    title: isLong ? "Accuracy over the stream" : "Accuracy on each task as later tasks are learned",
    description: isLong
      ? `Mean accuracy on the tasks learned so far, and accuracy on the newest task, over ${tasks.length} tasks.`
      : `One line per task, ${tasks.length} in all: its accuracy after each task was trained.`,
    x: {
      label: "after training on",
      categories: [...base, ...(isLong ? tasks.map((_, index) => String(index + 1)) : tasks)],
    },
    y: { label: "accuracy, %", min: 0, max: 100 },
    lines: true,
    // What is measured now and then is joined over the gaps.
    series: isLong
      ? [
          line("mean of the tasks so far", (place, after) =>
            meanOf(tasks.slice(0, after + 1).map((_, task) => place(task))),
          ),
          line("the newest task", (place, after) => (after < 0 ? null : place(after))),
        ].map(({ name, points }) => ({ name, points: points.filter(({ y }) => y !== null) }))
      : tasks.map((task, index) => line(`${index + 1} ${task}`, (place) => place(index))),
  };
}

/** The accuracy matrix, with the base model in front where it was tested. */
export function accuracyMatrix(data: AccuracyData): HeatMap {
  const { tasks, accuracy, baseAccuracy } = data;
  const base = hasBase(data);
  return {
    kind: "heat-map",
    id: "matrix",
    title: "Accuracy matrix",
    description: `Accuracy in percent on each of ${tasks.length} tasks (rows) after each task was trained (columns).`,
    rowLabel: "tested on",
    columnLabel: "after training task",
    rows: tasks.map((task, index) => `${index + 1} ${task}`),
    columns: [...(base ? ["base"] : []), ...tasks.map((_, index) => String(index + 1))],
    values: tasks.map((_, task) => [
      ...(base ? [baseAccuracy[task] ?? null] : []),
      ...tasks.map((_, after) => accuracy[task]?.[after] ?? null),
    ]),
    range: [0, 100],
    unit: "%",
  };
}

/** How rows were answered before they were trained on, along a stream that does not say where a task ends. */
export function prequentialCurve({
  rows,
  tasks,
  curve,
  alarms,
}: Pick<OnlineSummary, "rows" | "tasks" | "curve" | "alarms">): Chart {
  return {
    kind: "chart",
    id: "prequential",
    title: "Answered before it was trained on",
    description: `Accuracy on the last 50 of ${rows} rows as they arrived, with the tasks they came from and ${alarms.length} alarms.`,
    x: { label: "rows that have arrived", min: 0, max: rows },
    y: { label: "accuracy, %", min: 0, max: 100 },
    lines: true,
    series: [{ name: "the last 50 rows", points: curve.map(([x, y]) => ({ x, y })) }],
    spans: tasks.map(({ task, start }, k) => ({ from: start, to: tasks[k + 1]?.start ?? rows, label: task })),
    references: alarms.map(({ row }) => ({ axis: "x", value: row, label: "alarm" })),
    ...(alarms.length > 0 && { notes: [`Dashed: alarms, ${alarmsInWords(alarms)}.`] }),
  };
}

/** Alarms that are told one by one. */
const TOLD = 6;

function alarmsInWords(alarms: OnlineSummary["alarms"]): string {
  const told = alarms
    .slice(0, TOLD)
    .map(({ row, kind }) => `row ${row}${kind === null ? "" : ` (other ${kind})`}`);
  const more = alarms.length - told.length;
  return `${told.join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}

export interface TaskCurves {
  readonly task: string;
  /** Steps of the tasks before it. */
  readonly before: number;
  readonly planned: number;
  readonly steps: readonly number[];
  /** NaN where a step says nothing. */
  readonly series: Readonly<Record<string, readonly number[]>>;
  readonly penalties: readonly string[];
  readonly measures: readonly string[];
}

/** The loss of the task alone, over all steps of the run. */
export const lossCurves = (tasks: readonly TaskCurves[]): Chart => ({
  ...curves(tasks, ["taskLoss"], { taskLoss: "task loss" }),
  id: "loss",
  title: "Task loss",
  description: "Mean cross-entropy over the label tokens of each step, task after task, without penalties.",
  ...yAxis("cross-entropy, nats per token", valuesOf(tasks, ["taskLoss"])),
});

/** What the penalties add to the loss; null where there are none. */
export function penaltyCurves(tasks: readonly TaskCurves[]): Chart | null {
  const names = [...new Set(tasks.flatMap(({ penalties }) => penalties))];
  if (names.length === 0) return null;
  return {
    ...curves(tasks, names),
    id: "penalties",
    title: names.length === 1 ? `Penalty: ${names[0]}` : "Penalties",
    description: "What each penalty adds to the loss at each step, its coefficient included.",
    ...yAxis("added to the loss, nats", valuesOf(tasks, names)),
  };
}

/** What the method measured of its adapter, one figure per measure: their units differ. */
export const measureCurves = (tasks: readonly TaskCurves[]): Chart[] =>
  [...new Set(tasks.flatMap(({ measures }) => measures))].map((name) => ({
    ...curves(tasks, [name]),
    id: `measure-${name.replaceAll(/[^A-Za-z0-9]+/g, "-").toLowerCase()}`,
    title: `Measured of the adapter: ${name}`,
    description: `${name} of the adapter in training at each step.`,
    ...yAxis(name, valuesOf(tasks, [name])),
  }));

function curves(
  tasks: readonly TaskCurves[],
  names: readonly string[],
  titles: Readonly<Record<string, string>> = {},
): Pick<Chart, "kind" | "x" | "lines" | "series" | "spans"> {
  const series = names.map(
    (name): Series => ({
      name: titles[name] ?? name,
      points: tasks.flatMap(({ before, steps, series: own }): Point[] => [
        ...steps.map((step, index) => ({ x: before + step, y: finite(own[name]?.[index]) })),
        // The next task is another curve.
        { x: before + (steps.at(-1) ?? 0), y: null },
      ]),
    }),
  );
  const spans = tasks.map(
    ({ task, before, planned }): Span => ({ from: before, to: before + planned, label: task }),
  );
  return {
    kind: "chart",
    x: { label: "step", min: 0, ...(spans.length > 0 && { max: spans.at(-1)!.to }) },
    lines: true,
    series,
    ...(spans.length > 1 && { spans }),
  };
}

/** Logarithmic where the values span much. */
function yAxis(label: string, values: readonly number[]): Pick<Chart, "y"> {
  const least = Math.min(...values);
  const isWide = values.length > 0 && least > 0 && Math.max(...values) / least > 50;
  return { y: isWide ? { label, scale: "log" } : { label, ...(least >= 0 && { min: 0 }) } };
}

const valuesOf = (tasks: readonly TaskCurves[], names: readonly string[]): number[] =>
  tasks.flatMap(({ series }) => names.flatMap((name) => (series[name] ?? []).filter(Number.isFinite)));

const finite = (value: number | undefined): number | null =>
  value !== undefined && Number.isFinite(value) ? value : null;

/** Null where one is not measured. */
function meanOf(values: readonly (number | null)[]): number | null {
  const known = values.filter((value) => value !== null);
  return known.length === 0 || known.length < values.length
    ? null
    : known.reduce((sum, value) => sum + value, 0) / known.length;
}
