/** All weights trained at once: gradients against transformers, and what evaluation sees of weights that changed. */
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  expectClose,
  type GoldenBatch,
  goldenBatch,
  goldenFolder,
  readGolden,
} from "../../test/support/golden.js";
import { SafetensorsFile } from "../io/safetensors.js";
import { EVALUATION } from "../nn/context.js";
import { withKernels } from "../nn/kernels.js";
import { inference, noGrad } from "../tensor/grad.js";
import { liveTensors, tidy } from "../tensor/scope.js";
import type { LanguageModel } from "./language-model.js";
import { loadModel } from "./registry.js";

const NAMES = ["t5-classic", "t5-gated", "llama3-gqa", "qwen3-norms"];

function unfrozen(name: string): LanguageModel {
  const model = loadModel(goldenFolder(name), "float32");
  for (const weight of model.weights.values()) weight.requiresGrad = true;
  return model;
}

describe.each(NAMES)("%s with all weights trained", (name) => {
  const golden = readGolden<GoldenBatch & { readonly loss: number }>(name);
  const expected = SafetensorsFile.open(join(goldenFolder(name), "gradients.safetensors"));

  it.each([
    ["fused", false],
    ["fused", true],
    ["plain", false],
  ] as const)(
    "has transformers' gradient of every weight (%s kernels, checkpointing: %s)",
    (mode, checkpointing) => {
      const before = liveTensors();
      const model = unfrozen(name);
      withKernels(mode, () =>
        tidy(() => {
          const output = model.forward(goldenBatch(golden), { ...EVALUATION, checkpointing });
          expectClose([output.loss.item()], [golden.loss], 1e-4, "loss");
          output.backward(output.loss);
          expect([...model.weights.keys()].sort()).toEqual([...expected.names].sort());
          for (const [weight, tensor] of model.weights) {
            const { shape } = expected.info(weight);
            expect(tensor.shape).toEqual(shape);
            const right = expected.tensor(weight).toArray();
            const largest = Math.max(...right.map(Math.abs));
            expect(largest).toBeGreaterThan(0);
            expectClose(
              tensor.grad!.toArray().map((value) => value / largest),
              right.map((value) => value / largest),
              1e-4,
              weight,
            );
          }
        }),
      );
      model.dispose();
      expect(liveTensors()).toBe(before);
    },
  );

  it.each(["fused", "plain"] as const)(
    "has nearly the same gradients, in float32, where the arithmetic is bfloat16 (%s kernels)",
    (mode) => {
      const before = liveTensors();
      const model = loadModel(goldenFolder(name), "bfloat16", "cpu", "float32");
      for (const weight of model.weights.values()) weight.requiresGrad = true;
      withKernels(mode, () =>
        tidy(() => {
          const output = model.forward(goldenBatch(golden), EVALUATION);
          expect(output.logits.dtype).toBe("bfloat16");
          output.backward(output.loss);
          let [both, ours, theirs] = [0, 0, 0];
          for (const [weight, tensor] of model.weights) {
            expect([tensor.dtype, tensor.grad!.dtype]).toEqual(["float32", "float32"]);
            const right = expected.tensor(weight).toArray();
            for (const [i, value] of tensor.grad!.toArray().entries()) {
              both += value * right[i]!;
              ours += value * value;
              theirs += right[i]! * right[i]!;
            }
          }
          // A relu near zero may open in one and not in the other; on the bundled model the cosine is 0.9999.
          expect(both / Math.sqrt(ours * theirs)).toBeGreaterThan(0.95);
          expect(Math.abs(Math.sqrt(ours / theirs) - 1)).toBeLessThan(0.1);
        }),
      );
      const lossOf = (of: LanguageModel) =>
        inference(() => of.forward(goldenBatch(golden), EVALUATION).loss.item());
      const copy = model.copy();
      expect(copy.dtype).toBe("bfloat16");
      expect([...copy.weights.values()].every(({ dtype }) => dtype === "float32")).toBe(true);
      expect(lossOf(copy)).toBe(lossOf(model));
      copy.dispose();
      model.dispose();
      expect(liveTensors()).toBe(before);
    },
  );

  it("answers with the changed weights", () => {
    const model = unfrozen(name);
    const batch = goldenBatch(golden);
    const lossOf = (of: LanguageModel) => inference(() => of.forward(batch, EVALUATION).loss.item());
    const before = lossOf(model);
    noGrad(() => {
      for (const weight of model.weights.values()) weight.mul_(0.9);
    });
    const changed = lossOf(model);
    expect(Math.abs(changed - before)).toBeGreaterThan(1e-3);
    const copy = model.copy();
    expect(lossOf(copy)).toBe(changed);
    noGrad(() => {
      for (const weight of model.weights.values()) weight.mul_(1 / 0.9);
    });
    expect(lossOf(model)).toBeCloseTo(before, 4);
    expect(lossOf(copy)).toBe(changed);
    copy.dispose();
    model.dispose();
  });
});
