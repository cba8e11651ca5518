/** Training rows kept for later tasks: chosen class by class, or held in one bounded reservoir. Plain numbers and text. */
import { z } from "zod";
import type { EncodedExample } from "../data/encode.js";
import { groupBy } from "../data/sample.js";
import type { Rng } from "../random.js";
import { choice, group, number, whole } from "../settings.js";
import type { Settings } from "./options.js";

const MEMORY = "{ fraction: 0.02 }, { perTask: 100 }, { perClass: 20 } or { totalWithReservoir: 500 }";

export const memoryOptions = {
  memory: z
    .union(
      [
        group({ fraction: number({ min: 0, max: 1 }) }),
        group({ perTask: whole({ min: 0 }) }),
        group({ perClass: whole({ min: 0 }) }),
        group({ totalWithReservoir: whole({ min: 1 }) }),
      ],
      { error: MEMORY },
    )
    .default({ fraction: 0.02 })
    .describe(
      "training rows kept: a share of each task's (at least one per class), rows per task or per class, or one bounded reservoir",
    ),
  rho: number({ min: 0, below: 1 })
    .default(0.25)
    .describe("share of replayed rows in a batch, and weight of their loss (schedule mixed)"),
  schedule: choice(["mixed", "everyK"])
    .default("mixed")
    .describe("replayed rows join every batch, or are a batch of their own after every k batches"),
  k: whole({ min: 1 }).default(10).describe("schedule everyK: batches between two replayed ones"),
};

export type MemoryOptions = Settings<typeof memoryOptions>;

/** A kept row. It is saved as it stands here, its text included. */
export interface StoredRow {
  readonly task: string;
  /** The answer in tasks with a set of labels, else empty: the whole task is one class. */
  readonly label: string;
  readonly input: string;
  readonly output: string;
  readonly example: EncodedExample;
}

/** What the reservoir knows of a class: rows met so far, and whether it was ever the largest in it. */
export interface ClassCount {
  readonly task: string;
  readonly label: string;
  readonly met: number;
  readonly wasLargest: boolean;
}

type Counts = Map<string, { task: string; label: string; met: number; wasLargest: boolean }>;

const classOf = ({ task, label }: { readonly task: string; readonly label: string }): string =>
  JSON.stringify([task, label]);

export class ReplayMemory {
  #rows: StoredRow[] = [];
  readonly #counts: Counts = new Map();

  constructor(readonly options: MemoryOptions["memory"]) {}

  get rows(): readonly StoredRow[] {
    return this.#rows;
  }

  get counts(): readonly ClassCount[] {
    return [...this.#counts.values()];
  }

  /** Takes up what was saved. */
  restore(rows: readonly StoredRow[], counts: readonly ClassCount[]): void {
    this.#rows = [...rows];
    for (const count of counts) this.#counts.set(classOf(count), { ...count });
  }

  /** Chooses from the rows of a finished task. */
  add(rows: readonly StoredRow[], rng: Rng): void {
    const { options } = this;
    if ("totalWithReservoir" in options) {
      for (const row of rng.shuffle(rows)) this.#meet(row, options.totalWithReservoir, rng);
      return;
    }
    const classes = groupBy(rows, classOf);
    if ("perClass" in options) {
      for (const members of classes.values()) {
        this.#rows.push(...rng.shuffle(members).slice(0, options.perClass));
      }
      return;
    }
    const wanted =
      "perTask" in options
        ? options.perTask
        : options.fraction === 0
          ? 0
          : Math.max(classes.size, Math.round(options.fraction * rows.length));
    this.#rows.push(...balanced(classes, wanted, rng));
  }

  /**
   * Class-balancing reservoir sampling (Chrysakis & Moens 2020): while there is room every row is kept; then a row of a
   * class that was never the largest replaces one of the largest class, and others are kept with the share of their class
   * that is kept.
   */
  #meet(row: StoredRow, capacity: number, rng: Rng): void {
    const key = classOf(row);
    const own = this.#counts.get(key) ?? { task: row.task, label: row.label, met: 0, wasLargest: false };
    this.#counts.set(key, own);
    own.met++;
    if (this.#rows.length < capacity) {
      this.#rows.push(row);
      return;
    }
    const kept = groupBy(this.#rows, classOf);
    const largest = Math.max(...[...kept.values()].map((members) => members.length));
    const largestClasses = [...kept].filter(([, members]) => members.length === largest);
    for (const [name] of largestClasses) this.#counts.get(name)!.wasLargest = true;
    const members = kept.get(key) ?? [];
    let leaving: StoredRow | undefined;
    if (!own.wasLargest) leaving = rng.pick(rng.pick(largestClasses)[1]);
    else if (members.length > 0 && rng.uniform() <= members.length / own.met) leaving = rng.pick(members);
    if (leaving) this.#rows[this.#rows.indexOf(leaving)] = row;
  }

  /** `count` rows drawn uniformly from all that are kept, none twice unless there are too few. */
  draw(count: number, rng: Rng): EncodedExample[] {
    const drawn: StoredRow[] = [];
    while (drawn.length < count) drawn.push(...rng.shuffle(this.#rows).slice(0, count - drawn.length));
    return drawn.map(({ example }) => example);
  }
}

/** `count` rows, as many of every class as of any other while it has some left. */
function balanced(classes: ReadonlyMap<string, readonly StoredRow[]>, count: number, rng: Rng): StoredRow[] {
  const queues = rng.shuffle([...classes.values()]).map((members) => rng.shuffle(members));
  const chosen: StoredRow[] = [];
  for (let round = 0; chosen.length < count; round++) {
    const next = queues.flatMap((queue) => queue[round] ?? []);
    if (next.length === 0) break;
    chosen.push(...next.slice(0, count - chosen.length));
  }
  return chosen;
}
