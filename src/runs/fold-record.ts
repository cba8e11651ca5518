/** record = fold(events): what a run amounted to, from its journal and what was measured of its adapters. */
import type { RunEvent } from "../learn/events.js";
import {
  AccuracyMatrix,
  averageAccuracy,
  BASE,
  backwardTransfer,
  forgettingRate,
  microAccuracy,
  ownTaskAccuracy,
} from "../metrics/accuracy.js";
import { type Alarm, type Arrival, onlineSummary } from "../metrics/prequential.js";
import { type GeometrySummary, RECORD_SCHEMA, type RunRecord } from "./record.js";

/** What the events do not say. */
export interface RecordDetails {
  readonly geometry?: GeometrySummary | undefined;
  readonly penalty?: Readonly<Record<string, unknown>> | undefined;
  readonly engine?: Readonly<Record<string, unknown>> | undefined;
  readonly peakMemory?: number | null | undefined;
}

const UNMEASURED: GeometrySummary = {
  orthogonalOverlap: { squared: null, abs: null },
  awom: { spectral: null, frobenius: null },
  gsr: { mean: null, pooled: null },
  acr: { abs: null, relRms: null, exact: null },
};

type Evaluation = Extract<RunEvent, { type: "evaluation" }>;
type TaskEnd = Extract<RunEvent, { type: "task-end" }>;

/**
 * The record of a journal. A task that was started again (after an interruption) replaces what was measured the first
 * time. Null if no run has started.
 */
export function foldRecord(events: readonly RunEvent[], details: RecordDetails = {}): RunRecord | null {
  const start = events.findLast((event) => event.type === "run-start");
  if (!start) return null;
  const { evaluations, ends, arrivals, alarms, status, totalSeconds } = walk(events);
  const online = onlineSummary(arrivals, alarms);
  const { tasks } = start;

  const matrix = new AccuracyMatrix(tasks);
  const outOfLabelRate: (number | null)[][] = tasks.map(() => tasks.map(() => null));
  for (const { index, afterIndex, accuracy, rows, outOfLabelRate: rate } of evaluations.values()) {
    matrix.set(index, afterIndex, accuracy, rows);
    if (afterIndex !== BASE) outOfLabelRate[index]![afterIndex] = rate;
  }
  const { accuracy, base } = matrix.toJSON();
  const trainSeconds = sum([...ends.values()].map((end) => end.seconds));
  const evaluationSeconds = sum([...evaluations.values()].map((evaluation) => evaluation.seconds));
  return {
    schema: RECORD_SCHEMA,
    status,
    method: start.method,
    model: start.model,
    modelRevision: start.modelRevision ?? null,
    tasks,
    seed: start.seed,
    startFrom: start.startFrom ?? [],
    accuracy,
    baseAccuracy: base,
    averageAccuracy: averageAccuracy(matrix),
    microAccuracy: microAccuracy(matrix),
    forgettingRate: forgettingRate(matrix).value,
    backwardTransfer: backwardTransfer(matrix),
    ownTaskAccuracy: ownTaskAccuracy(matrix),
    deltaNorms: tasks.map((_, index) => ends.get(index)?.deltaNorm ?? null),
    ...([...ends.values()].some(({ measures }) => measures) && {
      measures: tasks.map((_, index) => ends.get(index)?.measures ?? null),
    }),
    keptBytes: tasks.map((_, index) => ends.get(index)?.keptBytes ?? null),
    outOfLabelRate,
    ...(details.geometry ?? UNMEASURED),
    ...(online && { online }),
    penalty: details.penalty ?? {},
    engine: details.engine ?? {},
    timings: {
      trainSeconds,
      evaluationSeconds,
      totalSeconds: Math.max(totalSeconds, trainSeconds + evaluationSeconds),
    },
    peakMemory: details.peakMemory ?? null,
  };
}

/** What of an earlier record the events cannot restore. */
export function detailsOf(record: RunRecord): RecordDetails {
  const { orthogonalOverlap, awom, gsr, acr, penalty, engine, peakMemory } = record;
  return { geometry: { orthogonalOverlap, awom, gsr, acr }, penalty, engine, peakMemory };
}

/** Index behind the last task with a task-end: where a resumed run goes on. */
export function nextTask(events: readonly RunEvent[]): number {
  return Math.max(-1, ...walk(events).ends.keys()) + 1;
}

function walk(events: readonly RunEvent[]) {
  const evaluations = new Map<string, Evaluation>();
  const ends = new Map<number, TaskEnd>();
  let arrivals: Arrival[] = [];
  let alarms: Alarm[] = [];
  let status: RunRecord["status"] = "running";
  let startedAt = Number.NaN;
  let totalSeconds = 0;
  for (const event of events) {
    switch (event.type) {
      case "run-start":
        status = "running";
        startedAt = Date.parse(event.time);
        break;
      case "task-start":
        for (const [key, { afterIndex }] of evaluations)
          if (afterIndex >= event.index) evaluations.delete(key);
        for (const index of ends.keys()) if (index >= event.index) ends.delete(index);
        arrivals = arrivals.filter(({ index }) => index < event.index);
        alarms = alarms.filter(({ index }) => index < event.index);
        break;
      case "arrival":
        arrivals.push(event);
        break;
      case "alarm":
        alarms.push(event);
        break;
      case "evaluation":
        evaluations.set(`${event.index} ${event.afterIndex}`, event);
        break;
      case "task-end":
        ends.set(event.index, event);
        break;
      case "run-end":
      case "run-failed":
        status = event.type === "run-end" ? event.status : "failed";
        totalSeconds += Math.max(0, (Date.parse(event.time) - startedAt) / 1000 || 0);
        break;
    }
  }
  return { evaluations, ends, arrivals, alarms, status, totalSeconds };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
