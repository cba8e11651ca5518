/**
 * The steps of a run as curves: columns read from the journal, and thinned out to as many points as a figure has room for,
 * so that the smallest and the largest value of every stretch stay.
 */
import type { RunEvent } from "../learn/events.js";
import { JournalTail } from "./journal-tail.js";
import { RunFolder } from "./run-folder.js";

export interface TaskHistory {
  readonly task: string;
  /** Its place in the stream, from 0. */
  readonly index: number;
  /** Steps of the tasks before it: a step's place in the run is `before` + step. */
  readonly before: number;
  /** Steps that it trains, logged or not. */
  readonly planned: number;
  /** Increasing, from 1 within the task. */
  readonly steps: readonly number[];
  /**
   * By name: taskLoss, lr, gradNorm, tokensPerSecond, the penalties and the measures; one value for each of `steps`, NaN
   * where a step says nothing of it.
   */
  readonly series: Readonly<Record<string, readonly number[]>>;
  /** Which of the series are penalties (parts of the loss), and which are what the method measured of the adapter. */
  readonly penalties: readonly string[];
  readonly measures: readonly string[];
}

export interface RunHistory {
  readonly tasks: readonly TaskHistory[];
}

export interface HistoryRequest {
  /** Most points of a series over all tasks; a task has its share by its logged steps, and two at least. */
  readonly points: number;
  /** Only steps from `from` to `to`, both included, counted over the whole run (`before` + step). */
  readonly range?: { readonly from: number; readonly to: number };
}

/** The curves of a run in its folder. What a step says is kept whole while all steps fit into `points`. */
export function readHistory(folder: string, request: HistoryRequest): RunHistory {
  const history = new History();
  new JournalTail(new RunFolder(folder).journalFile).read((event) => history.add(event));
  return history.read(request);
}

type Step = Extract<RunEvent, { type: "step" }>;

const PLAIN = ["taskLoss", "lr", "gradNorm", "tokensPerSecond"] as const;

/** The logged steps of one task, a column each. */
class Columns {
  readonly steps: number[] = [];
  readonly series = new Map<string, number[]>();
  readonly penalties = new Set<string>();
  readonly measures = new Set<string>();

  constructor(
    readonly task: string,
    readonly index: number,
    readonly planned: number,
  ) {}

  add(step: Step): void {
    const row = this.steps.push(step.step) - 1;
    for (const name of PLAIN) this.#set(name, row, step[name]);
    for (const name in step.penalties) {
      this.penalties.add(name);
      this.#set(name, row, step.penalties[name]);
    }
    for (const name in step.measures) {
      // A strength may be steered and measured under the name of its penalty.
      const own = this.penalties.has(name) || name in step ? `${name} (measured)` : name;
      this.measures.add(own);
      this.#set(own, row, step.measures[name]);
    }
  }

  /** JSON has no NaN: a loss that is not a number is null in the journal. */
  #set(name: string, row: number, value: number | null | undefined): void {
    let column = this.series.get(name);
    if (!column) {
      column = [];
      this.series.set(name, column);
    }
    while (column.length < row) column.push(Number.NaN);
    column[row] = value ?? Number.NaN;
  }
}

/** Collects the steps of a run that may be going on. */
export class History {
  #tasks: Columns[] = [];
  #revision = 0;

  /** Forgets everything. */
  clear(): void {
    this.#tasks = [];
    this.#revision++;
  }

  /** Grows when steps that were there are there no more. */
  get revision(): number {
    return this.#revision;
  }

  /** Place of the last logged step in the run; 0 before the first. */
  get lastStep(): number {
    const earlier = this.#tasks.slice(0, -1).reduce((sum, { planned }) => sum + planned, 0);
    const last = this.#tasks.at(-1)?.steps.at(-1);
    return last === undefined ? earlier : earlier + last;
  }

  /** Takes note of an event; those that are no steps and start no task change nothing. */
  add(event: RunEvent): void {
    if (event.type === "step") {
      const columns = this.#tasks.at(-1);
      if (columns?.index === event.index && event.step > (columns.steps.at(-1) ?? 0)) columns.add(event);
    } else if (event.type === "task-start") {
      // A task that is started again replaces what was learned of it and after it.
      const kept = this.#tasks.filter(({ index }) => index < event.index);
      if (kept.length < this.#tasks.length) this.#revision++;
      this.#tasks = [...kept, new Columns(event.task, event.index, event.steps)];
    }
  }

  read({ points, range = { from: 1, to: Number.POSITIVE_INFINITY } }: HistoryRequest): RunHistory {
    let before = 0;
    const cuts = this.#tasks.map((columns) => {
      const from = firstAtLeast(columns.steps, range.from - before);
      const to = firstAtLeast(columns.steps, range.to - before + 1);
      const cut = { columns, before, from, to: Math.max(from, to) };
      before += columns.planned;
      return cut;
    });
    const logged = cuts.reduce((sum, { from, to }) => sum + to - from, 0);
    const tasks = cuts.map(({ columns, before: offset, from, to }): TaskHistory => {
      const share = logged <= points ? to - from : Math.max(2, Math.floor((points * (to - from)) / logged));
      const buckets = bucketsOf(from, to, share);
      const names = [...columns.series.keys()];
      return {
        task: columns.task,
        index: columns.index,
        before: offset,
        planned: columns.planned,
        steps: buckets.flatMap(([first, end]) =>
          end - first === 1 ? [columns.steps[first]!] : [columns.steps[first]!, columns.steps[end - 1]!],
        ),
        series: Object.fromEntries(
          names.map((name) => [
            name,
            buckets.flatMap((bucket) => extremes(columns.series.get(name)!, bucket)),
          ]),
        ),
        penalties: [...columns.penalties],
        measures: [...columns.measures],
      };
    });
    return { tasks };
  }
}

/** Rows from the first to before the second. */
type Bucket = readonly [first: number, end: number];

/** Cuts rows into buckets that give at most `points` points; the first and the last row are buckets of their own. */
function bucketsOf(from: number, to: number, points: number): Bucket[] {
  const rows = to - from;
  if (rows <= points) return Array.from({ length: rows }, (_, k) => [from + k, from + k + 1]);
  if (points < 4) return [[from, to]];
  const inner = Math.floor((points - 2) / 2);
  const edge = (k: number) => from + 1 + Math.round((k * (rows - 2)) / inner);
  return [
    [from, from + 1],
    ...Array.from({ length: inner }, (_, k): Bucket => [edge(k), edge(k + 1)]),
    [to - 1, to],
  ];
}

/** A bucket's smallest and largest value in the order in which they came; the one value of a bucket of one row. */
function extremes(column: readonly number[], [first, end]: Bucket): number[] {
  if (end - first === 1) return [column[first] ?? Number.NaN];
  let least = -1;
  let most = -1;
  for (let row = first; row < end; row++) {
    const value = column[row] ?? Number.NaN;
    if (Number.isNaN(value)) continue;
    if (least < 0 || value < column[least]!) least = row;
    if (most < 0 || value > column[most]!) most = row;
  }
  if (least < 0) return [Number.NaN, Number.NaN];
  return least <= most ? [column[least]!, column[most]!] : [column[most]!, column[least]!];
}

/** The first place of increasing numbers whose number is at least `least`. */
function firstAtLeast(numbers: readonly number[], least: number): number {
  let low = 0;
  let high = numbers.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (numbers[middle]! < least) low = middle + 1;
    else high = middle;
  }
  return low;
}
