/** The adapters that paths name: PEFT folders from anywhere, and all tasks of a run. */
import { basename, resolve } from "node:path";
import { increment, withScale } from "../adapters/combine.js";
import type { AdapterDelta } from "../adapters/delta.js";
import { readPeft } from "../io/peft.js";
import type { NamedAdapter } from "../metrics/inspect.js";
import { RunFolder } from "../runs/run-folder.js";
import { isRunFolder, runState } from "../runs/run-state.js";

/**
 * Adapters in the order given, each under a name of its own. A run gives the adapters that it started from and those of its
 * finished tasks, as the run measured them: under its own scale, and where one adapter was trained on and on, as
 * `lora.seqDelta` says. A file that keeps earlier tasks apart gives them as an adapter before its own. Factors belong to the
 * open scope. Throws a CheckpointError for what is no adapter, a RunError for a run without one.
 */
export function readAdapters(paths: readonly string[]): NamedAdapter[] {
  const read = paths.flatMap((path) => (isRunFolder(path) ? adaptersOfRun(path) : adaptersOfFolder(path)));
  const names = uniqueNames(read);
  return read.map(({ delta, folder }, k) => ({ delta: { ...delta, name: names[k]! }, folder }));
}

function adaptersOfFolder(folder: string): NamedAdapter[] {
  const { delta, previous } = readPeft(folder);
  return (previous ? [previous, delta] : [delta]).map((each) => ({ delta: each, folder }));
}

function adaptersOfRun(path: string): NamedAdapter[] {
  const { config, tasks, start, last } = runState(path);
  const run = new RunFolder(path);
  const started = start.flatMap(({ folder }) => adaptersOfFolder(folder));
  const trained = tasks.flatMap((name, index) =>
    adaptersOfFolder(run.taskFolder("adapters", { index, name })),
  );
  const isIncremental = last.holds === "cumulative" && config.lora.seqDelta === "increment";
  const own = trained.map(({ delta, folder }, k) => ({
    delta: isIncremental ? increment(delta, trained[k - 1]?.delta) : delta,
    folder,
  }));
  const scale = trained.at(-1)!.delta.scale;
  return [...started, ...own].map(({ delta, folder }) => ({ delta: withScale(delta, scale), folder }));
}

/** The names there are; where two are the same, the folders, and a number if those are. */
function uniqueNames(read: readonly { readonly delta: AdapterDelta; readonly folder: string }[]): string[] {
  const short = read.map(({ delta }) => delta.name);
  const names = short.map((name, k) =>
    short.indexOf(name) === short.lastIndexOf(name)
      ? name
      : name.replace(basename(resolve(read[k]!.folder)), () => read[k]!.folder),
  );
  return names.map((name, k) => {
    const earlier = names.slice(0, k).filter((other) => other === name).length;
    return earlier === 0 ? name : `${name} (${earlier + 1})`;
  });
}
