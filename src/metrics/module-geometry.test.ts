import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  adapterOf,
  type Factors,
  frobenius,
  inner,
  l1,
  type Matrix,
  multiply,
  randomFactors,
  singularValuesOf,
  total,
  transpose,
} from "../../test/support/dense.js";
import { Rng } from "../random.js";
import { tensor } from "../tensor/create.js";
import { linalgSvd } from "../tensor/functions.gen.js";
import { liveTensors, tidy } from "../tensor/scope.js";
import { factorsOf } from "./low-rank.js";
import { type ModuleGeometry, moduleGeometry, type Pair } from "./module-geometry.js";

const pairsOf = (count: number): Pair[] =>
  Array.from({ length: count }, (_, i) => i).flatMap((i) =>
    Array.from({ length: count - i - 1 }, (_, k): Pair => [i, i + 1 + k]),
  );

/** Plain numbers of updates of one module. */
const geometryOf = (updates: readonly Factors[], pairs = pairsOf(updates.length)): ModuleGeometry =>
  tidy((): ModuleGeometry => {
    const adapters = updates.map((factors, k) => adapterOf([factors], `task ${k}`));
    return moduleGeometry(factorsOf(adapters, "m0", "float64", {}), pairs);
  });

const dW = ({ a, b }: Factors): Matrix => multiply(b, a);

/** Orthonormal basis of the row space as columns, from an SVD of the whole matrix. */
function basisOf(matrix: Matrix): Matrix {
  return tidy((): Matrix => {
    const whole = tensor(matrix.flat(), [matrix.length, matrix[0]!.length], "float64");
    const [, s, vh] = linalgSvd(whole, false);
    const values = s.toArray();
    const rank = values.filter((value) => value > 1e-6 * values[0]!).length;
    const rows = vh.toArray();
    const width = matrix[0]!.length;
    return transpose(Array.from({ length: rank }, (_, k) => rows.slice(k * width, (k + 1) * width)));
  });
}

const cosinesOf = (x: Matrix, y: Matrix): number[] =>
  singularValuesOf(multiply(transpose(basisOf(x)), basisOf(y)));

const close = (actual: number, expected: number, scale = Math.abs(expected)) =>
  expect(Math.abs(actual - expected)).toBeLessThanOrEqual(1e-5 * scale + 1e-9);

function closeAll(actual: readonly number[] | null, expected: readonly number[]) {
  expect(actual).toHaveLength(expected.length);
  for (const [k, value] of expected.entries()) close(actual![k]!, value, 1);
}

const cases = fc.record({
  seed: fc.integer(),
  tasks: fc.integer({ min: 2, max: 4 }),
  outputs: fc.integer({ min: 1, max: 12 }),
  inputs: fc.integer({ min: 1, max: 12 }),
});

