import { describe, expect, it } from "vitest";
import { runEnd, runStart, START, taskEvents } from "../../test/support/run-events.js";
import type { RunEvent } from "../learn/events.js";
import { lastingEvents } from "./journal-events.js";
import { curvesOf, RunPoints } from "./points.js";

const tasks = ["a", "b"];
const pointsOf = (events: readonly RunEvent[], earlier: readonly RunEvent[] = []) => {
  const points = new RunPoints(earlier);
  return events.flatMap((event) => points.of(event));
};

describe("the points of a run", () => {
  const points = pointsOf([runStart(tasks), ...taskEvents(tasks, 0, 3), ...taskEvents(tasks, 1, 4)]);

  it("count the updates of all tasks on", () => {
    const losses = points.filter(({ series }) => series === "train/task_loss");
    expect(losses.map(({ step, tasksTrained, task }) => [step, tasksTrained, task])).toEqual([
      [1, 0, "1-a"],
      [2, 0, "1-a"],
      [3, 0, "1-a"],
      [4, 1, "2-b"],
      [5, 1, "2-b"],
      [6, 1, "2-b"],
      [7, 1, "2-b"],
    ]);
  });

  it("place accuracies where the task ended after which they were measured, and average those of all tasks so far", () => {
    const accuracies = points.filter(({ series }) => series.includes("accuracy"));
    expect(
      accuracies.map(({ series, task, step, tasksTrained, value }) => [
        series,
        task,
        step,
        tasksTrained,
        value,
      ]),
    ).toEqual([
      ["accuracy", "1-a", 3, 1, 50],
      ["average_accuracy", null, 3, 1, 50],
      ["accuracy", "1-a", 7, 2, 50],
      ["accuracy", "2-b", 7, 2, 60],
      ["average_accuracy", null, 7, 2, 55],
    ]);
  });

  it("leave out what was not measured and what is no number", () => {
    expect(points.some(({ series }) => series === "out_of_label_rate")).toBe(false);
    const [start, step] = taskEvents(tasks, 0, 5, 1);
    const broken = { ...step!, gradNorm: Number.NaN } as RunEvent;
    const series = pointsOf([start!, broken]).map((point) => point.series);
    expect(series).toContain("train/task_loss");
    expect(series).not.toContain("train/gradient_norm");
  });

  it("give no average where an earlier task was not tested", () => {
    const events = taskEvents(tasks, 1, 4).filter(
      (event) => event.type !== "evaluation" || event.index === 1,
    );
    expect(pointsOf(events).some(({ series }) => series === "average_accuracy")).toBe(false);
  });

  it("count on from the journal where a run is resumed", () => {
    const earlier = [runStart(tasks), ...taskEvents(tasks, 0, 3), ...taskEvents(tasks, 1, 4, 2)];
    const resumed = pointsOf([runStart(tasks, 1), ...taskEvents(tasks, 1, 4)], earlier);
    expect(resumed.find(({ series }) => series === "train/task_loss")?.step).toBe(4);
  });

  it("have curves of which none lies in a folder that is another's name", () => {
    const curves = [...new Set(points.flatMap(curvesOf))];
    for (const curve of curves) {
      for (const other of curves) expect(curve.startsWith(`${other}/`)).toBe(false);
    }
    expect(curves).toContain("task_loss/2-b");
    expect(curves).toContain("accuracy/1-a");
  });
});

describe("a journal after the fact", () => {
  it("spreads a task's steps over its seconds, and adds what evaluations took", () => {
    const events = lastingEvents([runStart(tasks, 0, 5), ...taskEvents(tasks, 0, 4), runEnd("done", 60)]);
    expect(events.map(({ event, time }) => [event.type, (time - START) / 1000])).toEqual([
      ["run-start", 5],
      ["task-start", 5],
      ["step", 7.5],
      ["step", 10],
      ["step", 12.5],
      ["step", 15],
      ["evaluation", 17],
      ["task-end", 17],
      ["run-end", 60],
    ]);
  });

  it("drops what began anew after an interruption, and the interruption", () => {
    const whole = [...taskEvents(tasks, 0, 3), ...taskEvents(tasks, 1, 4)];
    const journal = [
      runStart(tasks),
      ...taskEvents(tasks, 0, 3),
      ...taskEvents(tasks, 1, 4, 2),
      runEnd("interrupted", 100),
      runStart(tasks, 1, 200),
      ...taskEvents(tasks, 1, 4),
      runEnd("done", 300),
    ];
    expect(lastingEvents(journal).map(({ event }) => event)).toEqual([
      runStart(tasks),
      ...whole,
      runEnd("done", 300),
    ]);
  });

  it("keeps the steps of a task that was interrupted and not begun anew", () => {
    const journal = [runStart(tasks), ...taskEvents(tasks, 0, 3, 2), runEnd("interrupted", 100)];
    expect(lastingEvents(journal).map(({ event }) => event)).toEqual(journal);
  });
});
