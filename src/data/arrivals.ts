/** A stream of tasks as rows that arrive one after another, where nothing marks the end of a task. */
import { DataError } from "../errors.js";
import type { Rng } from "../random.js";

export interface Arrivals<Row> {
  /** All rows, each once. Rows of a task keep their order. */
  readonly rows: readonly Row[];
  /** Where each task begins: its first row, or the middle of the rows in which it mixes with the one before. */
  readonly starts: readonly number[];
  /** Where each task is over: behind the last of its rows. */
  readonly ends: readonly number[];
}

/** How steep the change is: 1.8 % of the rows at the ends of the mixed part are of the other task. */
const STEEPNESS = 8;

/**
 * The rows of tasks in the order in which they arrive. At each change the `mixing` rows around it (an even number; 0: the change
 * is sudden) are of both tasks, half of them of each, the later one's share rising as a sigmoid. Throws a DataError where a
 * task is too short for that.
 */
export function arrivals<Row>(
  tasks: readonly { readonly name: string; readonly rows: readonly Row[] }[],
  mixing: number,
  rng: Rng,
): Arrivals<Row> {
  const half = Math.floor(mixing / 2);
  const last = tasks.length - 1;
  for (const [index, { name, rows }] of tasks.entries()) {
    const needed = (index > 0 ? half : 0) + (index < last ? half : 0);
    if (rows.length >= Math.max(needed, 1)) continue;
    throw new DataError(
      `${name} has ${rows.length} rows, and ${needed} of them would mix with its neighbours; expected at least as many`,
      { hint: "lower online.mixing, or give the task more rows" },
    );
  }
  const out: Row[] = [];
  const starts: number[] = [0];
  const ends: number[] = [];
  for (const [index, { rows }] of tasks.entries()) {
    const after = tasks[index + 1];
    out.push(...rows.slice(index > 0 ? half : 0, after ? rows.length - half : undefined));
    if (!after) continue;
    starts.push(out.length + half);
    if (half > 0) out.push(...mixed(rows.slice(-half), after.rows.slice(0, half), rng));
    ends.push(out.length);
  }
  ends.push(out.length);
  return { rows: out, starts, ends };
}

/** Two lists of the same length as one, each in its order: the second is the likelier the later. */
function mixed<Row>(first: readonly Row[], second: readonly Row[], rng: Rng): Row[] {
  const size = first.length + second.length;
  const taken = { first: 0, second: 0 };
  return Array.from({ length: size }, (_, position) => {
    const share = 1 / (1 + Math.exp(-STEEPNESS * ((position + 0.5) / size - 0.5)));
    const takesSecond =
      taken.first === first.length || (taken.second < second.length && rng.uniform() < share);
    return takesSecond ? second[taken.second++]! : first[taken.first++]!;
  });
}
