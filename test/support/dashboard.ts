/** Runs as a dashboard finds them, written without training; and a dashboard asked without a socket. */
import { createDashboard } from "../../src/dashboard/app.js";
import { RunCatalog } from "../../src/dashboard/catalog.js";
import { RunControl } from "../../src/dashboard/run-control.js";
import { resolveConfig } from "../../src/experiment/config.js";
import type { RunEvent } from "../../src/learn/events.js";
import { Journal } from "../../src/runs/journal.js";
import { RunFolder } from "../../src/runs/run-folder.js";

export const TOKEN = "a-token-of-the-tests-0123456789";
export const HOST = "127.0.0.1:8600";
export const ORIGIN = `http://${HOST}`;

export const startEvent = (tasks: readonly string[], method = "n-lora"): RunEvent => ({
  type: "run-start",
  time: new Date().toISOString(),
  method,
  model: "tiny",
  tasks,
  seed: 42,
  resumedAt: 0,
});
export const taskEvent = (task: string, index: number, steps: number): RunEvent => ({
  type: "task-start",
  task,
  index,
  steps,
  trainable: 1,
  rows: 8,
});
export const stepEvent = (task: string, index: number, step: number, taskLoss = 1 / step): RunEvent => ({
  type: "step",
  task,
  index,
  step,
  epoch: 1,
  taskLoss,
  penalties: { sparsity: taskLoss / 10 },
  lr: 1e-3,
  gradNorm: 2 * taskLoss,
  tokensPerSecond: 1000,
});
export const accuracyEvent = (
  task: string,
  index: number,
  afterIndex: number,
  accuracy: number,
): RunEvent => ({
  type: "evaluation",
  task,
  index,
  afterIndex,
  accuracy,
  outOfLabelRate: 0,
  rows: 4,
  seconds: 1,
});

/** A run folder with a configuration of its own and these events. */
export function writeRun(path: string, events: readonly RunEvent[], config: object = {}): RunFolder {
  const folder = RunFolder.create(path, resolveConfig(config));
  using journal = new Journal(folder.journalFile);
  for (const event of events) journal.append(event);
  folder.updateRecord();
  return folder;
}

/** A finished run of two tasks of a few steps, with answers. */
export function writeFinishedRun(path: string, tasks: readonly string[] = ["first", "second"]): RunFolder {
  const folder = writeRun(path, [
    startEvent(tasks),
    ...tasks.flatMap((task, index) => [
      taskEvent(task, index, 3),
      ...[1, 2, 3].map((step) => stepEvent(task, index, step)),
      ...tasks.slice(0, index + 1).map((tested, k) => accuracyEvent(tested, k, index, 50 + 10 * k)),
      { type: "task-end", task, index, seconds: 1, deltaNorm: 1 } as const,
    ]),
    { type: "run-end", time: new Date().toISOString(), status: "done" },
  ]);
  return folder;
}

export interface TestDashboard {
  readonly app: ReturnType<typeof createDashboard>;
  readonly control: RunControl;
  /** Asks as the dashboard's own page does; `headers` over that, undefined ones left out. */
  ask(
    path: string,
    init?: { method?: string; body?: string; headers?: Record<string, string | undefined> },
  ): Promise<Response>;
  close(): void;
}

export function testDashboard(root: string): TestDashboard {
  const control = new RunControl();
  const closing = new AbortController();
  const app = createDashboard({
    host: "127.0.0.1",
    token: TOKEN,
    catalog: RunCatalog.below(root),
    control,
    closing: closing.signal,
  });
  return {
    app,
    control,
    async ask(path, { method = "GET", body, headers = {} } = {}) {
      const all: Record<string, string | undefined> = {
        host: HOST,
        cookie: `nlora-8600=${TOKEN}`,
        ...(method === "POST" && { origin: ORIGIN, "content-type": "application/json" }),
        ...headers,
      };
      const given = Object.entries(all).filter((each): each is [string, string] => each[1] !== undefined);
      return app.request(`${ORIGIN}${path}`, { method, headers: given, ...(body !== undefined && { body }) });
    },
    close: () => closing.abort(),
  };
}
