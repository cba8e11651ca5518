import { expect, test } from "vitest";
import { type Alarm, type Arrival, onlineSummary } from "./prequential.js";

const ROWS = 25;

/** Batches of 25 rows; per task, how many of each batch were right. */
function arrivals(...tasks: readonly (readonly number[])[]): Arrival[] {
  let seen = 0;
  return tasks.flatMap((right, index) => {
    const start = seen;
    return right.map((correct): Arrival => {
      seen += ROWS;
      const task = `task-${index + 1}`;
      return { task, index, start, seen, rows: ROWS, adapter: index + 1, correct, loss: 1 };
    });
  });
}

const alarm = (row: number): Alarm => ({
  task: "",
  index: 0,
  row,
  since: row - 10,
  kind: "inputs",
  distance: 9,
});

test("the first alarm since a task began finds it, and every other one is false", () => {
  const stream = arrivals([0, 20, 20, 20], [0, 0, 20, 20], [20, 20]);
  const summary = onlineSummary(stream, [alarm(75), alarm(125), alarm(175)])!;
  expect(summary.tasks.map(({ delay }) => delay)).toEqual([null, 25, null]);
  expect(summary).toMatchObject({ rows: 250, adapters: 3, falseAlarms: 2, falseAlarmsPer1000: 8 });
  expect(summary).toMatchObject({ changes: 2, changesFound: 1, delay: 25 });
});

test("an alarm at the row where the next task begins belongs to the task before", () => {
  const summary = onlineSummary(arrivals([5, 5], [5, 5], [5, 5]), [alarm(100)])!;
  expect(summary.tasks.map(({ delay }) => delay)).toEqual([null, 50, null]);
});

test("while tasks mix, an alarm before the middle is the new task's, and one before they mix is the old one's", () => {
  // Task 1 is over 25 rows behind the start of task 2, at row 100, so rows of task 2 come from row 75 on.
  const mixed = arrivals([5, 5, 5, 5, 5], [5, 5, 5]).map((each) =>
    each.index === 1 ? { ...each, start: 100 } : each,
  );
  const [inMixing, before] = [80, 75].map((row) => onlineSummary(mixed, [alarm(row)])!);
  expect(inMixing).toMatchObject({ changesFound: 1, delay: -20, falseAlarms: 0 });
  expect(before).toMatchObject({ changes: 1, changesFound: 0, delay: null, falseAlarms: 1 });
});

test("accuracy is that of all rows, and a task has recovered when 50 rows are answered nearly as well as its last", () => {
  const summary = onlineSummary(arrivals([25, 25], [0, 0, 10, 20, 18, 20]), [])!;
  expect(summary.prequentialAccuracy).toBeCloseTo((100 * 118) / 200);
  expect(summary.tasks.map(({ prequentialAccuracy }) => prequentialAccuracy)).toEqual([
    100,
    (100 * 68) / 150,
  ]);
  // Of the last two batches 38 of 50 are right; 10 and 20 are not enough, 20 and 18 are.
  expect(summary.tasks.map(({ recovery }) => recovery)).toEqual([50, 125]);
  expect(summary.recovery).toBe(125);
});

test("the curve is the accuracy of the last 50 rows, and long streams have no more than some hundred points of it", () => {
  expect(onlineSummary(arrivals([0, 25, 25, 5]), [])!.curve).toEqual([
    [50, 50],
    [75, 100],
    [100, 60],
  ]);
  const long = onlineSummary(arrivals(new Array<number>(3000).fill(20)), [])!.curve;
  expect(long.length).toBeLessThanOrEqual(400);
  expect(long.at(-1)).toEqual([75_000, 80]);
});

test("where nothing is answered, too little arrived or nothing at all, there is no figure", () => {
  const summary = onlineSummary(arrivals([0, 0, 0], [25]), [])!;
  expect(summary.tasks.map(({ recovery }) => recovery)).toEqual([null, null]);
  expect(onlineSummary([], [])).toBeNull();
});
