/**
 * A run is a folder: config.yaml, events.jsonl, per task what its method saves (adapters/<k>-<task>/, models/.., state/..),
 * predictions/<after k>-<task>.jsonl, record.json, engine.log and, where it starts from adapters, copies of them in
 * start/<n>-<name>/, k counted from 1 (0: the untouched base model). Everything but the journal and the log appears by
 * renaming.
 */
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { RunError } from "../errors.js";
import { type Config, firstDifference, loadConfig, writeConfig } from "../experiment/config.js";
import { temporaryName, writeFileAtomic } from "../io/files.js";
import type { Saves } from "../methods/method.js";
import { detailsOf, foldRecord, nextTask, type RecordDetails } from "./fold-record.js";
import { readJournal } from "./journal.js";
import type { RunRecord } from "./record.js";
import { RunLock } from "./run-lock.js";

/** A task by its place in the stream, from 0. */
export interface TaskPlace {
  readonly index: number;
  readonly name: string;
}

/** The folders of a run that hold a folder per task. */
export type SavedKind = "adapters" | "models" | "state";

export class RunFolder {
  readonly path: string;

  /** Names a folder without looking at it; `create` and `resume` check what is there. */
  constructor(path: string) {
    this.path = resolve(path);
  }

  /** A folder for a new run. Throws a RunError if a run is there already, finished or not. */
  static create(path: string, config: Config): RunFolder {
    const folder = new RunFolder(path);
    try {
      mkdirSync(folder.path, { recursive: true });
    } catch (error) {
      throw new RunError(`cannot make the run folder ${folder.path}: ${(error as Error).message}`, {
        cause: error,
      });
    }
    if (folder.#holdsRun()) {
      const finished = folder.readRecord()?.status === "done";
      throw new RunError(`${folder.path} already holds ${finished ? "a finished" : "an unfinished"} run`, {
        hint: finished
          ? "choose another folder with --out"
          : `continue it with --resume ${path}, or choose another folder`,
      });
    }
    writeFileAtomic(folder.configFile, [writeConfig(config)], RunError);
    return folder;
  }

  /** The folder of an earlier run with the same configuration. Throws a RunError that names the first difference. */
  static resume(path: string, config: Config): RunFolder {
    const folder = new RunFolder(path);
    const difference = firstDifference(folder.readConfig(), config);
    if (difference) {
      const { key, left, right } = difference;
      throw new RunError(
        `cannot resume ${folder.path}: ${key} is ${JSON.stringify(left)} there and ${JSON.stringify(right)} here`,
        { hint: "resume with the same settings, or start a new run" },
      );
    }
    return folder;
  }

  get configFile(): string {
    return join(this.path, "config.yaml");
  }
  get journalFile(): string {
    return join(this.path, "events.jsonl");
  }
  get recordFile(): string {
    return join(this.path, "record.json");
  }
  /** Names the process that trains the run, while there is one. */
  get lockFile(): string {
    return join(this.path, "training.lock");
  }
  /** While it is there, whoever trains the run ends it after the current step. */
  get stopFile(): string {
    return join(this.path, "stop-request");
  }
  /** What libtorch and the training process print. */
  get logFile(): string {
    return join(this.path, "engine.log");
  }

  /** Folder of what is saved of a task. */
  taskFolder(kind: SavedKind, { index, name }: TaskPlace): string {
    return join(this.path, kind, `${index + 1}-${name}`);
  }

  /** The run's own copy of an adapter that it starts from, `index` from 0. */
  startFolder(index: number, name: string): string {
    return join(this.path, "start", `${index + 1}-${name}`);
  }

  /** File of the answers on `task` after training task `afterIndex` (from 0; -1: the base model). */
  predictionsFile(afterIndex: number, task: string): string {
    return join(this.path, "predictions", `${afterIndex + 1}-${task}.jsonl`);
  }

  /** Saves something of a task: `write` fills the folder it is given, which then takes its name. Returns that. */
  saveTask(kind: SavedKind, task: TaskPlace, write: (folder: string) => void): string {
    return this.#save(this.taskFolder(kind, task), write);
  }

  /** Copies an adapter that the run starts from. Returns the final folder. */
  saveStart(index: number, name: string, write: (folder: string) => void): string {
    return this.#save(this.startFolder(index, name), write);
  }

