/** What was measured of a stream that does not say where a task ends: answers before training, and changes found or missed. */

/** A batch as it was answered before it was trained on. */
export interface Arrival {
  /** The task that is not over yet; the learner is not told. */
  readonly task: string;
  readonly index: number;
  /** Rows that arrive before the task: where the change is that a detector may find. */
  readonly start: number;
  /** Rows that have arrived, this batch's included. */
  readonly seen: number;
  readonly rows: number;
  /** Number of the adapter that is trained on the batch unless it raises an alarm, from 1. */
  readonly adapter: number;
  /** Rows whose target greedy decoding would have given, token by token. */
  readonly correct: number;
  /** Mean over rows of the cross-entropy per label token. */
  readonly loss: number;
}

/** Losses have risen. */
export interface Alarm {
  readonly task: string;
  readonly index: number;
  /** Rows that had arrived by then, and by the time of the change as the detector dates it. */
  readonly row: number;
  readonly since: number;
  /** Whether the inputs have changed, or what is asked of the same inputs; null: too few rows to tell. */
  readonly kind: "inputs" | "answers" | null;
  /** How far the inputs since then are from those before; 1 on average where they are alike. */
  readonly distance: number | null;
}

export interface OnlineTask {
  readonly task: string;
  /** Rows that arrived before it. */
  readonly start: number;
  /** Accuracy of its batches before they were trained on, percent. */
  readonly prequentialAccuracy: number;
  /**
   * Rows from its start to its alarm, the first between its first row and the next task's; below 0 for one while its rows still
   * mix with more of the task before. Null without one, and for the first task.
   */
  readonly delay: number | null;
  /**
   * Rows from its start until 50 rows in a row were answered 90 % as well as its last 50; null where those were all wrong, or
   * for a task of fewer rows.
   */
  readonly recovery: number | null;
}

export interface OnlineSummary {
  readonly rows: number;
  /** Accuracy of all batches before they were trained on, percent. */
  readonly prequentialAccuracy: number;
  readonly adapters: number;
  /** Along the stream: rows that had arrived, and the accuracy of the last 50 of them or a few more, percent. */
  readonly curve: readonly (readonly [rows: number, accuracy: number])[];
  readonly tasks: readonly OnlineTask[];
  readonly alarms: readonly Pick<Alarm, "row" | "since" | "kind" | "distance">[];
  /** Tasks behind the first, and how many of them have an alarm. */
  readonly changes: number;
  readonly changesFound: number;
  /** Means over the tasks behind the first: of the delays there are, and of recoveries if all have one. */
  readonly delay: number | null;
  readonly recovery: number | null;
  /** Alarms that are no task's. */
  readonly falseAlarms: number;
  readonly falseAlarmsPer1000: number;
}

const WINDOW = 50;
/** Points of the curve at most. */
const POINTS = 400;
const RECOVERED = 0.9;

/** Null where nothing arrived. `arrivals` and `alarms` in the order of the stream. */
export function onlineSummary(arrivals: readonly Arrival[], alarms: readonly Alarm[]): OnlineSummary | null {
  const last = arrivals.at(-1);
  if (!last) return null;
  const indices = [...new Set(arrivals.map(({ index }) => index))];
  const parts = indices.map((index) => arrivals.filter((each) => each.index === index));
  // The task before is over as many rows behind a start as rows of the new one came before it.
  const begins = parts.map(([first], k) => {
    const over = parts[k - 1]?.at(-1)?.seen ?? 0;
    return 2 * first!.start - over;
  });
  const tasks = parts.map((own, k): OnlineTask => {
    const { start } = own[0]!;
    const [begin, next] = [begins[k]!, begins[k + 1] ?? Number.POSITIVE_INFINITY];
    const found = k === 0 ? undefined : alarms.find(({ row }) => row > begin && row <= next);
    return {
      task: own[0]!.task,
      start,
      prequentialAccuracy: accuracyOf(own)!,
      delay: found ? found.row - start : null,
      recovery: recoveryOf(own, start),
    };
  });
  const later = tasks.slice(1);
  const delays = later.flatMap(({ delay }) => (delay === null ? [] : [delay]));
  const recoveries = later.flatMap(({ recovery }) => (recovery === null ? [] : [recovery]));
  const falseAlarms = alarms.length - delays.length;
  return {
    rows: last.seen,
    prequentialAccuracy: accuracyOf(arrivals)!,
    adapters: last.adapter,
    curve: curveOf(arrivals),
    tasks,
    alarms: alarms.map(({ row, since, kind, distance }) => ({ row, since, kind, distance })),
    changes: later.length,
    changesFound: delays.length,
    delay: meanOf(delays),
    recovery: recoveries.length < later.length ? null : meanOf(recoveries),
    falseAlarms,
    falseAlarmsPer1000: (1000 * falseAlarms) / last.seen,
  };
}

const meanOf = (values: readonly number[]): number | null =>
  values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length;

function accuracyOf(arrivals: readonly Arrival[]): number | null {
  const rows = arrivals.reduce((sum, each) => sum + each.rows, 0);
  return rows === 0 ? null : (100 * arrivals.reduce((sum, each) => sum + each.correct, 0)) / rows;
}

/** The fewest batches up to `end` (excluded) that hold WINDOW rows; null where there are not as many. */
function windowBefore(arrivals: readonly Arrival[], end: number): readonly Arrival[] | null {
  let rows = 0;
  for (let first = end - 1; first >= 0; first--) {
    rows += arrivals[first]!.rows;
    if (rows >= WINDOW) return arrivals.slice(first, end);
  }
  return null;
}

function curveOf(arrivals: readonly Arrival[]): [number, number][] {
  const stride = Math.ceil(arrivals.length / POINTS);
  return arrivals.flatMap(({ seen }, k): [number, number][] => {
    const isPoint = (k + 1) % stride === 0 || k === arrivals.length - 1;
    const window = isPoint ? windowBefore(arrivals, k + 1) : null;
    return window ? [[seen, accuracyOf(window)!]] : [];
  });
}

function recoveryOf(arrivals: readonly Arrival[], start: number): number | null {
  const final = windowBefore(arrivals, arrivals.length);
  const level = final && accuracyOf(final)!;
  if (!level) return null;
  for (let end = 1; ; end++) {
    const window = windowBefore(arrivals, end);
    if (window && accuracyOf(window)! >= RECOVERED * level) return arrivals[end - 1]!.seen - start;
  }
}
