/** Files that are there whole or not at all: written under a temporary name, flushed, then renamed. */
import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { RunError } from "../errors.js";

/** A name beside `path` that no reader looks at. */
export function temporaryName(path: string): string {
  return join(dirname(path), `.${basename(path)}.${process.pid}.tmp`);
}

/** Writes text to `path`, replacing what is there. Throws a RunError that names the file. */
export function writeFileAtomic(path: string, text: string): void {
  const temporary = temporaryName(path);
  try {
    const file = openSync(temporary, "w");
    try {
      writeWhole(file, text);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw new RunError(`cannot write ${path}: ${(error as Error).message}`, { cause: error });
  }
}

/** Writes all of a text; one call of `writeSync` may write less. */
export function writeWhole(file: number, text: string): void {
  const bytes = Buffer.from(text);
  for (let offset = 0; offset < bytes.length; ) offset += writeSync(file, bytes, offset);
}
