/** Files read with checks, and files that appear under their name only when they are whole and on disk. */
import { createHash } from "node:crypto";
import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
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
  const writing = writingFile(path, chunks, kind);
  while (!writing.next().done);
}

/** `writeFileAtomic` in steps, one per chunk: the bytes just written. Ended early by `return()`, it leaves nothing. */
export function* writingFile(
  path: string,
  chunks: Iterable<Uint8Array | string>,
  kind: FileErrorKind = CheckpointError,
): Generator<number, void> {
  const temporary = temporaryName(path);
  let isDone = false;
  try {
    mkdirSync(dirname(path), { recursive: true });
    const file = openSync(temporary, "wx");
    try {
      for (const chunk of chunks) {
        const bytes = typeof chunk === "string" ? Buffer.from(chunk) : chunk;
        writeAll(file, bytes);
        yield bytes.length;
      }
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, path);
    syncFolder(dirname(path));
    isDone = true;
  } catch (error) {
    throw fileError(error, `cannot write ${path}`, kind);
  } finally {
    if (!isDone) discard(temporary);
  }
}

/**
 * A new folder that appears under its name when it is complete: `fill` writes into a hidden one beside it, which is
 * renamed at the end, or removed after a failure or an early `return()`. Passes on what `fill` yields and returns.
 * Throws a CheckpointError when there is something at the path, unless it is an empty folder.
 */
export function* fillingFolder<Step, Result>(
  path: string,
  fill: (folder: string) => Generator<Step, Result>,
): Generator<Step, Result> {
  const target = resolve(path);
  refuseExisting(target);
  removeAbandoned(target);
  const temporary = temporaryName(target);
  try {
    mkdirSync(temporary, { recursive: true });
    const result = yield* fill(temporary);
    syncFolder(temporary);
    if (existsSync(target)) rmdirSync(target);
    renameSync(temporary, target);
    syncFolder(dirname(target));
    return result;
  } catch (error) {
    throw fileError(error, `cannot write the folder ${path}`);
  } finally {
    discard(temporary);
  }
}

function refuseExisting(path: string): void {
  if (!existsSync(path)) return;
  if (statSync(path).isDirectory() && readdirSync(path).length === 0) return;
  throw new CheckpointError(`${path} exists already`, { hint: "Choose another name, or remove it first." });
}

/** Removes hidden folders for this target that were left by processes that are gone. */
function removeAbandoned(target: string): void {
  const parent = dirname(target);
  if (!existsSync(parent)) return;
  const head = `.${basename(target)}.`;
  for (const name of readdirSync(parent)) {
    const owner = name.startsWith(head) ? /^(\d+)-\d+\.tmp$/.exec(name.slice(head.length))?.[1] : undefined;
    if (owner !== undefined && !isRunning(Number(owner))) discard(join(parent, name));
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // It runs, but belongs to somebody else.
    return (error as NodeJS.ErrnoException).code === "EPERM";
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
