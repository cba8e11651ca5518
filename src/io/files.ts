/** Files read with checks, and files that appear under their name only when they are whole and on disk. */
import { createHash } from "node:crypto";
import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { CheckpointError, type ErrorDetails, type NloraError } from "../errors.js";

/** Opens a regular file for reading, passes its descriptor and size, and closes it. */
export function withFile<T>(path: string, use: (file: number, size: number) => T): T {
  let file: number;
  try {
    // Not blocking: opening a named pipe must return, so that it can be refused.
    file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === "ENOENT";
    throw new CheckpointError(
      missing ? `${path} does not exist` : `cannot open ${path}: ${(error as Error).message}`,
      { cause: error },
    );
  }
  try {
    const status = fstatSync(file);
    if (!status.isFile()) throw new CheckpointError(`${path}: expected a file, found a folder or a device`);
    return use(file, status.size);
  } finally {
    closeSync(file);
  }
}

/** Reads `length` bytes at `position`; a file that ends before is a `CheckpointError`. */
export function readExactly(file: number, position: number, length: number, path: string): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let done = 0; done < length; ) {
    const count = readSync(file, bytes, done, length - done, position + done);
    if (count === 0) {
      throw new CheckpointError(`${path}: the file ended at byte ${position + done} while being read`);
    }
    done += count;
  }
  return bytes;
}

/** SHA-256 of a file's bytes, in hexadecimal. */
export function sha256(path: string): string {
  const hash = createHash("sha256");
  withFile(path, (file, size) => {
    for (let done = 0; done < size; done += 2 ** 20) {
      hash.update(readExactly(file, done, Math.min(2 ** 20, size - done), path));
    }
  });
  return hash.digest("hex");
}

let counter = 0;

/** A name beside `path`, hidden, that no other process or call uses. */
export const temporaryName = (path: string): string =>
  join(dirname(path), `.${basename(path)}.${process.pid}-${counter++}.tmp`);

/**
 * Writes `chunks` to a temporary name, syncs and renames; after a failure nothing is left. Makes the folder. `kind` is
 * the error that the caller's readers expect.
 */
export function writeFileAtomic(
  path: string,
  chunks: Iterable<Uint8Array | string>,
  kind: FileErrorKind = CheckpointError,
): void {
  const temporary = temporaryName(path);
  try {
    mkdirSync(dirname(path), { recursive: true });
    const file = openSync(temporary, "wx");
    try {
      for (const chunk of chunks) writeAll(file, typeof chunk === "string" ? Buffer.from(chunk) : chunk);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, path);
    syncFolder(dirname(path));
  } catch (error) {
    discard(temporary);
    throw fileError(error, `cannot write ${path}`, kind);
  }
}

/** Removes what a failed write left. Never throws: the error that led here is the one to report. */
export function discard(path: string): void {
  try {
    rmSync(path, { recursive: true, force: true });
  } catch {
    // It cannot be reached, as the first error says.
  }
}

type FileErrorKind = new (message: string, details: ErrorDetails) => NloraError;

/** An error of the file system as one of this project's; any other error as it is. */
export function fileError(error: unknown, what: string, kind: FileErrorKind = CheckpointError): unknown {
  if ((error as NodeJS.ErrnoException).syscall === undefined) return error;
  return new kind(`${what}: ${(error as Error).message}`, { cause: error });
}

/** Makes renames in a folder durable. */
export function syncFolder(folder: string): void {
  const handle = openSync(folder, "r");
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

/** Writes all bytes; one call of `writeSync` may write less. */
export function writeAll(file: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length; ) done += writeSync(file, bytes, done);
}
