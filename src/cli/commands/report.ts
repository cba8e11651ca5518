/** `nlora report`: one file on runs and studies, to look at, to print or to mail; and their figures one by one. */
import { mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { NloraError, RunError } from "../../errors.js";
import { csvOf, dataTables } from "../../figures/data-table.js";
import { draw } from "../../figures/draw.js";
import { writeFileAtomic } from "../../io/files.js";
import { type AdapterFindings, densestModule, NO_ADAPTERS, readingsOfMaps } from "../../report/adapters.js";
import { readInputs } from "../../report/inputs.js";
import { reportOf } from "../../report/report.js";
import type { ReportedRun } from "../../report/reported-run.js";
import { isRunFolder } from "../../runs/run-state.js";
import { EXIT, type ExitCode } from "../exit.js";
import { packageVersion } from "../version.js";

export interface ReportOptions {
  readonly out?: string;
  readonly figures?: string;
  /** False with --no-adapters. */
  readonly adapters: boolean;
}

/** Runs whose adapters are measured; a report on more is about their records. */
const INSPECTED = 8;

export async function report(paths: readonly string[], options: ReportOptions): Promise<ExitCode> {
  const { runs, studies } = readInputs(paths);
  const say = (line: string) => process.stderr.write(`${line}\n`);
  const adapters = options.adapters ? await findings(runs, say) : NO_ADAPTERS;
  const { html, figures } = reportOf({ runs, studies, adapters, version: packageVersion(), now: new Date() });
  if (options.figures !== undefined) {
    const folder = resolve(options.figures);
    try {
      mkdirSync(folder, { recursive: true });
    } catch (error) {
      throw new RunError(`cannot make the folder ${folder}: ${(error as Error).message}`, { cause: error });
    }
    for (const figure of figures) {
      writeFileAtomic(join(folder, `${figure.id}.svg`), [draw(figure)], RunError);
      writeFileAtomic(join(folder, `${figure.id}.csv`), [csvOf(dataTables(figure))], RunError);
    }
    say(`${figures.length} figures, each as .svg and .csv, are in ${folder}`);
  }
  // Figures alone are wanted where a folder for them is named and no file.
  if (options.figures === undefined || options.out !== undefined) {
    const file = resolve(options.out ?? "report.html");
    writeFileAtomic(file, [html], RunError);
    process.stdout.write(`${file}\n`);
  }
  return EXIT.done;
}

/** Loads the engine, but only where a run has adapters. */
async function findings(runs: readonly ReportedRun[], say: (line: string) => void): Promise<AdapterFindings> {
  const trained = runs.filter(({ path, record }) => record?.status === "done" && isRunFolder(path));
  if (trained.length === 0) return NO_ADAPTERS;
  if (trained.length > INSPECTED) {
    say(`the adapters of ${trained.length} runs are not measured; name at most ${INSPECTED} runs for that`);
    return NO_ADAPTERS;
  }
  const { inspectAdapters } = await import("../../analysis/inspect.js");
  const found: AdapterFindings["found"][number][] = [];
  const skipped: AdapterFindings["skipped"][number][] = [];
  for (const { path, name, record } of trained) {
    if (record!.deltaNorms.every((norm) => norm === null)) continue;
    say(`measuring the adapters of ${name}`);
    try {
      const inspection = inspectAdapters([path]);
      const module = densestModule(inspection, "abs");
      const maps = module === null ? [] : readingsOfMaps(inspection).map((reading) => ({ module, reading }));
      // What needs a look at every element has been measured; the maps are added to it.
      const drawn = maps.length === 0 ? [] : inspectAdapters([path], { readings: [], maps }).maps;
      found.push({ run: name, inspection: { ...inspection, maps: drawn } });
    } catch (error) {
      // A report tells what there is; adapters that were removed or damaged are named in it.
      if (!(error instanceof NloraError)) throw error;
      skipped.push({ run: name, reason: error.message });
    }
  }
  return { found, skipped };
}
