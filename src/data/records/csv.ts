/** CSV (RFC 4180, and with semicolons, tabs or bars) as rows of texts; every error names the line. */
import { CsvError, parse } from "csv-parse/sync";
import { DataError } from "../../errors.js";
import { noRows } from "./json.js";
import { type DataRecord, excerpt, oneLine, reasonOf } from "./record.js";
import { readText } from "./text.js";

const SEPARATORS: Readonly<Record<string, string>> = {
  ",": "comma",
  ";": "semicolon",
  "\t": "tab",
  "|": "bar",
};

export function readCsvRecords(path: string): DataRecord[] {
  const content = readText(path);
  const separator = separatorOf(content);
  const rows = readRows(path, content, separator);
  const [header, ...body] = rows;
  if (header === undefined || body.length === 0) throw noRows(path);
  checkHeader(path, header, separator);
  return body.map(({ values, line }) => {
    const where = `${path}, line ${line}`;
    if (values.length !== header.values.length) {
      throw new DataError(
        `${where}: ${values.length} fields, expected ${header.values.length} as in the header (${oneLine(header.values.join(", "))})`,
        {
          hint: `fields are parted by a ${SEPARATORS[separator]}; one that contains it must stand in double quotes`,
        },
      );
    }
    return { fields: Object.fromEntries(header.values.map((name, index) => [name, values[index]!])), where };
  });
}

/** The separator that the first line has most of, quoted fields left out. */
function separatorOf(content: string): string {
  const plain = content.slice(0, 100_000).replace(/"(?:[^"]|"")*"/g, "");
  const line = /[^\r\n]+/.exec(plain)?.[0] ?? "";
  const counts = Object.keys(SEPARATORS).map((separator) => line.split(separator).length - 1);
  return Object.keys(SEPARATORS)[counts.indexOf(Math.max(...counts))] ?? ",";
}

interface CsvRow {
  readonly values: readonly string[];
  /** The line on which the row begins, from 1. */
  readonly line: number;
}

function readRows(path: string, content: string, separator: string): CsvRow[] {
  const bytes = Buffer.from(content);
  const [LF, CR] = [10, 13];
  const ending = bytes.includes(LF) ? LF : CR;
  const rows: CsvRow[] = [];
  let [at, line] = [0, 1];
  /** Counts the lines up to a byte. */
  const advance = (to: number) => {
    for (; at < to; at++) if (bytes[at] === ending) line++;
  };
  const skipBlankLines = () => {
    while (bytes[at] === LF || bytes[at] === CR) advance(at + 1);
  };
  try {
    parse(bytes, {
      delimiter: separator,
      record_delimiter: ending === LF ? ["\r\n", "\n"] : ["\r"],
      relax_column_count: true,
      skip_empty_lines: true,
      on_record: (values: string[], info) => {
        skipBlankLines();
        rows.push({ values, line });
        advance(info.bytes);
        return null;
      },
    });
  } catch (cause) {
    if (!(cause instanceof CsvError)) throw cause;
    skipBlankLines();
    throw rowError(`${path}, line ${line}`, cause);
  }
  return rows;
}

function rowError(where: string, cause: CsvError): DataError {
  const what: Partial<Record<CsvError["code"], string>> = {
    CSV_QUOTE_NOT_CLOSED: "a quoted field begins in this row and never ends",
    INVALID_OPENING_QUOTE: "a double quote in the middle of a field of this row",
    CSV_INVALID_CLOSING_QUOTE: "a double quote in the middle of a field of this row",
  };
  return new DataError(`${where}: ${what[cause.code] ?? `not valid CSV: ${reasonOf(cause)}`}`, {
    hint: 'a field with a separator, quote or line break stands in double quotes, and a quote inside is doubled ("")',
    cause,
  });
}

function checkHeader(path: string, { values, line }: CsvRow, separator: string): void {
  const where = `${path}, line ${line}`;
  const blank = values.findIndex((name) => name.trim() === "");
  if (blank >= 0) throw new DataError(`${where}: column ${blank + 1} of the header has no name`);
  const twice = values.find((name, index) => values.indexOf(name) !== index);
  if (twice !== undefined) {
    throw new DataError(`${where}: the column "${excerpt(twice)}" is in the header twice`, {
      hint: "the first line must name the columns, each differently",
    });
  }
  if (values.length === 1 && separator === ",") {
    throw new DataError(`${where}: only one column ("${excerpt(values[0]!)}") in the header`, {
      hint: `the first line must name the columns, parted by one of ${Object.values(SEPARATORS).join(", ")}`,
    });
  }
}
