/** How collisions and the occupied share of a stream's adapters move as tasks are added, without measuring every prefix anew. */
import { withSameModules } from "../adapters/combine.js";
import type { AdapterDelta } from "../adapters/delta.js";
import { inference } from "../tensor/grad.js";
import { type CollisionThreshold, collisionsOf, READINGS } from "./collisions.js";
import { commonModules, factorsOf, moduleNorms } from "./low-rank.js";
import { moduleElements } from "./module-elements.js";

/** The readings that are printed side by side. */
const READ = ["abs", "relRms", "exact"] as const;
type Read = (typeof READ)[number];

/** The adapters of the first tasks together. */
export interface Along {
  /** Mean collision rate of all pairs; null for one adapter. */
  readonly acr: Readonly<Record<Read, number | null>>;
  /** Share of elements that at least one of them changes. */
  readonly occupied: Readonly<Record<Read, number>>;
}

/** [k]: of adapters 0 to k. A module that an adapter lacks counts as an update of zero. */
export function alongStream(adapters: readonly AdapterDelta[]): Along[] {
  const thresholds = READ.map((reading): CollisionThreshold => READINGS[reading]);
  const deltas = withSameModules(adapters);
  const norms = moduleNorms(deltas);
  const elements = commonModules(deltas).map((module, m) =>
    inference(() => moduleElements(factorsOf(deltas, module, "float32", {}), norms[m]!, thresholds)),
  );
  const size = elements.reduce((sum, module) => sum + module.size, 0);
  const rates = collisionsOf(elements, deltas.length, thresholds).map(({ pairs }) => {
    const sums = deltas.map(() => 0);
    for (const { j, rate } of pairs) sums[j]! += rate;
    return sums;
  });
  const totals = READ.map(() => 0);
  return deltas.map((_, k) => {
    const pairs = (k * (k + 1)) / 2;
    READ.forEach((_, reading) => {
      totals[reading]! += rates[reading]![k]!;
    });
    return {
      acr: byReading((reading) => (pairs === 0 ? null : totals[reading]! / pairs)),
      occupied: byReading(
        (reading) => elements.reduce((sum, { unions }) => sum + unions[reading]![k]!, 0) / size,
      ),
    };
  });
}

const byReading = <Value>(value: (reading: number) => Value): Record<Read, Value> => ({
  abs: value(0),
  relRms: value(1),
  exact: value(2),
});
