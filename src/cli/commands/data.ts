/** `nlora data preview`: a config's data, or a data file, as a model will see it. */
import { existsSync, statSync } from "node:fs";
import { basename } from "node:path";
import { filesIn } from "../../data/records/open.js";
import { splitsByName } from "../../data/splits.js";
import { UsageError } from "../../errors.js";
import { type Config, type ConfigOverrides, loadConfig, resolveConfig } from "../../experiment/config.js";
import { showingDownloads } from "../downloads.js";
import { EXIT, type ExitCode } from "../exit.js";
import { previewText } from "../preview-text.js";

export interface PreviewCommand {
  readonly model?: string;
  readonly task?: string;
  readonly rows: string;
  readonly data?: string;
  readonly set?: readonly string[];
  readonly json?: boolean;
}

export async function preview(target: string, options: PreviewCommand): Promise<ExitCode> {
  if (!/^\d+$/.test(options.rows)) throw new UsageError(`--rows expects a number, found "${options.rows}"`);
  const { config, untested } = configOf(target, options);
  // Reads tokenizers, which takes a moment to load.
  const { previewData } = await import("../../experiment/preview.js");
  const result = await showingDownloads({ quiet: options.json }, (hub) =>
    previewData(config, { task: options.task, rows: Number(options.rows), untested, hub }),
  );
  process.stdout.write(options.json ? `${JSON.stringify(result, null, 2)}\n` : `${previewText(result)}\n`);
  return EXIT.done;
}

/** The config of a YAML file; or one with a single task of a data file, of a folder or of a dataset. */
function configOf(target: string, options: PreviewCommand): { config: Config; untested: boolean } {
  const set = [
    ...(options.set ?? []),
    ...(options.model === undefined ? [] : [`model=${JSON.stringify(options.model)}`]),
  ];
  const overrides: ConfigOverrides = { set, data: options.data };
  if (/\.ya?ml$/i.test(target)) return { config: loadConfig(target, overrides), untested: false };
  const name =
    basename(target)
      .split(/[.@]/)[0]!
      .replace(/[^\p{L}\p{N}._-]/gu, "-") || "data";
  const isDataset = existsSync(target)
    ? statSync(target).isDirectory() && splitsByName(filesIn(target)).length > 1
    : /^[^./~][^/]*\/[^/]+(@.+)?$/.test(target);
  const task = isDataset ? { name, dataset: target } : { name, train: target, test: target };
  return {
    config: resolveConfig({ data: { kind: "files", tasks: [task] } }, overrides),
    untested: !isDataset,
  };
}
