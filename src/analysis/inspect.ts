/** Inspects what paths name: PEFT adapter folders, and runs. Paths in, plain numbers out. */
import { type InspectOptions, inspectDeltas } from "../metrics/inspect.js";
import type { Inspection, Reading } from "../metrics/inspection.js";
import { tidy } from "../tensor/scope.js";
import { placeOf } from "./place.js";
import { readAdapters } from "./sources.js";

/** A map of two adapters; they are given by place (from 1) or name, and by default the first two. */
export interface MapOf {
  readonly module: string;
  readonly pair?: readonly [string, string];
  readonly reading?: Reading;
}

export interface InspectPathsOptions extends Omit<InspectOptions, "maps"> {
  readonly maps?: readonly MapOf[];
}

/** Throws a CheckpointError, RunError or UsageError where paths, maps and names do not stand for something. */
export function inspectAdapters(paths: readonly string[], options: InspectPathsOptions = {}): Inspection {
  return tidy(() => {
    const adapters = readAdapters(paths);
    const names = adapters.map(({ delta }) => delta.name);
    const maps = (options.maps ?? []).map(({ module, pair, reading = "relRms" }) => {
      const [i, j] = pair ? pair.map((given) => placeOf(given, names)) : [0, 1];
      return { module, reading, i: i!, j: j! };
    });
    return inspectDeltas(adapters, { ...options, maps });
  });
}
