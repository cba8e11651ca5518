/**
 * The benchmark's datasets from the hub, cut to the release's sizes. The whole datasets have up to three million rows, so
 * that their labels are read first, rows are chosen, and only those are kept of the texts.
 */
import { DataError } from "../errors.js";
import { Rng } from "../random.js";
import { assembleStream, assembleTask, type LoadedStream } from "./assemble.js";
import { type BenchmarkOptions, benchmarkExamples } from "./benchmark.js";
import { type CatalogEntry, catalogEntry } from "./catalog.js";
import { HUB_SOURCES, type HubSource } from "./hub-sources.js";
import { joinPrompt } from "./prompts.js";
import { openTables } from "./records/open.js";
import { type DataRecord, type Table, valueAt } from "./records/record.js";
import type { Row } from "./rows.js";
import { stratifiedSample } from "./sample.js";
import type { Task } from "./task.js";
import { columnsOf, fillTemplate, parseTemplate } from "./template.js";

/** The files of a source's two splits. */
export type FindSource = (
  source: HubSource,
) => Promise<{ readonly train: readonly string[]; readonly test: readonly string[] }>;

/** Loads datasets by name, in the order given. `find` brings their files here. Throws a DataError. */
export async function loadHubBenchmark(
  names: readonly string[],
  find: FindSource,
  options: BenchmarkOptions,
): Promise<LoadedStream> {
  const entries = names.map(catalogEntry);
  const notes: string[] = [];
  const tasks: Task[] = [];
  for (const entry of entries) {
    const source = HUB_SOURCES[entry.name]!;
    const files = await find(source);
    const rows = async (split: "train" | "test") => {
      const { chosen, total } = await chooseRows(entry, source, split, await openTables(files[split]));
      if (chosen.length < total) {
        notes.push(
          `${entry.name}: ${chosen.length} of ${total} ${split} rows of ${source.dataset}, always the same`,
        );
      }
      return chosen;
    };
    const task = {
      name: entry.name,
      labels: entry.labels,
      train: await rows("train"),
      test: await rows("test"),
    };
    tasks.push(assembleTask(task, benchmarkExamples(entry, entry.labels, entries, options), options, notes));
  }
  return assembleStream("benchmark", tasks, notes);
}

/** As many rows as the release has, in the order of the files. The choice does not depend on a run's seed. */
async function chooseRows(
  entry: CatalogEntry,
  source: HubSource,
  split: "train" | "test",
  tables: readonly Table[],
): Promise<{ readonly chosen: Row[]; readonly total: number }> {
  const toLabel = labeller(source, tables);
  const labels: { readonly index: number; readonly label: string }[] = [];
  for (const table of tables) {
    for await (const batch of table.batches([source.label])) {
      for (const record of batch) labels.push({ index: labels.length, label: toLabel(record) });
    }
  }
  const rng = new Rng(0).fork(`hub/${entry.name}/${split}`);
  const sample = stratifiedSample(labels, ({ label }) => label, entry.officialRows[split], rng);
  const wanted = new Map(sample.map(({ index, label }) => [index, label]));
  const sentence = sentences(source);
  const chosen: Row[] = [];
  let index = 0;
  for (const table of tables) {
    for await (const batch of table.batches(sentence.columns)) {
      for (const record of batch) {
        const label = wanted.get(index++);
        if (label !== undefined) chosen.push({ text: sentence.of(record), label, where: record.where });
      }
    }
  }
  return { chosen, total: labels.length };
}

/** Turns a record's class into the benchmark's label. */
function labeller({ dataset, label: column, first, classes }: HubSource, tables: readonly Table[]) {
  const stored = tables[0]?.classNames.get(column);
  // Names may be written otherwise, but one in another place would turn labels around.
  const moved = classes.some(([name], index) => stored && stored[index] !== name && stored.includes(name));
  if (stored && (moved || stored.length !== classes.length)) {
    throw new DataError(
      `${dataset}: expected the classes ${classes.map(([name]) => name).join(", ")}, found ${stored.join(", ")}`,
      { hint: "the dataset has changed; take an earlier revision of it, or the benchmark's own files" },
    );
  }
  return (record: DataRecord): string => {
    const value = valueAt(record.fields, column);
    const label = classes[Number(value) - first]?.[1];
    if (label !== undefined && value !== null && value !== "") return label;
    throw new DataError(
      `${record.where}: ${column} is ${String(value)}, expected ${first} to ${first + classes.length - 1}`,
      { hint: `the files are not those of ${dataset} that the benchmark was made of` },
    );
  };
}

/** Puts a record's columns together as the benchmark's sentence. */
function sentences({ dataset, sentence, without }: HubSource) {
  const main = parseTemplate(sentence);
  const other = parseTemplate(without?.sentence ?? sentence);
  const columns = columnsOf(main);
  const text = (record: DataRecord, column: string): string => {
    const value = valueAt(record.fields, column);
    if (value === null) return "";
    if (typeof value === "string") return value;
    const found = Object.keys(record.fields).join(", ") || "none";
    throw new DataError(`${record.where}: there is no text in the column "${column}" (columns: ${found})`, {
      hint: `the files are not those of ${dataset} that the benchmark was made of`,
    });
  };
  return {
    columns,
    of(record: DataRecord): string {
      const isShort = without !== undefined && text(record, without.column).trim() === "";
      return joinPrompt(fillTemplate(isShort ? other : main, (column) => text(record, column)));
    },
  };
}
