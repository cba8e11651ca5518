import { expect, it } from "vitest";
import type { LengthReport, RunEvent } from "../learn/events.js";
import { RunProgress } from "../runs/progress.js";
import { activityOf, alarmLine, figuresOf } from "./progress.js";

const lengths = (task: string, split: "train" | "test", rows: number): LengthReport => {
  return { task, split, rows, median: 1, p95: 1, max: 1, truncated: 0, limit: 512, targetsTruncated: 0 };
};
const start: RunEvent = {
  type: "run-start",
  time: "",
  method: "n-lora",
  model: "m",
  tasks: ["a", "b"],
  seed: 1,
  resumedAt: 0,
};
const report: RunEvent = {
  type: "lengths",
  report: [
    lengths("a", "train", 100),
    lengths("a", "test", 50),
    lengths("b", "train", 200),
    lengths("b", "test", 30),
  ],
};
const taskStart: RunEvent = { type: "task-start", task: "a", index: 0, steps: 10, trainable: 1, rows: 100 };
const step = (number: number): RunEvent => {
  return {
    type: "step",
    task: "a",
    index: 0,
    step: number,
    epoch: 1,
    taskLoss: 0.5,
    penalties: { sparsity: 0.25 },
    lr: 1,
    gradNorm: 1,
    tokensPerSecond: 1500,
  };
};
const evaluation = (index: number, afterIndex: number, rows: number): RunEvent => {
  return {
    type: "evaluation",
    task: "ab"[index]!,
    index,
    afterIndex,
    accuracy: 50,
    outOfLabelRate: 0,
    rows,
    seconds: rows / 10,
  };
};

it("says what is being done, with the loss and each penalty, speed and memory", () => {
  const progress = new RunProgress();
  expect(activityOf(progress)).toBe("starting");
  progress.update(start, 0, 0);
  expect(activityOf(progress)).toBe("n-lora  preparing");
  progress.update({ type: "evaluation-progress", task: "b", afterIndex: -1, done: 3, rows: 30 }, 0, 0);
  expect(activityOf(progress)).toBe("n-lora  base model  answering b 3/30");
  progress.update(taskStart, 0, 1);
  progress.update(step(4), 2 ** 28, 3);
  expect(activityOf(progress)).toBe("n-lora  task 1/2 a  step 4/10");
  expect(progress.share).toBeCloseTo(0.4);
  expect(figuresOf(progress)).toMatch(
    /^loss 0\.5000 \+ sparsity 0\.2500 {2}1\.5k tokens\/s {2}256 MiB {2}about /,
  );
  progress.update({ type: "evaluation-progress", task: "b", afterIndex: 0, done: 3, rows: 30 }, 0, 5);
  expect(activityOf(progress)).toBe("n-lora  task 1/2 a  answering b 3/30");
  expect(progress.share).toBeCloseTo(0.1);
});

it("estimates the time left from the pace of steps and answers and the rows to come", () => {
  const progress = new RunProgress("all");
  for (const event of [start, report, evaluation(0, -1, 50), evaluation(1, -1, 30)])
    progress.update(event, 0, 0);
  expect(progress.secondsLeft()).toBeNull();
  progress.update(taskStart, 0, 100);
  progress.update(step(1), 0, 102);
  // 9 steps of a, 20 of b at 2 s; 80 answers after each task at 0.1 s.
  expect(progress.secondsLeft()).toBeCloseTo(29 * 2 + 160 * 0.1);
  progress.update(step(10), 0, 120);
  progress.update(evaluation(0, 0, 50), 0, 125);
  expect(progress.secondsLeft()).toBeCloseTo(20 * 2 + 110 * 0.1);
});

it("counts the answers on trained tasks only where only those are tested", () => {
  const progress = new RunProgress("seen");
  for (const event of [start, report, evaluation(0, -1, 50), taskStart]) progress.update(event, 0, 0);
  progress.update(step(1), 0, 2);
  expect(progress.secondsLeft()).toBeCloseTo(29 * 2 + (50 + 80) * 0.1);
});

it("takes the pace of steps that arrive together from the time since those before", () => {
  const progress = new RunProgress("all");
  for (const event of [start, report, taskStart]) progress.update(event, 0, 0);
  for (const [seconds, numbers] of [
    [4, [1, 2]],
    [8, [3, 4]],
    [12, [5]],
  ] as const) {
    for (const number of numbers) progress.update(step(number), 0, seconds);
  }
  // The first of them came after 4 s; behind it, each pair took 4 s. 5 steps of a and 20 of b are left.
  expect(progress.secondsLeft()! / 25).toBeGreaterThan(2);
  expect(progress.secondsLeft()! / 25).toBeLessThan(4);
});

it("knows the pace of a run that it finds going on from the time since its start, without the evaluations", () => {
  const progress = new RunProgress("seen");
  const late = [start, report, evaluation(0, -1, 50), taskStart, step(1), step(2), step(3), step(4)];
  for (const event of late) progress.update(event, 0, 1000);
  progress.caughtUp(5 + 4 * 3, 1000);
  // 4 steps in the 12 s besides the base model's evaluation of 5 s; 26 steps and 130 answers at 0.1 s are left.
  expect(progress.secondsLeft()).toBeCloseTo(26 * 3 + 130 * 0.1);
  progress.update(step(5), 0, 1003);
  expect(progress.secondsLeft()).toBeCloseTo(25 * 3 + 130 * 0.1);
});

it("says of an alarm where it was, since when, and what has changed", () => {
  const alarm = { type: "alarm", task: "b", index: 1, row: 176, since: 160, distance: 40 } as const;
  expect(alarmLine({ ...alarm, kind: "answers" })).toBe(
    "alarm at row 176, the losses have risen since row 160: other answers to such inputs",
  );
  expect(alarmLine({ ...alarm, kind: null })).toBe("alarm at row 176, the losses have risen since row 160");
});
