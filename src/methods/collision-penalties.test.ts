import fc from "fast-check";
import { expect, it } from "vitest";
import {
  adapterOf,
  denseOf,
  frobenius,
  multiply,
  randomFactors,
  transpose,
} from "../../test/support/dense.js";
import { expectClose } from "../../test/support/golden.js";
import { deltaL1 } from "../nn/kernels.js";
import { Rng } from "../random.js";
import { tensor } from "../tensor/create.js";
import { liveTensors, tidy } from "../tensor/scope.js";
import type { Tensor } from "../tensor/tensor.js";
import { ClosedLoop } from "./closed-loop.js";
import { updateOverlap, weightedDeltaL1 } from "./collision-penalties.js";
import { Memory } from "./memory.js";

const seeds = fc.integer({ min: 0, max: 2 ** 31 });
const shape = { outputs: 8, inputs: 6 };

function open(rng: Rng): { a: Tensor; b: Tensor } {
  const pair = adapterOf([randomFactors(rng, shape)]).modules.get("m0")!;
  for (const factor of [pair.a, pair.b]) factor.requiresGrad = true;
  return pair;
}

/** The value of a term and the gradients it gives to A and B. */
function evaluate({ a, b }: { a: Tensor; b: Tensor }, term: Tensor): number[] {
  term.backward();
  const found = [term.item(), ...a.grad!.toArray(), ...b.grad!.toArray()];
  a.grad = null;
  b.grad = null;
  return found;
}

it("weighs every element by its uses: value and gradients are those of the dense sum", () => {
  const before = liveTensors();
  fc.assert(
    fc.property(seeds, fc.float({ min: 0, max: 5, noNaN: true }), (seed, gamma) => {
      tidy(() => {
        const rng = new Rng(seed);
        const pair = open(rng);
        const counts = Array.from({ length: 48 }, () => rng.integer(4));
        const uses = tensor(counts, [8, 6], "uint8");
        const weights = tensor(
          counts.map((count) => 1 + gamma * count),
          [8, 6],
        );
        const dense = evaluate(pair, pair.b.matmul(pair.a).abs().mul(weights).sum());
        expectClose(evaluate(pair, weightedDeltaL1(pair.a, pair.b, uses, gamma)), dense, 1e-4);
        const plain = evaluate(pair, deltaL1([pair.a], [pair.b], [1]));
        expectClose(evaluate(pair, weightedDeltaL1(pair.a, pair.b, uses, 0)), plain, 1e-4);
      });
    }),
    { numRuns: 40 },
  );
  expect(liveTensors()).toBe(before);
});

it("measures the overlap of whole updates with earlier ones of other ranks as the dense products do", () => {
  const before = liveTensors();
  fc.assert(
    fc.property(seeds, (seed) => {
      tidy(() => {
        const rng = new Rng(seed);
        const earlier = [1, 2].map(() => adapterOf([randomFactors(rng, shape, 0.2)]));
        const memory = new Memory({ updates: true });
        memory.refresh([{ earlier: earlier.map(({ modules }) => modules.get("m0")!) }]);
        const pair = open(rng);
        const dense = denseOf({ name: "x", scale: 1, modules: new Map([["m0", pair]]) })[0]!;
        const expected = earlier
          .map((adapter) => frobenius(multiply(transpose(denseOf(adapter)[0]!), dense)) ** 2)
          .reduce((sum, square) => sum + square, 0);
        expectClose([updateOverlap(pair.a, pair.b, memory.of(0).updates!).item()], [expected], 1e-4);
        memory.dispose();
      });
    }),
    { numRuns: 40 },
  );
  expect(liveTensors()).toBe(before);
});

it("steers a strength up while there is too much and down while there is too little, within bounds", () => {
  const loop = new ClosedLoop({ value: 0.1, every: 2, kappa: 0.5 });
  loop.observe(1, () => 1);
  expect(loop.factor).toBe(1);
  loop.observe(2, () => 0.1);
  expect(loop.factor).toBe(1);
  loop.observe(4, () => 0.15);
  expect(loop.factor).toBeCloseTo(Math.exp(0.25), 10);
  loop.observe(6, () => 1);
  expect(loop.factor).toBeCloseTo(Math.exp(0.75), 10);
  loop.observe(8, () => 0);
  expect(loop.factor).toBeCloseTo(Math.exp(0.25), 10);
  for (let step = 2; step < 200; step += 2) loop.observe(step, () => 0);
  expect(loop.factor).toBe(1e-3);
  loop.restart();
  expect(loop.factor).toBe(1);
  const idle = new ClosedLoop(null);
  idle.observe(2, () => 1);
  expect(idle.factor).toBe(1);
});
