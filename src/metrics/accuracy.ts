/**
 * The accuracy matrix a(i,j) (percent on task i after training task j) and what is read off it.
 * Every number is null where it is undefined, never NaN or 0. Sources: N-LoRA, section 4.1; Chaudhry et al. 2018
 * (forgetting); Lopez-Paz and Ranzato 2017 (backward transfer).
 */
import { RunError } from "../errors.js";

/** Column of the untouched base model. */
export const BASE = -1;

export interface AccuracyMatrixData {
  readonly tasks: readonly string[];
  /** Row i = task i, column j = after training task j, percent; null where not measured. */
  readonly accuracy: readonly (readonly (number | null)[])[];
  /** Accuracy of the untouched base model per task. */
  readonly base: readonly (number | null)[];
  /** Test rows per task; null before the task was ever tested. */
  readonly rows: readonly (number | null)[];
}

export class AccuracyMatrix {
  readonly tasks: readonly string[];
  readonly #cells: (number | null)[][];
  readonly #base: (number | null)[];
  readonly #rows: (number | null)[];

  constructor(tasks: readonly string[]) {
    this.tasks = [...tasks];
    this.#cells = tasks.map(() => tasks.map(() => null));
    this.#base = tasks.map(() => null);
    this.#rows = tasks.map(() => null);
  }

  static fromJSON(data: AccuracyMatrixData): AccuracyMatrix {
    const matrix = new AccuracyMatrix(data.tasks);
    const size = data.tasks.length;
    for (let task = 0; task < size; task++) {
      for (let after = BASE; after < size; after++) {
        const value = after === BASE ? data.base[task] : data.accuracy[task]?.[after];
        if (value !== null && value !== undefined)
          matrix.set(task, after, value, data.rows[task] ?? undefined);
      }
    }
    return matrix;
  }

  /**
   * Accuracy (percent) on `task` after training `after`, both counted from 0; `after` is BASE for the base model.
   * `rows`: the number of test rows, needed for the micro average. Throws a RunError out of range.
   */
  set(task: number, after: number, accuracy: number, rows?: number): void {
    this.#check(task, after);
    if (!(accuracy >= 0 && accuracy <= 100)) {
      throw new RunError(`accuracy must lie between 0 and 100 percent, found ${accuracy}`);
    }
    if (after === BASE) this.#base[task] = accuracy;
    else this.#cells[task]![after] = accuracy;
    if (rows === undefined) return;
    const before = this.#rows[task];
    if (!Number.isInteger(rows) || rows < 1 || (before != null && before !== rows)) {
      const earlier = before == null ? "" : `, after ${before} rows earlier in the same run`;
      throw new RunError(`task ${this.tasks[task]} was tested on ${rows} rows${earlier}`);
    }
    this.#rows[task] = rows;
  }

