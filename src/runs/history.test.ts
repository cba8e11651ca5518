import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, expect, it } from "vitest";
import { RunError } from "../errors.js";
import type { RunEvent } from "../learn/events.js";
import { History, readHistory } from "./history.js";
import { JournalTail } from "./journal-tail.js";

const root = mkdtempSync(join(tmpdir(), "nlora-history-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const start = (index: number, steps: number): RunEvent => ({
  type: "task-start",
  task: `task-${index}`,
  index,
  steps,
  trainable: 1,
  rows: 1,
});
const step = (index: number, number: number, taskLoss: number, more: object = {}): RunEvent => ({
  type: "step",
  task: `task-${index}`,
  index,
  step: number,
  epoch: 1,
  taskLoss,
  penalties: { sparsity: taskLoss / 10 },
  lr: 1e-3,
  gradNorm: -taskLoss,
  tokensPerSecond: 100,
  ...more,
});
const lines = (events: readonly RunEvent[]) => events.map((event) => `${JSON.stringify(event)}\n`).join("");
const historyOf = (events: readonly RunEvent[]): History => {
  const history = new History();
  for (const event of events) history.add(event);
  return history;
};

const stream = fc.array(
  fc.array(fc.oneof(fc.double({ noNaN: true, min: -1e6, max: 1e6 }), fc.constant(Number.NaN)), {
    minLength: 0,
    maxLength: 120,
  }),
  { minLength: 1, maxLength: 5 },
);
const eventsOf = (tasks: readonly (readonly number[])[]): RunEvent[] =>
  tasks.flatMap((losses, index) => [
    start(index, losses.length),
    ...losses.map((loss, k) => step(index, k + 1, loss)),
  ]);
const numbers = (values: readonly number[]) => values.filter((value) => !Number.isNaN(value));

it("keeps the least and the largest value of every series, the first and the last step, in at most the points asked for", () => {
  fc.assert(
    fc.property(stream, fc.integer({ min: 2, max: 300 }), (tasks, points) => {
      const { tasks: read } = historyOf(eventsOf(tasks)).read({ points });
      const all = tasks.reduce((sum, losses) => sum + losses.length, 0);
      expect(read.reduce((sum, { steps }) => sum + steps.length, 0)).toBeLessThanOrEqual(
        all <= points ? all : points + 2 * tasks.length,
      );
      for (const [index, losses] of tasks.entries()) {
        const { steps, series } = read[index]!;
        expect(steps).toEqual([...new Set(steps)].sort((a, b) => a - b));
        if (losses.length === 0) continue;
        expect([steps[0], steps.at(-1)]).toEqual(losses.length === 1 ? [1, 1] : [1, losses.length]);
        expect(series.taskLoss).toHaveLength(steps.length);
        expect(numbers(series.taskLoss!).every((value) => losses.includes(value))).toBe(true);
        if (numbers(losses).length === 0) continue;
        for (const extreme of [Math.min, Math.max]) {
          expect(extreme(...numbers(series.taskLoss!))).toBe(extreme(...numbers(losses)));
          expect(extreme(...numbers(series.gradNorm!))).toBe(extreme(...numbers(losses.map((x) => -x))));
        }
      }
    }),
  );
});

it("keeps every step while there is room, and has a value close by for each stretch where there is not", () => {
  fc.assert(
    fc.property(stream, (tasks) => {
      const { tasks: read } = historyOf(eventsOf(tasks)).read({ points: 1000 });
      expect(read.map(({ series }) => series.taskLoss ?? [])).toEqual(tasks);
    }),
  );
  const waves = Array.from({ length: 10_000 }, (_, k) => Math.sin(k / 500));
  const [wave] = historyOf(eventsOf([waves])).read({ points: 100 }).tasks;
  expect(wave!.steps.length).toBeLessThanOrEqual(100);
  for (const [k, value] of wave!.series.taskLoss!.entries()) {
    // A bucket holds some 200 steps, over which the wave changes by 0.4 at most.
    expect(Math.abs(waves[wave!.steps[k]! - 1]! - value)).toBeLessThan(0.41);
  }
});

it("gives a range of steps, counted over the run, in full detail", () => {
  const history = historyOf(eventsOf([Array.from({ length: 500 }, (_, k) => k), [7, 8, 9]]));
  const { tasks } = history.read({ points: 10, range: { from: 498, to: 502 } });
  expect(tasks.map(({ before, steps }) => steps.map((each) => before + each))).toEqual([
    [498, 499, 500],
    [501, 502],
  ]);
  expect(tasks[1]!.series.taskLoss).toEqual([7, 8]);
});

it("takes penalties and measures by name, and a task that is started again for what came before", () => {
  const history = historyOf([
    start(0, 2),
    step(0, 1, 5),
    step(0, 2, 4, { measures: { gsr: 0.5, sparsity: 3 } }),
    start(1, 2),
    step(1, 1, 9),
    start(1, 3),
    step(1, 1, 1),
    // Of no task that is open.
    step(0, 3, 0),
  ]);
  const [first, second] = history.read({ points: 100 }).tasks;
  expect(first).toMatchObject({ penalties: ["sparsity"], measures: ["gsr", "sparsity (measured)"] });
  expect(first!.series).toMatchObject({ sparsity: [0.5, 0.4], gsr: [Number.NaN, 0.5] });
  expect(second).toMatchObject({ before: 2, planned: 3, steps: [1], series: { taskLoss: [1] } });
});

it("reads a run folder, without the torn last line", () => {
  const journal = join(mkdtempSync(join(root, "torn-")), "events.jsonl");
  writeFileSync(journal, `${lines([start(0, 9), step(0, 1, 3), step(0, 2, Number.NaN)])}{"type":"step","ta`);
  const { tasks } = readHistory(join(journal, ".."), { points: 100 });
  expect(tasks[0]).toMatchObject({ steps: [1, 2], series: { taskLoss: [3, Number.NaN] } });
  expect(readHistory(join(root, "nothing"), { points: 100 })).toEqual({ tasks: [] });
});

it("goes on where it stopped in a journal that grows, however the writes are cut", () => {
  const events = [start(0, 3), step(0, 1, 3, { task: "zwölf — \n" }), step(0, 2, 2), step(0, 3, 1)];
  const bytes = Buffer.from(lines(events));
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: bytes.length }), { maxLength: 8 }), (cuts) => {
      const path = join(mkdtempSync(join(root, "grow-")), "events.jsonl");
      const tail = new JournalTail(path);
      const read: RunEvent[] = [];
      tail.read((event) => read.push(event));
      const places = [0, ...cuts.sort((a, b) => a - b), bytes.length];
      for (const [k, place] of places.slice(1).entries()) {
        appendFileSync(path, bytes.subarray(places[k], place));
        tail.read((event) => read.push(event));
      }
      expect(read).toEqual(events);
    }),
    { numRuns: 30 },
  );
});

it("begins anew when the journal is another one, and names a line that is not an event", () => {
  const path = join(root, "anew.jsonl");
  writeFileSync(path, lines([start(0, 1), step(0, 1, 1)]));
  const tail = new JournalTail(path);
  let read: RunEvent[] = [];
  const readOn = () =>
    tail.read(
      (event) => read.push(event),
      () => {
        read = [];
      },
    );
  readOn();
  writeFileSync(path, lines([start(0, 7)]));
  readOn();
  expect(read).toEqual([start(0, 7)]);
  appendFileSync(path, "null\n");
  expect(readOn).toThrow(RunError);
  expect(readOn).toThrow(/anew.jsonl:2: this line is not an event: null/);
  expect(read).toEqual([start(0, 7)]);
});
