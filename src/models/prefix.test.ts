import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import {
  expectClose,
  type GoldenBatch,
  goldenBatch,
  goldenFolder,
  readGolden,
} from "../../test/support/golden.js";
import { tinyModel } from "../../test/support/tiny.js";
import { promptsOf } from "../data/collate.js";
import { TensorError } from "../errors.js";
import { EVALUATION } from "../nn/context.js";
import { withKernels } from "../nn/kernels.js";
import { Rng } from "../random.js";
import { tensor } from "../tensor/create.js";
import { embedding } from "../tensor/functions.gen.js";
import { inference } from "../tensor/grad.js";
import { liveTensors, tidy } from "../tensor/scope.js";
import type { Tensor } from "../tensor/tensor.js";
import { greedy } from "./generate.js";
import type { LanguageModel } from "./language-model.js";
import { loadModel } from "./registry.js";

const NAMES = ["t5-classic", "t5-gated", "llama3-gqa", "qwen3-norms"];
const models = new Map(NAMES.map((name) => [name, tinyModel(name)]));
afterAll(() => {
  for (const model of models.values()) model.dispose();
});

interface Golden extends GoldenBatch {
  readonly loss: number;
  readonly prompts?: Omit<GoldenBatch, "labels">;
}

interface PromptGolden {
  readonly prompt: readonly (readonly number[])[];
  readonly loss: number;
  readonly gradient: readonly (readonly number[])[];
  readonly max_new_tokens: number;
  readonly greedy_ids: readonly (readonly number[])[];
}

const readPrompt = (name: string): PromptGolden =>
  JSON.parse(readFileSync(join(goldenFolder(name), "prompt.json"), "utf8")) as PromptGolden;

const matrixOf = (rows: readonly (readonly number[])[]): Tensor =>
  tensor(rows.flat(), [rows.length, rows[0]!.length]);

/** A prefix of its own for each of some rows, of the size of the embeddings. */
function randomPrefix(model: LanguageModel, rows: number, positions: number, seed = 1): Tensor {
  const rng = new Rng(seed);
  const width = model.inputEmbedding.dim(1);
  const values = Array.from({ length: rows * positions * width }, () => 2 * rng.uniform() - 1);
  return tensor(values, [rows, positions, width]);
}

/** The right-aligned prompts of a batch, one id list per row. */
const sources = fc.array(fc.array(fc.integer({ min: 2, max: 79 }), { minLength: 1, maxLength: 20 }), {
  minLength: 1,
  maxLength: 4,
});

