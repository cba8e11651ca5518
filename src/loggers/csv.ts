/**
 * CSV, long: a line per number. A wide file needs all columns before its first line, but penalties, measures and tasks bring
 * their own names while a run goes on; long lines are appended as they come and every table program turns them.
 */
import { closeSync, existsSync, openSync, readFileSync } from "node:fs";
import { dirname } from "node:path";
import { parse } from "csv-parse/sync";
import { RunError } from "../errors.js";
import { csvLine } from "../io/csv.js";
import { writeAll, writeFileAtomic } from "../io/files.js";
import type { Heard, LoggedRun, RunLogger } from "./logger.js";
import type { Point } from "./points.js";

export const CSV_COLUMNS = ["run", "time", "step", "tasks_trained", "task", "series", "value"] as const;
const STEP = CSV_COLUMNS.indexOf("step");

export class CsvLogger implements RunLogger {
  readonly name = "csv";
  readonly #path: string;
  readonly #run: LoggedRun;
  #file: number | null = null;

  constructor(path: string, run: LoggedRun) {
    if (!existsSync(dirname(path))) throw new RunError(`cannot write ${path}: there is no such folder`);
    this.#path = path;
    this.#run = run;
  }

  hear({ event, points, time, progress }: Heard): void {
    // The run goes on at the start of a task: lines of its earlier, unfinished training go.
    if (event.type === "run-start") this.#open(progress.before(event.resumedAt));
    this.#write(points, time);
  }

  async close(points: readonly Point[], time: number): Promise<null> {
    this.#write(points, time);
    if (this.#file !== null) closeSync(this.#file);
    this.#file = null;
    return null;
  }

  #open(lastStep: number): void {
    const kept = existsSync(this.#path) ? linesUpTo(this.#path, lastStep) : [];
    writeFileAtomic(this.#path, [csvLine(CSV_COLUMNS), ...kept.map(csvLine)], RunError);
    this.#attempt(() => {
      this.#file = openSync(this.#path, "a");
    });
  }

  #write(points: readonly Point[], time: number): void {
    const file = this.#file;
    if (file === null || points.length === 0) return;
    const when = new Date(time).toISOString();
    const lines = points.map(({ step, tasksTrained, task, series, value }) =>
      csvLine([this.#run.name, when, step, tasksTrained, task, series, value]),
    );
    this.#attempt(() => writeAll(file, Buffer.from(lines.join(""))));
  }

  #attempt(action: () => void): void {
    try {
      action();
    } catch (error) {
      throw new RunError(`cannot write to ${this.#path}: ${(error as Error).message}`, { cause: error });
    }
  }
}

/** The lines of an earlier start up to a step, without a torn last one. */
function linesUpTo(path: string, lastStep: number): string[][] {
  let lines: string[][];
  try {
    const text = readFileSync(path, "utf8");
    lines = parse(text.slice(0, text.lastIndexOf("\n") + 1), { relax_column_count: true });
  } catch (error) {
    throw new RunError(`cannot read ${path}: ${(error as Error).message}`, { cause: error });
  }
  const [header, ...rest] = lines;
  if (header && header.join() !== CSV_COLUMNS.join()) {
    throw new RunError(`${path} has other columns than expected: ${header.join(", ").slice(0, 100)}`, {
      hint: "Move it away: it was not written by this version.",
    });
  }
  return rest.filter((cells) => cells.length === CSV_COLUMNS.length && Number(cells[STEP]) <= lastStep);
}
