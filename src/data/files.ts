/** Tasks from the reader's own files: opened, their shape found, every row turned into a source and a target. */
import { join } from "node:path";
import { DataError } from "../errors.js";
import { assembleStream, assembleTask, type LoadedStream, type LoadOptions } from "./assemble.js";
import { lastTurn, messagesOf, type RenderChat } from "./chat.js";
import { checkLabelSet, labelSet, type RawLabel } from "./labels.js";
import { joinPrompt, optionLine, promptExample } from "./prompts.js";
import { dataFilesIn, isFolder, openTables } from "./records/open.js";
import type { DataRecord, Table } from "./records/record.js";
import { IncompleteRow, type Row, textOf, valueIn } from "./rows.js";
import { type Columns, type Format, findShape, type Shape } from "./shape.js";
import { splitsByName } from "./splits.js";
import type { PromptParts, Task } from "./task.js";
import { columnsOf, fillTemplate, type Piece, parseTemplate } from "./template.js";

/** One task of data files. */
export interface FileTask {
  readonly name: string;
  /** Files or folders. */
  readonly train: readonly string[];
  /** Null when rows are held out of train. */
  readonly test: readonly string[] | null;
  /** The label set; null: as the data has it, else the outputs are free text. */
  readonly labels: readonly string[] | null;
  readonly format: Format | "auto";
  readonly columns: Columns;
  /** A template with columns in braces, instead of the format's own source text. */
  readonly prompt: string | null;
  /** A line that goes before the input, followed by the labels to choose from, as in the benchmark. */
  readonly instruction: string | null;
  /** Names of integer classes by column, from the dataset's card. */
  readonly classNames?: ReadonlyMap<string, readonly string[]>;
}

export interface FileOptions extends LoadOptions {
  /** What happens to a row with a null or blank value. */
  readonly incomplete: "error" | "drop";
  /** The chat template of the run's model; throws if it has none. Asked for when there are conversations. */
  readonly chat: () => Promise<RenderChat>;
}

/** Reads tasks from files, in the order given. */
export async function loadFiles(sources: readonly FileTask[], options: FileOptions): Promise<LoadedStream> {
  const notes: string[] = [];
  const tasks: Task[] = [];
  for (const source of sources) tasks.push(await loadTask(source, options, notes));
  return assembleStream("files", tasks, notes);
}

/** The files that paths stand for: themselves, or those in a folder. Throws a DataError if a folder has several splits. */
function filesOf(paths: readonly string[]): string[] {
  return paths.flatMap((path) => {
    if (!isFolder(path)) return [path];
    const files = dataFilesIn(path);
    const splits = splitsByName(files);
    if (splits.length === 1) return files.map((file) => join(path, file));
    throw new DataError(`${path}: the folder has files of several splits (${splits.join(", ")})`, {
      hint: "name the files, or make the folder the task's dataset, of which train and test then name splits",
    });
  });
}

/** Rows of the first file that tell the shape. */
const SAMPLE = 50;

async function loadTask(source: FileTask, options: FileOptions, notes: string[]): Promise<Task> {
  const { name, labels: given } = source;
  if (given) checkLabelSet(given, `task ${name}`);
  if (source.test === null && !options.holdOut && !options.untested) {
    throw new DataError(`task ${name} has no test data`, { hint: "name some, or hold rows out of train" });
  }
  const template = source.prompt === null ? null : parseTemplate(source.prompt);
  const train = await openTables(filesOf(source.train));
  const records = await recordsOf(train);
  const output = source.columns.output;
  const stored = (column: string | undefined) =>
    column === undefined ? undefined : (train[0]?.classNames.get(column) ?? source.classNames?.get(column));
  const shape = findShape(records.slice(0, SAMPLE), train[0]!.path, {
    format: source.format,
    columns: source.columns,
    template: template && columnsOf(template),
    labelled: given !== null || stored(output) !== undefined,
  });
  if (source.instruction !== null && (shape.format === "messages" || shape.format === "alpaca")) {
    throw new DataError(`task ${name}: ${shape.format} rows have instructions of their own`, {
      hint: "leave out the task's instruction, or set a prompt",
    });
  }
  const read = await reader(shape, template, options);
  const leftOut: string[] = [];
  const rawTrain = readAll(records, read, `${name}: train`, options, leftOut);
  const rawTest =
    source.test === null
      ? []
      : readAll(
          await recordsOf(await openTables(filesOf(source.test))),
          read,
          `${name}: test`,
          options,
          leftOut,
        );
  const set = labelSet([...rawTrain, ...rawTest], {
    given,
    stored: stored(shape.columns.output) ?? null,
    collect: shape.format === "text-label",
  });
  notes.push(`${name}: ${describeRead(train, shape, set.labels)}`, ...leftOut);
  const row = ({ parts, ...raw }: RawRow): Row => {
    const whole = withInstruction(parts, source.instruction, set.labels);
    return { text: joinPrompt(parts), label: set.wordOf(raw), where: raw.where, parts: whole };
  };
  const rows = { name, labels: set.labels, train: rawTrain.map(row), test: rawTest.map(row) };
  return assembleTask(rows, ({ parts, label }) => promptExample(parts!, label), options, notes);
}

