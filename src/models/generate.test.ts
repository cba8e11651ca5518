import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { expectClose, goldenFolder } from "../../test/support/golden.js";
import { tinyModel } from "../../test/support/tiny.js";
import { padBatch } from "../data/batches.js";
import { ConfigError, RunError } from "../errors.js";
import { Rng } from "../random.js";
import { tensor } from "../tensor/create.js";
import { inference } from "../tensor/grad.js";
import { liveTensors } from "../tensor/scope.js";
import { beamSearch } from "./beam-search.js";
import type { Decoding } from "./decoding.js";
import { greedy, sample } from "./generate.js";
import type { LanguageModel } from "./language-model.js";
import { candidates, drawToken, logprobsOf } from "./sampling.js";

interface BeamCase {
  readonly num_beams: number;
  readonly length_penalty: number;
  readonly early_stopping: boolean | "never";
  readonly end_ids: number[];
  readonly ids: number[][];
  readonly scores: number[] | null;
}

interface FilterCase {
  readonly temperature: number;
  readonly top_k: number | null;
  readonly top_p: number | null;
  readonly scores: number[];
  readonly probabilities: number[];
}

const golden = JSON.parse(readFileSync(join(goldenFolder("."), "generation.json"), "utf8")) as {
  readonly max_new_tokens: number;
  readonly beams: Record<string, { readonly prompts: number[][]; readonly cases: BeamCase[] }>;
  readonly filters: FilterCase[];
};

function start(model: LanguageModel, prompts: readonly (readonly number[])[]): Decoding {
  const { ids, mask, shape } = padBatch(prompts, 0, 1, model.family === "causal" ? "start" : "end");
  return inference(() =>
    model.startDecoding({
      inputIds: tensor(ids, shape, "int32").toDtype("int64"),
      attentionMask: tensor(mask, shape, "bool"),
    }),
  );
}

describe.each(Object.keys(golden.beams))("beam search with %s", (name) => {
  const { prompts, cases } = golden.beams[name]!;
  const model = tinyModel(name);
  const optionsOf = (example: BeamCase) => ({
    beams: example.num_beams,
    lengthPenalty: example.length_penalty,
    earlyStopping: example.early_stopping,
    endIds: example.end_ids,
    maxNewTokens: golden.max_new_tokens,
  });

  it("finds transformers' answers under every setting", () => {
    for (const example of cases) {
      const found = beamSearch(start(model, prompts), optionsOf(example));
      const what = JSON.stringify({ ...example, ids: undefined, scores: undefined });
      expect(
        found.map((answers) => answers[0]!.ids),
        what,
      ).toEqual(example.ids);
      if (example.scores) {
        expectClose(
          found.map((answers) => answers[0]!.score),
          example.scores,
          1e-4,
          what,
        );
      }
    }
  });

  it("releases everything it made", () => {
    // What the model itself caches is there after the first time.
    beamSearch(start(model, prompts), optionsOf(cases[0]!));
    const before = liveTensors();
    for (const example of cases.slice(-3)) beamSearch(start(model, prompts), optionsOf(example));
    expect(liveTensors()).toBe(before);
  });

  it("finds for a prompt alone what it finds among others", () => {
    const example = cases.at(-1)!;
    for (const [row, prompt] of prompts.entries()) {
      expect(beamSearch(start(model, [prompt]), optionsOf(example))[0]![0]!.ids).toEqual(example.ids[row]);
    }
  });

  it("with one beam is greedy decoding", () => {
    const options = { endIds: cases[1]!.end_ids, maxNewTokens: 12 };
    const found = beamSearch(start(model, prompts), { ...options, beams: 1 });
    expect(found.map((answers) => answers[0]!.ids)).toEqual(greedy(start(model, prompts), options));
  });

  it("sampling from the likeliest token alone is greedy decoding", () => {
    const options = { endIds: cases[1]!.end_ids, maxNewTokens: 12 };
    const sampling = { temperature: 1, topK: 1, topP: null };
    expect(sample(start(model, prompts), { ...options, sampling, rng: new Rng(1) })).toEqual(
      greedy(start(model, prompts), options),
    );
  });

  it("ends at the end token that was asked for, and goes on past those before it", () => {
    // Every token is an end token: the second one ends the answer.
    const endIds = Array.from({ length: model.vocabularySize }, (_, id) => id);
    const options = { endIds, maxNewTokens: 12 };
    expect(greedy(start(model, prompts), options).map(({ length }) => length)).toEqual(prompts.map(() => 1));
    const twice = greedy(start(model, prompts), { ...options, ends: 2 });
    expect(twice.map(({ length }) => length)).toEqual(prompts.map(() => 2));
  });

  it("repeats less under a large repetition penalty, which starts anew behind an end token", () => {
    const sampling = { temperature: 1, topK: 1, topP: null };
    const options = { endIds: [], maxNewTokens: 12, sampling, rng: new Rng(1) };
    const plain = sample(start(model, prompts), options);
    expect(sample(start(model, prompts), { ...options, repetitionPenalty: 1 })).toEqual(plain);
    const varied = sample(start(model, prompts), { ...options, repetitionPenalty: 1e6 });
    // A positive score becomes 0, which may still be the highest.
    const repeats = (answers: readonly number[][]) =>
      answers.reduce((sum, ids) => sum + ids.length - new Set(ids).size, 0);
    expect(repeats(varied)).toBeLessThan(repeats(plain));
    const endIds = Array.from({ length: model.vocabularySize }, (_, id) => id);
    const parted = { ...options, endIds, ends: 12, repetitionPenalty: 1e6 };
    expect(sample(start(model, prompts), parted)).toEqual(plain);
  });

  it("samples the same under one seed, and something else under another", () => {
    const options = { endIds: [], maxNewTokens: 12, sampling: { temperature: 1.5, topK: null, topP: 0.9 } };
    const draw = (seed: number) => sample(start(model, prompts), { ...options, rng: new Rng(seed) });
    expect(draw(1)).toEqual(draw(1));
    expect(draw(1)).not.toEqual(draw(2));
  });
});

