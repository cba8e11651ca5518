/** Rows as tasks are made of them: a text, a label, and where both stand. */
import { DataError } from "../errors.js";
import { type DataRecord, describe, oneLine, valueAt } from "./records/record.js";
import type { PromptParts } from "./task.js";

export interface Row {
  readonly text: string;
  readonly label: string;
  /** File and line, for messages. */
  readonly where: string;
  /** The pieces of `text`, where they are known. */
  readonly parts?: PromptParts;
}

/** A row that lacks a value: null or blank. Whether that ends a run or drops the row is a setting. */
export class IncompleteRow extends DataError {
  constructor(
    where: string,
    readonly reason: string,
  ) {
    super(`${where}: ${reason}`);
  }
}

/** A column's value that is neither null nor blank. Throws an IncompleteRow if it is, a DataError without the column. */
export function valueIn({ fields, where }: DataRecord, column: string): unknown {
  const value = valueAt(fields, column);
  if (value === undefined) {
    const found = oneLine(Object.keys(fields).join(", ")) || "none";
    throw new DataError(`${where}: the field "${column}" is missing (fields found: ${found})`);
  }
  if (value === null) throw new IncompleteRow(where, `the field "${column}" is null`);
  if (typeof value === "string" && value.trim() === "") {
    throw new IncompleteRow(where, `the field "${column}" is blank`);
  }
  return value;
}

/** A column's text. Numbers are text only where they are asked for. Throws as `valueIn`. */
export function textOf(
  record: DataRecord,
  column: string,
  numbers: "as text" | "refused" = "refused",
): string {
  const value = valueIn(record, column);
  if (typeof value === "string") return value;
  if (typeof value === "object") {
    const inside = Object.keys(value as object)[0];
    throw new DataError(`${record.where}: the field "${column}" must be text, found ${describe(value)}`, {
      hint: `a field inside another is named with a dot${inside === undefined ? "" : `: ${column}.${inside}`}`,
    });
  }
  if (numbers === "as text") return String(value);
  throw new DataError(`${record.where}: the field "${column}" must be a string, found ${describe(value)}`);
}
