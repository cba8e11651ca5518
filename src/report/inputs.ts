/** What the paths given to a report stand for: runs, records, and folders of studies. */
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { RunError } from "../errors.js";
import { isRunFolder } from "../runs/run-state.js";
import type { StudySummary } from "../study/summary.js";
import { type ReportedRun, readRun, shortNames } from "./reported-run.js";

export interface Inputs {
  readonly runs: readonly ReportedRun[];
  readonly studies: readonly StudySummary[];
}

/** A study's runs lie in <study>/<row>/<order>/seed-<n>. */
const DEPTH = 4;

/** Throws a RunError for a path with neither a run nor a study. */
export function readInputs(paths: readonly string[]): Inputs {
  const found = paths.map((path) => {
    if (!existsSync(path)) throw new RunError(`${path}: there is no such folder or file`);
    if (statSync(path).isFile() || isRunFolder(path)) return { runs: [path], studies: [] };
    const inside = runsIn(path, DEPTH);
    if (inside.length === 0) {
      throw new RunError(`${path}: found no run in this folder`, {
        hint: "name run folders, the folder of a study (its --out), or files like record.json",
      });
    }
    return { runs: inside, studies: summariesIn(path) };
  });
  const runs = [...new Set(found.flatMap(({ runs }) => runs))];
  const names = shortNames(runs);
  return {
    runs: runs.map((path, index) => readRun(path, names[index]!)),
    studies: found.flatMap(({ studies }) => studies),
  };
}

function runsIn(folder: string, depth: number): string[] {
  if (isRunFolder(folder)) return [folder];
  if (depth === 0) return [];
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)
    .toSorted((one, other) => one.localeCompare(other, "en", { numeric: true }))
    .flatMap((name) => runsIn(join(folder, name), depth - 1));
}

/** The summaries that `nlora study` wrote into its folder. */
function summariesIn(folder: string): StudySummary[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith(".json"))
    .toSorted()
    .flatMap((name) => {
      const path = join(folder, name);
      let value: unknown;
      try {
        value = JSON.parse(readFileSync(path, "utf8"));
      } catch (error) {
        throw new RunError(`${path}: cannot be read as JSON: ${(error as Error).message}`, { cause: error });
      }
      const { study, cells, rows } = (value ?? {}) as Partial<StudySummary>;
      return typeof study === "string" && Array.isArray(cells) && Array.isArray(rows)
        ? [value as StudySummary]
        : [];
    });
}
