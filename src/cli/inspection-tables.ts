/** The tables of `nlora inspect`: pure functions from an inspection to aligned lines. */

import { fixed, significant } from "../format.js";
import type {
  CollisionMap,
  Inspection,
  PairInspection,
  Reading,
  ScopeInspection,
} from "../metrics/inspection.js";
import { table } from "./tables.js";

const SYMBOLS: Readonly<Record<Reading, string>> = {
  abs: "> 1e-3",
  relRms: "> 0.4 rms",
  relMax: "> 0.01 max",
  energy: "99 % energy",
  exact: "not 0",
};

/** In the order in which they are shown. */
export const READING_NAMES = Object.keys(SYMBOLS) as readonly Reading[];

/** What more than the adapters, all modules together and pairs is to be shown. */
export interface Details {
  readonly layers?: boolean;
  readonly modules?: boolean;
}

export function inspectionTables(inspection: Inspection, { layers, modules }: Details = {}): string {
  const { pairs } = inspection;
  return [
    ownTable(inspection),
    togetherTable(inspection),
    pairs.length > 0 ? occupiedTable(inspection) : null,
    pairs.length > 0 ? spacesTable(pairs) : null,
    pairs.length > 0 ? collisionsTable(inspection) : null,
    layers ? scopesTable("layer", inspection.layers, ({ layer }) => layer, inspection) : null,
    modules ? scopesTable("module", inspection.modules, ({ module }) => module, inspection) : null,
    ...inspection.maps.map(mapTable),
    ...notesOf(inspection),
  ]
    .filter((part) => part !== null)
    .join("\n\n");
}

function ownTable({ adapters, readings }: Inspection): string {
  return table(
    [
      ...["adapter", "modules", "rank", "scale", "||dW||_F", "nuclear (mean)", "eff. rank", "stable rank"],
      "GSR",
      ...readings.map((reading) => `dense ${SYMBOLS[reading]}`),
    ],
    adapters.map((each) => [
      each.name,
      String(each.modules),
      String(each.rank),
      significant(each.scale),
      significant(each.frobenius),
      significant(each.nuclear / each.modules),
      fixed(each.effectiveRank, 2),
      fixed(each.stableRank, 2),
      significant(each.gsr),
      ...readings.map((reading) => significant(each.density[reading])),
    ]),
  );
}

function togetherTable({ orthogonalOverlap: overlap, awom, gsr, acr, readings }: Inspection): string {
  return table(
    ["together", "value", "random"],
    [
      ["OO (squared)", significant(overlap.squared), significant(overlap.randomSquared)],
      ["OO (abs)", significant(overlap.abs), significant(overlap.randomAbs)],
      ["OO (mean squared cosine)", significant(overlap.normalised), significant(overlap.randomNormalised)],
      ["AWOM (spectral)", significant(awom.spectral), ""],
      ["AWOM (Frobenius)", significant(awom.frobenius), ""],
      ["AWOM (normalised)", significant(awom.normalised), ""],
      ["GSR (mean; small is sparse)", significant(gsr.mean), ""],
      ["GSR (pooled)", significant(gsr.pooled), ""],
      ...readings.map((reading) => [`ACR (|dW| ${SYMBOLS[reading]})`, significant(acr[reading]), ""]),
    ],
  );
}

function occupiedTable({ adapters, occupied, readings }: Inspection): string | null {
  if (readings.length === 0) return null;
  return table(
    ["occupied after", ...readings.map((reading) => SYMBOLS[reading])],
    adapters.map(({ name }, k) => [
      `${k + 1} ${name}`,
      ...readings.map((reading) => significant(occupied[reading]?.[k])),
    ]),
  );
}

const nameOf = ({ a, b }: PairInspection): string => `${a} – ${b}`;

