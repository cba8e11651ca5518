import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  expectClose,
  type GoldenBatch,
  goldenBatch,
  goldenFolder,
  readGolden,
} from "../../test/support/golden.js";
import { EVALUATION } from "../nn/context.js";
import { withKernels } from "../nn/kernels.js";
import { inference } from "../tensor/grad.js";
import { packageRoot } from "../tensor/native.js";
import { liveTensors } from "../tensor/scope.js";
import { greedy } from "./generate.js";
import { loadModel } from "./registry.js";
import type { T5 } from "./t5.js";
import { bucketOf } from "./t5-position-bias.js";

const shared = process.env.NLORA_SHARED ?? join(packageRoot, "..", "shared");
const miniGolden = join(shared, "models/t5-mini/golden.json");

interface MiniCase extends GoldenBatch {
  readonly loss: number;
  readonly first_position_logits_0_8: number[][];
  readonly encoder_output_first_position_0_4: number[][];
  readonly greedy_ids: number[][];
}

interface TinyGolden extends GoldenBatch {
  readonly loss: number;
  readonly logits_row_0: number[][];
  readonly logits_first_8: number[][][];
  readonly encoder_row_1_first_4: number[][];
  readonly greedy_ids: number[][];
}

describe.each(["fused", "plain"] as const)("T5 with %s kernels", (mode) => {
  it.each(["t5-classic", "t5-gated", "t5-gated-sharded"])("equals transformers on %s", (name) => {
    const golden = readGolden<TinyGolden>(name.replace("-sharded", ""));
    const model = loadModel(goldenFolder(name), "float32") as T5;
    withKernels(mode, () =>
      inference(() => {
        const batch = goldenBatch(golden);
        expectClose([model.forward(batch, EVALUATION).loss.item()], [golden.loss], 1e-5, "loss");
        const logits = model.logits(batch, EVALUATION);
        expectClose(logits.select(0, 0).toArray(), golden.logits_row_0.flat(), 1e-5, "logits");
        expectClose(logits.narrow(2, 0, 8).toArray(), golden.logits_first_8.flat(2), 1e-5, "logits");
        const encoded = model.encode(batch.inputIds, batch.attentionMask, EVALUATION).select(0, 1);
        const real = golden.attention_mask[1]!.filter((flag) => flag === 1).length;
        expectClose(
          encoded.narrow(0, 0, real).narrow(1, 0, 4).toArray(),
          golden.encoder_row_1_first_4.slice(0, real).flat(),
          1e-5,
          "encoder",
        );
        expect(greedy(model.startDecoding(batch), { endIds: [1], maxNewTokens: 12 })).toEqual(
          golden.greedy_ids,
        );
      }),
    );
    model.dispose();
  });

  it.skipIf(!existsSync(miniGolden))("meets the golden file of t5-mini (needs the shared models)", () => {
    const { cases } = JSON.parse(readFileSync(miniGolden, "utf8")) as { cases: MiniCase[] };
    const model = loadModel(join(shared, "models/t5-mini"), "float32") as T5;
    const before = liveTensors();
    withKernels(mode, () => {
      for (const example of cases) {
        inference(() => {
          const batch = goldenBatch(example);
          expectClose([model.forward(batch, EVALUATION).loss.item()], [example.loss], 1e-4, "loss");
          const logits = model.logits(batch, EVALUATION).select(1, 0).narrow(1, 0, 8);
          expectClose(logits.toArray(), example.first_position_logits_0_8.flat(), 1e-4, "logits");
          const encoded = model.encode(batch.inputIds, batch.attentionMask, EVALUATION);
          const features = encoded.select(1, 0).narrow(1, 0, 4).toArray();
          expectClose(features, example.encoder_output_first_position_0_4.flat(), 1e-4, "encoder");
          expect(greedy(model.startDecoding(batch), { endIds: model.endIds, maxNewTokens: 10 })).toEqual(
            example.greedy_ids,
          );
        });
      }
    });
    // Only cached position biases stay.
    expect(liveTensors() - before).toBeLessThan(40);
    model.dispose();
  });
});

it("releases everything when a model is disposed", () => {
  const before = liveTensors();
  const model = loadModel(goldenFolder("t5-gated"), "float32");
  inference(() =>
    greedy(model.startDecoding(goldenBatch(readGolden<TinyGolden>("t5-gated"))), {
      endIds: model.endIds,
      maxNewTokens: 3,
    }),
  );
  expect(liveTensors()).toBeGreaterThan(before);
  model.dispose();
  expect(liveTensors()).toBe(before);
});

it("puts distances into the published buckets", () => {
  // Spot values of the published formula for 32 buckets and distance 128.
  const both = [-200, -128, -20, -8, -7, -1, 0, 1, 7, 8, 20, 200].map((d) => bucketOf(d, true, 32, 128));
  expect(both).toEqual([15, 15, 10, 8, 7, 1, 0, 17, 23, 24, 26, 31]);
  const past = [5, 0, -1, -15, -16, -20, -64, -127, -500].map((d) => bucketOf(d, false, 32, 128));
  expect(past).toEqual([0, 0, 1, 15, 16, 17, 26, 31, 31]);
});