async function recordsOf(tables: readonly Table[]): Promise<DataRecord[]> {
  const records: DataRecord[] = [];
  for (const table of tables)
    for await (const batch of table.batches()) for (const record of batch) records.push(record);
  return records;
}

interface RawRow extends RawLabel {
  readonly parts: PromptParts;
}

type Reader = (record: DataRecord) => RawRow;

/** How a row of this shape becomes source pieces and an output. */
async function reader(
  shape: Shape,
  template: readonly Piece[] | null,
  options: FileOptions,
): Promise<Reader> {
  const { columns, format } = shape;
  if (template !== null) {
    return (record) => ({
      parts: fillTemplate(template, (column) => textOf(record, column, "as text")),
      ...outputOf(record, columns.output!),
    });
  }
  if (format === "messages") {
    const render = await options.chat();
    return (record) => {
      const messages = messagesOf(valueIn(record, columns.messages!), record.where);
      const turn = lastTurn(messages, render, record.where);
      if (turn === null) throw new IncompleteRow(record.where, "the conversation has no answer to learn");
      return { parts: turn.parts, label: turn.answer, where: record.where };
    };
  }
  if (format === "alpaca") {
    return (record) => ({
      parts: alpacaPrompt(
        textOf(record, columns.instruction!, "as text"),
        columns.input === undefined ? "" : optionalText(record, columns.input),
      ),
      ...outputOf(record, columns.output!),
    });
  }
  return (record) => ({
    parts: { head: "", body: textOf(record, columns.input!, "as text"), suffix: "" },
    ...outputOf(record, columns.output!),
  });
}

function outputOf(record: DataRecord, column: string): RawLabel {
  const value = valueIn(record, column);
  if (typeof value === "number" || typeof value === "bigint" || typeof value === "boolean") {
    return { label: value, where: record.where };
  }
  return { label: textOf(record, column), where: record.where };
}

/** A text that may be missing, null or blank. */
function optionalText(record: DataRecord, column: string): string {
  const value = record.fields[column];
  return value === undefined || value === null || value === "" ? "" : textOf(record, column, "as text");
}

/** The prompt of the Alpaca release, with and without an input. */
function alpacaPrompt(instruction: string, input: string): PromptParts {
  const task = "Below is an instruction that describes a task";
  const ask = "Write a response that appropriately completes the request.\n\n### Instruction:\n";
  const suffix = "\n\n### Response:";
  if (input.trim() === "") return { head: `${task}. ${ask}`, body: instruction, suffix };
  return {
    head: `${task}, paired with an input that provides further context. ${ask}${instruction}\n\n### Input:\n`,
    body: input,
    suffix,
  };
}

function withInstruction(
  parts: PromptParts,
  instruction: string | null,
  labels: readonly string[] | null,
): PromptParts {
  if (instruction === null) return parts;
  const { head, suffix } = parts;
  return {
    ...parts,
    head: `${instruction}\n${labels ? optionLine(labels) : ""}${head}`,
    suffix: `${suffix}\nAnswer:`,
  };
}

/** All rows that are whole; what is left out is counted in the notes. */
function readAll(
  records: readonly DataRecord[],
  read: Reader,
  what: string,
  { incomplete }: FileOptions,
  notes: string[],
): RawRow[] {
  const rows: RawRow[] = [];
  const reasons = new Map<string, number>();
  for (const record of records) {
    try {
      rows.push(read(record));
    } catch (error) {
      if (!(error instanceof IncompleteRow)) throw error;
      if (incomplete === "error") {
        throw new DataError(error.message, {
          hint: "data.incomplete: drop leaves such rows out and counts them",
          cause: error,
        });
      }
      reasons.set(error.reason, (reasons.get(error.reason) ?? 0) + 1);
    }
  }
  for (const [reason, count] of reasons)
    notes.push(`${what}: ${count} of ${records.length} rows left out: ${reason}`);
  return rows;
}

/** How the rows were read, in a line. */
function describeRead(
  train: readonly Table[],
  { format, columns, unused }: Shape,
  labels: readonly string[] | null,
): string {
  const roles = Object.entries(columns).map(([role, column]) => `${role} from ${column}`);
  const files = train.length === 1 ? train[0]!.format : `${train.length} files of ${train[0]!.format}`;
  return [
    `read as ${format} (${files}): ${roles.join(", ")}`,
    labels ? `${labels.length} labels` : "free text",
    ...(unused.length > 0 ? [`not used: ${unused.join(", ")}`] : []),
  ].join("; ");
}
