/** What a report needs of one run: its configuration, its record, and what its journal says besides. */
import { existsSync, readFileSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { NloraError, RunError } from "../errors.js";
import type { Config } from "../experiment/config.js";
import type { LengthReport, RunEvent } from "../learn/events.js";
import { foldRecord } from "../runs/fold-record.js";
import { History, type RunHistory } from "../runs/history.js";
import { JournalTail } from "../runs/journal-tail.js";
import { RECORD_SCHEMA, type RunRecord } from "../runs/record.js";
import { RunFolder } from "../runs/run-folder.js";

/** Points of a curve over the whole run. */
const POINTS = 1200;

export interface TaskFacts {
  readonly task: string;
  readonly index: number;
  /** Training rows, optimizer steps, numbers that are trained. */
  readonly rows: number;
  readonly steps: number;
  readonly trainable: number;
  /** Mean of the logged steps; null before the first. */
  tokensPerSecond: number | null;
  /** Last step that is logged. */
  reached: number;
}

export interface JournalFacts {
  readonly notes: readonly { readonly level: "info" | "warning"; readonly message: string }[];
  readonly lengths: readonly LengthReport[];
  readonly tasks: readonly TaskFacts[];
  /** Test rows by task, where it was tested. */
  readonly testRows: ReadonlyMap<string, number>;
  /** How often it was started, and when first. */
  readonly starts: number;
  readonly startedAt: string | null;
  readonly failure: { readonly message: string; readonly hint?: string } | null;
}

export interface ReportedRun {
  readonly path: string;
  /** Short and unique among the runs of the report. */
  readonly name: string;
  /** Null where there is none, or none that this version reads: `configProblem` says why. */
  readonly config: Config | null;
  readonly configProblem: string | null;
  /** Null: the run never started. */
  readonly record: RunRecord | null;
  readonly journal: JournalFacts;
  readonly history: RunHistory;
}

/** A run in its folder, or a record.json on its own. Throws a RunError where there is neither. */
export function readRun(path: string, name: string): ReportedRun {
  if (existsSync(path) && statSync(path).isFile()) {
    return {
      path: resolve(path),
      name,
      config: null,
      configProblem: "only the record of this run was given",
      record: recordFile(path),
      ...readEvents(null),
    };
  }
  const folder = new RunFolder(path);
  if (!existsSync(folder.configFile)) {
    throw new RunError(`${path}: found no run here (no config.yaml)`, {
      hint: "name run folders, folders of studies, or files like record.json",
    });
  }
  const { journal, history, events } = readEvents(folder.journalFile);
  const record = folder.readRecord() ?? foldRecord(events);
  return {
    path: folder.path,
    name,
    ...configOf(folder),
    record: record && complete(record),
    journal,
    history,
  };
}

function recordFile(path: string): RunRecord {
  const problem = (what: string, cause?: unknown) =>
    new RunError(`${path}: ${what}`, { cause, hint: "name run folders, or files like record.json" });
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    throw problem(`cannot be read as JSON: ${(error as Error).message}`, error);
  }
  const schema = (value as { schema?: unknown } | null)?.schema;
  if (schema !== RECORD_SCHEMA) {
    throw problem(
      `expected a record of a run ("schema": "${RECORD_SCHEMA}"), found ${JSON.stringify(schema) ?? "no schema"}`,
    );
  }
  return complete(value as RunRecord);
}

/** A record with what earlier versions did not write. */
function complete(record: RunRecord): RunRecord {
  const {
    startFrom = [],
    keptBytes = [],
    modelRevision = null,
    acr,
  } = record as Partial<RunRecord> & Pick<RunRecord, "acr">;
  return { ...record, startFrom, keptBytes, modelRevision, acr: { ...acr, exact: acr.exact ?? null } };
}

function configOf(folder: RunFolder): Pick<ReportedRun, "config" | "configProblem"> {
  try {
    return { config: folder.readConfig(), configProblem: null };
  } catch (error) {
    // A run of another version is shown as far as its record goes.
    if (!(error instanceof NloraError)) throw error;
    return {
      config: null,
      configProblem: `config.yaml is not one of this version: ${error.message.split("\n")[0]}`,
    };
  }
}

interface Events {
  readonly journal: JournalFacts;
  readonly history: RunHistory;
  /** Without steps. */
  readonly events: readonly RunEvent[];
}

function readEvents(file: string | null): Events {
  const history = new History();
  const events: RunEvent[] = [];
  const notes = new Map<string, JournalFacts["notes"][number]>();
  let lengths: readonly LengthReport[] = [];
  let tasks: (TaskFacts & { logged: number; sum: number })[] = [];
  const testRows = new Map<string, number>();
  let starts = 0;
  let startedAt: string | null = null;
  let failure: JournalFacts["failure"] = null;
  const take = (event: RunEvent) => {
    history.add(event);
    if (event.type !== "step" && event.type !== "evaluation-progress") events.push(event);
    switch (event.type) {
      case "run-start":
        starts++;
        startedAt ??= event.time;
        failure = null;
        break;
      case "note":
        notes.set(event.message, event);
        break;
      case "lengths":
        lengths = event.report;
        break;
      case "task-start":
        tasks = tasks.filter(({ index }) => index < event.index);
        tasks.push({ ...event, tokensPerSecond: null, reached: 0, logged: 0, sum: 0 });
        break;
      case "step": {
        const task = tasks.at(-1);
        if (task?.index !== event.index) break;
        task.logged++;
        task.sum += event.tokensPerSecond;
        task.tokensPerSecond = task.sum / task.logged;
        task.reached = event.step;
        break;
      }
      case "evaluation":
        testRows.set(event.task, event.rows);
        break;
      case "run-failed":
        failure = { message: event.message, ...(event.hint !== undefined && { hint: event.hint }) };
        break;
    }
  };
  if (file !== null) new JournalTail(file).read(take);
  return {
    journal: { notes: [...notes.values()], lengths, tasks, testRows, starts, startedAt, failure },
    history: history.read({ points: POINTS }),
    events,
  };
}

/** The part of each path that tells it from all others, the last one that does; else as much of its end as it takes. */
export function shortNames(paths: readonly string[]): string[] {
  const parts = paths.map((path) =>
    resolve(path)
      .split("/")
      .filter((part) => part !== ""),
  );
  const ends = (count: number) => parts.map((each) => each.slice(-count).join("/"));
  const most = Math.max(1, ...parts.map(({ length }) => length));
  for (let depth = 1; depth <= most; depth++) {
    const names = parts.map((each) => each.at(-depth) ?? "");
    if (new Set(names).size === names.length) return names;
  }
  for (let count = 2; count <= most; count++) {
    const names = ends(count);
    if (new Set(names).size === names.length) return names;
  }
  // The same path twice.
  return ends(1).map((name, index) => `${name} (${index + 1})`);
}

/** What is named by a path on this machine, without the way to it. */
export function shareable(config: Config): Config {
  const visit = (value: unknown): unknown => {
    if (typeof value === "string") return value.startsWith("/") ? join("…", value.split("/").at(-1)!) : value;
    if (Array.isArray(value)) return value.map(visit);
    if (typeof value === "object" && value !== null) {
      return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, visit(each)]));
    }
    return value;
  };
  return visit(config) as Config;
}
