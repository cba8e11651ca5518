/** Reads a journal that is still being written: every call gives the events that were completed since the last. */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { RunError } from "../errors.js";
import type { RunEvent } from "../learn/events.js";

const CHUNK_BYTES = 4 * 2 ** 20;
const NEWLINE = 0x0a;

export class JournalTail {
  readonly path: string;
  #file: bigint | undefined;
  #offset = 0;
  #line = 0;

  constructor(path: string) {
    this.path = path;
  }

  /**
   * Passes on what is new, event by event. What follows the last newline waits for the rest of its line. `onReset` is
   * called first when the file is another one or shorter than what was read of it: then everything comes again. A file
   * that is not there (yet) has no events. Throws a RunError with the line's number for a line that is not an event.
   */
  read(onEvent: (event: RunEvent) => void, onReset: () => void = () => {}): void {
    let file: number;
    try {
      file = openSync(this.path, "r");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
      throw this.#unreadable(error);
    }
    try {
      const { ino, size } = fstatSync(file, { bigint: true });
      if (this.#file !== undefined && (ino !== this.#file || size < this.#offset)) {
        this.#offset = 0;
        this.#line = 0;
        onReset();
      }
      this.#file = ino;
      this.#readLines(file, Number(size), onEvent);
    } catch (error) {
      throw error instanceof RunError ? error : this.#unreadable(error);
    } finally {
      closeSync(file);
    }
  }

  /** Lines up to byte `size`; what is appended meanwhile is the next call's. */
  #readLines(file: number, size: number, onEvent: (event: RunEvent) => void): void {
    let bytes = Buffer.allocUnsafe(Math.max(1, Math.min(CHUNK_BYTES, size - this.#offset)));
    while (this.#offset < size) {
      const wanted = Math.min(bytes.length, size - this.#offset);
      const count = readSync(file, bytes, 0, wanted, this.#offset);
      if (count === 0) return;
      const whole = bytes.lastIndexOf(NEWLINE, count - 1) + 1;
      if (whole === 0) {
        if (this.#offset + count >= size) return;
        // A line longer than the chunk.
        bytes = Buffer.allocUnsafe(bytes.length * 2);
        continue;
      }
      const text = bytes.toString("utf8", 0, whole);
      for (let start = 0, end = 0; start < text.length; start = end + 1) {
        end = text.indexOf("\n", start);
        const event = this.#parse(text.slice(start, end));
        if (!event) {
          // The lines before it have been passed on and are not read again.
          this.#offset += Buffer.byteLength(text.slice(0, start));
          const found = text.slice(start, Math.min(end, start + 60));
          throw new RunError(`${this.path}:${this.#line + 1}: this line is not an event: ${found}`);
        }
        this.#line++;
        onEvent(event);
      }
      this.#offset += whole;
    }
  }

  #parse(line: string): RunEvent | null {
    try {
      const event: unknown = JSON.parse(line);
      return typeof event === "object" && event !== null ? (event as RunEvent) : null;
    } catch {
      return null;
    }
  }

  #unreadable(error: unknown): RunError {
    return new RunError(`cannot read the journal ${this.path}: ${(error as Error).message}`, {
      cause: error,
    });
  }
}
