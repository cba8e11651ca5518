/** The journal of a run: every event as one line of JSON in events.jsonl, appended whole, never rewritten. */
import { closeSync, fsyncSync, ftruncateSync, openSync, readFileSync } from "node:fs";
import { RunError } from "../errors.js";
import { writeAll } from "../io/files.js";
import type { RunEvent } from "../learn/events.js";
import { JournalTail } from "./journal-tail.js";

/** Events after which losing power must not lose the journal; every event survives the end of the process. */
const MILESTONES: ReadonlySet<RunEvent["type"]> = new Set([
  "task-end",
  "evaluation",
  "run-end",
  "run-failed",
]);

export class Journal {
  readonly path: string;
  readonly #file: number;

  /** Opens for appending and drops a last line that an earlier process did not finish. */
  constructor(path: string) {
    this.path = path;
    try {
      this.#file = openSync(path, "a+");
      const bytes = readFileSync(path);
      const whole = bytes.lastIndexOf(0x0a) + 1;
      if (whole < bytes.length) ftruncateSync(this.#file, whole);
    } catch (error) {
      throw new RunError(`cannot open the journal ${path}: ${(error as Error).message}`, { cause: error });
    }
  }

  append(event: RunEvent): void {
    try {
      writeAll(this.#file, Buffer.from(`${JSON.stringify(event)}\n`));
      if (MILESTONES.has(event.type)) fsyncSync(this.#file);
    } catch (error) {
      throw new RunError(`cannot write to the journal ${this.path}: ${(error as Error).message}`, {
        cause: error,
      });
    }
  }

  close(): void {
    closeSync(this.#file);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** The events written so far. A torn last line is left out; any other unreadable line is a RunError with its number. */
export function readJournal(path: string): RunEvent[] {
  const events: RunEvent[] = [];
  new JournalTail(path).read((event) => events.push(event));
  return events;
}
