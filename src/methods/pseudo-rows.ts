/** Rows as a language model writes them: source, end token, answer, end token. Plain numbers: how they are made, read back and counted. */
import type { EncodedExample } from "../data/encode.js";
import { DataError } from "../errors.js";
import type { Rng } from "../random.js";

/** What is remembered of a task to have its rows written again. */
export interface WrittenTask {
  readonly name: string;
  /** Training rows that it had. */
  readonly rows: number;
  /** The different answers as token ids; null: any answer is one. */
  readonly answers: readonly (readonly number[])[] | null;
  /** Tokens of its longest row with both end tokens. */
  readonly longest: number;
}

/** How many rows were written, had an answer of the task, and were taken. */
export interface Yield {
  readonly written: number;
  readonly usable: number;
  readonly taken: number;
}

export interface Ends {
  /** The token that separates source and answer. */
  readonly eosId: number;
  /** All that can end either. */
  readonly endIds: readonly number[];
}

/**
 * The row as something to be written: nothing but an end token is read, source and answer are the target. Throws a
 * DataError for a source with an end token inside, which could not be told from its end.
 */
export function writingOf({ source, target }: EncodedExample, { eosId, endIds }: Ends): EncodedExample {
  const isEnded = endIds.includes(source.at(-1)!);
  const inside = isEnded ? source.slice(0, -1) : source;
  if (inside.some((id) => endIds.includes(id))) {
    throw new DataError("a source has the model's end token inside it, expected it at the end at most", {
      hint: "LFPT5 writes rows up to that token; use another method for such data",
    });
  }
  const written = [...source, ...(isEnded ? [] : [eosId]), ...target];
  return { source: [eosId], target: written, sourceLength: 1, targetLength: written.length };
}

/** What was written as a row; null where its two parts are not complete or the answer is none of the task. */
export function readRow(
  ids: readonly number[],
  task: Pick<WrittenTask, "answers">,
  { endIds }: Ends,
  family: "seq2seq" | "causal",
): EncodedExample | null {
  const end = ids.findIndex((id) => endIds.includes(id));
  const target = ids.slice(end + 1);
  if (end < 1 || target.length < 2 || !endIds.includes(target.at(-1)!)) return null;
  const key = target.join();
  if (task.answers && !task.answers.some((answer) => answer.join() === key)) return null;
  // An encoder reads the end token of its text as well.
  const source = ids.slice(0, family === "seq2seq" ? end + 1 : end);
  return { source, target, sourceLength: source.length, targetLength: target.length };
}

/** What to remember of a task. Without a set of labels any answer is accepted. */
export function writtenTask(name: string, rows: readonly EncodedExample[], hasLabels: boolean): WrittenTask {
  const answers = new Map(rows.map(({ target }) => [target.join(), target]));
  return {
    name,
    rows: rows.length,
    answers: hasLabels ? [...answers.values()] : null,
    longest: rows.reduce((most, { source, target }) => Math.max(most, source.length + 1 + target.length), 0),
  };
}

/** Rows written per row that is wanted, before what there is has to do: as many as are wanted, then the others at once. */
const TRIES = 4;

/**
 * Rows of a task, as many of every answer as of any other: `fraction` of those it had, at least one per answer, or what
 * there is after four times as many were written. `write` gives some token lists.
 */
export function writeRows(
  task: WrittenTask,
  fraction: number,
  write: (count: number, rng: Rng) => readonly (readonly number[])[],
  read: (ids: readonly number[]) => EncodedExample | null,
  rng: Rng,
): { readonly rows: EncodedExample[]; readonly yield: Yield } {
  const classes = task.answers?.length ?? 1;
  const wanted = fraction === 0 ? 0 : Math.max(classes, Math.round(fraction * task.rows));
  const quota = Math.ceil(wanted / classes);
  const taken = new Map<string, EncodedExample[]>();
  const count = () => [...taken.values()].reduce((sum, rows) => sum + rows.length, 0);
  let written = 0;
  let usable = 0;
  for (const [round, size] of [wanted, (TRIES - 1) * wanted].entries()) {
    if (count() >= wanted) break;
    const lists = write(size, rng.fork(`round ${round + 1}`));
    written += lists.length;
    for (const row of lists.map(read)) {
      if (row === null) continue;
      usable++;
      const key = task.answers ? row.target.join() : "";
      const own = taken.get(key) ?? [];
      taken.set(key, own);
      if (own.length < quota && count() < wanted) own.push(row);
    }
  }
  return { rows: [...taken.values()].flat(), yield: { written, usable, taken: count() } };
}