  /** Accuracy on `task` after training `after`, or null where not measured. */
  get(task: number, after: number): number | null {
    this.#check(task, after);
    return (after === BASE ? this.#base[task] : this.#cells[task]![after]) ?? null;
  }

  rows(task: number): number | null {
    this.#check(task, BASE);
    return this.#rows[task] ?? null;
  }

  get size(): number {
    return this.tasks.length;
  }

  toJSON(): AccuracyMatrixData {
    return {
      tasks: [...this.tasks],
      accuracy: this.#cells.map((row) => [...row]),
      base: [...this.#base],
      rows: [...this.#rows],
    };
  }

  #check(task: number, after: number): void {
    const inside = (index: number, least: number) =>
      Number.isInteger(index) && index >= least && index < this.size;
    if (!inside(task, 0) || !inside(after, BASE)) {
      throw new RunError(`the accuracy matrix of ${this.size} tasks has no cell (${task}, ${after})`);
    }
  }
}

/** AA: the mean over the tasks trained so far of their accuracy after `after` (default: the last task). */
export function averageAccuracy(matrix: AccuracyMatrix, after = matrix.size - 1): number | null {
  return mean(upTo(after).map((task) => matrix.get(task, after)));
}

/** Like averageAccuracy, but weighted by test rows: the official script's headline number. */
export function microAccuracy(matrix: AccuracyMatrix, after = matrix.size - 1): number | null {
  const rows = upTo(after).map((task) => matrix.rows(task));
  if (rows.includes(null)) return null;
  const average = mean(rows);
  const weighted = upTo(after).map((task) => times(matrix.get(task, after), rows[task]!));
  const sum = mean(weighted);
  return sum === null || average === null ? null : sum / average;
}

/** AA after every task; null where an accuracy is missing. */
export function averageAccuracyCurve(matrix: AccuracyMatrix): (number | null)[] {
  return matrix.tasks.map((_, after) => averageAccuracy(matrix, after));
}

/** LA: the mean accuracy of each task right after it was learned. */
export function ownTaskAccuracy(matrix: AccuracyMatrix): number | null {
  return mean(matrix.tasks.map((_, task) => matrix.get(task, task)));
}

export interface ForgettingRate {
  /** Percentage points, negative where tasks improved later; null for one task or where accuracies are missing. */
  readonly value: number | null;
  /** True if evaluations between a task's training and the end are missing, so that the best may be too low. */
  readonly incomplete: boolean;
}

/** F.Ra: by how much each earlier task ends below its best since it was learned, averaged over tasks 1..T-1. */
export function forgettingRate(matrix: AccuracyMatrix): ForgettingRate {
  const last = matrix.size - 1;
  let incomplete = false;
  const drops = upTo(last - 1).map((task) => {
    const since = upTo(last - 1)
      .slice(task)
      .map((after) => matrix.get(task, after));
    const measured = since.filter((value) => value !== null);
    if (measured.length < since.length) incomplete = true;
    return measured.length === 0 ? null : minus(Math.max(...measured), matrix.get(task, last));
  });
  return { value: mean(drops), incomplete };
}

/** BWT: accuracy at the end minus accuracy right after learning, averaged over tasks 1..T-1. */
export function backwardTransfer(matrix: AccuracyMatrix): number | null {
  const last = matrix.size - 1;
  return mean(upTo(last - 1).map((task) => minus(matrix.get(task, last), matrix.get(task, task))));
}

/** a(i, i-1): accuracy on every task just before it is trained; the base model's for the first. */
export function unseenTaskAccuracy(matrix: AccuracyMatrix): (number | null)[] {
  return matrix.tasks.map((_, task) => matrix.get(task, task - 1));
}

export interface Spread {
  readonly mean: number | null;
  /** Divides by n: the form behind the paper's "avg" columns of Table 8. */
  readonly populationDeviation: number | null;
  /** Divides by n - 1: for seeds. Null for fewer than two values. */
  readonly sampleDeviation: number | null;
}

/** Mean and both standard deviations of a few values. */
export function spread(values: readonly number[]): Spread {
  const center = mean(values);
  const variance = center === null ? null : mean(values.map((value) => (value - center) ** 2));
  const count = values.length;
  return {
    mean: center,
    populationDeviation: variance === null ? null : Math.sqrt(variance),
    sampleDeviation: variance === null || count < 2 ? null : Math.sqrt((variance * count) / (count - 1)),
  };
}

function upTo(last: number): number[] {
  return Array.from({ length: last + 1 }, (_, index) => index);
}

/** The mean; null of nothing or if a value is missing. */
function mean(values: readonly (number | null)[]): number | null {
  let sum = 0;
  for (const value of values) {
    if (value === null) return null;
    sum += value;
  }
  return values.length === 0 ? null : sum / values.length;
}

function minus(a: number | null, b: number | null): number | null {
  return a === null || b === null ? null : a - b;
}

function times(a: number | null, b: number | null): number | null {
  return a === null || b === null ? null : a * b;
}
