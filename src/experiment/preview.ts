/** A look at a run's data as its model will see it: no training, no weights, no engine. */
import { textKey } from "../data/assemble.js";
import type { EncodedExample } from "../data/encode.js";
import { type LengthReport, lengthReport } from "../data/lengths.js";
import type { Task } from "../data/task.js";
import { UsageError } from "../errors.js";
import type { HubOptions } from "../hub/snapshot.js";
import { Tokenizer } from "../io/tokenizer/tokenizer.js";
import { readModelFacts } from "../models/registry.js";
import { type Config, taskNames } from "./config.js";
import { checkVocabulary, encodeOptions, encodeTask } from "./encoding.js";
import { findModel, loadStream } from "./prepare.js";

/** A text as token ids say it. */
export interface SeenText {
  /** Decoded from the ids, special tokens included. */
  readonly text: string;
  /** Ids that the model gets, and how many more there were before the cut. */
  readonly tokens: number;
  readonly cut: number;
}

export interface SeenRow {
  /** Number of the row in the training rows, from 1. */
  readonly row: number;
  readonly source: SeenText;
  readonly target: SeenText;
}

export interface LabelCount {
  readonly label: string;
  readonly train: number;
  readonly test: number;
}

/** Numbers of rows by length: bin i holds lengths from i * width to below (i + 1) * width. */
export interface Histogram {
  readonly width: number;
  readonly counts: readonly number[];
}

export interface TaskPreview {
  readonly task: string;
  /** How the rows were read, and which were left out, held out or sampled. */
  readonly notes: readonly string[];
  /** Null: the outputs are free text. */
  readonly labels: readonly LabelCount[] | null;
  readonly lengths: readonly LengthReport[];
  /** Lengths of the training rows' sources in tokens, before any cut. */
  readonly histogram: Histogram;
  /** Training rows whose text is also a test row's. */
  readonly shared: number;
  /** The first training rows, and the first that is cut. */
  readonly rows: readonly SeenRow[];
}

export interface Preview {
  readonly model: string;
  readonly family: "seq2seq" | "causal";
  readonly truncate: Config["truncate"];
  readonly tasks: readonly TaskPreview[];
}

export interface PreviewOptions {
  /** The one task to look at; all by default. */
  readonly task?: string | undefined;
  /** Training rows to show of each task. */
  readonly rows: number;
  /** The data has no test rows yet. */
  readonly untested?: boolean;
  readonly hub?: HubOptions;
}

/** What the configuration's data is like. Throws a UsageError for a task it has not, and as the loading does. */
export async function previewData(
  whole: Config,
  { task, rows, untested, hub }: PreviewOptions,
): Promise<Preview> {
  const config = task === undefined ? whole : onlyTask(whole, task);
  const folder = await findModel(config, hub);
  const loading = { untested: untested ?? false, ...(hub && { hub }) };
  const { stream, notes } = await loadStream({ ...config, model: folder }, loading);
  const tokenizer = Tokenizer.fromFolder(folder);
  const model = readModelFacts(folder);
  checkVocabulary(tokenizer, model, folder);
  const limits = encodeOptions(tokenizer, model, config);
  const tasks = stream.tasks.filter(({ name }) => task === undefined || name === task);
  return {
    model: config.model,
    family: model.family,
    truncate: config.truncate,
    tasks: tasks.map((each): TaskPreview => {
      const encoded = encodeTask(each, tokenizer, limits);
      const own = notes.filter((note) => note.startsWith(`${each.name}: `));
      return {
        task: each.name,
        notes: own.map((note) => note.slice(each.name.length + 2)),
        labels: labelCounts(each),
        lengths: [
          lengthReport(each.name, "train", encoded.train, limits),
          lengthReport(each.name, "test", encoded.test, limits),
        ].filter((report) => report.rows > 0),
        histogram: histogram(encoded.train.map(({ sourceLength }) => sourceLength)),
        shared: sharedTexts(each),
        rows: seenRows(encoded.train, rows, tokenizer),
      };
    }),
  };
}

/** The configuration with one of its tasks alone. */
function onlyTask(config: Config, task: string): Config {
  const names = taskNames(config);
  if (!names.includes(task)) {
    throw new UsageError(`there is no task ${task}; tasks: ${names.join(", ")}`);
  }
  const { data } = config;
  switch (data.kind) {
    case "benchmark":
      return { ...config, data: { ...data, order: null, tasks: [task] } };
    case "files":
      return { ...config, data: { ...data, tasks: data.tasks.filter(({ name }) => name === task) } };
    case "synthetic":
      return config;
  }
}

function labelCounts({ labels, train, test }: Task): LabelCount[] | null {
  if (labels === null) return null;
  const count = (split: Task["train"], label: string) =>
    split.filter(({ output }) => output === label).length;
  return labels.map((label) => ({ label, train: count(train, label), test: count(test, label) }));
}

function sharedTexts({ train, test }: Task): number {
  const tested = new Set(test.map(({ input }) => textKey(input)));
  return train.filter(({ input }) => tested.has(textKey(input))).length;
}

/** About a dozen bins of a round width. */
function histogram(lengths: readonly number[]): Histogram {
  const longest = lengths.reduce((most, length) => Math.max(most, length), 1);
  const widths = [1, 2, 5].flatMap((digit) =>
    [1, 10, 100, 1000, 10_000, 100_000].map((power) => digit * power),
  );
  const width = widths.sort((a, b) => a - b).find((each) => longest / each < 12) ?? longest;
  const counts = new Array<number>(Math.floor(longest / width) + 1).fill(0);
  for (const length of lengths) counts[Math.floor(length / width)]! += 1;
  return { width, counts };
}

function seenRows(encoded: readonly EncodedExample[], rows: number, tokenizer: Tokenizer): SeenRow[] {
  const isCut = ({ source, target, sourceLength, targetLength }: EncodedExample) =>
    sourceLength > source.length || targetLength > target.length;
  const firstCut = encoded.findIndex(isCut);
  const shown = new Set([...encoded.keys()].slice(0, rows));
  if (firstCut >= 0 && rows > 0) shown.add(firstCut);
  const seen = (ids: readonly number[], before: number): SeenText => ({
    text: tokenizer.decode(ids, { skipSpecialTokens: false }),
    tokens: ids.length,
    cut: before - ids.length,
  });
  return [...shown].map((index) => {
    const { source, target, sourceLength, targetLength } = encoded[index]!;
    return { row: index + 1, source: seen(source, sourceLength), target: seen(target, targetLength) };
  });
}
