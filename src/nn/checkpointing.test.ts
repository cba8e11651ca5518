import { expect, it } from "vitest";
import { type GoldenBatch, goldenBatch, readGolden } from "../../test/support/golden.js";
import { tinyLora, tinyModel } from "../../test/support/tiny.js";
import { Lora } from "../adapters/lora.js";
import { Rng } from "../random.js";
import { inference } from "../tensor/grad.js";
import { liveTensors, tidy } from "../tensor/scope.js";
import { trainingContext } from "./context.js";

/** The loss and the gradients of an adapter under dropout, null where there is none. */
function measure(name: string, targetModules: readonly string[] | null, checkpointing: boolean) {
  const model = tinyModel(name);
  const lora = new Lora(model, { ...tinyLora, dropout: 0.3, targetModules });
  const measured = tidy(() => {
    const parameters = lora.open(new Rng(4));
    for (const { tensor } of parameters) inference(() => void tensor.add_(0.1));
    const context = trainingContext(new Rng(5), checkpointing);
    const output = model.forward(goldenBatch(readGolden<GoldenBatch>(name)), context);
    output.backward(output.loss);
    return {
      loss: output.loss.item(),
      gradients: parameters.map(({ tensor }) => tensor.grad!.toArray()),
    };
  });
  lora.dispose();
  model.dispose();
  return measured;
}

it.each([
  ["t5-gated", null],
  ["t5-classic", ["encoder.block.1.layer.0.SelfAttention.q", "decoder.block.0.layer.1.EncDecAttention.v"]],
  ["llama3-gqa", null],
  ["qwen3-norms", ["model.layers.1.mlp.down_proj"]],
  ["mistral-gqa", ["model.layers.0.self_attn.k_proj"]],
])("gives the same loss and gradients under dropout, bit for bit: %s, %j", (name, targetModules) => {
  const before = liveTensors();
  const plain = measure(name, targetModules, false);
  expect(measure(name, targetModules, true)).toEqual(plain);
  expect(plain.gradients.flat().some((value) => value !== 0)).toBe(true);
  expect(liveTensors()).toBe(before);
});