  #save(target: string, write: (folder: string) => void): string {
    const temporary = temporaryName(target);
    rmSync(temporary, { recursive: true, force: true });
    mkdirSync(temporary, { recursive: true });
    try {
      write(temporary);
      rmSync(target, { recursive: true, force: true });
      renameSync(temporary, target);
    } catch (error) {
      rmSync(temporary, { recursive: true, force: true });
      throw error;
    }
    return target;
  }

  /** Removes what was saved of a task and is needed no more. */
  removeTask(kind: SavedKind, task: TaskPlace): void {
    rmSync(this.taskFolder(kind, task), { recursive: true, force: true });
  }

  /** Writes the answers on one task, one JSON object a line. */
  savePredictions(afterIndex: number, task: string, predictions: readonly object[]): void {
    mkdirSync(join(this.path, "predictions"), { recursive: true });
    const text = predictions.map((prediction) => `${JSON.stringify(prediction)}\n`).join("");
    writeFileAtomic(this.predictionsFile(afterIndex, task), [text], RunError);
  }

  /** Whether a process of this machine trains the run. */
  get isTrained(): boolean {
    return RunLock.holder(this.lockFile) !== null;
  }

  /** Asks the process that trains the run, whichever it is, to end it after the current step. */
  requestStop(): void {
    writeFileSync(this.stopFile, "");
  }

  get isStopRequested(): boolean {
    return existsSync(this.stopFile);
  }

  /** What was asked of an earlier process does not concern the next. */
  forgetStop(): void {
    rmSync(this.stopFile, { force: true });
  }

  /** The configuration of the run. Throws a RunError if there is no run. */
  readConfig(): Config {
    if (!existsSync(this.configFile)) {
      throw new RunError(`there is no run in ${this.path}: it has no config.yaml`, {
        hint: "name the folder of an earlier run",
      });
    }
    return loadConfig(this.configFile);
  }

  readRecord(): RunRecord | null {
    if (!existsSync(this.recordFile)) return null;
    try {
      return JSON.parse(readFileSync(this.recordFile, "utf8")) as RunRecord;
    } catch (error) {
      throw new RunError(`cannot read ${this.recordFile}: ${(error as Error).message}`, { cause: error });
    }
  }

  writeRecord(record: RunRecord): void {
    writeFileAtomic(this.recordFile, [`${JSON.stringify(record, null, 2)}\n`], RunError);
  }

  /** Brings record.json up to date with the journal; details not given stay as they were. Null if no run has started. */
  updateRecord(details: RecordDetails = {}): RunRecord | null {
    const earlier = this.readRecord();
    const record = foldRecord(readJournal(this.journalFile), {
      ...(earlier && detailsOf(earlier)),
      ...details,
    });
    if (record) this.writeRecord(record);
    return record;
  }

  /**
   * Index (from 0) of the first of the tasks that is not finished: ended in the journal, and all that is needed to go on
   * behind it is there.
   */
  nextTask(tasks: readonly TaskPlace[], saves: Saves): number {
    const ended = nextTask(readJournal(this.journalFile));
    const finished = tasks.filter(({ index }) => index < ended);
    const has = (kind: SavedKind, task: TaskPlace) => existsSync(this.taskFolder(kind, task));
    const each = finished.findIndex(
      (task) =>
        (saves.adapter !== null && !has("adapters", task)) ||
        (saves.weights === "every" && !has("models", task)),
    );
    const whole = each === -1 ? finished : finished.slice(0, each);
    const last = whole.findLastIndex(
      (task) => (saves.weights !== "last" || has("models", task)) && (!saves.state || has("state", task)),
    );
    return last === -1 ? 0 : whole[last]!.index + 1;
  }

  /** A run that failed before it started (a missing checkpoint, say) has left nothing to keep. */
  #holdsRun(): boolean {
    const events = readJournal(this.journalFile);
    if (events.length > 0) return events.some((event) => event.type === "run-start");
    return [this.configFile, this.journalFile, this.recordFile].some((file) => existsSync(file));
  }
}

/** `runs/<date-time>-<name>-<method>-s<seed>`, with a number behind it if that is taken. */
export function defaultRunPath(config: Config, now: Date, root = "runs"): string {
  return freePath(join(root, `${timestamp(now)}-${config.name}-${config.method.name}-s${config.seed}`));
}

export function freePath(path: string): string {
  let candidate = path;
  for (let count = 2; existsSync(candidate); count++) candidate = `${path}-${count}`;
  return candidate;
}

/** Local time as 20260131-174502. */
export function timestamp(now: Date): string {
  const two = (value: number) => String(value).padStart(2, "0");
  const day = `${now.getFullYear()}${two(now.getMonth() + 1)}${two(now.getDate())}`;
  return `${day}-${two(now.getHours())}${two(now.getMinutes())}${two(now.getSeconds())}`;
}
