/** One module's measures, and what those of several modules amount to: a layer, or the whole adapter. */
import { type Collisions, type CollisionThreshold, collisionsOf, READINGS } from "./collisions.js";
import { awomOf, type OverlapParts, overlapOf, type SparsityRate, sparsityOf } from "./geometry.js";
import type {
  ByReading,
  PairInspection,
  Reading,
  ScopeInspection,
  SubspaceAngles,
  UpdateInspection,
} from "./inspection.js";
import { meanOf } from "./low-rank.js";
import type { ModuleElements } from "./module-elements.js";
import type { ModuleGeometry, Pair } from "./module-geometry.js";

export interface ModuleMeasures {
  readonly module: string;
  readonly outputs: number;
  readonly inputs: number;
  /** Rank of each adapter's factors; 0 where it does not have the module. */
  readonly ranks: readonly number[];
  readonly overlap: OverlapParts;
  /** Of all pairs. */
  readonly geometry: ModuleGeometry;
  /** At the readings measured; null where elements were not looked at. */
  readonly elements: ModuleElements | null;
}

/** What all inspections of some adapters have in common. */
export interface ScopeContext {
  readonly names: readonly string[];
  readonly pairs: readonly Pair[];
  readonly readings: readonly Reading[];
}

/** The measures of a scope's modules together. */
export function scopeOf(modules: readonly ModuleMeasures[], context: ScopeContext): ScopeInspection {
  const { names, pairs, readings } = context;
  const elements = modules.flatMap((module) => module.elements ?? []);
  const thresholds = readings.map((reading): CollisionThreshold => READINGS[reading]);
  const measured = elements.length === 0 ? [] : collisionsOf(elements, names.length, thresholds);
  const by = <Value>(value: (of: Collisions, k: number) => Value | null): ByReading<Value | null> =>
    byReading((reading) => {
      const k = readings.indexOf(reading);
      return measured[k] === undefined ? null : value(measured[k], k);
    });
  const sparsity = elements.length === 0 ? null : sparsityOf(elements, names.length);
  const size = modules.reduce((sum, { outputs, inputs }) => sum + outputs * inputs, 0);
  return {
    parameters: size,
    orthogonalOverlap: overlapOf(modules.map(({ overlap }) => overlap)),
    awom: awomOf(modules.map(({ geometry }) => ({ geometry, pairs }))),
    gsr: { mean: sparsity?.mean ?? null, pooled: sparsity?.pooled ?? null },
    acr: by(({ average }) => average),
    occupied: by((_, k) =>
      names.map((_, i) => elements.reduce((sum, { unions }) => sum + unions[k]![i]!, 0) / size),
    ),
    adapters: names.map((_, i) => ({
      ...sizesOf(modules, i),
      ...magnitudesOf(elements, sparsity, i),
      density: by(({ densities }) => densities[i]!),
    })),
    pairs: pairs.map(([i, j], p) => ({
      i,
      j,
      a: names[i]!,
      b: names[j]!,
      ...geometryOf(modules, [i, j], p),
      collisionRate: by((of) => of.pairs[p]!.rate),
      expected: by((of) => of.pairs[p]!.expected),
      lift: by((of) => of.pairs[p]!.lift),
    })),
  };
}

export const byReading = <Value>(value: (reading: Reading) => Value): ByReading<Value> => ({
  abs: value("abs"),
  relRms: value("relRms"),
  relMax: value("relMax"),
  energy: value("energy"),
  exact: value("exact"),
});

function sizesOf(
  modules: readonly ModuleMeasures[],
  i: number,
): Omit<UpdateInspection, "l1" | "gsr" | "gsrPooled" | "density"> {
  const sizes = modules.map(({ geometry }) => geometry.sizes[i]!);
  return {
    frobenius: Math.hypot(...sizes.map(({ frobenius }) => frobenius)),
    nuclear: sizes.reduce((sum, { nuclear }) => sum + nuclear, 0),
    spectral: Math.max(0, ...sizes.map(({ spectral }) => spectral)),
    effectiveRank: meanOf(sizes.map(({ effectiveRank }) => effectiveRank)),
    stableRank: meanOf(sizes.map(({ stableRank }) => stableRank)),
    zeroModules: sizes.filter(({ frobenius }) => frobenius === 0).length,
  };
}

const magnitudesOf = (
  elements: readonly ModuleElements[],
  sparsity: SparsityRate | null,
  i: number,
): Pick<UpdateInspection, "l1" | "gsr" | "gsrPooled"> => ({
  l1: sparsity === null ? null : elements.reduce((sum, { l1 }) => sum + l1[i]!, 0),
  gsr: sparsity?.perTask[i] ?? null,
  gsrPooled: sparsity?.perTaskPooled[i] ?? null,
});

type PairSums = Pick<
  PairInspection,
  "innerProduct" | "cosine" | "orthogonalOverlap" | "awom" | "rows" | "columns"
>;

function geometryOf(modules: readonly ModuleMeasures[], [i, j]: Pair, p: number): PairSums {
  let [innerProduct, squared, abs, spectral, frobenius] = [0, 0, 0, 0, 0];
  const [rows, columns]: [SubspaceAngles[], SubspaceAngles[]] = [[], []];
  for (const { geometry, outputs, inputs } of modules) {
    const pair = geometry.pairs[p]!;
    innerProduct += pair.innerProduct;
    squared += pair.overlap.squared;
    abs += pair.overlap.abs;
    spectral += pair.product.spectral;
    frobenius += pair.product.frobenius;
    const larger = Math.max(geometry.sizes[i]!.rank, geometry.sizes[j]!.rank);
    if (pair.rowCosines !== null) rows.push(anglesOf(pair.rowCosines, larger / inputs));
    if (pair.columnCosines !== null) columns.push(anglesOf(pair.columnCosines, larger / outputs));
  }
  const norm = (of: number) => Math.hypot(...modules.map(({ geometry }) => geometry.sizes[of]!.frobenius));
  const norms = norm(i) * norm(j);
  return {
    innerProduct,
    cosine: norms === 0 ? null : innerProduct / norms,
    orthogonalOverlap: { squared, abs },
    awom: { spectral, frobenius },
    rows: meanAngles(rows),
    columns: meanAngles(columns),
  };
}

/** Principal angles in degrees, ascending as their cosines fall. */
export const degreesOf = (cosines: readonly number[]): number[] =>
  cosines.map((cosine) => (Math.acos(cosine) * 180) / Math.PI);

function anglesOf(cosines: readonly number[], random: number): SubspaceAngles {
  const degrees = degreesOf(cosines);
  return {
    smallest: degrees[0]!,
    mean: meanOf(degrees)!,
    overlap: meanOf(cosines.map((cosine) => cosine ** 2))!,
    random,
  };
}

const meanAngles = (modules: readonly SubspaceAngles[]): SubspaceAngles | null =>
  modules.length === 0
    ? null
    : {
        smallest: Math.min(...modules.map(({ smallest }) => smallest)),
        mean: meanOf(modules.map(({ mean }) => mean))!,
        overlap: meanOf(modules.map(({ overlap }) => overlap))!,
        random: meanOf(modules.map(({ random }) => random))!,
      };
