/** Finds data files by name, folder or list, tells their format and opens them. */
import { closeSync, openSync, readdirSync, readSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { DataError } from "../../errors.js";
import { readCsvRecords } from "./csv.js";
import { readJsonRecords } from "./json.js";
import { openParquet } from "./parquet.js";
import type { DataRecord, FileFormat, Table } from "./record.js";
import { readBytes, reading } from "./text.js";

const EXTENSIONS: Readonly<Record<string, FileFormat>> = {
  json: "json",
  jsonl: "jsonl",
  ndjson: "jsonl",
  csv: "csv",
  tsv: "csv",
  parquet: "parquet",
  pq: "parquet",
};

const EXPECTED = "JSON, JSON Lines, CSV (also .gz) or Parquet";

/** The data files in a folder, at any depth, relative to it. Throws a DataError if there are none. */
export function dataFilesIn(folder: string): string[] {
  const files = filesIn(folder).filter((file) => extensionFormat(file) !== undefined);
  if (files.length > 0) return files;
  throw new DataError(`${folder}: the folder has no data files`, { hint: `expected ${EXPECTED}` });
}

export const isFolder = (path: string): boolean => reading(path, () => statSync(path)).isDirectory();

/** All files below a folder, relative to it, sorted; hidden ones left out. */
export function filesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true })
    .map(String)
    .filter((file) => !file.split("/").some((part) => part.startsWith(".")))
    .filter((file) => statSync(join(folder, file)).isFile())
    .sort();
}

/** The format that a file's name tells, `.gz` left out; undefined where it tells none. */
export function extensionFormat(path: string): FileFormat | undefined {
  const extension = /\.([a-z]+)(?:\.gz)?$/i.exec(basename(path))?.[1]?.toLowerCase() ?? "";
  return Object.hasOwn(EXTENSIONS, extension) ? EXTENSIONS[extension] : undefined;
}

/** Opens files that belong together. Throws a DataError if they are of different formats. */
export async function openTables(files: readonly string[]): Promise<Table[]> {
  const tables: Table[] = [];
  for (const file of files) {
    const table = await openTable(file);
    const first = tables[0];
    if (first && first.format !== table.format) {
      throw new DataError(`${file}: ${table.format}, expected ${first.format} as in ${first.path}`, {
        hint: "the files of one split must have one format",
      });
    }
    tables.push(table);
  }
  return tables;
}

async function openTable(path: string): Promise<Table> {
  const format = extensionFormat(path) ?? sniff(path);
  if (format === "parquet") return openParquet(path);
  if (format === "csv") return textTable(path, "csv", readCsvRecords(path));
  const { format: found, records } = readJsonRecords(path);
  return textTable(path, found, records);
}

function textTable(path: string, format: FileFormat, records: readonly DataRecord[]): Table {
  return {
    path,
    format,
    classNames: new Map(),
    async *batches() {
      yield records;
    },
  };
}

/** The format of a file whose name does not tell, by its first bytes. */
function sniff(path: string): FileFormat {
  const first = reading(path, () => {
    const file = openSync(path, "r");
    try {
      const bytes = Buffer.alloc(512);
      return bytes.subarray(0, readSync(file, bytes));
    } finally {
      closeSync(file);
    }
  });
  if (first.length === 0) throw new DataError(`${path}: the file is empty`);
  if (first.subarray(0, 4).toString("latin1") === "PAR1") return "parquet";
  const start = first[0] === 0x1f && first[1] === 0x8b ? readBytes(path, 500_000_000) : first;
  if (/^\uFEFF?\s*[[{]/.test(start.subarray(0, 512).toString("utf8"))) return "jsonl";
  throw new DataError(`${path}: unknown kind of data file`, {
    hint: `expected ${EXPECTED}, told by the extension (${Object.keys(EXTENSIONS)
      .map((name) => `.${name}`)
      .join(", ")})`,
  });
}
