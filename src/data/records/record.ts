/** A row as a file has it, before anything is known of its meaning. */

export interface DataRecord {
  /** The row's values by column: texts, numbers, booleans, null, lists and objects. */
  readonly fields: Readonly<Record<string, unknown>>;
  /** File and line or row, for messages. */
  readonly where: string;
}

export type FileFormat = "json" | "jsonl" | "csv" | "parquet";

/** An opened data file. */
export interface Table {
  readonly path: string;
  readonly format: FileFormat;
  /** The names behind whole numbers, by column, where the file itself has them. */
  readonly classNames: ReadonlyMap<string, readonly string[]>;
  /** The rows in the file's order, some at a time. With `columns`, the others may be left out. Throws a DataError. */
  batches(columns?: readonly string[]): AsyncIterable<readonly DataRecord[]>;
}

/**
 * The value of a column; `a.b.0` goes into objects and lists unless a column has that very name. Undefined where there
 * is none.
 */
export function valueAt(fields: Readonly<Record<string, unknown>>, column: string): unknown {
  if (Object.hasOwn(fields, column)) return fields[column] ?? null;
  let value: unknown = fields;
  for (const part of column.split(".")) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, part)) return undefined;
    value = (value as Readonly<Record<string, unknown>>)[part] ?? null;
  }
  return value;
}

/** A value as a message shows it. */
export function describe(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "an object";
  return `the ${typeof value} ${excerpt(typeof value === "bigint" ? String(value) : JSON.stringify(value))}`;
}

/** Names and labels come from files and may hold line breaks; a message is one line. */
export function oneLine(text: string): string {
  return text.trim().replace(/\s+/g, " ");
}

export function excerpt(text: string): string {
  const line = oneLine(text);
  return line.length > 80 ? `${line.slice(0, 77)}...` : line;
}

/** Why something failed, in one line. */
export function reasonOf(cause: unknown): string {
  return oneLine(cause instanceof Error ? cause.message : String(cause));
}