describe("one module's updates", () => {
  it("have the sizes, products and principal angles of their dense matrices", () => {
    fc.assert(
      fc.property(cases, ({ seed, tasks, ...shape }) => {
        const rng = new Rng(seed);
        const updates = Array.from({ length: tasks }, () => randomFactors(rng, shape, 0.2));
        const dense = updates.map(dW);
        const { sizes, pairs } = geometryOf(updates);
        for (const [i, size] of sizes.entries()) {
          const values = singularValuesOf(dense[i]!);
          close(size.nuclear, total(values));
          close(size.spectral, values[0]!);
          close(size.frobenius, frobenius(dense[i]!));
        }
        for (const [p, [i, j]] of pairsOf(tasks).entries()) {
          const { innerProduct, overlap, product, rowCosines, columnCosines } = pairs[p]!;
          const [x, y] = [dense[i]!, dense[j]!];
          const scale = frobenius(x) * frobenius(y);
          close(innerProduct, inner(x, y), scale);
          const products = multiply(updates[i]!.a, transpose(updates[j]!.a));
          close(overlap.squared, frobenius(products) ** 2);
          close(overlap.abs, l1(products));
          const between = multiply(transpose(y), x);
          close(product.spectral, singularValuesOf(between)[0]!, scale);
          close(product.frobenius, frobenius(between), scale);
          if (scale === 0) {
            expect([rowCosines, columnCosines]).toEqual([null, null]);
            continue;
          }
          closeAll(rowCosines, cosinesOf(x, y));
          closeAll(columnCosines, cosinesOf(transpose(x), transpose(y)));
        }
      }),
      { numRuns: 60, examples: [[{ seed: 469806284, tasks: 2, outputs: 9, inputs: 3 }]] },
    );
  });

  it("are the same for other factors of the same matrices, and pairs do not know an order", () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer({ min: 1, max: 3 }), (seed, rank) => {
        const rng = new Rng(seed);
        const matrix = (height: number, width: number): Matrix =>
          Array.from({ length: height }, () => Array.from({ length: width }, () => 2 * rng.uniform() - 1));
        const factors = () => ({ a: matrix(rank, 9), b: matrix(7, rank) });
        const [first, second] = [factors(), factors()];
        // A -> M A, B -> B M^-1
        const shear = matrix(rank, rank).map((row, i) =>
          row.map((value, j) => (i === j ? 1 : i > j ? value : 0)),
        );
        const inverse = invertedLower(shear);
        const moved = { a: multiply(shear, first.a), b: multiply(first.b, inverse) };
        const [one, other] = [geometryOf([first, second]), geometryOf([moved, second])];
        const swapped = geometryOf([second, first]);
        for (const key of ["nuclear", "spectral", "frobenius", "stableRank", "effectiveRank"] as const) {
          close(other.sizes[0]![key]!, one.sizes[0]![key]!);
        }
        const [pair, same, back] = [one.pairs[0]!, other.pairs[0]!, swapped.pairs[0]!];
        const scale = one.sizes[0]!.frobenius * one.sizes[1]!.frobenius;
        for (const each of [same, back]) {
          close(each.innerProduct, pair.innerProduct, scale);
          close(each.product.spectral, pair.product.spectral, scale);
          closeAll(each.rowCosines, pair.rowCosines!);
          closeAll(each.columnCosines, pair.columnCosines!);
        }
        close(back.overlap.abs, pair.overlap.abs);
        for (const cosine of [...pair.rowCosines!, ...pair.columnCosines!]) {
          expect(cosine >= 0 && cosine <= 1).toBe(true);
        }
      }),
      { numRuns: 40 },
    );
  });

  it("share everything when they are identical and nothing when they are orthogonal", () => {
    const left: Factors = { a: [[1, 2, 0, 0]], b: [[3], [4], [0]] };
    const right: Factors = { a: [[0, 0, 5, 6]], b: [[0], [0], [2]] };
    const [same, apart] = geometryOf(
      [left, left, right],
      [
        [0, 1],
        [0, 2],
      ],
    ).pairs;
    closeAll(same!.rowCosines, [1]);
    closeAll(same!.columnCosines, [1]);
    close(same!.product.spectral, 125);
    expect(apart).toEqual({
      innerProduct: 0,
      overlap: { squared: 0, abs: 0 },
      product: { spectral: 0, frobenius: 0 },
      rowCosines: [0],
      columnCosines: [0],
    });
  });

  it("count directions, not factors: a rank above what they hold adds no angle", () => {
    const doubled: Factors = {
      a: [
        [1, 0, 0],
        [1, 0, 0],
      ],
      b: [
        [1, 1],
        [0, 0],
        [0, 0],
      ],
    };
    const other: Factors = {
      a: [
        [1, 0, 0],
        [0, 1, 0],
      ],
      b: [
        [1, 0],
        [0, 1],
        [0, 0],
      ],
    };
    const { sizes, pairs } = geometryOf([doubled, other]);
    expect(sizes.map(({ rank }) => rank)).toEqual([1, 2]);
    closeAll(pairs[0]!.rowCosines, [1]);
    closeAll(pairs[0]!.columnCosines, [1]);
    close(sizes[1]!.effectiveRank!, 2);
    close(sizes[1]!.stableRank!, 2);
  });

  it("leave no tensor behind", () => {
    const rng = new Rng(3);
    const updates = [1, 2, 3].map(() => randomFactors(rng, { outputs: 50, inputs: 40 }));
    const before = liveTensors();
    geometryOf(updates);
    expect(liveTensors()).toBe(before);
  });
});

/** Of a lower triangular matrix with ones on the diagonal. */
function invertedLower(lower: Matrix): Matrix {
  const inverse: number[][] = [];
  for (const [i, row] of lower.entries()) {
    inverse.push(
      row.map(
        (_, column) => (i === column ? 1 : 0) - total(inverse.map((above, k) => row[k]! * above[column]!)),
      ),
    );
  }
  return inverse;
}
