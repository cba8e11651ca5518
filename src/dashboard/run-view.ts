/** A run as its folder shows it, kept up to date from the journal's end: what its page and the list say. */
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { NloraError } from "../errors.js";
import type { RunEvent } from "../learn/events.js";
import { detailsOf, foldRecord } from "../runs/fold-record.js";
import { History, type HistoryRequest, type RunHistory } from "../runs/history.js";
import { JournalTail } from "../runs/journal-tail.js";
import { metricsOf } from "../runs/metric-rows.js";
import { RunProgress } from "../runs/progress.js";
import type { RunRecord } from "../runs/record.js";
import type { CatalogEntry } from "./catalog.js";
import type { Progress, RunDetail, RunSummary } from "./pages/wire.js";

/** What the process that trains a run knows and the folder does not. */
export interface Liveness {
  readonly isHere: boolean;
  /** Whether another process of this machine trains it. */
  readonly isElsewhere: boolean;
  /** Its process is there and the run has not begun (again). */
  readonly isStarting: boolean;
  /** Resident bytes; 0: not known. */
  readonly memory: number;
  readonly canResume: boolean;
}

const MOST_NOTES = 200;
const seconds = () => performance.now() / 1000;

export class RunView {
  readonly entry: CatalogEntry;
  readonly #tail: JournalTail;
  readonly #history = new History();
  #progress: RunProgress;
  /** Events that the record is made of. */
  #milestones: RunEvent[] = [];
  #notes: { level: "info" | "warning"; message: string }[] = [];
  #loggedSteps = 0;
  #record: RunRecord | null = null;
  #isRead = false;
  #version = 0;
  #damage: string | null = null;

  constructor(entry: CatalogEntry) {
    this.entry = entry;
    this.#tail = new JournalTail(entry.folder.journalFile);
    this.#progress = this.#newProgress();
  }

  /** Reads what was written since the last time. Returns a number that grows when there was something. */
  refresh(): number {
    const now = seconds();
    const before = this.#version;
    const isFirst = !this.#isRead;
    try {
      this.#tail.read(
        (event) => this.#take(event, now),
        () => this.#reset(),
      );
      this.#damage = null;
    } catch (error) {
      this.#damage = textOf(error);
    }
    this.#isRead = true;
    if (isFirst) this.#catchUp(now);
    if (this.#version > before) this.#record = null;
    return this.#version;
  }

  /** The curves; not more than so many points. */
  history(request: HistoryRequest): RunHistory {
    return this.#history.read(request);
  }

  /** Place of the last logged step in the run; 0 before the first. */
  get lastStep(): number {
    return this.#history.lastStep;
  }

  /** Grows when curves that were read are no longer true, because a task was started again. */
  get revision(): number {
    return this.#history.revision;
  }

  get record(): RunRecord | null {
    this.#record ??= foldRecord(this.#milestones, this.#details());
    return this.#record;
  }

  detail(live: Liveness): RunDetail {
    const { record } = this;
    const start = this.#milestones.find((event) => event.type === "run-start");
    const failure = this.#milestones.findLast((event) => event.type === "run-failed");
    return {
      ...summaryOf(this.entry, record, live, this.#damage),
      ...(start && { startedAt: Date.parse(start.time) || 0 }),
      canResume: live.canResume,
      progress: this.#progressOf(live),
      accuracy: record?.accuracy ?? [],
      baseAccuracy: record?.baseAccuracy ?? [],
      metrics: record
        ? metricsOf([record]).map(({ name, value, format }) => [name, format(value(record))])
        : [],
      notes: this.#notes,
      error:
        failure && failure === this.#milestones.at(-1)
          ? { message: failure.message, hint: failure.hint ?? null }
          : null,
      predictions: record ? predictionsOf(this.entry, record.tasks) : [],
      loggedSteps: this.#loggedSteps,
    };
  }

  #take(event: RunEvent, now: number): void {
    this.#version++;
    this.#history.add(event);
    this.#progress.update(event, 0, now);
    switch (event.type) {
      case "step":
        this.#loggedSteps++;
        break;
      case "note":
        this.#notes = [...this.#notes.slice(1 - MOST_NOTES), { level: event.level, message: event.message }];
        break;
      case "evaluation-progress":
      case "download":
      case "lengths":
        break;
      default:
        this.#milestones.push(event);
    }
  }

