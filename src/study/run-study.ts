/** Trains the runs of a study: skips what is done, continues what was stopped, several at once where asked. */
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { type Config, resolveConfig } from "../experiment/config.js";
import type { RunEvent } from "../learn/events.js";
import { launch, type RunningRun } from "../runs/launch.js";
import type { RunRecord } from "../runs/record.js";
import { RunFolder } from "../runs/run-folder.js";
import { claimsOf } from "./claims.js";
import type { Study, StudyRun } from "./studies.js";
import { cellsOf, type FinishedRun, rowsOf, type StudySummary } from "./summary.js";

/** What somebody who watches a study is told. */
export type StudyEvent =
  | { readonly type: "skipped" | "started" | "resumed"; readonly run: StudyRun }
  | { readonly type: "progress"; readonly run: StudyRun; readonly event: RunEvent; readonly memory: number }
  | { readonly type: "ended"; readonly run: StudyRun; readonly status: string; readonly message?: string };

export interface StudyOptions {
  /** Folder that the runs' folders lie in. */
  readonly root: string;
  /** Folder of the benchmark data. */
  readonly data?: string | undefined;
  /** Runs at the same time. */
  readonly jobs: number;
  readonly onEvent?: (event: StudyEvent) => void;
}

export interface RunningStudy {
  /** Resolves when nothing runs any more: the runs that failed, by id. */
  readonly finished: Promise<readonly string[]>;
  /** Starts no more runs, and ends those that run after their step. */
  stop(): void;
  kill(): void;
}

/** The configurations of the runs. Throws a ConfigError for the first that is wrong, before anything is trained. */
export function configsOf(
  runs: readonly StudyRun[],
  { root, data }: Pick<StudyOptions, "root" | "data">,
): Map<StudyRun, Config> {
  const folder = ({ values }: StudyRun) => (values.data.kind === "benchmark" ? data : undefined);
  const reference = ({ reference: id }: StudyRun) =>
    id === undefined ? [] : [`method.reference=${JSON.stringify(resolve(root, id))}`];
  return new Map(
    runs.map((run) => [
      run,
      resolveConfig(run.values, { set: [...run.set, ...reference(run)], data: folder(run) }),
    ]),
  );
}

export function runStudy(runs: readonly StudyRun[], options: StudyOptions): RunningStudy {
  const configs = configsOf(runs, options);
  const say = options.onEvent ?? (() => {});
  const waiting = [...runs];
  const running = new Set<RunningRun>();
  const failed: string[] = [];
  const begun = new Map<string, Promise<void>>();
  let stopped = false;

  const one = async (run: StudyRun): Promise<void> => {
    const path = join(options.root, run.id);
    const config = configs.get(run)!;
    if (recordOf(options.root, run)?.status === "done") {
      RunFolder.resume(path, config);
      say({ type: "skipped", run });
      return;
    }
    const resume = existsSync(join(path, "events.jsonl"));
    const folder = resume ? RunFolder.resume(path, config) : RunFolder.create(path, config);
    say({ type: resume ? "resumed" : "started", run });
    const process = launch(config, folder, {
      resume,
      onEvent: (event, memory) => say({ type: "progress", run, event, memory }),
    });
    running.add(process);
    const { status, error } = await process.outcome;
    running.delete(process);
    if (status === "failed") failed.push(run.id);
    say({ type: "ended", run, status, ...(error && { message: error.message }) });
  };
  const worker = async (): Promise<void> => {
    for (let run = waiting.shift(); run && !stopped; run = waiting.shift()) {
      // A reference comes before the runs that are matched to it, so it has at least begun.
      if (run.reference !== undefined) await begun.get(run.reference);
      if (stopped) return;
      const ended = one(run);
      begun.set(run.id, ended);
      await ended;
    }
  };
  const finished = Promise.all(Array.from({ length: options.jobs }, worker)).then(() => failed);
  return {
    finished,
    stop() {
      stopped = true;
      for (const process of running) process.stop();
    },
    kill() {
      stopped = true;
      for (const process of running) process.kill();
    },
  };
}

const recordOf = (root: string, run: StudyRun): RunRecord | null =>
  new RunFolder(join(root, run.id)).readRecord();

/** The summary of what has been trained so far. */
export function summarize(
  study: Pick<Study, "name" | "title">,
  scale: string,
  runs: readonly StudyRun[],
  root: string,
): StudySummary {
  const finished: FinishedRun[] = [];
  const failed: string[] = [];
  for (const run of runs) {
    const record = recordOf(root, run);
    if (record?.status === "failed") failed.push(run.id);
    if (record?.status !== "done") continue;
    const { row, order, seed } = run;
    finished.push({ label: row.label, method: row.method, order, seed, record });
  }
  const rows = rowsOf(finished);
  const cells = cellsOf(finished);
  return {
    study: study.name,
    title: study.title,
    scale,
    done: finished.length,
    runs: runs.length,
    failed,
    cells,
    rows,
    claims: claimsOf(finished, rows, cells),
  };
}
