import { expect, it } from "vitest";
import type { RunEvent } from "../learn/events.js";
import { detailsOf, foldRecord, nextTask } from "./fold-record.js";

const start: RunEvent = {
  type: "run-start",
  time: "2026-01-01T00:00:00.000Z",
  method: "n-lora",
  model: "t5",
  tasks: ["a", "b", "c"],
  seed: 42,
  resumedAt: 0,
};

function taskStart(index: number): RunEvent {
  return { type: "task-start", task: "abc"[index]!, index, steps: 1, trainable: 1, rows: 1 };
}

function taskEnd(index: number, deltaNorm = 1): RunEvent {
  return { type: "task-end", task: "abc"[index]!, index, seconds: 10, deltaNorm };
}

function evaluation(
  index: number,
  afterIndex: number,
  accuracy: number,
  outOfLabelRate: number | null = 0,
): RunEvent {
  return {
    type: "evaluation",
    task: "abc"[index]!,
    index,
    afterIndex,
    accuracy,
    outOfLabelRate,
    rows: 100,
    seconds: 2,
  };
}

const end = (status: "done" | "interrupted", time: string): RunEvent => ({ type: "run-end", time, status });

// The accuracy example of the metrics' test vectors: AA 71.333, F 3, LA 73.333, BWT -3.
const whole: RunEvent[] = [
  start,
  evaluation(0, -1, 5),
  taskStart(0),
  evaluation(0, 0, 90),
  taskEnd(0, 1.5),
  taskStart(1),
  evaluation(0, 1, 85),
  evaluation(1, 1, 70, 0.25),
  taskEnd(1),
  taskStart(2),
  evaluation(0, 2, 80),
  evaluation(1, 2, 74),
  evaluation(2, 2, 60),
  taskEnd(2),
  end("done", "2026-01-01T00:01:00.000Z"),
];

it("gives the metrics of a finished run", () => {
  const record = foldRecord(whole)!;
  expect(record).toMatchObject({ schema: "nlora-run/1", status: "done", method: "n-lora", seed: 42 });
  expect(record.accuracy).toEqual([
    [90, 85, 80],
    [null, 70, 74],
    [null, null, 60],
  ]);
  expect(record.baseAccuracy).toEqual([5, null, null]);
  expect(record.averageAccuracy).toBeCloseTo(71.3333, 3);
  expect(record.forgettingRate).toBeCloseTo(3, 10);
  expect(record.ownTaskAccuracy).toBeCloseTo(73.3333, 3);
  expect(record.backwardTransfer).toBeCloseTo(-3, 10);
  expect(record.microAccuracy).toBeCloseTo(71.3333, 3);
  expect(record.deltaNorms).toEqual([1.5, 1, 1]);
  expect(record.outOfLabelRate).toEqual([
    [0, 0, 0],
    [null, 0.25, 0],
    [null, null, 0],
  ]);
  expect(record.timings).toEqual({ trainSeconds: 30, evaluationSeconds: 14, totalSeconds: 60 });
  expect(record.acr).toEqual({ abs: null, relRms: null, exact: null });
});

it("of an unfinished run has null where nothing was measured", () => {
  const record = foldRecord(whole.slice(0, 6))!;
  expect(record.status).toBe("running");
  expect(record.accuracy[0]).toEqual([90, null, null]);
  expect(record.averageAccuracy).toBeNull();
  expect(record.deltaNorms).toEqual([1.5, null, null]);
  expect(foldRecord([])).toBeNull();
});

it("takes what was measured last when a task was trained again", () => {
  const events: RunEvent[] = [
    ...whole.slice(0, 8),
    end("interrupted", "2026-01-01T00:00:20.000Z"),
    { ...start, time: "2026-01-02T00:00:00.000Z", resumedAt: 1 },
    taskStart(1),
  ];
  expect(foldRecord(events)!.accuracy).toEqual([
    [90, null, null],
    [null, null, null],
    [null, null, null],
  ]);
  events.push(
    evaluation(0, 1, 86),
    evaluation(1, 1, 71),
    taskEnd(1, 9),
    end("interrupted", "2026-01-02T00:00:30.000Z"),
  );
  const record = foldRecord(events)!;
  expect(record.accuracy[0]).toEqual([90, 86, null]);
  expect(record).toMatchObject({ status: "interrupted", deltaNorms: [1.5, 9, null] });
  expect(record.timings.totalSeconds).toBe(50);
  expect(nextTask(events)).toBe(2);
});

it("is failed after a failure and running again after a new start", () => {
  const failed: RunEvent[] = [start, { type: "run-failed", time: "2026-01-01T00:00:05.000Z", message: "no" }];
  expect(foldRecord(failed)!.status).toBe("failed");
  expect(foldRecord([...failed, start])!.status).toBe("running");
});

it("keeps the details of an earlier record", () => {
  const geometry = {
    orthogonalOverlap: { squared: 1, abs: 2 },
    awom: { spectral: 3, frobenius: 4 },
    gsr: { mean: 0.5, pooled: 0.6 },
    acr: { abs: 0.1, relRms: 0.2, exact: 1 },
  };
  const record = foldRecord(whole, { geometry, penalty: { kind: "delta-w" }, engine: { dtype: "float32" } })!;
  expect(record).toMatchObject({ ...geometry, penalty: { kind: "delta-w" }, engine: { dtype: "float32" } });
  expect(foldRecord(whole, detailsOf(record))).toEqual(record);
});

it("the next task is the first without an end", () => {
  expect(nextTask([])).toBe(0);
  expect(nextTask(whole.slice(0, 4))).toBe(0);
  expect(nextTask(whole.slice(0, 6))).toBe(1);
  expect(nextTask(whole)).toBe(3);
});

it("keeps what was measured of a stream without boundaries, of the last pass through it alone", () => {
  const arrival = (index: number, seen: number, correct: number): RunEvent => ({
    type: "arrival",
    task: "abc"[index]!,
    index,
    start: 100 * index,
    seen,
    rows: 50,
    adapter: index + 1,
    correct,
    loss: 1,
  });
  const alarm: RunEvent = {
    type: "alarm",
    task: "b",
    index: 1,
    row: 150,
    since: 101,
    kind: "inputs",
    distance: 9,
  };
  const once = [
    taskStart(0),
    arrival(0, 50, 0),
    arrival(0, 100, 25),
    taskStart(1),
    arrival(1, 150, 5),
    alarm,
  ];
  const { online } = foldRecord([start, ...once, start, ...once])!;
  expect(online).toMatchObject({ rows: 150, prequentialAccuracy: 20, adapters: 2, falseAlarms: 0 });
  expect(online!.tasks.map(({ delay }) => delay)).toEqual([null, 50]);
  expect(online!.alarms).toEqual([{ row: 150, since: 101, kind: "inputs", distance: 9 }]);
  expect("online" in foldRecord(whole)!).toBe(false);
});
