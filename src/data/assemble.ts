/** Tasks from rows: held-out parts, caps, and what a reader should know of both. */
import { DataError } from "../errors.js";
import { Rng } from "../random.js";
import type { Row } from "./rows.js";
import { type HoldOut, holdOutRows, stratifiedSample } from "./sample.js";
import type { Example, Task, TaskStream } from "./task.js";

export interface LoadOptions {
  /** Caps: at most this many rows per task, a stratified sample of what is there. */
  readonly trainRows?: number;
  readonly testRows?: number;
  readonly seed: number;
  /** Test on rows held out of train and leave the test rows alone: for choosing hyperparameters. */
  readonly holdOut?: HoldOut;
  /** Tasks need no test rows: for a look at the data. */
  readonly untested?: boolean;
}

export interface LoadedStream {
  readonly stream: TaskStream;
  /** What the reader of a run should know: how rows were read, left out, capped, held out. Each begins with its task. */
  readonly notes: readonly string[];
}

export interface TaskRows {
  readonly name: string;
  readonly labels: readonly string[] | null;
  readonly train: readonly Row[];
  readonly test: readonly Row[];
}

/** The task of these rows, held-out rows and caps applied; adds to the notes. Throws a DataError if no rows are left. */
export function assembleTask(
  { name, labels, ...rows }: TaskRows,
  example: (row: Row) => Example,
  options: LoadOptions,
  notes: string[],
): Task {
  const rng = new Rng(options.seed).fork(`data/${name}`);
  const group = (row: Row) => (labels ? row.label : "");
  let { train, test } = rows;
  if (options.holdOut) {
    const all = train;
    const count = holdOutRows(options.holdOut, all.length, name);
    test = stratifiedSample(all, group, count, rng.fork("hold-out"));
    train = withoutTexts(all, test);
    const repeats = all.length - test.length - train.length;
    notes.push(
      `${name}: tested on ${test.length} rows held out of train (seed ${options.seed}), ${train.length} remain` +
        (repeats > 0 ? `; ${repeats} left out because a held-out row has the same text` : ""),
    );
  } else {
    const shared = train.length - withoutTexts(train, test).length;
    if (shared > 0) notes.push(`${name}: ${shared} train rows have the same text as a test row`);
  }
  const capped = (all: readonly Row[], split: "train" | "test", cap: number | undefined) => {
    if (cap === undefined || cap >= all.length) return all;
    if (!Number.isInteger(cap) || cap < 1) {
      throw new DataError(`${name}: the number of ${split} rows must be a positive integer, found ${cap}`);
    }
    const kind = split === "test" && options.holdOut ? "held-out" : split;
    notes.push(`${name}: ${cap} of ${all.length} ${kind} rows (stratified sample, seed ${options.seed})`);
    return stratifiedSample(all, group, cap, rng.fork(split));
  };
  train = capped(train, "train", options.trainRows);
  test = capped(test, "test", options.testRows);
  if (train.length === 0 || (test.length === 0 && !options.untested)) {
    throw new DataError(`${name}: no rows are left to ${train.length === 0 ? "train" : "test"} on`);
  }
  return { name, labels, train: train.map(example), test: test.map(example) };
}

/** A stream of tasks. Throws a DataError if there are none, or two of one name. */
export function assembleStream(name: string, tasks: readonly Task[], notes: readonly string[]): LoadedStream {
  if (tasks.length === 0) throw new DataError("a stream needs at least one task; none was named");
  const names = tasks.map((task) => task.name);
  const twice = names.find((task, index) => names.indexOf(task) !== index);
  if (twice !== undefined) throw new DataError(`the task "${twice}" is in the stream twice`);
  return { stream: { name, tasks }, notes };
}

/** What two texts that count as the same have in common: case and white space are ignored. */
export function textKey(text: string): string {
  return text.toLowerCase().split(/\s+/).join(" ").trim();
}

/** The rows whose text is not among the others'. */
function withoutTexts(rows: readonly Row[], others: readonly Row[]): Row[] {
  const taken = new Set(others.map((row) => textKey(row.text)));
  return rows.filter((row) => !taken.has(textKey(row.text)));
}