describe.each(NAMES)("a prefix of %s", (name) => {
  const model = models.get(name)!;
  const golden = readGolden<Golden>(name);

  it.each([
    ["fused", false],
    ["fused", true],
    ["plain", false],
  ] as const)(
    "has the loss and the gradient of PEFT's prompt tuning (%s kernels, checkpointing: %s)",
    (mode, checkpointing) => {
      const own = loadModel(goldenFolder(name), "float32");
      const expected = readPrompt(name);
      const before = [...own.weights.values()].map((weight) => weight.toArray());
      const live = liveTensors();
      withKernels(mode, () =>
        tidy(() => {
          const prompt = matrixOf(expected.prompt);
          prompt.requiresGrad = true;
          const batch = { ...goldenBatch(golden), prefix: prompt.unsqueeze(0) };
          const output = own.forward(batch, { ...EVALUATION, checkpointing });
          expectClose([output.loss.item()], [expected.loss], 1e-5, "loss");
          output.backward(output.loss);
          expectClose(prompt.grad!.toArray(), expected.gradient.flat(), 1e-5, "gradient");
        }),
      );
      // Only cached position biases and rotations stay.
      expect(liveTensors() - live).toBeLessThan(8);
      expect([...own.weights.values()].map((weight) => weight.toArray())).toEqual(before);
      expect([...own.weights.values()].every((weight) => weight.grad === null)).toBe(true);
      own.dispose();
    },
  );

  it("is answered as transformers answers behind its embeddings, alone and in a padded batch", () => {
    const expected = readPrompt(name);
    const asked = golden.prompts ?? golden;
    inference(() => {
      const prefix = matrixOf(expected.prompt).unsqueeze(0);
      const batch = goldenBatch({ ...asked, labels: [[0]] });
      const options = { endIds: model.endIds, maxNewTokens: expected.max_new_tokens };
      expect(greedy(model.startDecoding({ ...batch, prefix }), options)).toEqual(expected.greedy_ids);
      for (const [row, ids] of asked.input_ids.entries()) {
        const source = ids.filter((_, i) => asked.attention_mask[row]![i] === 1);
        const alone = promptsOf([{ source }], model);
        expect(greedy(model.startDecoding({ ...alone, prefix }), options)).toEqual([
          expected.greedy_ids[row],
        ]);
      }
    });
  });

  it("without positions changes no bit, and one of token embeddings is those tokens", () => {
    tidy(() => {
      const batch = goldenBatch(golden);
      const width = model.inputEmbedding.dim(1);
      const plain = model.forward(batch, EVALUATION).logits.toArray();
      for (const prefix of [null, tensor([], [3, 0, width])]) {
        expect(model.forward({ ...batch, prefix }, EVALUATION).logits.toArray()).toEqual(plain);
      }
      const asked = promptsOf([{ source: [5, 6, 7] }, { source: [8, 9] }], model);
      const first = inference(() => model.startDecoding(asked));
      const second = inference(() => model.startDecoding({ ...asked, prefix: null }));
      expect(second.logits.toArray()).toEqual(first.logits.toArray());
      for (const decoding of [first, second]) decoding.dispose();

      const ids = [7, 11, 13];
      const longer = goldenBatch({
        input_ids: golden.input_ids.map((row) => [...ids, ...row]),
        attention_mask: golden.attention_mask.map((row) => [1, 1, 1, ...row]),
        labels:
          model.family === "causal" ? golden.labels.map((row) => [-100, -100, -100, ...row]) : golden.labels,
      });
      const prefix = embedding(model.inputEmbedding, tensor([...ids, ...ids, ...ids], [3, 3], "int64"));
      const behind = model.forward({ ...batch, prefix }, EVALUATION);
      const spelt = model.forward(longer, EVALUATION);
      expectClose(behind.logits.toArray(), spelt.logits.toArray(), 1e-5);
      expect(behind.loss.item()).not.toBeCloseTo(model.forward(batch, EVALUATION).loss.item(), 3);
    });
  });

  it("gives each row what it would get alone, with a cache or without one, whatever is beside it", () => {
    const before = liveTensors();
    fc.assert(
      fc.property(sources, fc.integer({ min: 1, max: 6 }), (rows, positions) => {
        inference(() => {
          const prefix = randomPrefix(model, rows.length, positions);
          const batch = promptsOf(
            rows.map((source) => ({ source })),
            model,
          );
          const decoding = model.startDecoding({ ...batch, prefix });
          const vocabulary = model.vocabularySize;
          const written: number[][] = rows.map(() => []);
          for (const next of [5, 9, 23]) {
            const together = decoding.logits.toArray();
            for (const [row, source] of rows.entries()) {
              const own = prefix.narrow(0, row, 1);
              const seen = written[row]!;
              const found = together.slice(row * vocabulary, (row + 1) * vocabulary);
              expectClose(found, uncached(model, source, seen, own), 1e-4, `row ${row}`);
              written[row] = [...seen, next + row];
            }
            decoding.step(rows.map((_, row) => next + row));
          }
          decoding.dispose();
        });
      }),
      { numRuns: 12 },
    );
    // Cached position biases stay.
    expect(liveTensors() - before).toBeLessThan(60);
  });

  it("joins others of another length, and is refused when it does not fit", () => {
    inference(() => {
      const start = (source: number[], positions: number) =>
        model.startDecoding({
          ...promptsOf([{ source }], model),
          prefix: positions === 0 ? null : randomPrefix(model, 1, positions),
        });
      const decoding = start([5, 6, 7], 4);
      decoding.join(start([8, 9, 10, 11, 12], 0));
      decoding.join(start([8], 9));
      decoding.step([3, 3, 3]);
      const together = decoding.logits.toArray();
      decoding.dispose();
      const parts = [start([5, 6, 7], 4), start([8, 9, 10, 11, 12], 0), start([8], 9)].map((alone) => {
        alone.step([3]);
        const logits = alone.logits.toArray();
        alone.dispose();
        return logits;
      });
      expectClose(together, parts.flat(), 1e-4);
    });
    tidy(() => {
      const batch = goldenBatch(golden);
      const wrongRows = { ...batch, prefix: randomPrefix(model, 2, 4) };
      expect(() => model.forward(wrongRows, EVALUATION)).toThrow(TensorError);
      const width = model.inputEmbedding.dim(1);
      const narrow = { ...batch, prefix: tensor(new Float32Array(2 * (width - 1)), [1, 2, width - 1]) };
      expect(() => model.forward(narrow, EVALUATION)).toThrow(`[1, 2, ${width - 1}], expected [3, positions`);
    });
  });

  it("does not count among the features, which do not see padding", () => {
    inference(() => {
      const rows = [
        [5, 6, 7, 8],
        [9, 10],
        [3, 4, 5, 6, 7, 8, 9, 10, 11],
      ].map((source) => ({ source }));
      const together = model.features(promptsOf(rows, model)).toArray();
      const alone = rows.flatMap((row) => model.features(promptsOf([row], model)).toArray());
      expect(together).toHaveLength(3 * model.inputEmbedding.dim(1));
      expectClose(together, alone, 1e-5);
      expect(alone.slice(0, 4)).not.toEqual(alone.slice(-4));
    });
  });
});

/** Logits of the next token behind a row and what was written, computed as a whole: [vocabulary]. */
function uncached(
  model: LanguageModel,
  source: readonly number[],
  written: readonly number[],
  prefix: Tensor,
): number[] {
  const spelt = model.family === "causal" ? [...source, ...written] : source;
  const batch = {
    inputIds: tensor([...spelt, 0], [1, spelt.length + 1], "int64"),
    attentionMask: tensor(
      [...spelt.map(() => 1), model.family === "causal" ? 1 : 0],
      [1, spelt.length + 1],
      "bool",
    ),
    prefix,
  };
  // One label of any kind where the next token will be.
  const labels = model.family === "causal" ? [...spelt.map(() => -100), 0] : [...written, 0];
  const output = model.forward({ ...batch, labels: tensor(labels, [1, labels.length], "int64") }, EVALUATION);
  return output.logits.narrow(0, output.labelTokens - 1, 1).toArray();
}
