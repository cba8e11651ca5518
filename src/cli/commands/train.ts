/** `nlora train`: one run from a config file, or the rest of an interrupted one. */
import { basename } from "node:path";
import { UsageError } from "../../errors.js";
import { type Config, type ConfigOverrides, loadConfig } from "../../experiment/config.js";
import { loggerTarget, openLoggers } from "../../loggers/open.js";
import { readJournal } from "../../runs/journal.js";
import type { RunRecord } from "../../runs/record.js";
import { defaultRunPath, RunFolder } from "../../runs/run-folder.js";
import { EXIT, type ExitCode, errorText, exitCodeOf } from "../exit.js";
import { follow } from "../follow.js";
import { accuracyTable, metricsTable } from "../tables.js";
import { createView } from "../terminal.js";
import { watchRun } from "./ui.js";

export interface TrainOptions {
  readonly data?: string;
  readonly out?: string;
  readonly resume?: string;
  readonly set?: readonly string[];
  readonly seed?: string;
  readonly log?: readonly string[];
  readonly quiet?: boolean;
  readonly json?: boolean;
  readonly ui?: boolean;
}

export async function train(file: string | undefined, options: TrainOptions): Promise<ExitCode> {
  const targets = options.log?.map((word) => loggerTarget(word)) ?? [];
  const { config, folder, resume } = prepare(file, options);
  const finished = resume ? folder.readRecord() : null;
  if (finished?.status === "done") {
    process.stderr.write("this run has finished already\n");
    report(finished, folder, options);
    return EXIT.done;
  }
  const view = createView({ ...options, evaluates: config.evaluation.tasks });
  const earlier = resume ? readJournal(folder.journalFile) : [];
  const logged = { folder: folder.path, name: basename(folder.path), config, earlier };
  const loggers = openLoggers(targets, logged, (line) => view.say(line));
  const watched = options.ui ? await watchRun(folder) : null;
  const outcome = await follow(config, folder, view, {
    resume,
    loggers,
    ...(watched && { onLaunch: watched.onLaunch }),
  }).finally(() => watched?.close());
  if (outcome.record) report(outcome.record, folder, options);
  if (outcome.status === "failed") {
    const error = outcome.error ?? { message: "the run failed" };
    process.stderr.write(errorText(error));
    process.stderr.write(`what was written is in ${folder.path}\n`);
    return exitCodeOf(error);
  }
  if (outcome.status === "done") return EXIT.done;
  process.stderr.write(`interrupted; go on with: nlora train --resume ${folder.path}\n`);
  return EXIT.interrupted;
}

function prepare(
  file: string | undefined,
  options: TrainOptions,
): { config: Config; folder: RunFolder; resume: boolean } {
  const overrides: ConfigOverrides = { set: options.set, seed: options.seed, data: options.data };
  if (options.resume !== undefined) {
    if (options.out !== undefined) {
      throw new UsageError("--resume and --out exclude each other: a resumed run stays in its folder");
    }
    const stored = new RunFolder(options.resume);
    stored.readConfig();
    const config = loadConfig(file ?? stored.configFile, overrides);
    return { config, folder: RunFolder.resume(options.resume, config), resume: true };
  }
  if (file === undefined) {
    throw new UsageError("train needs a config file", {
      hint: "nlora train configs/t5-mini-order-1.yaml, or --resume DIR",
    });
  }
  const config = loadConfig(file, overrides);
  const path = options.out ?? defaultRunPath(config, new Date());
  return { config, folder: RunFolder.create(path, config), resume: false };
}

function report(record: RunRecord, folder: RunFolder, options: TrainOptions): void {
  if (options.json) {
    process.stdout.write(`${JSON.stringify({ type: "record", folder: folder.path, record })}\n`);
    return;
  }
  process.stdout.write(
    `\n${accuracyTable(record)}\n\n${metricsTable([record])}\n\nrun folder: ${folder.path}\n`,
  );
}
