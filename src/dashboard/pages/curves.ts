/** A run's curves as columns for a chart: tasks one after another, a gap between them. No page. */
import type { Curves, TaskCurves } from "./wire.js";

/** null is a gap; undefined is no place of this curve, and drawn through. */
type Column = (number | null | undefined)[];
/** Places in the run first, then a column for each series. */
export type Columns = [number[], ...Column[]];

/** `positive`: what a logarithmic scale cannot show is left out. */
export function columnsOf(curves: Curves, names: readonly string[], positive = false): Columns {
  const places: number[] = [];
  const columns: Column[] = names.map(() => []);
  for (const { before, steps, series } of curves.tasks) {
    if (steps.length === 0) continue;
    if (places.length > 0) {
      places.push(before + 0.5);
      for (const column of columns) column.push(null);
    }
    for (const step of steps) places.push(before + step);
    for (const [index, name] of names.entries()) {
      const values = series[name];
      for (let row = 0; row < steps.length; row++) {
        const value = values?.[row] ?? null;
        columns[index]!.push(value !== null && positive && value <= 0 ? null : value);
      }
    }
  }
  return [places, ...columns];
}

/** Curves with steps behind them that came later. */
export function joined(curves: Curves, more: Curves): Curves {
  const tasks = new Map(curves.tasks.map((task) => [task.index, task]));
  for (const task of more.tasks) {
    const known = tasks.get(task.index);
    if (!known || task.steps.length > 0) tasks.set(task.index, known ? continued(known, task) : task);
  }
  return { tasks: [...tasks.values()] };
}

function continued(known: TaskCurves, more: TaskCurves): TaskCurves {
  const names = new Set([...Object.keys(known.series), ...Object.keys(more.series)]);
  const column = ({ series, steps }: TaskCurves, name: string) => series[name] ?? steps.map(() => null);
  return {
    ...more,
    steps: [...known.steps, ...more.steps],
    series: Object.fromEntries(
      [...names].map((name) => [name, [...column(known, name), ...column(more, name)]]),
    ),
    penalties: [...new Set([...known.penalties, ...more.penalties])],
    measures: [...new Set([...known.measures, ...more.measures])],
  };
}

const LABELS = new Map([
  ["taskLoss", "task loss"],
  ["gradNorm", "gradient norm"],
  ["lr", "learning rate"],
  ["tokensPerSecond", "tokens/s"],
]);

/** A curve's name in words. */
export const labelOf = (name: string): string => LABELS.get(name) ?? name;

export function pointsOf({ tasks }: Curves): number {
  return tasks.reduce((sum, { steps }) => sum + steps.length, 0);
}

/** Place of the last step that is there; 0 before the first. */
export function lastOf({ tasks }: Curves): number {
  const last = tasks.findLast(({ steps }) => steps.length > 0);
  return last ? last.before + last.steps.at(-1)! : 0;
}

/** Steps of the whole run, as far as its tasks are known. */
export function lengthOf({ tasks }: Curves): number {
  const last = tasks.at(-1);
  return last ? last.before + last.planned : 0;
}

/** Names that any task has, in the order of their coming. */
export function namesOf({ tasks }: Curves, kind: "penalties" | "measures"): string[] {
  return [...new Set(tasks.flatMap((task) => task[kind]))];
}

export interface Summary {
  readonly task: string;
  readonly first: number | null;
  readonly last: number | null;
  readonly least: number | null;
  readonly most: number | null;
}

/** Per task what a reader without the chart wants to know of a curve. */
export function summaries({ tasks }: Curves, name: string): Summary[] {
  return tasks.flatMap(({ task, series }) => {
    const values = (series[name] ?? []).filter((value) => value !== null);
    if (values.length === 0) return [];
    return [
      {
        task,
        first: values[0]!,
        last: values.at(-1)!,
        least: values.reduce((a, b) => Math.min(a, b)),
        most: values.reduce((a, b) => Math.max(a, b)),
      },
    ];
  });
}
