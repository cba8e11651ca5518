/** `nlora report`: one file on runs and studies, to look at, to print or to mail; and their figures one by one. */
import { mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { RunError } from "../../errors.js";
import { csvOf, dataTables } from "../../figures/data-table.js";
import { draw } from "../../figures/draw.js";
import { writeFileAtomic } from "../../io/files.js";
import { NO_ADAPTERS } from "../../report/adapters.js";
import { readInputs } from "../../report/inputs.js";
import { reportOf } from "../../report/report.js";
import { EXIT, type ExitCode } from "../exit.js";
import { packageVersion } from "../version.js";

export interface ReportOptions {
  readonly out?: string;
  readonly figures?: string;
}

export async function report(paths: readonly string[], options: ReportOptions): Promise<ExitCode> {
  const { runs, studies } = readInputs(paths);
  const say = (line: string) => process.stderr.write(`${line}\n`);
  const { html, figures } = reportOf({
    runs,
    studies,
    adapters: NO_ADAPTERS,
    version: packageVersion(),
    now: new Date(),
  });
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
