/** `nlora study`: the paper's experiments, run by run; `nlora preset`: one of their configs, to look at or to change. */
import { join, resolve } from "node:path";
import { stringify } from "yaml";
import { didYouMean } from "../../did-you-mean.js";
import { UsageError } from "../../errors.js";
import {
  methodNamed,
  type PresetScale,
  type PresetSource,
  type Protocol,
  preset,
} from "../../experiment/presets.js";
import { draw } from "../../figures/draw.js";
import { duration, fixed } from "../../format.js";
import { writeFileAtomic } from "../../io/files.js";
import { type Loggers, loggerTarget, openLoggers, type Target } from "../../loggers/open.js";
import { readJournal } from "../../runs/journal.js";
import { RunFolder } from "../../runs/run-folder.js";
import { studyFigures } from "../../study/figures.js";
import { csvOf, markdownOf } from "../../study/render.js";
import { configsOf, runStudy, type StudyEvent, summarize } from "../../study/run-study.js";
import { type RunStream, streamCsv, streamMarkdown } from "../../study/stream-text.js";
import { type Selection, STUDIES, type Study, type StudyRun, studyRuns } from "../../study/studies.js";
import type { StudySummary } from "../../study/summary.js";
import { EXIT, type ExitCode } from "../exit.js";
import { stopOnSignals } from "../follow.js";
import { wholeNumber } from "../number-option.js";

export interface StudyCommandOptions {
  readonly scale: PresetScale;
  readonly data?: string;
  readonly out?: string;
  readonly methods?: string;
  readonly orders?: string;
  readonly seeds?: string;
  readonly jobs: string;
  readonly set?: readonly string[];
  readonly log?: readonly string[];
  readonly plan?: boolean;
  readonly summary?: boolean;
  readonly quiet?: boolean;
  readonly json?: boolean;
}

export async function study(name: string, options: StudyCommandOptions): Promise<ExitCode> {
  const chosen = studyNamed(name);
  const targets = options.log?.map((word) => loggerTarget(word)) ?? [];
  const selection: Selection = {
    scale: options.scale,
    methods: words(options.methods),
    orders: words(options.orders),
    seeds: words(options.seeds)?.map((seed) => wholeNumber("--seeds", { min: 0 })(seed)),
    set: options.set,
  };
  const runs = studyRuns(chosen, selection);
  if (runs.length === 0) {
    throw new UsageError(`study ${name}: nothing is left to run of ${options.methods ?? "its methods"}`, {
      hint: `its rows are ${chosen.rows.map(({ label }) => label).join(", ")}`,
    });
  }
  const root = resolve(options.out ?? `studies/${options.scale}`);
  if (options.plan) {
    configsOf(runs, { root, data: options.data });
    process.stdout.write(`${runs.map(({ id }) => id).join("\n")}\n`);
    return EXIT.done;
  }
  let failed: readonly string[] = [];
  let interrupted = false;
  if (!options.summary) {
    const say = (line: string) => process.stderr.write(`${line}\n`);
    const counter = { done: 0 };
    const logs = new StudyLogs(root, targets, say);
    const running = runStudy(runs, {
      root,
      data: options.data,
      jobs: wholeNumber("--jobs", { min: 1 })(options.jobs),
      onEvent: (event) => {
        interrupted ||= event.type === "ended" && event.status === "interrupted";
        const line = lineOf(event, counter, runs.length);
        if (line !== null && !options.quiet) say(line);
        // The table is up to date after every run, whatever happens to the next one.
        logs.hear(event);
        if (event.type === "ended") write(root, chosen, summarize(chosen, options.scale, runs, root));
      },
    });
    const release = stopOnSignals(running, say);
    failed = await running.finished.finally(release);
    await logs.closed();
  }
  const summary = summarize(chosen, options.scale, runs, root);
  const streams = chosen.along ? await streamsOf(runs, root) : [];
  write(root, chosen, summary, streams);
  process.stdout.write(
    options.json
      ? `${JSON.stringify({ ...summary, ...(chosen.along && { streams }) }, null, 2)}\n`
      : `\n${textOf(summary, streams)}`,
  );
  if (failed.length > 0) return EXIT.failed;
  return interrupted ? EXIT.interrupted : EXIT.done;
}