  #reset(): void {
    this.#version++;
    this.#history.clear();
    this.#progress = this.#newProgress();
    this.#milestones = [];
    this.#notes = [];
    this.#loggedSteps = 0;
  }

  /** The pace of a run that was going on before it was looked at. */
  #catchUp(now: number): void {
    const start = this.#milestones.findLast((event) => event.type === "run-start");
    if (start) this.#progress.caughtUp((Date.now() - Date.parse(start.time)) / 1000, now);
  }

  #newProgress(): RunProgress {
    try {
      return new RunProgress(this.entry.folder.readConfig().evaluation.tasks);
    } catch (error) {
      // The time left alone depends on it; a run that an older version configured is still worth looking at.
      if (error instanceof NloraError) return new RunProgress();
      throw error;
    }
  }

  #details() {
    try {
      const record = this.entry.folder.readRecord();
      return record ? detailsOf(record) : {};
    } catch (error) {
      this.#damage ??= textOf(error);
      return {};
    }
  }

  #progressOf({ memory }: Liveness): Progress {
    const { index, steps, step, answering, download, share } = this.#progress;
    return {
      index,
      steps,
      step: step?.step ?? 0,
      epoch: step?.epoch ?? null,
      taskLoss: step?.taskLoss ?? null,
      penalties: step?.penalties ?? {},
      measures: step?.measures ?? {},
      lr: step?.lr ?? null,
      gradNorm: step?.gradNorm ?? null,
      tokensPerSecond: step?.tokensPerSecond ?? null,
      answering: answering ?? null,
      download: download ? download.repository : null,
      share: Number.isFinite(share) ? share : 0,
      secondsLeft: this.#progress.secondsLeft(),
      memory: memory > 0 ? memory : null,
    };
  }
}

/** A run's line in the list, from its record. */
export function summaryOf(
  entry: CatalogEntry,
  record: RunRecord | null,
  { isHere, isElsewhere, isStarting }: Liveness,
  damage: string | null,
): RunSummary {
  const startedAt = changedAt(entry.folder.configFile);
  return {
    id: entry.id,
    name: entry.name,
    status: isStarting ? "starting" : (record?.status ?? "starting"),
    isHere,
    isElsewhere,
    method: record?.method ?? "",
    model: record?.model ?? "",
    seed: record?.seed ?? null,
    tasks: record?.tasks ?? [],
    tasksDone: record?.accuracy.filter((row, index) => row[index] !== null).length ?? 0,
    averageAccuracy: record?.averageAccuracy ?? null,
    forgettingRate: record?.forgettingRate ?? null,
    startedAt,
    changedAt: changedAt(entry.folder.journalFile) || startedAt,
    damage,
  };
}

/** When a file was written last, in milliseconds; 0 where there is none. */
export function changedAt(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

/** `<after>/<task>` of the files of answers that are there. */
function predictionsOf({ folder }: CatalogEntry, tasks: readonly string[]): string[] {
  const names = predictionFiles(folder.path);
  return tasks.flatMap((task, index) =>
    [-1, ...tasks.keys()]
      .filter((after) => names.has(`${after + 1}-${task}.jsonl`))
      .map((after) => `${after}/${index}`),
  );
}

/** The files of answers of a run, as its folder lists them. */
export function predictionFiles(run: string): ReadonlySet<string> {
  try {
    return new Set(readdirSync(join(run, "predictions")));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return new Set();
    throw error;
  }
}

const textOf = (error: unknown): string => (error as Error).message;
