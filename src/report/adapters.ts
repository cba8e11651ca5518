/** The part of a report on adapters themselves: nuclear norms, places they use, and where they collide. */
import { collisionMap, nuclearNorms, occupiedShares } from "../figures/adapter-figures.js";
import type { Figure } from "../figures/figure.js";
import { type Content, element, type Markup } from "../figures/markup.js";
import { significant } from "../format.js";
import type { Inspection, Reading } from "../metrics/inspection.js";
import { figureOf, heading, paragraph, table, warning } from "./page.js";

export interface AdapterFinding {
  /** Name of the run. */
  readonly run: string;
  readonly inspection: Inspection;
}

export interface AdapterFindings {
  readonly found: readonly AdapterFinding[];
  readonly skipped: readonly { readonly run: string; readonly reason: string }[];
}

export const NO_ADAPTERS: AdapterFindings = { found: [], skipped: [] };

/** More adapters than that are not told apart as lines. */
const LINES = 8;
/** Pairs in a table. */
const PAIRS = 28;

export const READING_WORDS: Readonly<Record<Reading, string>> = {
  abs: "|ΔW| > 1e−3",
  relRms: "|ΔW| > 0.4 rms(ΔW)",
  relMax: "|ΔW| > 0.01 max |ΔW|",
  energy: "the elements that hold 99 % of ‖ΔW‖²",
  exact: "ΔW ≠ 0",
};

/** The module in which the first two adapters use most, by the given reading; null where there are no two. */
export function densestModule({ modules }: Inspection, reading: Reading): string | null {
  const used = modules.map(({ module, adapters }) => ({
    module,
    density: adapters.slice(0, 2).reduce((sum, { density }) => sum + (density[reading] ?? 0), 0),
  }));
  const isPair = modules.every(({ adapters }) => adapters.length > 1);
  return isPair ? (used.toSorted((one, other) => other.density - one.density)[0]?.module ?? null) : null;
}

/** What a map is worth drawing in: the published reading, and true zeros where there are some. */
export const readingsOfMaps = ({ adapters }: Inspection): Reading[] => [
  "abs",
  ...(adapters.slice(0, 2).some(({ density }) => density.exact !== null && density.exact < 0.9)
    ? (["exact"] as const)
    : []),
];

export function adapterFigures({ found }: AdapterFindings): Figure[] {
  const figures: Figure[] = [];
  const firsts = found
    .slice(0, LINES)
    .filter(({ inspection }) => sameModules(inspection, found[0]!.inspection));
  if (firsts.length > 1) {
    const { modules, adapters } = firsts[0]!.inspection;
    const names = firsts.map(({ run, inspection }) => ({
      name: run,
      norms: inspection.modules.map((module) => module.adapters[0]?.nuclear ?? null),
    }));
    figures.push({
      ...nuclearNorms(
        modules.map(({ module }) => module),
        names,
      ),
      id: "nuclear-first",
      title: `Nuclear norm of every module's update after the first task (${adapters[0]!.name})`,
    });
  }
  const shares = (["abs", "exact"] as const).flatMap((reading) => {
    const rows = found.slice(0, LINES).flatMap(({ run, inspection }) => {
      const occupied = inspection.occupied[reading];
      return occupied === null || occupied.length < 2 ? [] : [{ name: run, occupied }];
    });
    // True non-zeros are all elements unless a method makes zeros.
    const isFull = reading === "exact" && rows.every(({ occupied }) => occupied[0]! > 0.99);
    return rows.length === 0 || isFull
      ? []
      : [{ ...occupiedShares(rows, READING_WORDS[reading]), id: `occupied-${reading}` }];
  });
  figures.push(...shares);
  for (const [index, { run, inspection }] of found.entries()) {
    const { modules, adapters, maps } = inspection;
    if (adapters.length <= LINES) {
      figures.push({
        ...nuclearNorms(
          modules.map(({ module }) => module),
          adapters.map(({ name }, k) => ({
            name,
            norms: modules.map((each) => each.adapters[k]?.nuclear ?? null),
          })),
        ),
        id: `adapters-${index + 1}-nuclear-norms`,
        title: `Nuclear norm of every module's update: ${run}`,
      });
    }
    for (const map of maps) {
      const figure = collisionMap(map, READING_WORDS[map.reading]);
      figures.push({
        ...figure,
        id: `adapters-${index + 1}-collisions-${map.reading}`,
        title: `${figure.title} (${run})`,
      });
    }
  }
  return figures;
}

const sameModules = (one: Inspection, other: Inspection): boolean =>
  one.modules.map(({ module }) => module).join() === other.modules.map(({ module }) => module).join();

export function adapterSection(
  findings: AdapterFindings,
  figures: readonly Figure[],
  id: string,
): Markup | null {
  const { found, skipped } = findings;
  if (found.length === 0 && skipped.length === 0) return null;
  const parts: Content[] = [
    heading(2, "Adapters", id),
    skipped.map(({ run, reason }) => warning(`The adapters of ${run} were not measured: ${reason}`)),
    found.length === 0
      ? null
      : paragraph(
          `ΔW is meant ${found[0]!.inspection.scaled ? "with" : "without"} the LoRA scale. The nuclear norm is the mean over modules.`,
        ),
    found.map(({ run, inspection }) => [adaptersTable(run, inspection), pairsTable(run, inspection)]),
    figures.map(figureOf),
  ];
  return element("section", { class: "run" }, ...parts);
}

const number = (value: number | null): Content => (value === null ? null : significant(value));

const adaptersTable = (run: string, { adapters }: Inspection): Markup =>
  table(
    `Adapters of ${run}. Density: share of elements that are not zero, by reading.`,
    [
      "adapter",
      "rank",
      "‖ΔW‖_F",
      "nuclear norm",
      "effective rank",
      "GSR",
      "density > 1e−3",
      "> 0.4 rms",
      "≠ 0",
    ],
    adapters.map(({ name, rank, modules, frobenius, nuclear, effectiveRank, gsr, density }) => [
      name,
      String(rank),
      number(frobenius),
      number(modules === 0 ? null : nuclear / modules),
      number(effectiveRank),
      number(gsr),
      number(density.abs),
      number(density.relRms),
      number(density.exact),
    ]),
  );

function pairsTable(run: string, { pairs }: Inspection): Content {
  if (pairs.length === 0) return null;
  const shown = pairs.slice(0, PAIRS);
  const rest = pairs.length - shown.length;
  return [
    table(
      `Pairs of adapters of ${run}: share of elements that both use, and its lift (1: chance, less: avoidance); angles in degrees.`,
      [
        "pair",
        "> 1e−3",
        "lift",
        "> 0.4 rms",
        "lift",
        "≠ 0",
        "lift",
        "cosine",
        "mean angle of rows",
        "of columns",
      ],
      shown.map(({ a, b, collisionRate, lift, cosine, rows, columns }) => [
        `${a} – ${b}`,
        number(collisionRate.abs),
        number(lift.abs),
        number(collisionRate.relRms),
        number(lift.relRms),
        number(collisionRate.exact),
        number(lift.exact),
        number(cosine),
        number(rows?.mean ?? null),
        number(columns?.mean ?? null),
      ]),
    ),
    rest > 0
      ? paragraph(`The first ${shown.length} of ${pairs.length} pairs; nlora inspect tells all of them.`)
      : null,
  ];
}
