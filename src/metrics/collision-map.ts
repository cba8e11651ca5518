/** Which elements of one module two adapters change, as counts in a grid of cells (the paper's Figure 2). */
import type { AdapterDelta } from "../adapters/delta.js";
import { deltaNorm } from "../adapters/usage.js";
import { UsageError } from "../errors.js";
import { inference } from "../tensor/grad.js";
import { limitsOf, READINGS } from "./collisions.js";
import type { CollisionMap, Reading } from "./inspection.js";
import { factorsOf, type GeometryOptions } from "./low-rank.js";
import { supportCodes } from "./tiles.js";

export interface MapRequest {
  readonly module: string;
  /** Places of two adapters. */
  readonly i: number;
  readonly j: number;
  readonly reading: Reading;
}

/** Most cells down and across. */
export const MAP_CELLS = 256;

/** `adapters` have the same modules. Throws a UsageError where the module or an adapter is not among them. */
export function collisionMap(
  adapters: readonly AdapterDelta[],
  { module, i, j, reading }: MapRequest,
  options: GeometryOptions,
): CollisionMap {
  const pair = [i, j].map((place) => chosen(adapters, place, module));
  return inference(() => {
    const deltas = factorsOf(pair, module, "float32", options);
    const [outputs, inputs] = [deltas[0]!.b.dim(0), deltas[0]!.a.dim(1)];
    const rows = edges(outputs);
    const columns = edges(inputs);
    const [height, width] = [rows.length - 1, columns.length - 1];
    const counts = [1, 2, 3].map(() => new Uint32Array(height * width));
    const limits = limitsOf([READINGS[reading]], deltas, deltas.map(deltaNorm))[0]!;
    const cellOf = (places: readonly number[], size: number) => {
      const cells = new Uint32Array(size);
      for (let cell = 0; cell + 1 < places.length; cell++) cells.fill(cell, places[cell]!, places[cell + 1]!);
      return cells;
    };
    const [rowCells, columnCells] = [cellOf(rows, outputs), cellOf(columns, inputs)];
    supportCodes(deltas, limits, (codes, start) => {
      for (let at = 0; at < codes.length; at++) {
        const code = codes[at]!;
        if (code === 0) continue;
        const row = start + Math.floor(at / inputs);
        counts[code - 1]![rowCells[row]! * width + columnCells[at % inputs]!]! += 1;
      }
    });
    const [onlyA, onlyB, both] = counts.map((each) => Array.from(each)) as [number[], number[], number[]];
    const names = { a: pair[0]!.name, b: pair[1]!.name };
    const grid = { outputs, inputs, height, width, rowEdges: rows, columnEdges: columns };
    return { module, reading, i, j, ...names, ...grid, onlyA, onlyB, both };
  });
}

function chosen(adapters: readonly AdapterDelta[], place: number, module: string): AdapterDelta {
  const adapter = adapters[place];
  if (!adapter) {
    throw new UsageError(`a collision map takes two adapters, found ${adapters.length}`, {
      hint: "Name a second adapter folder, or a run with two finished tasks.",
    });
  }
  if (adapter.modules.has(module)) return adapter;
  const known = [...adapter.modules.keys()];
  const similar = known.filter((name) => name.includes(module));
  const some = (similar.length > 0 ? similar : known).slice(0, 5).join(", ");
  throw new UsageError(`no adapter has a module ${module}; there are ${known.length}, among them ${some}`, {
    hint: "nlora inspect --modules lists them all.",
  });
}

/** Places that cut `size` into at most MAP_CELLS parts whose lengths differ by one at most. */
function edges(size: number): number[] {
  const cells = Math.min(size, MAP_CELLS);
  return Array.from({ length: cells + 1 }, (_, cell) => Math.floor((cell * size) / cells));
}