it("refuses more beams than the vocabulary has room for", () => {
  const model = tinyModel();
  expect(() => beamSearch(start(model, [[5]]), { beams: 49, endIds: [1], maxNewTokens: 2 })).toThrow(
    ConfigError,
  );
  model.dispose();
});

describe("sampling", () => {
  it("leaves the tokens and probabilities that transformers' filters leave", () => {
    for (const { temperature, top_k, top_p, scores, probabilities } of golden.filters) {
      const kept = candidates(Float32Array.from(scores), { temperature, topK: top_k, topP: top_p });
      const found = scores.map(() => 0);
      for (const [index, probability] of kept.probabilities.entries()) found[kept.ids[index]!] = probability;
      const what = JSON.stringify({ temperature, top_k, top_p });
      expect(
        found.map((probability) => probability > 0),
        what,
      ).toEqual(probabilities.map((probability) => probability > 0));
      expectClose(found, probabilities, 1e-6, what);
    }
  });

  it("draws tokens as often as their probabilities say", () => {
    const scores = Float32Array.from([0, 1, 2, -1, 0.5]);
    for (const sampling of [
      { temperature: 1, topK: null, topP: null },
      { temperature: 0.7, topK: 3, topP: 0.9 },
    ]) {
      const rng = new Rng(7);
      const counts = Array.from(scores, () => 0);
      const draws = 20_000;
      for (let i = 0; i < draws; i++) counts[drawToken(scores, sampling, rng)]!++;
      const { ids, probabilities } = candidates(scores, sampling);
      const expected = Array.from(scores, () => 0);
      for (const [index, probability] of probabilities.entries()) expected[ids[index]!] = probability;
      // Five standard deviations of the largest count.
      expectClose(
        counts.map((count) => count / draws),
        expected,
        0.018,
      );
    }
  });

  it("keeps at least the likeliest token, never one that was ruled out, and probabilities that add up to 1", () => {
    const score = fc.oneof(
      { weight: 9, arbitrary: fc.float({ min: -30, max: 30, noNaN: true }) },
      { weight: 1, arbitrary: fc.constant(Number.NEGATIVE_INFINITY) },
    );
    fc.assert(
      fc.property(
        fc.array(score, { minLength: 1, maxLength: 50 }).filter((scores) => scores.some(Number.isFinite)),
        fc.double({ min: 0.05, max: 3, noNaN: true }),
        fc.option(fc.integer({ min: 1, max: 60 })),
        fc.option(fc.double({ min: 0.01, max: 1, noNaN: true })),
        fc.nat(),
        (values, temperature, topK, topP, seed) => {
          const scores = Float32Array.from(values);
          const { ids, probabilities } = candidates(scores, { temperature, topK, topP });
          expect(Array.from(ids)).toContain(scores.indexOf(Math.max(...scores)));
          expect(probabilities.reduce((sum, each) => sum + each, 0)).toBeCloseTo(1, 9);
          const drawn = drawToken(scores, { temperature, topK, topP }, new Rng(seed));
          expect(Array.from(ids)).toContain(drawn);
          expect(scores[drawn]).toBeGreaterThan(Number.NEGATIVE_INFINITY);
        },
      ),
    );
  });

  it("gives log probabilities whose exponentials add up to 1, likeliest first", () => {
    const scores = Float32Array.from([0.5, 3, -2, 3, 1]);
    const { chosen, top } = logprobsOf(scores, 4, 5);
    expect(top.map(({ id }) => id)).toEqual([1, 3, 4, 0, 2]);
    expect(top.reduce((sum, { logprob }) => sum + Math.exp(logprob), 0)).toBeCloseTo(1, 9);
    expect(chosen).toBe(top[2]!.logprob);
    expect(logprobsOf(scores, 4, 0)).toEqual({ chosen, top: [] });
  });

  it("refuses scores that are not numbers", () => {
    const sampling = { temperature: 1, topK: 2, topP: null };
    expect(() => drawToken(Float32Array.from([1, Number.NaN, 2]), sampling, new Rng(1))).toThrow(RunError);
    expect(() => drawToken(Float32Array.from([1, Number.POSITIVE_INFINITY]), sampling, new Rng(1))).toThrow(
      "not finite",
    );
  });
});
