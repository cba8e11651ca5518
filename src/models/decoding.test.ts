import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { tinyModel } from "../../test/support/tiny.js";
import { TensorError } from "../errors.js";
import { tensor } from "../tensor/create.js";
import { inference } from "../tensor/grad.js";
import { liveTensors } from "../tensor/scope.js";
import type { Decoding } from "./decoding.js";

const models = Object.fromEntries(
  ["t5-classic", "llama3-gqa", "mistral-gqa", "qwen2-biases", "qwen3-norms"].map((name) => [
    name,
    tinyModel(name),
  ]),
);
afterAll(() => {
  for (const model of Object.values(models)) model.dispose();
});
let model = models["t5-classic"]!;

const start = (prompt: readonly number[]): Decoding =>
  inference(() => {
    const inputIds = tensor(prompt, [1, prompt.length], "int64");
    const attentionMask = tensor(
      prompt.map(() => 1),
      [1, prompt.length],
      "bool",
    );
    return model.startDecoding({ inputIds, attentionMask });
  });

/** The logits of one prompt followed by some tokens, computed alone. */
function alone(prompt: readonly number[], tokens: readonly number[]): number[] {
  const decoding = start(prompt);
  for (const token of tokens) decoding.step([token]);
  const logits = decoding.logits.toArray();
  decoding.dispose();
  return logits;
}

interface Row {
  readonly prompt: readonly number[];
  readonly tokens: readonly number[];
}

const tokenIds = fc.integer({ min: 2, max: 79 });
const prompts = fc.array(tokenIds, { minLength: 1, maxLength: 40 });
/** What happens to a running batch: tokens for all rows, rows that stay, a row that joins. */
const actions = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: fc.record({ kind: fc.constant("step" as const), seed: fc.nat() }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant("join" as const), prompt: prompts }) },
    {
      weight: 2,
      arbitrary: fc.record({
        kind: fc.constant("select" as const),
        picks: fc.array(fc.nat(), { minLength: 1, maxLength: 4 }),
      }),
    },
  ),
  { maxLength: 30 },
);

describe.each(Object.keys(models))("a decoding of %s", (name) => {
  beforeAll(() => {
    model = models[name]!;
  });

  it("gives every row what it would get alone, whatever joins, leaves and is repeated", () => {
    const before = liveTensors();
    fc.assert(
      fc.property(prompts, actions, (first, list) => {
        const decoding = start(first);
        let rows: Row[] = [{ prompt: first, tokens: [] }];
        for (const action of list) {
          if (action.kind === "join") {
            decoding.join(start(action.prompt));
            rows = [...rows, { prompt: action.prompt, tokens: [] }];
          } else if (action.kind === "select") {
            const picks = action.picks.map((pick) => pick % rows.length);
            decoding.select(picks);
            rows = picks.map((pick) => rows[pick]!);
          } else {
            const ids = rows.map((_, row) => 2 + ((action.seed + 31 * row) % 78));
            decoding.step(ids);
            rows = rows.map((row, index) => ({ ...row, tokens: [...row.tokens, ids[index]!] }));
          }
          expect(decoding.rows).toBe(rows.length);
        }
        const found = decoding.logits.toArray();
        decoding.dispose();
        for (const [index, { prompt, tokens }] of rows.entries()) {
          const expected = alone(prompt, tokens);
          const own = found.slice(index * expected.length, (index + 1) * expected.length);
          const worst = Math.max(...own.map((value, i) => Math.abs(value - expected[i]!)));
          expect(worst).toBeLessThan(1e-4);
        }
      }),
      { numRuns: 25 },
    );
    // Cached position biases stay.
    expect(liveTensors() - before).toBeLessThan(60);
  });

  it("drops the columns that only rows that left had used", () => {
    const decoding = start([5, 6, 7]);
    for (let i = 0; i < 20; i++) decoding.step([9]);
    decoding.join(start([8, 9, 10, 11]));
    // Behind a source stands the token that its answer starts from.
    const more = model.family === "seq2seq" ? 1 : 0;
    expect(decoding.lengths).toEqual([23 + more, 4 + more]);
    decoding.select([1]);
    expect(decoding.lengths).toEqual([4 + more]);
    decoding.dispose();
  });

  it("refuses rows that are not there, a wrong number of tokens, and other models' decodings", () => {
    const decoding = start([5, 6, 7]);
    expect(() => decoding.select([])).toThrow(TensorError);
    expect(() => decoding.select([1])).toThrow("there is no row 1 among 1");
    expect(() => decoding.step([1, 2])).toThrow("found 2 ids, expected one for each of 1 rows");
    expect(() => decoding.join(decoding)).toThrow("expected another decoding of the same model");
    decoding.dispose();
  });

  it("releases everything when the prompt cannot be run", () => {
    const before = liveTensors();
    expect(() => start([5, 100_000])).toThrow();
    expect(liveTensors()).toBe(before);
  });
});
