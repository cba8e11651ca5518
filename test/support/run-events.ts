/** The events of a small run, as a training process would report them. */
import { resolveConfig } from "../../src/experiment/config.js";
import type { RunEvent } from "../../src/learn/events.js";

export const runConfig = resolveConfig({ data: { kind: "synthetic" } });

export const START = Date.parse("2026-01-31T17:00:00.000Z");

const isoAfter = (seconds: number): string => new Date(START + 1000 * seconds).toISOString();

export const runStart = (tasks: readonly string[], resumedAt = 0, after = 0): RunEvent => ({
  type: "run-start",
  time: isoAfter(after),
  method: "n-lora",
  model: "builtin",
  tasks,
  seed: 42,
  resumedAt,
});

export const runEnd = (status: "done" | "interrupted", after: number): RunEvent => ({
  type: "run-end",
  time: isoAfter(after),
  status,
});

/** One task: its start, `taken` of its `steps` steps, and if these are all, the tests after it and its end. */
export function taskEvents(
  tasks: readonly string[],
  index: number,
  steps: number,
  taken = steps,
  seconds = 10,
): RunEvent[] {
  const task = tasks[index]!;
  const events: RunEvent[] = [{ type: "task-start", task, index, steps, trainable: 100, rows: 64 }];
  for (let step = 1; step <= taken; step++) {
    events.push({
      type: "step",
      task,
      index,
      step,
      epoch: 1,
      taskLoss: 2 / step,
      penalties: { sparsity: 0.25 },
      lr: 1e-3,
      gradNorm: 1.5,
      tokensPerSecond: 800,
    });
  }
  if (taken < steps) return events;
  for (let tested = 0; tested <= index; tested++) {
    events.push({
      type: "evaluation",
      task: tasks[tested]!,
      index: tested,
      afterIndex: index,
      accuracy: 50 + 10 * tested,
      outOfLabelRate: null,
      rows: 20,
      seconds: 2,
    });
  }
  events.push({ type: "task-end", task, index, seconds, deltaNorm: 0.5 });
  return events;
}
