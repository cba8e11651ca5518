/** `nlora log`: finished or running runs, written as a logger would have written them while they ran. */
import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { dirname, join, relative, resolve, sep } from "node:path";
import { RunError } from "../../errors.js";
import { temporaryName } from "../../io/files.js";
import { lastingEvents } from "../../loggers/journal-events.js";
import { loggerTarget, openLoggers, placesIn, type Target } from "../../loggers/open.js";
import { readJournal } from "../../runs/journal.js";
import { RunFolder } from "../../runs/run-folder.js";
import { EXIT, type ExitCode } from "../exit.js";

export interface LogOptions {
  readonly to: readonly string[];
  readonly out?: string;
}

/** Somebody waits for the result, so a server that does not answer is given up some time. */
const PATIENCE = { gather: 0, tries: 6, triesAtEnd: 6, atEnd: 300_000 };

export async function log(paths: readonly string[], options: LogOptions): Promise<ExitCode> {
  const targets = options.to.map((word) => loggerTarget(word));
  const folders = [...new Set(paths.map((path) => resolve(path)))];
  const root = sharedParent(folders);
  const warn = (line: string) => process.stderr.write(`${line}\n`);
  let failures = 0;
  for (const folder of folders) {
    const name = relative(root, folder);
    const places = options.out === undefined ? placesIn(folder) : placesUnder(resolve(options.out), name);
    for (const target of targets) {
      failures += await logRun(new RunFolder(folder), name, target, places, warn);
    }
  }
  return failures === 0 ? EXIT.done : EXIT.failed;
}

type Places = ReturnType<typeof placesIn>;

/** Returns whether something was lost, as a number. */
async function logRun(
  folder: RunFolder,
  name: string,
  target: Target,
  places: Places,
  warn: (line: string) => void,
): Promise<number> {
  const config = folder.readConfig();
  const events = lastingEvents(readJournal(folder.journalFile));
  if (!events.some(({ event }) => event.type === "run-start")) {
    throw new RunError(`${folder.path}: this run has not started, so there is nothing to log`);
  }
  const path = target.kind === "mlflow" ? null : places[target.kind];
  if (path !== null) prepare(path);
  // Files appear when they are complete.
  const hidden = path === null ? null : temporaryName(path);
  const loggers = openLoggers([target], { folder: folder.path, name, config, earlier: [] }, warn, {
    ...(hidden !== null && { places: { tensorboard: hidden, csv: hidden } }),
    mlflow: { patience: PATIENCE, remember: false },
  });
  let lost = 1;
  try {
    for (const { event, time } of events) {
      loggers.hear(event, time);
      await loggers.ready();
    }
    lost = await loggers.close(folder.readRecord(), events.at(-1)!.time);
    if (lost === 0 && path !== null) renameSync(hidden!, path);
  } finally {
    if (hidden !== null) rmSync(hidden, { recursive: true, force: true });
  }
  if (lost === 0) {
    process.stdout.write(`${name}: ${path ?? (target.kind === "mlflow" ? target.address : "")}\n`);
  }
  return lost;
}

/** Nothing is overwritten. */
function prepare(path: string): void {
  mkdirSync(dirname(path), { recursive: true });
  if (!existsSync(path)) return;
  throw new RunError(`${path} is there already`, { hint: "remove it, or give another folder with --out" });
}

const placesUnder = (out: string, name: string): Places => ({
  tensorboard: join(out, name),
  csv: join(out, `${name}.csv`),
});

/** The deepest folder that all of them lie in. */
function sharedParent(folders: readonly string[]): string {
  const parts = folders.map((folder) => dirname(folder).split(sep));
  const first = parts[0] ?? [];
  const differs = first.findIndex((part, k) => parts.some((other) => other[k] !== part));
  return (differs === -1 ? first : first.slice(0, differs)).join(sep) || sep;
}
