import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { RunEvent } from "../learn/events.js";
import { createView } from "./terminal.js";

class Screen {
  readonly isTTY: boolean;
  readonly columns = 60;
  written = "";
  constructor(isTTY: boolean) {
    this.isTTY = isTTY;
  }
  write(text: string): void {
    this.written += text;
  }
  /** What a terminal would show: cursor-up with erase-below is the only control sequence used. */
  get shown(): string[] {
    const lines = [""];
    for (const [index, part] of this.written.split("\u001b[").entries()) {
      const up = index > 0 ? part.match(/^(\d+)A$/) : null;
      if (up) lines.splice(lines.length - 1 - Number(up[1]), lines.length, "");
      const [first = "", ...rest] = part.replace(index > 0 ? /^(\d+A|0J|\d+m)/ : "", "").split("\n");
      lines.push((lines.pop() ?? "") + first, ...rest);
    }
    return lines;
  }
}

const start: RunEvent = {
  type: "run-start",
  time: "",
  method: "n-lora",
  model: "m",
  tasks: ["a", "b"],
  seed: 7,
  resumedAt: 0,
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
    penalties: {},
    lr: 1,
    gradNorm: 1,
    tokensPerSecond: 1500,
  };
};
const evaluation: RunEvent = {
  type: "evaluation",
  task: "a",
  index: 0,
  afterIndex: 0,
  accuracy: 91.26,
  outOfLabelRate: 0,
  rows: 10,
  seconds: 1,
};
const taskEnd: RunEvent = { type: "task-end", task: "a", index: 0, seconds: 61, deltaNorm: 1 };
const runEnd: RunEvent = { type: "run-end", time: "", status: "done" };

beforeEach(() => {
  vi.stubEnv("CI", "");
  vi.stubEnv("TERM", "xterm");
});
afterEach(() => {
  vi.unstubAllEnvs();
});

function show(screen: Screen, events: readonly RunEvent[], secondsEach: number): void {
  let now = 0;
  const view = createView({ stderr: screen, now: () => now });
  for (const event of events) {
    view.event(event, 2 ** 28);
    now += secondsEach;
  }
  view.close();
}

describe("on a terminal", () => {
  it("one block is drawn over and over, and lines that stay go above it", () => {
    const screen = new Screen(true);
    const view = createView({ stderr: screen, now: () => 0 });
    let now = 0;
    const live = createView({ stderr: screen, now: () => now });
    for (const event of [start, taskStart, step(1), step(5)]) {
      live.event(event, 2 ** 28);
      now += 1;
    }
    expect(screen.shown).toHaveLength(4);
    expect(screen.shown[0]).toContain("on m, seed 7: a, b");
    expect(screen.shown[1]).toBe("██████████░░░░░░░░░░ n-lora  task 1/2 a  step 5/10");
    expect(screen.shown[2]).toMatch(/^loss 0\.5000 {2}1\.5k tokens\/s {2}256 MiB {2}about/);
    live.event(evaluation, 0);
    live.event(taskEnd, 0);
    expect(screen.shown[1]).toBe("task 1/2 a trained in 1 min 01 s; accuracy: a 91.3");
    live.event(runEnd, 0);
    view.close();
    expect(screen.shown).toHaveLength(3);
    expect(screen.shown.at(-1)).toBe("");
  });

  it("no line of the block is wider than the terminal", () => {
    const screen = new Screen(true);
    let now = 0;
    const view = createView({ stderr: screen, now: () => now++ });
    view.event({ ...start, tasks: ["a".repeat(100)] } as RunEvent, 0);
    const before = screen.shown.length;
    view.event({ ...taskStart, task: "a".repeat(100) } as RunEvent, 0);
    for (const line of screen.shown.slice(before - 1)) expect(line.length).toBeLessThan(60);
  });
});

describe("elsewhere", () => {
  it("a plain line every five seconds and one at the end of a task", () => {
    const screen = new Screen(false);
    const steps = Array.from({ length: 10 }, (_, index) => step(index + 1));
    show(screen, [start, taskStart, ...steps, evaluation, taskEnd, runEnd], 1);
    expect(screen.written).not.toContain("\u001b[1A");
    const lines = screen.written.trimEnd().split("\n");
    expect(lines.filter((line) => line.includes("step "))).toHaveLength(2);
    expect(lines.at(-1)).toBe("task 1/2 a trained in 1 min 01 s; accuracy: a 91.3");
  });

  it("notes and warnings are printed once", () => {
    const screen = new Screen(false);
    show(screen, [{ type: "note", level: "warning", message: "rows left out" }], 1);
    expect(screen.written.match(/rows left out/g)).toHaveLength(1);
    expect(screen.written).toMatch(/warning: rows left out/);
  });
});

it("--json writes each event as a line of stdout and nothing else", () => {
  const stdout = new Screen(false);
  const stderr = new Screen(true);
  const view = createView({ json: true, stdout, stderr });
  for (const event of [start, step(1), runEnd]) view.event(event, 1);
  view.close();
  expect(
    stdout.written
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as RunEvent),
  ).toEqual([start, step(1), runEnd]);
  expect(stderr.written).toBe("");
});

it("--quiet shows no progress", () => {
  const screen = new Screen(true);
  const view = createView({ quiet: true, stderr: screen, stdout: screen });
  for (const event of [start, step(1), taskEnd, runEnd]) view.event(event, 1);
  view.close();
  expect(screen.written).toBe("");
});
