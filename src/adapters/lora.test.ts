import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  expectClose,
  type GoldenBatch,
  goldenBatch,
  goldenFolder,
  readGolden,
} from "../../test/support/golden.js";
import { readPeft, writePeft } from "../io/peft.js";
import { loadModel } from "../models/registry.js";
import type { T5 } from "../models/t5.js";
import { EVALUATION, trainingContext } from "../nn/context.js";
import { deltaL1, withKernels } from "../nn/kernels.js";
import { AdamW, clipFactor, globalGradNorm, type Parameter } from "../nn/optim.js";
import { Rng } from "../random.js";
import { inference, noGrad } from "../tensor/grad.js";
import { liveTensors, tidy } from "../tensor/scope.js";
import { Lora, targetLinears } from "./lora.js";

interface Factors {
  readonly lora_A: number[][];
  readonly lora_B: number[][];
}

interface LoraGolden {
  readonly loss_without_adapter: number;
  readonly loss: number;
  readonly logits_row_0: number[][];
  readonly gradients: Record<string, Factors>;
  readonly penalty: { readonly sums: Record<string, number>; readonly gradients: Record<string, Factors> };
  readonly training: {
    readonly lambda: number;
    readonly clip: number;
    readonly learning_rate: number;
    readonly steps: readonly {
      readonly loss: number;
      readonly penalty: number;
      readonly gradient_norm: number;
      readonly after: Record<string, Factors>;
    }[];
  };
}

const options = {
  rank: 4,
  alpha: 8,
  dropout: 0,
  targetModules: null,
  previousAdapters: "stacked" as "stacked" | "merged",
};
const golden = readGolden<LoraGolden>("lora-peft");
const example = readGolden<GoldenBatch>("t5-classic");

function setup(): { model: T5; lora: Lora; parameters: Parameter[] } {
  const model = loadModel(goldenFolder("t5-classic"), "float32") as T5;
  const lora = new Lora(model, options);
  const parameters = tidy(() => {
    const made = lora.openWith(readPeft(goldenFolder("lora-peft")).delta);
    return made;
  });
  return { model, lora, parameters };
}

const flat = (
  parameters: readonly Parameter[],
  name: string,
): Record<"lora_A" | "lora_B", Parameter["tensor"]> => ({
  lora_A: parameters.find((p) => p.name === `${name}.lora_A.weight`)!.tensor,
  lora_B: parameters.find((p) => p.name === `${name}.lora_B.weight`)!.tensor,
});

describe.each(["fused", "plain"] as const)("LoRA with %s kernels", (mode) => {
  it("equals PEFT: loss, logits and the gradients of every A and B", () => {
    const { model, lora, parameters } = setup();
    withKernels(mode, () =>
      tidy(() => {
        const batch = goldenBatch(example);
        const { loss } = model.forward(batch, EVALUATION);
        expectClose([loss.item()], [golden.loss], 1e-5, "loss");
        expectClose(
          noGrad(() => model.logits(batch, EVALUATION).select(0, 0).toArray()),
          golden.logits_row_0.flat(),
          1e-4,
          "logits",
        );
        loss.backward();
        expect(Object.keys(golden.gradients).length).toBe(lora.modules.length);
        for (const [name, expected] of Object.entries(golden.gradients)) {
          const { lora_A, lora_B } = flat(parameters, name);
          expectClose(lora_A.grad!.toArray(), expected.lora_A.flat(), 1e-4, `${name} A`);
          expectClose(lora_B.grad!.toArray(), expected.lora_B.flat(), 1e-4, `${name} B`);
        }
      }),
    );
    lora.dispose();
    model.dispose();
  });

  it("computes the paper's penalty and its gradient", () => {
    const { model, lora, parameters } = setup();
    withKernels(mode, () =>
      tidy(() => {
        const pairs = lora.current;
        const names = lora.modules.map((module) => module.name);
        for (const [m, pair] of pairs.entries()) {
          expectClose(
            [deltaL1([pair.a], [pair.b], [1]).item()],
            [golden.penalty.sums[names[m]!]!],
            1e-5,
            names[m],
          );
        }
        deltaL1(
          pairs.map((pair) => pair.a),
          pairs.map((pair) => pair.b),
          pairs.map(() => 1),
        ).backward();
        for (const [name, expected] of Object.entries(golden.penalty.gradients)) {
          const { lora_A, lora_B } = flat(parameters, name);
          expectClose(lora_A.grad!.toArray(), expected.lora_A.flat(), 1e-4, `${name} A`);
          expectClose(lora_B.grad!.toArray(), expected.lora_B.flat(), 1e-4, `${name} B`);
        }
      }),
    );
    lora.dispose();
    model.dispose();
  });

  it("trains as PyTorch does: loss, penalty, clipping and AdamW, step by step", () => {
    const { model, lora, parameters } = setup();
    const optimizer = new AdamW(parameters, { betas: [0.9, 0.999], eps: 1e-8, weightDecay: 0 });
    const { lambda, clip, learning_rate, steps } = golden.training;
    withKernels(mode, () => {
      for (const step of steps) {
        tidy(() => {
          const { loss } = model.forward(goldenBatch(example), EVALUATION);
          const pairs = lora.current;
          const penalty = deltaL1(
            pairs.map((pair) => pair.a),
            pairs.map((pair) => pair.b),
            pairs.map(() => lambda),
          );
          expectClose([loss.item()], [step.loss], 1e-4, "loss");
          expectClose([penalty.item() / lambda], [step.penalty], 1e-4, "penalty");
          loss.add(penalty).backward();
          const norm = globalGradNorm(parameters);
          expectClose([norm], [step.gradient_norm], 1e-4, "gradient norm");
          optimizer.step(learning_rate, clipFactor(norm, clip));
          optimizer.zeroGrad();
          for (const [name, expected] of Object.entries(step.after)) {
            const { lora_A, lora_B } = flat(parameters, name);
            expectClose(lora_A.toArray(), expected.lora_A.flat(), 1e-4, `${name} A after the step`);
            expectClose(lora_B.toArray(), expected.lora_B.flat(), 1e-4, `${name} B after the step`);
          }
        });
      }
    });
    optimizer[Symbol.dispose]();
    lora.dispose();
    model.dispose();
  });
});

