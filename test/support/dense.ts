/** Adapters made of plain numbers, and their dW written out in full: what low-rank formulas are compared with. */
import type { AdapterDelta, LowRankDelta } from "../../src/adapters/delta.js";
import type { Rng } from "../../src/random.js";
import { tensor } from "../../src/tensor/create.js";
import { linalgSvdvals } from "../../src/tensor/functions.gen.js";
import { tidy } from "../../src/tensor/scope.js";

export type Matrix = readonly (readonly number[])[];
export interface Factors {
  readonly a: Matrix;
  readonly b: Matrix;
}

const toTensor = (matrix: Matrix) => tensor(matrix.flat(), [matrix.length, matrix[0]!.length]);

/** An adapter with modules "m0", "m1", ... Call inside a scope. */
export function adapterOf(modules: readonly Factors[], name = "adapter", scale = 1): AdapterDelta {
  const deltas = modules.map(({ a, b }, m): [string, LowRankDelta] => [
    `m${m}`,
    { a: toTensor(a), b: toTensor(b) },
  ]);
  return { name, scale, modules: new Map(deltas) };
}

/** dW of every module. */
export function denseOf(adapter: AdapterDelta): Matrix[] {
  return [...adapter.modules.values()].map(({ a, b }) => multiply(rows(b), rows(a)));
}

function rows(factor: LowRankDelta["a"]): Matrix {
  const [values, width] = [factor.toArray(), factor.dim(1)];
  return Array.from({ length: factor.dim(0) }, (_, k) => values.slice(k * width, (k + 1) * width));
}

export function multiply(left: Matrix, right: Matrix): Matrix {
  return left.map((row) =>
    right[0]!.map((_, column) => row.reduce((sum, value, k) => sum + value * right[k]![column]!, 0)),
  );
}

export const transpose = (matrix: Matrix): Matrix =>
  matrix[0]!.map((_, column) => matrix.map((row) => row[column]!));
export const l1 = (matrix: Matrix): number => total(matrix.flat().map(Math.abs));
export const frobenius = (matrix: Matrix): number => Math.hypot(...matrix.flat());
export const inner = (x: Matrix, y: Matrix): number =>
  total(x.flatMap((row, i) => row.map((v, j) => v * y[i]![j]!)));
export const total = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0);

export function singularValuesOf(matrix: Matrix): number[] {
  return tidy(() =>
    linalgSvdvals(tensor(matrix.flat(), [matrix.length, matrix[0]!.length], "float64")).toArray(),
  );
}

export interface Shape {
  readonly outputs: number;
  readonly inputs: number;
}

/** Gaussian factors of random ranks from 1 to 5; B is zero with probability `zeros`. */
export function randomFactors(rng: Rng, { outputs, inputs }: Shape, zeros = 0): Factors {
  const rank = 1 + rng.integer(5);
  // Numbers that float32 holds, as tensors do: else the two sides of a comparison start from different ones.
  const gaussian = () =>
    Math.fround(Math.sqrt(-2 * Math.log(1 - rng.uniform())) * Math.cos(2 * Math.PI * rng.uniform()));
  const matrix = (height: number, width: number, value: () => number) =>
    Array.from({ length: height }, () => Array.from({ length: width }, value));
  const isZero = rng.uniform() < zeros;
  return { a: matrix(rank, inputs, gaussian), b: matrix(outputs, rank, isZero ? () => 0 : gaussian) };
}
