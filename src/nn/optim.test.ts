import { describe, expect, it } from "vitest";
import { RunError } from "../errors.js";
import { Rng } from "../random.js";
import { tensor } from "../tensor/create.js";
import { zeros } from "../tensor/functions.gen.js";
import { liveTensors, tidy } from "../tensor/scope.js";
import { AdamW, clipFactor, globalGradNorm } from "./optim.js";

const options = { betas: [0.9, 0.98], eps: 1e-6, weightDecay: 0.1 } as const;
/** The second is longer than the piece that the kernel does at a time. */
const SHAPES = [[3, 5], [101, 97], [1], [7]];
const STEPS = 6;
const RATE = 0.01;
const SCALE = 0.5;

const values = (rng: Rng, count: number) => Float32Array.from({ length: count }, () => 2 * rng.uniform() - 1);

/** One tensor's updates in float64, written out element by element. */
function plainAdamW(start: Float32Array, gradients: readonly Float32Array[]): number[] {
  const { betas, eps, weightDecay } = options;
  return Array.from(start, (first, k) => {
    let [parameter, mean, square] = [first, 0, 0];
    for (const [index, gradient] of gradients.entries()) {
      const g = gradient[k]! * SCALE;
      mean = betas[0] * mean + (1 - betas[0]) * g;
      square = betas[1] * square + (1 - betas[1]) * g * g;
      const unbiased = {
        mean: mean / (1 - betas[0] ** (index + 1)),
        square: square / (1 - betas[1] ** (index + 1)),
      };
      parameter -= RATE * weightDecay * parameter;
      parameter -= (RATE * unbiased.mean) / (Math.sqrt(unbiased.square) + eps);
    }
    return parameter;
  });
}

describe("AdamW", () => {
  it("does what the formulas say, with weight decay and scaled gradients, over tensors of any size", () => {
    tidy(() => {
      const rng = new Rng(3);
      const sizes = SHAPES.map((shape) => shape.reduce((product, length) => product * length, 1));
      const starts = sizes.map((size) => values(rng, size));
      const gradients = sizes.map((size) => Array.from({ length: STEPS }, () => values(rng, size)));
      const parameters = starts.map((start, i) => {
        const parameter = tensor(start, SHAPES[i]!);
        parameter.requiresGrad = true;
        return { name: `p${i}`, tensor: parameter };
      });
      using optimizer = new AdamW(parameters, options);
      for (let step = 0; step < STEPS; step++) {
        for (const [i, { tensor: parameter }] of parameters.entries()) {
          parameter.grad = tensor(gradients[i]![step]!, SHAPES[i]!);
        }
        optimizer.step(RATE, SCALE);
        optimizer.zeroGrad();
      }
      for (const [i, { tensor: parameter }] of parameters.entries()) {
        const found = parameter.toArray();
        const expected = plainAdamW(starts[i]!, gradients[i]!);
        const worst = found.reduce((most, value, k) => Math.max(most, Math.abs(value - expected[k]!)), 0);
        expect(worst).toBeLessThan(1e-6);
        expect(parameter.grad).toBeNull();
      }
    });
  });

  it("leaves a parameter without a gradient as it is and frees its state", () => {
    tidy(() => {
      const [moving, still] = [tensor([1, 2], [2]), tensor([3, 4], [2])];
      const before = liveTensors();
      {
        using optimizer = new AdamW(
          [
            { name: "moving", tensor: moving },
            { name: "still", tensor: still },
          ],
          options,
        );
        tidy(() => {
          moving.grad = tensor([1, -1], [2]);
        });
        optimizer.step(RATE);
        optimizer.zeroGrad();
      }
      expect(still.toArray()).toEqual([3, 4]);
      expect(moving.toArray()[0]).toBeLessThan(1);
      expect(liveTensors()).toBe(before);
    });
  });

  it("refuses parameters that are not float32, by name", () => {
    tidy(() => {
      const half = zeros([2], { dtype: "bfloat16" });
      expect(() => new AdamW([{ name: "q.lora_A", tensor: half }], options)).toThrowError(RunError);
      expect(() => new AdamW([{ name: "q.lora_A", tensor: half }], options)).toThrowError(
        /q\.lora_A is bfloat16/,
      );
    });
  });
});

describe("the gradient norm", () => {
  it("is the norm of all gradients together, those that are missing counting as zero", () => {
    tidy(() => {
      const rng = new Rng(4);
      const gradients = [values(rng, 20_001), values(rng, 3)];
      const parameters = [...gradients, null].map((gradient, i) => {
        const parameter = zeros([gradient?.length ?? 2]);
        if (gradient) parameter.grad = tensor(gradient, [gradient.length]);
        return { name: `p${i}`, tensor: parameter };
      });
      const expected = Math.sqrt(gradients.flatMap((each) => [...each]).reduce((sum, v) => sum + v * v, 0));
      expect(Math.abs(globalGradNorm(parameters) / expected - 1)).toBeLessThan(1e-6);
      expect(globalGradNorm(parameters.slice(2))).toBe(0);
    });
  });

  it("is NaN or infinite when a gradient is", () => {
    tidy(() => {
      const parameter = zeros([3]);
      for (const value of [Number.NaN, Number.POSITIVE_INFINITY]) {
        parameter.grad = tensor([1, value, 2], [3]);
        expect(globalGradNorm([{ name: "p", tensor: parameter }])).toBe(value);
      }
    });
  });

  it("is brought down to the limit and never up", () => {
    expect(clipFactor(10, 1) * 10).toBeCloseTo(1, 6);
    expect([clipFactor(0.5, 1), clipFactor(0, 1), clipFactor(10, null)]).toEqual([1, 1, 1]);
  });
});
