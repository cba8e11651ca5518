import { describe, expect, it } from "vitest";
import { expectClose } from "../../test/support/golden.js";
import { Rng } from "../random.js";
import { tensor } from "../tensor/create.js";
import { liveTensors, tidy } from "../tensor/scope.js";
import type { Tensor } from "../tensor/tensor.js";
import { trainingContext } from "./context.js";
import { Linear, LinearGroup } from "./linear.js";

const INPUTS = 6;
const OUTPUTS = [4, 2, 3];

function values(name: string, ...shape: number[]): Tensor {
  const rng = new Rng(3).fork(name);
  const size = shape.reduce((product, length) => product * length, 1);
  return tensor(
    Float32Array.from({ length: size }, () => 2 * rng.uniform() - 1),
    shape,
  );
}

/** Outputs and gradients of three layers on one input; the first and the last have an adapter. */
function measure(stack: boolean, sideBySide: boolean): { outputs: number[][]; gradients: number[][] } {
  return tidy(() => {
    const trained: Tensor[] = [];
    const members = OUTPUTS.map((outputs, i) => {
      const layer = new Linear(`layer${i}`, values(`w${i}`, outputs, INPUTS), values(`bias${i}`, outputs));
      if (i === 1) return layer;
      const [a, b] = [values(`a${i}`, 2, INPUTS), values(`b${i}`, outputs, 2)];
      for (const factor of [a, b]) {
        factor.requiresGrad = true;
        trained.push(factor);
      }
      layer.additions = [{ a, b, scale: 0.5 }];
      layer.additionDropout = 0.4;
      return layer;
    });
    const group = new LinearGroup(members, stack);
    expect(group.isStacked).toBe(stack);
    const x = values("x", 5, INPUTS);
    x.requiresGrad = true;
    const context = trainingContext(new Rng(9));
    const outputs = sideBySide
      ? group.forwardStacked(x, context).splitWithSizes(OUTPUTS, -1)
      : group.forward(x, context);
    outputs
      .map((output, i) => output.mul(values(`upstream${i}`, 5, OUTPUTS[i]!)).sum())
      .reduce((total, term) => total.add(term))
      .backward();
    group.dispose();
    return {
      outputs: outputs.map((output) => output.toArray()),
      gradients: [...trained, x].map((each) => each.grad!.toArray()),
    };
  });
}

describe("layers on the same input", () => {
  it("compute the same stacked and apart, under the same dropout masks", () => {
    const before = liveTensors();
    const stacked = measure(true, false);
    for (const other of [measure(false, false), measure(true, true), measure(false, true)]) {
      for (const [i, expected] of stacked.outputs.entries()) expectClose(other.outputs[i]!, expected, 1e-6);
      for (const [i, expected] of stacked.gradients.entries())
        expectClose(other.gradients[i]!, expected, 1e-6);
    }
    expect(liveTensors()).toBe(before);
  });
});
