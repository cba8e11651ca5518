import { expect, it } from "vitest";
import type { LengthReport, RunEvent } from "../learn/events.js";
import { RunProgress } from "./progress.js";

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
  expect(progress.activity).toBe("starting");
  progress.update(start, 0, 0);
  expect(progress.activity).toBe("n-lora  preparing");
  progress.update({ type: "evaluation-progress", task: "b", afterIndex: -1, done: 3, rows: 30 }, 0, 0);
  expect(progress.activity).toBe("n-lora  base model  answering b 3/30");
  progress.update(taskStart, 0, 1);
  progress.update(step(4), 2 ** 28, 3);
  expect(progress.activity).toBe("n-lora  task 1/2 a  step 4/10");
  expect(progress.share).toBeCloseTo(0.4);
  expect(progress.figures()).toMatch(
    /^loss 0\.5000 \+ sparsity 0\.2500 {2}1\.5k tokens\/s {2}256 MiB {2}about /,
  );
  progress.update({ type: "evaluation-progress", task: "b", afterIndex: 0, done: 3, rows: 30 }, 0, 5);
  expect(progress.activity).toBe("n-lora  task 1/2 a  answering b 3/30");
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