it("writes the folder that PEFT wrote, tensor for tensor", () => {
  const folder = mkdtempSync(join(tmpdir(), "nlora-peft-"));
  tidy(() => {
    const { delta } = readPeft(goldenFolder("lora-peft"));
    writePeft(folder, delta, {
      dropout: 0,
      targetModules: ["q", "v"],
      taskType: "SEQ_2_SEQ_LM",
      base: { name: "/somewhere/on/this/machine/t5-classic", revision: null },
    });
    const again = readPeft(folder).delta;
    expect([...again.modules.keys()].sort()).toEqual([...delta.modules.keys()].sort());
    for (const [name, { a, b }] of delta.modules) {
      expect(again.modules.get(name)!.a.toArray()).toEqual(a.toArray());
      expect(again.modules.get(name)!.b.toArray()).toEqual(b.toArray());
    }
    expect(again.scale).toBe(2);
  });
  expect(readFileSync(join(folder, "adapter_config.json"), "utf8")).not.toContain("/somewhere");
  rmSync(folder, { recursive: true });
});

it("gives the same logits with earlier adapters stacked and merged", () => {
  const logits = (["stacked", "merged"] as const).map((previousAdapters) => {
    const model = loadModel(goldenFolder("t5-classic"), "float32") as T5;
    const lora = new Lora(model, { ...options, previousAdapters });
    tidy(() => {
      for (let k = 0; k < 2; k++) lora.addFrozen(readPeft(goldenFolder("lora-peft")).delta);
      lora.openWith(readPeft(goldenFolder("lora-peft")).delta);
    });
    const values = inference(() => model.logits(goldenBatch(example), EVALUATION).toArray());
    const terms = lora.modules[0]!.linear.additions.length;
    expect(terms).toBe(previousAdapters === "stacked" ? 2 : 1);
    lora.dispose();
    model.dispose();
    return values;
  });
  expectClose(logits[0]!, logits[1]!, 1e-4, "logits");
});

it("starts at the base model, with A of the standard size, and repeats under a seed", () => {
  const model = loadModel(goldenFolder("t5-classic"), "float32") as T5;
  const lora = new Lora(model, options);
  const base = inference(() => model.logits(goldenBatch(example), EVALUATION).toArray());
  lora.open(new Rng(1));
  expectClose(
    inference(() => model.logits(goldenBatch(example), EVALUATION).toArray()),
    base,
    1e-6,
  );
  const bound = 1 / Math.sqrt(lora.modules[0]!.linear.inputs);
  const a = lora.current[0]!.a.toArray();
  expect(Math.max(...a.map(Math.abs))).toBeLessThanOrEqual(bound);
  expect(Math.max(...a.map(Math.abs))).toBeGreaterThan(0.9 * bound);
  const again = new Lora(model, options);
  again.open(new Rng(1));
  expect(again.current[0]!.a.toArray()).toEqual(a);
  expect(again.current[1]!.a.toArray()).not.toEqual(a);
  again.dispose();
  lora.dispose();
  model.dispose();
});

it("drops inputs of the additions while training, alike for equal seeds", () => {
  const model = loadModel(goldenFolder("t5-classic"), "float32") as T5;
  const lora = new Lora(model, { ...options, dropout: 0.5 });
  tidy(() => void lora.openWith(readPeft(goldenFolder("lora-peft")).delta));
  const loss = (seed: number | null) =>
    tidy(() => {
      const context = seed === null ? EVALUATION : trainingContext(new Rng(seed));
      return model.forward(goldenBatch(example), context).loss.item();
    });
  expect(loss(1)).toBe(loss(1));
  expect(loss(1)).not.toBe(loss(2));
  expect(loss(1)).not.toBe(loss(null));
  lora.dispose();
  model.dispose();
});

it("names the layers there are when a target matches none", () => {
  const model = loadModel(goldenFolder("t5-classic"), "float32");
  expect(() => targetLinears(model, ["q_proj"])).toThrow(/"q_proj"; its layers are named k, o, q, v, wi, wo/);
  expect(targetLinears(model, null).map((linear) => linear.name)[0]).toBe(
    "encoder.block.0.layer.0.SelfAttention.q",
  );
  expect(targetLinears(model, ["decoder.block.1.layer.2.DenseReluDense.wo"])).toHaveLength(1);
  model.dispose();
});

it("releases every tensor it made", () => {
  const before = liveTensors();
  const { model, lora } = setup();
  lora.close();
  lora.open(new Rng(3));
  lora.dispose();
  model.dispose();
  expect(liveTensors()).toBe(before);
});
