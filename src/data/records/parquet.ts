/** Parquet files, one row group at a time, and the class names that the datasets library stores in them. */
import { closeSync, openSync, readSync, statSync } from "node:fs";
import { setImmediate as turn } from "node:timers/promises";
import {
  type AsyncBuffer,
  type FileMetaData,
  type ParquetReadOptions,
  parquetMetadataAsync,
  parquetRead,
  parquetSchema,
} from "hyparquet";
import { compressors } from "hyparquet-compressors";
import { DataError } from "../../errors.js";
import { noRows } from "./json.js";
import { type DataRecord, excerpt, reasonOf, type Table } from "./record.js";
import { reading } from "./text.js";

const MAGIC = "PAR1";

/** Opens a Parquet file: reads its footer, no rows. Throws a DataError. */
export async function openParquet(path: string): Promise<Table> {
  const file = fileBuffer(path);
  await checkEnds(path, file);
  const { metadata, columns } = await understood(path, "its footer", async () => {
    const footer = await parquetMetadataAsync(file);
    return { metadata: footer, columns: parquetSchema(footer).children.map((child) => child.element.name) };
  });
  const twice = columns.find((name, index) => columns.indexOf(name) !== index);
  if (twice !== undefined) throw new DataError(`${path}: the column "${excerpt(twice)}" is there twice`);
  if (metadata.num_rows === 0n) throw noRows(path);
  return {
    path,
    format: "parquet",
    classNames: classNamesOf(path, metadata),
    async *batches(wanted) {
      const roots = wanted?.map((name) => (columns.includes(name) ? name : name.split(".", 1)[0]));
      const chosen = roots ? columns.filter((name) => roots.includes(name)) : columns;
      let start = 0;
      for (const [index, group] of metadata.row_groups.entries()) {
        const end = start + Number(group.num_rows);
        const values: ArrayLike<unknown>[] = [];
        // One column after the other: of several at once, an error in one would hide what becomes of the others.
        for (const name of chosen) {
          const part = `column ${name} of row group ${index + 1}`;
          const range = { rowStart: start, rowEnd: end, columns: [name] };
          const column = await understood(path, part, () =>
            readColumn({ file, metadata, compressors, ...range }),
          );
          if (column.length !== end - start) {
            throw new DataError(`${path}: ${part} has ${column.length} rows, the footer says ${end - start}`);
          }
          values.push(column);
        }
        yield Array.from(
          { length: end - start },
          (_, row): DataRecord => ({
            fields: Object.fromEntries(chosen.map((name, at) => [name, values[at]![row]])),
            where: `${path}, row ${start + row + 1}`,
          }),
        );
        start = end;
      }
    },
  };
}

/** The values of one column in a range of rows. */
async function readColumn(options: ParquetReadOptions): Promise<ArrayLike<unknown>> {
  const chunks: ArrayLike<unknown>[] = [];
  await parquetRead({ ...options, onChunk: ({ columnData }) => chunks.push(columnData) });
  return chunks.length === 1 ? chunks[0]! : chunks.flatMap((chunk) => Array.from(chunk));
}

/** A file that is read where asked, and open only while it is read. */
function fileBuffer(path: string): AsyncBuffer {
  const { size } = reading(path, () => statSync(path));
  return {
    byteLength: size,
    async slice(start, end = size) {
      const bytes = new Uint8Array(Math.max(0, Math.min(end, size) - start));
      reading(path, () => {
        const file = openSync(path, "r");
        try {
          for (let done = 0; done < bytes.length; ) {
            const count = readSync(file, bytes, done, bytes.length - done, start + done);
            if (count === 0) throw new DataError(`${path}: the file got shorter while it was read`);
            done += count;
          }
        } finally {
          closeSync(file);
        }
      });
      return bytes.buffer;
    },
  };
}

async function checkEnds(path: string, file: AsyncBuffer): Promise<void> {
  const text = async (start: number) =>
    Buffer.from(await file.slice(Math.max(0, start), start + 4)).toString("latin1");
  if (file.byteLength === 0) throw new DataError(`${path}: the file is empty`);
  if ((await text(0)) !== MAGIC) {
    throw new DataError(`${path}: not a Parquet file: it does not begin with ${MAGIC}`);
  }
  if (file.byteLength < 12 || (await text(file.byteLength - 4)) !== MAGIC) {
    throw new DataError(
      `${path}: the file is cut off: ${file.byteLength} bytes that do not end with ${MAGIC}`,
      {
        hint: "fetch it anew",
      },
    );
  }
}

/** What the library cannot read, as one DataError. */
async function understood<Result>(
  path: string,
  part: string,
  action: () => Promise<Result>,
): Promise<Result> {
  process.on("unhandledRejection", stray);
  try {
    return await action();
  } catch (cause) {
    // By then all that failed with it has.
    await turn();
    if (cause instanceof DataError) throw cause;
    throw new DataError(`${path}: cannot read ${part}: ${excerpt(reasonOf(cause))}`, {
      hint: "the file is damaged, or has a codec or encoding that is not supported; fetch or write it anew",
      cause,
    });
  } finally {
    process.off("unhandledRejection", stray);
  }
}

/**
 * The library reads the parts of a column side by side; where one fails before another is waited for, what becomes of the
 * other is heard by nobody, which would end the process. Rejections of others end it as ever.
 */
function stray(reason: unknown): void {
  if (!(reason instanceof Error && /hyparquet/.test(reason.stack ?? ""))) throw reason;
}

/** Names of integer classes: `info.features.<column>.names` in the JSON that `datasets` writes under "huggingface". */
function classNamesOf(path: string, metadata: FileMetaData): Map<string, readonly string[]> {
  const text = metadata.key_value_metadata?.find(({ key }) => key === "huggingface")?.value;
  const found = new Map<string, readonly string[]>();
  if (text === undefined) return found;
  let features: unknown;
  try {
    features = (JSON.parse(text) as { info?: { features?: unknown } } | null)?.info?.features;
  } catch (cause) {
    throw new DataError(`${path}: the footer's "huggingface" entry is not valid JSON: ${excerpt(text)}`, {
      cause,
    });
  }
  for (const [column, feature] of Object.entries(features ?? {})) {
    const names: unknown = (feature as { names?: unknown } | null)?.names;
    if (Array.isArray(names) && names.every((name) => typeof name === "string")) found.set(column, names);
  }
  return found;
}
