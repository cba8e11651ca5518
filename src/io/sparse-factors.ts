/**
 * LoRA factors without their zero rows or columns, bit for bit restorable: A [rank, inputs] as its columns that hold
 * anything, B [outputs, rank] as such rows, each beside the gaps between their places. A safetensors file of its own name
 * in an adapter folder, for methods that make exact zeros; r (|R| + |C|) numbers instead of r (outputs + inputs).
 */
import { CheckpointError } from "../errors.js";
import { tensor } from "../tensor/create.js";
import { zeros } from "../tensor/functions.gen.js";
import { inference } from "../tensor/grad.js";
import type { Tensor } from "../tensor/tensor.js";
import { show } from "./json.js";
import { SafetensorsFile } from "./safetensors.js";

/** What reading an adapter needs of a file of factors, dense or sparse. */
export interface FactorFile {
  readonly path: string;
  readonly names: readonly string[];
  readonly metadata: Readonly<Record<string, string>>;
  info(name: string): { readonly shape: readonly number[] };
  tensor(name: string): Tensor;
}

/** Wider than any layer: what a file claims beyond it is not believed. */
const WIDEST = 2 ** 20;
const GAPS = ".gaps";

/** Which dimension of a factor may have empty slices: the columns of A, the rows of B. */
const sparseDim = (name: string): 0 | 1 => (/_A(\.[^.]+)?\.weight$/.test(name) ? 1 : 0);

/**
 * The entries that stand for one factor. Gaps are int32, all >= 1, one more than there are slices: from place -1 to the
 * first, from each to the next, and from the last to the end. A slice counts as empty when all its bits are zero.
 */
export function sparseEntries(name: string, factor: Tensor): [string, Tensor][] {
  const dim = sparseDim(name);
  const places = usedPlaces(factor, dim);
  const ends = [...places, factor.dim(dim)];
  const gaps = ends.map((place, k) => place - (k === 0 ? -1 : ends[k - 1]!));
  const block = inference(() => factor.detach().indexSelect(dim, indexOf(places, factor)).contiguous());
  return [
    [name, block],
    [`${name}${GAPS}`, tensor(gaps, [gaps.length], "int32")],
  ];
}

function indexOf(places: readonly number[], like: Tensor): Tensor {
  return tensor(Int32Array.from(places), [places.length], "int32", like.device).toDtype("int64");
}

/** By bits, since -0 has to survive as well. */
function usedPlaces(factor: Tensor, dim: 0 | 1): number[] {
  const [rows, columns] = [factor.dim(0), factor.dim(1)];
  const bytes = factor.toBytes();
  const size = bytes.length / (rows * columns);
  const used = new Uint8Array(factor.dim(dim));
  for (let at = 0; at < bytes.length; at++) {
    if (bytes[at] === 0) continue;
    const element = Math.floor(at / size);
    used[dim === 0 ? Math.floor(element / columns) : element % columns] = 1;
  }
  return [...used.keys()].filter((place) => used[place] === 1);
}

/** Opens a file written from `sparseEntries`; it reads like one that holds the whole factors. Throws `CheckpointError`. */
export function openSparseFactors(path: string): FactorFile {
  const file = SafetensorsFile.open(path);
  const places = new Map<string, Places>();
  const of = (name: string): Places => {
    const known = places.get(name) ?? readPlaces(file, name);
    places.set(name, known);
    return known;
  };
  return {
    path,
    names: file.names.filter((name) => !name.endsWith(GAPS)),
    metadata: file.metadata,
    info: (name) => ({ shape: of(name).shape }),
    tensor(name) {
      const { dim, shape, used } = of(name);
      const block = file.tensor(name);
      return inference(() => {
        const whole = zeros(shape, { dtype: block.dtype });
        return used.length === 0 ? whole : whole.indexCopy_(dim, indexOf(used, whole), block);
      });
    },
  };
}

interface Places {
  readonly dim: 0 | 1;
  /** Of the whole factor. */
  readonly shape: readonly number[];
  readonly used: readonly number[];
}

function readPlaces(file: SafetensorsFile, name: string): Places {
  const dim = sparseDim(name);
  const block = file.info(name);
  const key = `${name}${GAPS}`;
  const info = file.info(key);
  const wrong = (what: string): never => {
    throw new CheckpointError(`${file.path}: tensor ${show(key)}: ${what}`);
  };
  if (block.shape.length !== 2) wrong(`its factor has shape ${show(block.shape)}, expected two dimensions`);
  const slices = block.shape[dim]!;
  if (info.dtype !== "int32" || info.shape.length !== 1 || info.shape[0] !== slices + 1) {
    wrong(`expected ${slices + 1} numbers of int32, found ${info.dtype} of shape ${show(info.shape)}`);
  }
  const gaps = inference(() => file.tensor(key).toArray());
  const used: number[] = [];
  let place = -1;
  for (const [k, gap] of gaps.entries()) {
    if (gap < 1) wrong(`gap ${k + 1} is ${gap}, expected at least 1`);
    place += gap;
    if (place > WIDEST) wrong(`a place is ${place}, expected at most ${WIDEST}`);
    if (k < slices) used.push(place);
  }
  const shape = dim === 0 ? [place, block.shape[1]!] : [block.shape[0]!, place];
  return { dim, shape, used };
}
