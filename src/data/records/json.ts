/** JSON arrays and JSON Lines as rows; every error names the line. */
import { DataError } from "../../errors.js";
import { type DataRecord, describe, excerpt, reasonOf } from "./record.js";
import { readText } from "./text.js";

/** The rows of a JSON array of objects, by habit one row per line, or of JSON Lines. */
export function readJsonRecords(path: string): {
  readonly format: "json" | "jsonl";
  readonly records: DataRecord[];
} {
  const content = readText(path);
  return /^\s*\[/.test(content)
    ? { format: "json", records: arrayRecords(path, content) }
    : { format: "jsonl", records: lineRecords(path, content) };
}

/** The rows of a JSON array. Throws a DataError if the file holds anything else. */
export function readJsonArray(path: string): DataRecord[] {
  return arrayRecords(path, readText(path));
}

/** The value of a JSON file. */
export function readJsonValue(path: string): unknown {
  return parse(path, readText(path));
}

function arrayRecords(path: string, content: string): DataRecord[] {
  const values = parse(path, content);
  if (!Array.isArray(values)) {
    throw new DataError(`${path}: expected a JSON array of rows, found ${describe(values)}`);
  }
  if (values.length === 0) throw noRows(path);
  const lines = content.split("\n");
  const opens = (line: string) => /^\s*\{/.test(line);
  const firstLine = lines.findIndex(opens);
  const oneRowPerLine = lines.reduce((count, line) => count + (opens(line) ? 1 : 0), 0) === values.length;
  return values.map((value: unknown, index) => {
    const where = oneRowPerLine
      ? `${path}, line ${firstLine + index + 1} (row ${index + 1})`
      : `${path}, row ${index + 1}`;
    return record(value, where);
  });
}

function lineRecords(path: string, content: string): DataRecord[] {
  const records: DataRecord[] = [];
  for (const [index, line] of content.split("\n").entries()) {
    if (line.trim() === "") continue;
    const where = `${path}, line ${index + 1}`;
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch (cause) {
      throw new DataError(`${where}: not valid JSON: ${excerpt(line)}`, {
        hint: "the file must be one JSON object a line, or one JSON array of objects",
        cause,
      });
    }
    records.push(record(value, where));
  }
  return records;
}

function record(value: unknown, where: string): DataRecord {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    return { fields: value as Record<string, unknown>, where };
  }
  throw new DataError(`${where}: expected an object, found ${describe(value)}`);
}

export function noRows(path: string): DataError {
  return new DataError(`${path}: the file has no rows`);
}

function parse(path: string, content: string): unknown {
  try {
    return JSON.parse(content);
  } catch (cause) {
    const broken = firstBrokenLine(content);
    throw new DataError(
      broken === undefined
        ? `${path}: not valid JSON: ${reasonOf(cause)}`
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
