/** A run folder made of events, as a training process would leave it: for what reads runs and trains none. */
import { type Config, resolveConfig } from "../../src/experiment/config.js";
import type { RunEvent } from "../../src/learn/events.js";
import { Journal } from "../../src/runs/journal.js";
import { RunFolder } from "../../src/runs/run-folder.js";

export interface JournalledRun {
  readonly method?: string;
  readonly values?: Readonly<Record<string, unknown>>;
  readonly tasks?: readonly string[];
  readonly seed?: number;
  /** Own-task accuracy of the first task, percent; the others follow from it. */
  readonly level?: number;
  /** How it ended; `running`: it has not, within its second task. */
  readonly status?: "done" | "interrupted" | "failed" | "running";
  readonly notes?: readonly string[];
  readonly steps?: number;
  /** Whether something is penalised. */
  readonly penalty?: Readonly<Record<string, unknown>>;
}

const time = (minute: number) => `2026-01-31T17:${String(10 + minute)}:00.000Z`;

export function writeJournalledRun(path: string, run: JournalledRun = {}): Config {
  const {
    method = "n-lora",
    tasks = ["news", "films"],
    seed = 42,
    level = 80,
    status = "done",
    steps = 6,
  } = run;
  const config = resolveConfig({
    data: { kind: "synthetic" },
    seed,
    ...run.values,
    method: run.values?.method ?? method,
  });
  const folder = RunFolder.create(path, config);
  using journal = new Journal(folder.journalFile);
  const say = (event: RunEvent) => journal.append(event);
  say({ type: "run-start", time: time(0), method, model: "builtin", tasks, seed, resumedAt: 0 });
  for (const message of run.notes ?? ["news: 600 of 4800 train rows (stratified sample, seed 42)"]) {
    say({ type: "note", level: "info", message });
  }
  const length = { median: 100, p95: 200, max: 300, truncated: 7, limit: 160, targetsTruncated: 0 };
  say({
    type: "lengths",
    report: tasks.flatMap((task) => [
      { task, split: "train", rows: 600, ...length },
      { task, split: "test", rows: 50, ...length },
    ]),
  });
  const isWhole = status === "done";
  for (const [index, task] of tasks.entries()) {
    say({ type: "task-start", task, index, steps, trainable: 98_304, rows: 600 });
    const reached = isWhole || index === 0 ? steps : Math.floor(steps / 2);
    for (let step = 1; step <= reached; step++) {
      say({
        type: "step",
        task,
        index,
        step,
        epoch: 1,
        taskLoss: 6 / step + index,
        penalties: run.penalty?.kind === "none" ? {} : { sparsity: 0.1 * step },
        lr: 1e-3,
        gradNorm: 1,
        tokensPerSecond: 5000 + 100 * step,
      });
    }
    if (!isWhole && index > 0) break;
    for (const [other, name] of tasks.slice(0, index + 1).entries()) {
      say({
        type: "evaluation",
        task: name,
        index: other,
        afterIndex: index,
        accuracy: Math.max(0, level - 10 * (index - other) - 5 * other),
        outOfLabelRate: 0.1 * (index - other),
        rows: 50,
        seconds: 2,
      });
    }
    say({
      type: "task-end",
      task,
      index,
      seconds: 60,
      deltaNorm: 2 + index,
      keptBytes: 400_000 * (index + 1),
    });
  }
  if (status === "failed")
    say({ type: "run-failed", time: time(3), message: "the loss is not finite", hint: "lower the rate" });
  else if (status !== "running") say({ type: "run-end", time: time(4), status });
  folder.updateRecord({
    penalty: run.penalty ?? {
      kind: "delta-w",
      normalise: "rms",
      includeScaling: false,
      gamma: 0,
      lambda: 0.02,
      lambdaUnit: "published",
      target: null,
    },
    engine: {
      libtorch: "1.13.0",
      origin: "system",
      blas: "generic (/usr/lib/blas.so.3)",
      threads: 1,
      processor: "a processor",
      fusedKernels: true,
      device: "cpu",
      dtype: "float32",
    },
    ...(isWhole && {
      geometry: {
        orthogonalOverlap: { squared: 2, abs: 50 },
        awom: { spectral: 0.5, frobenius: 0.6 },
        gsr: { mean: 0.01 * level, pooled: 0.3 },
        acr: { abs: 0.02, relRms: 0.1, exact: 1 },
      },
      peakMemory: 512 * 2 ** 20,
    }),
  });
  return config;
}
