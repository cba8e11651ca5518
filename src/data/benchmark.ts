/** The benchmark's datasets with the official prompts, from its folders. */
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { DataError } from "../errors.js";
import { Rng } from "../random.js";
import { assembleStream, assembleTask, type LoadedStream, type LoadOptions } from "./assemble.js";
import { type CatalogEntry, catalogEntry } from "./catalog.js";
import { checkLabels, readLabels } from "./labels.js";
import { type PromptIdentity, promptExample, renderPrompt } from "./prompts.js";
import { readJsonArray } from "./records/json.js";
import { type Row, textOf } from "./rows.js";
import type { Task } from "./task.js";

export interface BenchmarkOptions extends LoadOptions {
  readonly identity: PromptIdentity;
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
  return assembleStream("benchmark", tasks, notes);
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
  const rows = (split: "train" | "test"): readonly Row[] => {
    const all = readJsonArray(join(folder, `${split}.json`)).map((record) => ({
      text: textOf(record, "sentence"),
      label: textOf(record, "label"),
      where: record.where,
    }));
    const answered = all.filter((row) => row.label !== entry.noAnswerLabel);
    if (answered.length < all.length) {
      notes.push(
        `${entry.name}: ${all.length - answered.length} ${split} rows labelled "${entry.noAnswerLabel}" (no agreed answer) left out`,
      );
    }
    return checkLabels(answered, labels);
  };
  const task = { name: entry.name, labels, train: rows("train"), test: rows("test") };
  return assembleTask(task, benchmarkExamples(entry, labels, stream, options), options, notes);
}

/** Rows of one dataset as examples with the official prompt. */
export function benchmarkExamples(
  entry: CatalogEntry,
  labels: readonly string[],
  stream: readonly CatalogEntry[],
  options: BenchmarkOptions,
) {
  const draw = new Rng(options.seed).fork(`data/${entry.name}`).fork("identity");
  const identity = () => {
    if (options.identity === "none") return null;
    return options.identity === "shuffled" ? draw.pick(stream) : entry;
  };
  return (row: Row) =>
    promptExample(renderPrompt(entry, labels, row.text, { identity: identity() }), row.label);
}
