/** Loads a stream: the benchmark's folders with the official prompts, or plain JSONL files. */
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { DataError } from "../errors.js";
import { Rng } from "../random.js";
import { type CatalogEntry, catalogEntry } from "./catalog.js";
import { type PromptIdentity, promptExample, renderPrompt } from "./prompts.js";
import { checkLabelSet, type Row, readJsonlRows, readJsonRows, readLabels } from "./rows.js";
import { type HoldOut, holdOutRows, stratifiedSample } from "./sample.js";
import type { Example, Task, TaskStream } from "./task.js";

export interface LoadOptions {
  /** Caps: at most this many rows per task, a stratified sample of what is there. */
  readonly trainRows?: number;
  readonly testRows?: number;
  readonly seed: number;
  /** Test on rows held out of train and leave the test rows alone: for choosing hyperparameters. */
  readonly holdOut?: HoldOut;
}

export interface BenchmarkOptions extends LoadOptions {
  readonly identity: PromptIdentity;
}

export interface LoadedStream {
  readonly stream: TaskStream;
  /** What the reader of a run should know: rows left out, caps, held-out parts. */
  readonly notes: readonly string[];
}

/** One task of plain JSONL files, each line `{"input": ..., "output": ...}`. */
export interface JsonlTask {
  readonly name: string;
  readonly train: string;
  /** May be left out when rows are held out of train. */
  readonly test?: string;
  /** The label set; without it the outputs are free text. */
  readonly labels?: readonly string[];
}

/** Reads `<root>/<family>/<dataset>/{train,test,labels}.json` for every name, in the order given. */
export function loadBenchmark(
  root: string,
  datasetNames: readonly string[],
  options: BenchmarkOptions,
): LoadedStream {
  const entries = datasetNames.map(catalogEntry);
  const notes: string[] = [];
  const tasks = entries.map((entry) => loadDataset(root, entry, entries, options, notes));
  return finish("benchmark", tasks, notes);
}

/** Reads tasks from plain JSONL files, in the order given. */
export function loadJsonl(sources: readonly JsonlTask[], options: LoadOptions): LoadedStream {
  const notes: string[] = [];
  const fields = { text: "input", label: "output" };
  const tasks = sources.map((source) => {
    const labels = source.labels ?? null;
    if (labels) checkLabelSet(labels, `task ${source.name}`);
    const rows = (path: string) => checkLabels(readJsonlRows(path, fields), labels);
    if (source.test === undefined && !options.holdOut) {
      throw new DataError(`task ${source.name} has no test file`, {
        hint: "name one, or hold rows out of train",
      });
    }
    const test = source.test === undefined ? [] : rows(source.test);
    const example = (row: Row): Example => ({ input: row.text, output: row.label });
    return makeTask(source.name, labels, rows(source.train), test, example, options, notes);
  });
  return finish("jsonl", tasks, notes);
}

function loadDataset(
  root: string,
  entry: CatalogEntry,
  stream: readonly CatalogEntry[],
  options: BenchmarkOptions,
  notes: string[],
): Task {
  const folder = join(root, entry.family, entry.name);
  if (!existsSync(folder)) {
    throw new DataError(`dataset ${entry.name}: there is no folder ${resolve(folder)}`, {
      hint: "the data folder must contain <family>/<dataset>/{train,test,labels}.json",
    });
  }
  const labels = readLabels(join(folder, "labels.json"));
  const fields = { text: "sentence", label: "label" };
  const rows = (split: "train" | "test") => {
    const all = readJsonRows(join(folder, `${split}.json`), fields);
    const answered = all.filter((row) => row.label !== entry.noAnswerLabel);
    if (answered.length < all.length) {
      notes.push(
        `${entry.name}: ${all.length - answered.length} ${split} rows labelled "${entry.noAnswerLabel}" (no agreed answer) left out`,
      );
    }
    return checkLabels(answered, labels);
  };
  const draw = new Rng(options.seed).fork(`data/${entry.name}`).fork("identity");
  const identity = () => {
    if (options.identity === "none") return null;
    return options.identity === "shuffled" ? draw.pick(stream) : entry;
  };
  const example = (row: Row) =>
    promptExample(renderPrompt(entry, labels, row.text, { identity: identity() }), row.label);
  return makeTask(entry.name, labels, rows("train"), rows("test"), example, options, notes);
}

function checkLabels(rows: Row[], labels: readonly string[] | null): Row[] {
  const wrong = labels && rows.find((row) => !labels.includes(row.label));
  if (!wrong) return rows;
  throw new DataError(
    `${wrong.where}: the label "${wrong.label}" is not in the label set (${labels.join(", ")})`,
  );
}

function makeTask(
  name: string,
  labels: readonly string[] | null,
  allTrain: readonly Row[],
  officialTest: readonly Row[],
  example: (row: Row) => Example,
  options: LoadOptions,
  notes: string[],
): Task {
  const rng = new Rng(options.seed).fork(`data/${name}`);
  const group = (row: Row) => (labels ? row.label : "");
  let train = allTrain;
  let test = officialTest;
  if (options.holdOut) {
    const count = holdOutRows(options.holdOut, allTrain.length, name);
    test = stratifiedSample(allTrain, group, count, rng.fork("hold-out"));
    train = withoutTexts(allTrain, test);
    const repeats = allTrain.length - test.length - train.length;
    notes.push(
      `${name}: tested on ${test.length} rows held out of train (seed ${options.seed}), ${train.length} remain` +
        (repeats > 0 ? `; ${repeats} left out because a held-out row has the same text` : ""),
    );
  } else {
    const shared = train.length - withoutTexts(train, test).length;
    if (shared > 0) notes.push(`${name}: ${shared} train rows have the same text as a test row`);
  }
  const capped = (rows: readonly Row[], split: "train" | "test", cap: number | undefined) => {
    if (cap === undefined || cap >= rows.length) return rows;
    if (!Number.isInteger(cap) || cap < 1) {
      throw new DataError(`${name}: the number of ${split} rows must be a positive integer, found ${cap}`);
    }
    const kind = split === "test" && options.holdOut ? "held-out" : split;
    notes.push(`${name}: ${cap} of ${rows.length} ${kind} rows (stratified sample, seed ${options.seed})`);
    return stratifiedSample(rows, group, cap, rng.fork(split));
  };
  train = capped(train, "train", options.trainRows);
  test = capped(test, "test", options.testRows);
  if (train.length === 0 || test.length === 0) {
    throw new DataError(`${name}: no rows are left to ${train.length === 0 ? "train" : "test"} on`);
  }
  return { name, labels, train: train.map(example), test: test.map(example) };
}

/** The rows whose text (case and white space ignored) is not among the others'. */
function withoutTexts(rows: readonly Row[], others: readonly Row[]): Row[] {
  const key = (row: Row) => row.text.toLowerCase().split(/\s+/).join(" ").trim();
  const taken = new Set(others.map(key));
  return rows.filter((row) => !taken.has(key(row)));
}

function finish(name: string, tasks: readonly Task[], notes: readonly string[]): LoadedStream {
  if (tasks.length === 0) throw new DataError("a stream needs at least one task; none was named");
  const names = tasks.map((task) => task.name);
  const twice = names.find((task, index) => names.indexOf(task) !== index);
  if (twice !== undefined) throw new DataError(`the task "${twice}" is in the stream twice`);
  return { stream: { name, tasks }, notes };
}