/** A set of loggers for every run that goes on. */
class StudyLogs {
  readonly #open = new Map<string, Loggers>();
  readonly #closing: Promise<number>[] = [];

  constructor(
    readonly root: string,
    readonly targets: readonly Target[],
    readonly say: (line: string) => void,
  ) {}

  hear(event: StudyEvent): void {
    if (this.targets.length === 0) return;
    const { id } = event.run;
    const loggers = this.#open.get(id);
    if (event.type === "started" || event.type === "resumed") {
      const folder = new RunFolder(join(this.root, id));
      const earlier = event.type === "resumed" ? readJournal(folder.journalFile) : [];
      const run = { folder: folder.path, name: id, config: folder.readConfig(), earlier };
      this.#open.set(
        id,
        openLoggers(this.targets, run, (line) => this.say(`${id}: ${line}`)),
      );
    } else if (event.type === "progress") loggers?.hear(event.event, Date.now());
    else if (event.type === "ended" && loggers) {
      const record = new RunFolder(join(this.root, id)).readRecord();
      this.#closing.push(loggers.close(record, Date.now()));
    }
  }

  async closed(): Promise<void> {
    await Promise.all(this.#closing);
  }
}

/** The runs that have begun, along their streams. Loads the engine, which reads their adapters. */
async function streamsOf(runs: readonly StudyRun[], root: string): Promise<RunStream[]> {
  const { streamOf } = await import("../../study/stream.js");
  return runs.flatMap(({ id, row: { label }, order, seed }) => {
    const stream = streamOf(join(root, id));
    return stream === null ? [] : [{ label, order, seed, ...stream }];
  });
}

const textOf = (summary: StudySummary, streams: readonly RunStream[]): string =>
  [markdownOf(summary), ...(streams.length > 0 ? [streamMarkdown(streams)] : [])].join("\n");

function write(
  root: string,
  { name }: Study,
  summary: StudySummary,
  streams: readonly RunStream[] = [],
): void {
  const path = `${root}/${name}`;
  writeFileAtomic(`${path}.json`, [`${JSON.stringify(summary, null, 2)}\n`]);
  writeFileAtomic(`${path}.csv`, [csvOf(summary)]);
  writeFileAtomic(`${path}.md`, [textOf(summary, streams)]);
  if (streams.length > 0) writeFileAtomic(`${path}-along.csv`, [streamCsv(streams)]);
  for (const figure of studyFigures(summary)) {
    writeFileAtomic(`${path}-${figure.id}.svg`, [draw(figure)]);
  }
}

function lineOf(event: StudyEvent, counter: { done: number }, total: number): string | null {
  const { id } = event.run;
  switch (event.type) {
    case "skipped":
      return `[${++counter.done}/${total}] ${id}: done before`;
    case "started":
      return `${id}: started`;
    case "resumed":
      return `${id}: goes on`;
    case "ended":
      return `[${++counter.done}/${total}] ${id}: ${event.status}${event.message ? `: ${event.message}` : ""}`;
    case "progress":
      if (event.event.type !== "task-end") return null;
      return `${id}: ${event.event.task} trained in ${duration(event.event.seconds)}, |dW| ${fixed(event.event.deltaNorm, 2)}`;
  }
}

function studyNamed(name: string): Study {
  const found = STUDIES.find((each) => each.name === name);
  if (found) return found;
  const names = STUDIES.map((each) => each.name);
  const near = didYouMean(name, names);
  throw new UsageError(`there is no study "${name}"; studies: ${names.join(", ")}`, {
    ...(near !== undefined && { hint: `did you mean ${near}?` }),
  });
}

const words = (list: string | undefined): string[] | undefined =>
  list
    ?.split(",")
    .map((word) => word.trim())
    .filter((word) => word !== "");

export interface PresetOptions {
  readonly method: string;
  readonly scale: PresetScale;
  readonly source: PresetSource;
  readonly protocol: Protocol;
}

export async function printPreset(order: string, options: PresetOptions): Promise<ExitCode> {
  const values = preset({ ...options, order, method: methodNamed(options.method) });
  process.stdout.write(stringify(values, { lineWidth: 110 }));
  return EXIT.done;
}
