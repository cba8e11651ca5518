/** Text files, gzipped or not, as UTF-8. Every error names the file, and the line where there is one. */
import { isUtf8 } from "node:buffer";
import { readFileSync, statSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { DataError } from "../../errors.js";
import { reasonOf } from "./record.js";

/** A JavaScript string holds at most 2^29 - 24 characters. */
const MAX_TEXT_BYTES = 500_000_000;

/** The text of a file, a byte order mark left out. Throws a DataError, also for an empty file. */
export function readText(path: string): string {
  const content = decode(path, readBytes(path, MAX_TEXT_BYTES));
  if (content.trim() === "") throw new DataError(`${path}: the file is empty`);
  return content;
}

/** A file's bytes, unzipped if its name ends with .gz or it starts as gzip does. */
export function readBytes(path: string, limit: number): Buffer {
  const bytes = reading(path, () => {
    checkSize(path, statSync(path).size, limit);
    return readFileSync(path);
  });
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) {
    if (path.endsWith(".gz") && bytes.length > 0)
      throw new DataError(`${path}: not gzip, in spite of its name`);
    return bytes;
  }
  try {
    return gunzipSync(bytes, { maxOutputLength: limit });
  } catch (cause) {
    if (cause instanceof RangeError) throw tooLarge(path, `more than ${limit}`, limit);
    throw new DataError(`${path}: cannot be unzipped: ${reasonOf(cause)}`, {
      hint: "the file is cut off or damaged; fetch or compress it anew",
      cause,
    });
  }
}

function checkSize(path: string, size: number, limit: number): void {
  if (size > limit) throw tooLarge(path, String(size), limit);
}

function tooLarge(path: string, found: string, limit: number): DataError {
  return new DataError(`${path}: ${found} bytes, expected at most ${limit} in a text file`, {
    hint: "split the file and list its parts, or save it as Parquet, which is read piece by piece",
  });
}

/** Does something with a file; what the file system says against it becomes a DataError. */
export function reading<Result>(path: string, action: () => Result): Result {
  try {
    return action();
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).syscall === undefined) throw cause;
    const { code } = cause as NodeJS.ErrnoException;
    if (code === "ENOENT") throw new DataError(`${path}: no such file`, { cause });
    throw new DataError(`${path}: cannot be read: ${reasonOf(cause)}`, { cause });
  }
}

function decode(path: string, bytes: Buffer): string {
  if (isUtf8(bytes)) return new TextDecoder().decode(bytes);
  let [line, start] = [1, 0];
  for (let end = bytes.indexOf(10); end >= 0 && isUtf8(bytes.subarray(start, end)); line++) {
    start = end + 1;
    end = bytes.indexOf(10, start);
  }
  const utf16 = (bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff);
  throw new DataError(`${path}, line ${line}: not valid UTF-8${utf16 ? "; the file is UTF-16" : ""}`, {
    hint: "save the file as UTF-8",
  });
}
