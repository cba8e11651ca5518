/** Reads data files into rows of two text fields. Every error names the file and the line or row. */
import { isUtf8 } from "node:buffer";
import { readFileSync } from "node:fs";
import { DataError } from "../errors.js";

/** One row of a data file. `where` names file and line, for messages. */
export interface Row {
  readonly text: string;
  readonly label: string;
  readonly where: string;
}

/** The names of the two fields in the file. */
export interface RowFields {
  readonly text: string;
  readonly label: string;
}

/** A JSON array of objects, by habit one row per line. */
export function readJsonRows(path: string, fields: RowFields): Row[] {
  const content = readText(path);
  const values = parseJson(path, content);
  if (!Array.isArray(values)) {
    throw new DataError(`${path}: expected a JSON array of rows, found ${describe(values)}`);
  }
  if (values.length === 0) throw noRows(path);
  const lines = content.split("\n");
  const firstLine = lines.findIndex((line) => line.trimStart().startsWith("{"));
  const rowLines = lines.filter((line) => line.trimStart().startsWith("{")).length;
  const oneRowPerLine = rowLines === values.length;
  return values.map((value, index) => {
    const where = oneRowPerLine
      ? `${path}, line ${firstLine + index + 1} (row ${index + 1})`
      : `${path}, row ${index + 1}`;
    return checkRow(value, fields, where);
  });
}

/** JSON Lines: one object per line; blank lines are skipped. */
export function readJsonlRows(path: string, fields: RowFields): Row[] {
  const rows: Row[] = [];
  for (const [index, line] of readText(path).split("\n").entries()) {
    if (line.trim() === "") continue;
    const where = `${path}, line ${index + 1}`;
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch (cause) {
      throw new DataError(`${where}: not valid JSON: ${excerpt(line)}`, {
        hint: "every line must be one JSON object",
        cause,
      });
    }
    rows.push(checkRow(value, fields, where));
  }
  if (rows.length === 0) throw noRows(path);
  return rows;
}

/** labels.json: a non-empty array of distinct, non-empty strings in the order of the option line. */
export function readLabels(path: string): string[] {
  const values = parseJson(path, readText(path));
  if (!Array.isArray(values) || !values.every((value) => typeof value === "string")) {
    throw new DataError(`${path}: expected a JSON array of label strings, found ${describe(values)}`);
  }
  checkLabelSet(values, path);
  return values;
}

/** Throws unless the labels are distinct, non-empty strings and there is at least one. */
export function checkLabelSet(labels: readonly string[], where: string): void {
  if (labels.length === 0) throw new DataError(`${where}: the label set is empty`);
  const blank = labels.findIndex((label) => label.trim() === "");
  if (blank >= 0) throw new DataError(`${where}: label ${blank + 1} is blank`);
  const twice = labels.find((label, index) => labels.indexOf(label) !== index);
  if (twice !== undefined) throw new DataError(`${where}: the label "${twice}" is listed twice`);
}

function readText(path: string): string {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (cause) {
    const missing = cause instanceof Error && "code" in cause && cause.code === "ENOENT";
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new DataError(missing ? `${path}: no such file` : `${path}: cannot be read: ${reason}`, { cause });
  }
  const content = decode(path, bytes);
  if (content.trim() === "") throw new DataError(`${path}: the file is empty`);
  return content;
}

/** UTF-8, a byte order mark left out. */
function decode(path: string, bytes: Buffer): string {
  if (isUtf8(bytes)) return new TextDecoder().decode(bytes);
  let [line, start] = [1, 0];
  for (let end = bytes.indexOf(10); end >= 0 && isUtf8(bytes.subarray(start, end)); line++) {
    start = end + 1;
    end = bytes.indexOf(10, start);
  }
  throw new DataError(`${path}, line ${line}: not valid UTF-8`, { hint: "save the file as UTF-8" });
}

function parseJson(path: string, content: string): unknown {
  try {
    return JSON.parse(content);
  } catch (cause) {
    const broken = firstBrokenLine(content);
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new DataError(
      broken === undefined
        ? `${path}: not valid JSON: ${reason}`
        : `${path}, line ${broken.number}: not valid JSON: ${excerpt(broken.line)}`,
      { hint: "the file must be one JSON array, its rows parted by commas", cause },
    );
  }
}

/** In a file of one row per line, the first line that is no row, lacks its comma or is the unfinished last one. */
function firstBrokenLine(content: string): { number: number; line: string } | undefined {
  const lines = content.trimEnd().split("\n");
  if (lines[0]?.trim() !== "[") return undefined;
  for (let index = 1; index < lines.length; index++) {
    const line = lines[index]!.trim();
    const last = index === lines.length - 1;
    if (last && line === "]") return undefined;
    const comma = line.endsWith(",");
    const commaExpected = lines[index + 1]?.trim() !== "]";
    let parses = comma === commaExpected;
    try {
      JSON.parse(comma ? line.slice(0, -1) : line);
    } catch {
      parses = false;
    }
    if (!parses || last) return { number: index + 1, line };
  }
  return undefined;
}

function checkRow(value: unknown, fields: RowFields, where: string): Row {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new DataError(`${where}: expected an object, found ${describe(value)}`);
  }
  return { text: textField(value, fields.text, where), label: textField(value, fields.label, where), where };
}

function textField(row: object, field: string, where: string): string {
  const value: unknown = Object.getOwnPropertyDescriptor(row, field)?.value;
  if (value === undefined) {
    const found = Object.keys(row).join(", ") || "none";
    throw new DataError(`${where}: the field "${field}" is missing (fields found: ${found})`);
  }
  if (typeof value !== "string") {
    throw new DataError(`${where}: the field "${field}" must be a string, found ${describe(value)}`);
  }
  if (value.trim() === "") throw new DataError(`${where}: the field "${field}" is blank`);
  return value;
}

function noRows(path: string): DataError {
  return new DataError(`${path}: the file has no rows`);
}

function describe(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "an array";
  return typeof value === "object" ? "an object" : `the ${typeof value} ${excerpt(JSON.stringify(value))}`;
}

function excerpt(text: string): string {
  const line = text.trim();
  return line.length > 80 ? `${line.slice(0, 77)}...` : line;
}
