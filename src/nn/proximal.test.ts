import fc from "fast-check";
import { expect, it } from "vitest";
import { expectClose } from "../../test/support/golden.js";
import { Rng } from "../random.js";
import { tensor } from "../tensor/create.js";
import { inference } from "../tensor/grad.js";
import { liveTensors, tidy } from "../tensor/scope.js";
import type { Tensor } from "../tensor/tensor.js";
import { deltaL1 } from "./kernels.js";
import { AdamW, clipFactor, globalGradNorm } from "./optim.js";
import { shrinkRows_ } from "./proximal.js";

const matrix = (rows: readonly (readonly number[])[]) => tensor(rows.flat(), [rows.length, rows[0]!.length]);

it("shrinks every row by its threshold and makes exact, positive zeros of the short ones", () => {
  const before = liveTensors();
  tidy(() => {
    const x = matrix([
      [3, -4],
      [0.3, -0.4],
      [0, 0],
      [-1, 0],
    ]);
    shrinkRows_(x, 1);
    expectClose(x.toArray(), [2.4, -3.2, 0, 0, 0, 0, 0, 0], 1e-6);
    expect([...x.toTypedArray()].slice(2).every((value) => Object.is(value, 0))).toBe(true);
    const y = matrix([
      [3, -4],
      [3, -4],
    ]);
    shrinkRows_(y.t(), tensor([3, 0], [2]));
    expectClose(y.toArray(), [3 - 3 / Math.SQRT2, -4, 3 - 3 / Math.SQRT2, -4], 1e-6);
  });
  expect(liveTensors()).toBe(before);
});

it("minimises half the squared distance plus the threshold times the norm", () => {
  const row = fc.array(fc.float({ min: -4, max: 4, noNaN: true }), { minLength: 3, maxLength: 3 });
  const objective = (x: readonly number[], z: readonly number[], threshold: number) =>
    0.5 * x.reduce((sum, value, k) => sum + (value - z[k]!) ** 2, 0) + threshold * Math.hypot(...x);
  fc.assert(
    fc.property(row, row, fc.float({ min: 0, max: 4, noNaN: true }), (z, other, threshold) => {
      const found = tidy(() => {
        const x = matrix([z]);
        shrinkRows_(x, threshold);
        return x.toArray();
      });
      expect(objective(found, z, threshold)).toBeLessThanOrEqual(objective(other, z, threshold) + 1e-4);
    }),
    { numRuns: 200 },
  );
});

/** One layer W x of 256 x 256 with W = B A, r = 8, learning a rank-4 target on some of its rows and columns, with noise. */
const [SIZE, RANK, BATCH, RATE] = [256, 8, 64, 1e-3];

function random(rows: number, columns: number, value: () => number): Tensor {
  return tensor(Float32Array.from({ length: rows * columns }, value), [rows, columns]);
}

interface Layer {
  readonly a: Tensor;
  readonly b: Tensor;
}

function learn(
  { support, norm, steps, noise = 0.1 }: { support: number; norm: number; steps: number; noise?: number },
  hooks: { penalty?: (layer: Layer) => Tensor; afterUpdate?: (layer: Layer, step: number) => void },
) {
  return tidy(() => {
    const rng = new Rng(3);
    const gaussian = () =>
      Math.sqrt(-2 * Math.log(1 - rng.uniform())) * Math.cos(2 * Math.PI * rng.uniform());
    const inSupport = Array.from({ length: SIZE }, (_, k) => (k < support ? 1 : 0));
    const product = random(SIZE, 4, gaussian)
      .mul(tensor(inSupport, [SIZE, 1]))
      .matmul(random(4, SIZE, gaussian).mul(tensor(inSupport, [1, SIZE])));
    const target = product.mul(norm / product.linalgVectorNorm().item());
    const inputs = random(32 * BATCH, SIZE, gaussian);
    const answers = inputs.matmul(target.t()).add(random(32 * BATCH, SIZE, gaussian).mul(noise));
    const a = random(RANK, SIZE, () => (2 * rng.uniform() - 1) / Math.sqrt(SIZE));
    const b = random(SIZE, RANK, () => 0);
    for (const factor of [a, b]) factor.requiresGrad = true;
    using optimizer = new AdamW(
      [
        { name: "a", tensor: a },
        { name: "b", tensor: b },
      ],
      { betas: [0.9, 0.999], eps: 1e-8, weightDecay: 0 },
    );
    for (let step = 1; step <= steps; step++) {
      tidy(() => {
        const at = (step % 32) * BATCH;
        const output = inputs.narrow(0, at, BATCH).matmul(a.t()).matmul(b.t());
        const loss = output
          .sub(answers.narrow(0, at, BATCH))
          .square()
          .sum()
          .div(BATCH);
        (hooks.penalty ? loss.add(hooks.penalty({ a, b })) : loss).backward();
        optimizer.step(RATE, clipFactor(globalGradNorm(optimizer.parameters), 1));
        optimizer.zeroGrad();
        hooks.afterUpdate?.({ a, b }, step);
      });
    }
    return inference(() => {
      const update = b.matmul(a);
      const size = update.linalgVectorNorm().item();
      const kept = (counts: Tensor) => counts.toArray().map((count) => count > 0);
      return {
        error: update.sub(target).linalgVectorNorm().item() / norm,
        gsr: update.abs().sum().item() / (SIZE * size),
        zeros: 1 - update.countNonzero().item() / SIZE ** 2,
        rows: kept(b.countNonzero(1)),
        columns: kept(a.countNonzero(0)),
      };
    });
  });
}

const proximal = (strength: number, warmup: number) => ({
  afterUpdate({ a, b }: Layer, step: number) {
    if (step <= warmup) return;
    shrinkRows_(b, RATE * strength);
    shrinkRows_(a.t(), RATE * strength);
  },
});

it("finds the rows and columns of a sparse target: exact zeros, and a smaller error than without it", () => {
  const sparse = { support: 24, norm: 2, steps: 600 };
  const plain = learn(sparse, {});
  expect(plain.zeros).toBe(0);
  const found = learn(sparse, proximal(1, 50));
  expect(found.zeros).toBeGreaterThan(0.9);
  expect(found.rows.slice(0, 24)).not.toContain(false);
  expect(found.columns.slice(0, 24)).not.toContain(false);
  expect(found.error).toBeLessThan(plain.error);
});

it("leaves a dense target dense, at a strength that empties nine tenths of a sparse one", () => {
  const found = learn({ support: SIZE, norm: 8, steps: 300 }, proximal(1, 50));
  expect(found.zeros).toBeLessThan(0.02);
});

it("does what neither form of the penalty does: no exact zero comes of a gradient", () => {
  const dense = { support: SIZE, norm: 7, steps: 400, noise: 0 };
  const plain = learn(dense, {});
  const released = learn(dense, { penalty: ({ a, b }) => a.matmul(b).abs().sum().mul(1.8) });
  expect(Math.abs(released.gsr - plain.gsr)).toBeLessThan(0.02);
  const paper = learn(dense, { penalty: ({ a, b }) => deltaL1([a], [b], [0.05]) });
  expect(paper.gsr).toBeLessThan(0.5);
  expect([plain.zeros, released.zeros, paper.zeros]).toEqual([0, 0, 0]);
});