function spacesTable(pairs: readonly PairInspection[]): string {
  return table(
    [
      ...["pair", "<dW, dW'>", "cosine", "OO (squared)", "AWOM (spectral)"],
      ...["row overlap", "(random)", "smallest °", "column overlap", "(random)", "smallest °"],
    ],
    pairs.map((pair) => [
      nameOf(pair),
      significant(pair.innerProduct),
      significant(pair.cosine),
      significant(pair.orthogonalOverlap.squared),
      significant(pair.awom.spectral),
      ...[pair.rows, pair.columns].flatMap((space) => [
        significant(space?.overlap),
        significant(space?.random),
        fixed(space?.smallest, 1),
      ]),
    ]),
  );
}

function collisionsTable({ pairs, readings }: Inspection): string | null {
  if (readings.length === 0) return null;
  return table(
    ["pair", ...readings.flatMap((reading) => [`CR ${SYMBOLS[reading]}`, "lift"])],
    pairs.map((pair) => [
      nameOf(pair),
      ...readings.flatMap((reading) => [
        significant(pair.collisionRate[reading]),
        fixed(pair.lift[reading], 3),
      ]),
    ]),
  );
}

/** One line per layer or module; what belongs to an adapter or pair is its mean. */
function scopesTable<Scope extends ScopeInspection>(
  title: string,
  scopes: readonly Scope[],
  name: (scope: Scope) => string,
  { readings }: Inspection,
): string {
  return table(
    [
      ...[title, "||dW||_F", "nuclear", "eff. rank", "OO (squared)", "AWOM (spectral)", "row overlap"],
      ...["column overlap", "GSR"],
      ...readings.flatMap((reading) => [`ACR ${SYMBOLS[reading]}`, "occupied"]),
    ],
    scopes.map((scope) => [
      name(scope),
      significant(mean(scope.adapters.map(({ frobenius }) => frobenius))),
      significant(mean(scope.adapters.map(({ nuclear }) => nuclear))),
      fixed(mean(scope.adapters.map(({ effectiveRank }) => effectiveRank)), 2),
      significant(scope.orthogonalOverlap.squared),
      significant(scope.awom.spectral),
      significant(mean(scope.pairs.map(({ rows }) => rows?.overlap ?? null))),
      significant(mean(scope.pairs.map(({ columns }) => columns?.overlap ?? null))),
      significant(scope.gsr.mean),
      ...readings.flatMap((reading) => [
        significant(scope.acr[reading]),
        significant(scope.occupied[reading]?.at(-1)),
      ]),
    ]),
  );
}

function mean(values: readonly (number | null)[]): number | null {
  const known = values.filter((value) => value !== null);
  return known.length === 0 ? null : known.reduce((sum, value) => sum + value, 0) / known.length;
}

function mapTable({
  module,
  reading,
  a,
  b,
  outputs,
  inputs,
  height,
  width,
  ...counts
}: CollisionMap): string {
  const size = outputs * inputs;
  const sum = (cells: readonly number[]) => cells.reduce((total, count) => total + count, 0);
  const [onlyA, onlyB, both] = [sum(counts.onlyA), sum(counts.onlyB), sum(counts.both)];
  return table(
    [`${module}, |dW| ${SYMBOLS[reading]}`, "elements", "share"],
    [
      ...(
        [
          [`${a} alone`, onlyA],
          [`${b} alone`, onlyB],
          ["both", both],
          ["neither", size - onlyA - onlyB - both],
        ] as const
      ).map(([name, count]) => [name, String(count), significant(count / size)]),
      [`of ${outputs} x ${inputs}; in ${height} x ${width} cells with --json`, String(size), ""],
    ],
  );
}

function notesOf({ adapters, modules, scaled }: Inspection): string[] {
  const lacking = adapters.filter((adapter) => adapter.modules < modules.length);
  const scales = new Set(adapters.map(({ scale }) => scale));
  return [
    ...(lacking.length > 0
      ? [
          `Of ${modules.length} modules ${lacking.map((adapter) => `${adapter.name} has ${adapter.modules}`).join(", ")}; where an adapter has no module its update is zero.`,
        ]
      : []),
    ...(scales.size > 1 && !scaled
      ? [
          "The adapters' scales differ, and B A is measured without them; --scaled measures what a model adds.",
        ]
      : []),
  ];
}
