import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  expectClose,
  type GoldenBatch,
  goldenBatch,
  goldenFolder,
  readGolden,
} from "../../test/support/golden.js";
import { Lora } from "../adapters/lora.js";
import { readPeft } from "../io/peft.js";
import { EVALUATION } from "../nn/context.js";
import { withKernels } from "../nn/kernels.js";
import { inference } from "../tensor/grad.js";
import { liveTensors, tidy } from "../tensor/scope.js";
import { beamSearch } from "./beam-search.js";
import { greedy } from "./generate.js";
import type { Llama } from "./llama.js";
import { loadModel } from "./registry.js";
import { readRope } from "./rope.js";

interface Golden extends GoldenBatch {
  readonly loss: number;
  readonly logits_row_2: number[][];
  readonly logits_first_8: (number[] | null)[][];
  readonly prompts: Omit<GoldenBatch, "labels">;
  readonly last_logits: number[][];
  readonly max_new_tokens: number;
  readonly greedy_ids: number[][];
  readonly beams: number;
  readonly beam_ids: number[][];
  readonly adapter: {
    readonly loss: number;
    readonly gradients: Record<string, { readonly lora_A: number[][]; readonly lora_B: number[][] }>;
  };
}

const NAMES = ["llama-classic", "llama3-gqa", "mistral-gqa", "qwen2-biases", "qwen3-norms"];
const open = (name: string) => loadModel(goldenFolder(name), "float32") as Llama;
const promptsOf = ({ prompts }: Golden) => goldenBatch({ ...prompts, labels: [[0]] });

it.each(NAMES)("computes %s in bfloat16 too, up to its rounding", (name) => {
  const golden = readGolden<Golden>(name);
  const model = loadModel(goldenFolder(name), "bfloat16");
  const loss = inference(() => model.forward(goldenBatch(golden), EVALUATION).loss.item());
  expect(Math.abs(loss / golden.loss - 1)).toBeLessThan(0.05);
  model.dispose();
});

describe.each(NAMES)("%s", (name) => {
  const golden = readGolden<Golden>(name);

  it.each(["fused", "plain"] as const)("equals transformers with %s kernels", (mode) => {
    const before = liveTensors();
    const model = open(name);
    withKernels(mode, () =>
      inference(() => {
        const batch = goldenBatch(golden);
        expectClose([model.forward(batch, EVALUATION).loss.item()], [golden.loss], 1e-4, "loss");
        const logits = model.logits(batch, EVALUATION);
        expectClose(logits.select(0, 2).toArray(), golden.logits_row_2.flat(), 1e-4, "logits");
        for (const [row, expected] of golden.logits_first_8.entries()) {
          const known = expected.filter((position) => position !== null);
          const found = logits.select(0, row).narrow(0, 0, known.length).narrow(1, 0, 8).toArray();
          expectClose(found, known.flat(), 1e-4, `logits of row ${row}`);
        }
        const decoding = model.startDecoding(promptsOf(golden));
        expectClose(decoding.logits.toArray(), golden.last_logits.flat(), 1e-4, "logits after the prompts");
        const options = { endIds: model.endIds, maxNewTokens: golden.max_new_tokens };
        expect(greedy(decoding, options)).toEqual(golden.greedy_ids);
        const beams = beamSearch(model.startDecoding(promptsOf(golden)), { ...options, beams: golden.beams });
        expect(beams.map(([best]) => best!.ids)).toEqual(golden.beam_ids);
        for (const [row, ids] of golden.prompts.input_ids.entries()) {
          const alone = ids.slice(golden.prompts.attention_mask[row]!.indexOf(1));
          const batch = goldenBatch({
            input_ids: [alone],
            attention_mask: [alone.map(() => 1)],
            labels: [[0]],
          });
          expect(greedy(model.startDecoding(batch), options)).toEqual([golden.greedy_ids[row]]);
        }
      }),
    );
    model.dispose();
    expect(liveTensors()).toBe(before);
  });

  it.each([false, true])(
    "has PEFT's loss and gradients of every A and B (checkpointing: %s)",
    (checkpointing) => {
      const before = liveTensors();
      const model = open(name);
      tidy(() => {
        const { config, delta } = readPeft(join(goldenFolder(name), "adapter"));
        expect(config.taskType).toBe("CAUSAL_LM");
        const lora = new Lora(model, {
          rank: config.rank,
          alpha: config.alpha,
          dropout: 0,
          targetModules: config.targetModules as string[],
          previousAdapters: "stacked",
        });
        const parameters = lora.openWith(delta);
        const output = model.forward(goldenBatch(golden), { ...EVALUATION, checkpointing });
        expectClose([output.loss.item()], [golden.adapter.loss], 1e-4, "loss");
        output.backward(output.loss);
        expect(lora.modules.map((module) => module.name).sort()).toEqual(
          Object.keys(golden.adapter.gradients).sort(),
        );
        for (const [module, expected] of Object.entries(golden.adapter.gradients)) {
          for (const factor of ["lora_A", "lora_B"] as const) {
            const { tensor } = parameters.find((each) => each.name === `${module}.${factor}.weight`)!;
            expectClose(tensor.grad!.toArray(), expected[factor].flat(), 1e-4, `${module} ${factor}`);
          }
        }
        lora.dispose();
      });
      model.dispose();
      expect(liveTensors()).toBe(before);
    },
  );
});

it("has the frequencies of every kind of RoPE scaling", () => {
  interface Case {
    readonly config: Record<string, unknown>;
    readonly inverse_frequencies: number[];
    readonly factor: number;
  }
  const cases = JSON.parse(readFileSync(join(goldenFolder("."), "rope.json"), "utf8")) as Record<
    string,
    Case
  >;
  for (const [name, { config, inverse_frequencies, factor }] of Object.entries(cases)) {
    const rope = readRope({ max_position_embeddings: 2048, ...config }, "config.json", 128);
    expect(rope.factor, name).toBeCloseTo(factor, 6);
    for (const [j, expected] of inverse_frequencies.entries()) {
      expect(Math.abs(rope.frequencies[j]! / expected - 1), `${name} ${j}`).toBeLessThan(3e-6);
    }
  }
});
