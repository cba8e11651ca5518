/** The answers on one task after another, searched and cut into pages. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { RunError } from "../errors.js";
import type { PredictionPage, PredictionRow } from "./pages/wire.js";
import { changedAt, predictionFiles } from "./run-view.js";

export interface PredictionQuery {
  /** Rows with it in their prompt, target or answer, whatever the case; empty: all. */
  readonly search: string;
  readonly outcome: "all" | "right" | "wrong";
  /** From 0. */
  readonly page: number;
}

export const ROWS_PER_PAGE = 50;

/** Reads and keeps the file that was asked for last: people leaf through one. */
export class Predictions {
  #kept: { path: string; written: number; rows: readonly PredictionRow[] } | null = null;

  /** Null if there are no answers on `task` after the task at `afterIndex` (from 0; -1: the base model). */
  page(run: string, afterIndex: number, task: string, query: PredictionQuery): PredictionPage | null {
    const name = `${afterIndex + 1}-${task}.jsonl`;
    // Only a name that the folder itself lists: a record from elsewhere may call its tasks what it likes.
    if (!predictionFiles(run).has(name)) return null;
    const all = this.#rows(join(run, "predictions", name));
    const wanted = query.search.toLowerCase();
    const rows = all.filter(
      (row) =>
        (query.outcome === "all" || row.correct === (query.outcome === "right")) &&
        (wanted === "" ||
          [row.input, row.target, row.prediction].some((text) => text.toLowerCase().includes(wanted))),
    );
    const pages = Math.max(1, Math.ceil(rows.length / ROWS_PER_PAGE));
    const page = Math.min(query.page, pages - 1);
    const right = all.filter(({ correct }) => correct).length;
    return {
      rows: rows.slice(page * ROWS_PER_PAGE, (page + 1) * ROWS_PER_PAGE),
      page,
      pages,
      found: rows.length,
      right,
      wrong: all.length - right,
    };
  }

  #rows(path: string): readonly PredictionRow[] {
    const written = changedAt(path);
    if (this.#kept?.path !== path || this.#kept.written !== written) {
      const lines = readFileSync(path, "utf8")
        .split("\n")
        .filter((line) => line !== "");
      this.#kept = { path, written, rows: lines.map((line, index) => rowOf(line, path, index)) };
    }
    return this.#kept.rows;
  }
}

function rowOf(line: string, path: string, index: number): PredictionRow {
  let row: Partial<Record<keyof PredictionRow, unknown>> | null;
  try {
    row = JSON.parse(line);
  } catch (error) {
    throw new RunError(`${path}:${index + 1}: this line is not JSON`, { cause: error });
  }
  const text = (value: unknown) => (typeof value === "string" ? value : "");
  return {
    row: typeof row?.row === "number" ? row.row : index,
    input: text(row?.input),
    target: text(row?.target),
    prediction: text(row?.prediction),
    correct: row?.correct === true,
  };
}
