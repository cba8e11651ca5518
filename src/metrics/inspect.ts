/** Measures adapters alone and against each other, module by module. Their order is the order of the tasks. */
import { withSameModules } from "../adapters/combine.js";
import type { AdapterDelta } from "../adapters/delta.js";
import { deltaNorm } from "../adapters/usage.js";
import { inference } from "../tensor/grad.js";
import { collisionMap, type MapRequest } from "./collision-map.js";
import { READINGS } from "./collisions.js";
import { overlapParts } from "./geometry.js";
import type { AdapterInspection, Inspection, ModuleInspection, Reading } from "./inspection.js";
import { commonModules, factorsOf, type GeometryOptions } from "./low-rank.js";
import { moduleElements } from "./module-elements.js";
import { moduleGeometry, type Pair } from "./module-geometry.js";
import { degreesOf, type ModuleMeasures, type ScopeContext, scopeOf } from "./scope.js";

export interface InspectOptions {
  /** Measures scale * dW, what the model adds. Default false. */
  readonly scaled?: boolean;
  /** What counts as changed. Default: `DEFAULT_READINGS`; none: what needs a look at every element is left out. */
  readonly readings?: readonly Reading[];
  /** Collision maps to make. */
  readonly maps?: readonly MapRequest[];
  /** Called before each module. */
  readonly onModule?: (done: number, modules: number) => void;
}

/** `relMax` and `energy` take passes of their own to find their thresholds. */
export const DEFAULT_READINGS: readonly Reading[] = ["abs", "relRms", "exact"];

/** What is asked of a folder's adapter beside its factors. */
export interface NamedAdapter {
  /** The name of `delta` is the adapter's. */
  readonly delta: AdapterDelta;
  readonly folder: string;
}

/**
 * A module that an adapter lacks counts as an update of zero. Throws a CheckpointError for factors that do not fit together, a
 * UsageError for a map of a module or adapter that is not there. Call inside a scope; nothing of it is left there.
 */
export function inspectDeltas(adapters: readonly NamedAdapter[], options: InspectOptions = {}): Inspection {
  return inference(() => {
    const { scaled = false, readings = DEFAULT_READINGS, maps = [], onModule } = options;
    const given = adapters.map(({ delta }) => delta);
    const deltas = withSameModules(given);
    const names = commonModules(deltas);
    const geometry: GeometryOptions = { includeScaling: scaled };
    const pairs = deltas.flatMap((_, i) => deltas.slice(i + 1).map((_, k): Pair => [i, i + 1 + k]));
    const context: ScopeContext = { names: deltas.map(({ name }) => name), pairs, readings };
    const drawn = maps.map((request) => collisionMap(deltas, request, geometry));
    const measures = names.map((module, done) => {
      onModule?.(done, names.length);
      const ranks = given.map(({ modules }) => modules.get(module)?.a.dim(0) ?? 0);
      return { ...measure(deltas, module, context, geometry), ranks };
    });
    const total = scopeOf(measures, context);
    return {
      scaled,
      readings,
      ...total,
      adapters: adapters.map(
        ({ delta, folder }, i): AdapterInspection => ({
          name: delta.name,
          folder,
          rank: Math.max(...[...delta.modules.values()].map(({ a }) => a.dim(0))),
          scale: delta.scale,
          modules: delta.modules.size,
          ...total.adapters[i]!,
        }),
      ),
      layers: byLayer(measures).map((modules) => ({
        layer: layerOf(modules[0]!.module),
        modules: modules.map(({ module }) => module),
        ...scopeOf(modules, context),
      })),
      modules: measures.map((each) => moduleInspection(each, context)),
      maps: drawn,
    };
  });
}

function measure(
  adapters: readonly AdapterDelta[],
  module: string,
  { pairs, readings }: ScopeContext,
  options: GeometryOptions,
): Omit<ModuleMeasures, "ranks"> {
  return inference(() => {
    const { norms, ...measured } = inference(() => {
      const deltas = factorsOf(adapters, module, "float64", options);
      const [first] = deltas;
      return {
        overlap: overlapParts(deltas),
        geometry: moduleGeometry(deltas, pairs),
        norms: deltas.map(deltaNorm),
        outputs: first!.b.dim(0),
        inputs: first!.a.dim(1),
      };
    });
    const elements =
      readings.length === 0
        ? null
        : moduleElements(
            factorsOf(adapters, module, "float32", options),
            norms,
            readings.map((reading) => READINGS[reading]),
          );
    return { module, ...measured, elements };
  });
}

function moduleInspection(measures: ModuleMeasures, context: ScopeContext): ModuleInspection {
  const { module, outputs, inputs, ranks, geometry } = measures;
  const scope = scopeOf([measures], context);
  const degrees = (cosines: readonly number[] | null) => (cosines === null ? null : degreesOf(cosines));
  return {
    module,
    layer: layerOf(module),
    outputs,
    inputs,
    ranks,
    ...scope,
    pairs: scope.pairs.map((pair, p) => ({
      ...pair,
      rowAngles: degrees(geometry.pairs[p]!.rowCosines),
      columnAngles: degrees(geometry.pairs[p]!.columnCosines),
    })),
  };
}

/** A module's path up to the first number in it; the whole path where there is none. */
export const layerOf = (module: string): string => /^(.*?\.)?\d+(?=\.|$)/.exec(module)?.[0] ?? module;

function byLayer(measures: readonly ModuleMeasures[]): ModuleMeasures[][] {
  const layers = new Map<string, ModuleMeasures[]>();
  for (const each of measures) {
    const layer = layerOf(each.module);
    layers.set(layer, [...(layers.get(layer) ?? []), each]);
  }
  return [...layers.values()];
}
