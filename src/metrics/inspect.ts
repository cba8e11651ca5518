/** Measures PEFT adapter folders, alone and against each other. The order of the folders is the order of the tasks. */
import { basename, resolve } from "node:path";
import type { AdapterDelta } from "../adapters/delta.js";
import { readPeft } from "../io/peft.js";
import { tidy } from "../tensor/scope.js";
import { type Collisions, collisions, READINGS } from "./collisions.js";
import { awom, gsr, innerProductMatrix, orthogonalOverlap } from "./geometry.js";
import type { AdapterInspection, Inspection, PairInspection } from "./inspection-summary.js";

type Reading = keyof typeof READINGS;
/** One value per threshold of the collision rate. */
export type ByReading = Readonly<Record<Reading, number | null>>;

export interface InspectedAdapter extends AdapterInspection {
  /** alpha / rank: what the model multiplies dW by; nothing here does. */
  readonly scale: number;
  /** GSR with all modules as one vector. */
  readonly gsrPooled: number | null;
  readonly zeroMatrices: number;
  readonly density: ByReading;
}

export interface InspectedPair extends PairInspection {
  /** Places of `a` and `b` in `adapters`. */
  readonly i: number;
  readonly j: number;
  readonly collisionRate: ByReading;
  /** The collision rate of independent supports of the same densities. */
  readonly expected: ByReading;
  readonly lift: ByReading;
}

/** An Inspection with every reading. Numbers are null where undefined. */
export interface InspectReport extends Inspection {
  readonly adapters: readonly InspectedAdapter[];
  readonly acr: ByReading;
  readonly pairs: readonly InspectedPair[];
}

/** Throws a CheckpointError for damaged folders and for adapters with different modules or shapes. */
export function inspectAdapters(folders: readonly string[]): InspectReport {
  return tidy(() => {
    const names = uniqueNames(folders);
    return report(
      folders,
      folders.map((folder, index) => ({ ...readPeft(folder).delta, name: names[index]! })),
    );
  });
}

function report(folders: readonly string[], deltas: readonly AdapterDelta[]): InspectReport {
  const overlap = orthogonalOverlap(deltas);
  const sparsity = gsr(deltas);
  const readings = collisionReadings(deltas);
  const inner = innerProductMatrix(deltas);
  const norms = deltas.map((_, i) => Math.sqrt(inner[i]![i]!));
  const adapters = deltas.map(({ name, scale, modules }, i) => ({
    name,
    folder: folders[i]!,
    modules: modules.size,
    rank: Math.max(...[...modules.values()].map(({ a }) => a.dim(0))),
    scale,
    deltaNorm: norms[i]!,
    gsr: sparsity.perTask[i]!,
    gsrPooled: sparsity.perTaskPooled[i]!,
    zeroMatrices: sparsity.perModule[i]!.filter((value) => value === null).length,
    density: byReading(readings, ({ densities }) => densities[i]!),
  }));
  const pairs = readings.abs.pairs.map(({ i, j }, index) => ({
    i,
    j,
    a: deltas[i]!.name,
    b: deltas[j]!.name,
    collisionRate: byReading(readings, ({ pairs }) => pairs[index]!.rate),
    expected: byReading(readings, ({ pairs }) => pairs[index]!.expected),
    lift: byReading(readings, ({ pairs }) => pairs[index]!.lift),
    innerProduct: inner[i]![j]!,
    cosine: norms[i] === 0 || norms[j] === 0 ? null : inner[i]![j]! / (norms[i]! * norms[j]!),
  }));
  return {
    adapters,
    orthogonalOverlap: overlap,
    awom: awom(deltas),
    gsr: { mean: sparsity.mean, pooled: sparsity.pooled },
    acr: byReading(readings, ({ average }) => average),
    pairs,
  };
}

function collisionReadings(deltas: readonly AdapterDelta[]): Record<Reading, Collisions> {
  const names = Object.keys(READINGS) as Reading[];
  const measured = collisions(deltas, Object.values(READINGS));
  return Object.fromEntries(names.map((name, k) => [name, measured[k]!])) as Record<Reading, Collisions>;
}

function byReading(
  readings: Record<Reading, Collisions>,
  value: (of: Collisions) => number | null,
): ByReading {
  return {
    abs: value(readings.abs),
    relRms: value(readings.relRms),
    relMax: value(readings.relMax),
    energy: value(readings.energy),
    exact: value(readings.exact),
  };
}

/** The last part of each path; the path as given where two would be the same, and a number if those are. */
function uniqueNames(folders: readonly string[]): string[] {
  const last = folders.map((folder) => basename(resolve(folder)));
  const names = last.map((name, k) => (last.indexOf(name) === last.lastIndexOf(name) ? name : folders[k]!));
  return names.map((name, k) => {
    const earlier = names.slice(0, k).filter((other) => other === name).length;
    return earlier === 0 ? name : `${name} (${earlier + 1})`;
  });
}
