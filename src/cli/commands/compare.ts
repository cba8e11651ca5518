/** `nlora compare`: the metrics of finished or running runs side by side. */
import { basename, resolve } from "node:path";
import { RunError } from "../../errors.js";
import { RunFolder } from "../../runs/run-folder.js";
import { EXIT, type ExitCode } from "../exit.js";
import { metricsTable } from "../tables.js";

export async function compare(
  folders: readonly string[],
  options: { readonly json?: boolean },
): Promise<ExitCode> {
  const runs = folders.map((folder) => {
    const record = new RunFolder(folder).readRecord();
    if (record) return { folder: resolve(folder), record };
    throw new RunError(`${folder}: there is no record.json, so it is no run that has started`, {
      hint: "name folders that nlora train, demo or study wrote",
    });
  });
  if (options.json) {
    process.stdout.write(`${JSON.stringify(runs, null, 2)}\n`);
    return EXIT.done;
  }
  const names = runs.map(({ folder, record }, index) => {
    const isTwice = runs.some((other, at) => at !== index && other.record.method === record.method);
    return isTwice ? `${record.method} (${basename(folder)})` : record.method;
  });
  const tasks = [...new Set(runs.map(({ record }) => record.tasks.join(", ")))];
  if (tasks.length > 1) process.stderr.write("the runs learned different tasks or orders\n");
  process.stdout.write(
    `${metricsTable(
      runs.map(({ record }) => record),
      names,
    )}\n`,
  );
  return EXIT.done;
}
