/**
 * Whether a merged model still computes what its base computes with the adapters beside it: the logits of both along the
 * same greedy answers, and how many of their answers are right where the right ones are known. Both are computed in one
 * element type, so what differs is what merging rounded away.
 */
import { readFileSync } from "node:fs";
import { attachAdapters } from "../adapters/attach.js";
import type { AdapterDelta } from "../adapters/delta.js";
import { evaluationBatches } from "../data/batches.js";
import { promptsOf } from "../data/collate.js";
import { DataError } from "../errors.js";
import { Tokenizer } from "../io/tokenizer/tokenizer.js";
import { scoreAnswers } from "../metrics/answers.js";
import { greedy } from "../models/generate.js";
import type { LanguageModel } from "../models/language-model.js";
import { loadModel } from "../models/registry.js";
import { tensor } from "../tensor/create.js";
import type { DType } from "../tensor/dtype.js";
import { inference } from "../tensor/grad.js";

/** Tokens of the answers that are compared, the first one after the prompt included. */
const TOKENS = 6;
/** Logits of two models are kept in memory for all prompts. */
const MOST_PROMPTS = 64;
const LONGEST_PROMPT = 512;
/** Whole answers, of all prompts whose right answer is known, are written so many at a time, and so long at most. */
const ANSWERS_AT_ONCE = 16;
const LONGEST_ANSWER = 50;
/** Percentage points of right answers that merging may cost. */
const MOST_LOST = 1;

/** A text to go on from, and what should be answered where that is known. */
export interface ProbePrompt {
  readonly text: string;
  readonly answer?: string;
}

export interface ProbeResult {
  /** Prompts whose logits were compared. */
  readonly prompts: number;
  /** Places at which logits were compared. */
  readonly positions: number;
  /** Largest difference of a logit between base + adapters and the merged model. */
  readonly difference: number;
  /** Largest difference of a logit between the base alone and with the adapters: their effect. */
  readonly effect: number;
  /** Largest magnitude of a logit of base + adapters. */
  readonly magnitude: number;
  /** Places at which the likeliest token is another. */
  readonly changedChoices: number;
  /** Answers that match the right ones exactly, in percent of the prompts that have one; null where none has. */
  readonly accuracy: { readonly rows: number; readonly separate: number; readonly merged: number } | null;
}

/**
 * One prompt a line; of a .jsonl file, the `input` or `prompt` of each line, and its `output`, or `target` as a run's
 * predictions have it, if there is one. Throws a DataError.
 */
export function readPrompts(path: string): ProbePrompt[] {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw new DataError(`cannot read the prompts in ${path}: ${(error as Error).message}`, { cause: error });
  }
  const lines = text.split(/\r?\n/).filter((line) => line.trim() !== "");
  const prompts = path.endsWith(".jsonl")
    ? lines.map((line, index) => promptOf(line, `${path}:${index + 1}`))
    : lines.map((text) => ({ text }));
  if (prompts.length === 0) throw new DataError(`${path}: found no prompts, expected one a line`);
  return prompts;
}

function promptOf(line: string, where: string): ProbePrompt {
  try {
    const { input, prompt, output, target } = JSON.parse(line) as Record<string, unknown>;
    const [text, right] = [input ?? prompt, output ?? target];
    if (typeof text === "string") return { text, ...(typeof right === "string" && { answer: right }) };
  } catch (error) {
    throw new DataError(`${where}: not valid JSON: ${(error as Error).message}`, { cause: error });
  }
  throw new DataError(`${where}: expected an object with the text "input" or "prompt"`);
}

/** An answer in the making: the tokens chosen, and the logits that they were chosen from, one array a place. */
interface Trace {
  readonly tokens: readonly number[];
  readonly logits: readonly Float32Array[];
}

/** Follows given tokens, or with null the likeliest ones until the answer ends. */
function trace(model: LanguageModel, prompt: readonly number[], given: readonly number[] | null): Trace {
  const decoding = inference(() =>
    model.startDecoding({
      inputIds: tensor(prompt, [1, prompt.length], "int64", model.device),
      attentionMask: tensor(
        prompt.map(() => 1),
        [1, prompt.length],
        "bool",
        model.device,
      ),
    }),
  );
  const tokens: number[] = [];
  const logits: Float32Array[] = [];
  try {
    for (;;) {
      const scores = inference(() => decoding.logits.toDtype("float32").toTypedArray() as Float32Array);
      logits.push(scores);
      const next = given ? given[tokens.length] : likeliest(scores);
      if (next === undefined) break;
      tokens.push(next);
      if (tokens.length === TOKENS || model.endIds.includes(next)) break;
      decoding.step([next]);
    }
  } finally {
    decoding.dispose();
  }
  return { tokens, logits };
}

function likeliest(scores: Float32Array): number {
  let best = 0;
  for (let id = 1; id < scores.length; id++) if (scores[id]! > scores[best]!) best = id;
  return best;
}

function largestDifference(left: Float32Array, right: Float32Array): number {
  let largest = 0;
  for (let id = 0; id < left.length; id++) largest = Math.max(largest, Math.abs(left[id]! - right[id]!));
  return largest;
}

/**
 * Compares the model in `base` and the adapters beside it with the one in the folder `other`, or with the same base and
 * other adapters. `dtype` is what both compute in: float32 tells rounding of the weights from rounding of the arithmetic.
 * Yields before each of its three passes, which hold one model each.
 */
export function* probing(
  base: string,
  deltas: readonly AdapterDelta[],
  other: string | readonly AdapterDelta[],
  asked: readonly ProbePrompt[],
  dtype: DType,
): Generator<{ readonly type: "probing" }, ProbeResult> {
  const tokenizer = Tokenizer.fromFolder(base);
  const rows = asked
    .map(({ text, answer }) => ({ source: tokenizer.encode(text, { maxLength: LONGEST_PROMPT }), answer }))
    .filter(({ source }) => source.length > 0);
  const prompts = rows.slice(0, MOST_PROMPTS).map(({ source }) => source);
  const questions = rows.flatMap(({ source, answer }) => (answer === undefined ? [] : [{ source, answer }]));
  yield { type: "probing" };
  const model = loadModel(base, dtype);
  let expected: Trace[] = [];
  let plain: Trace[] = [];
  let separate: number | null = null;
  try {
    const detach = attachAdapters(model, deltas);
    expected = prompts.map((prompt) => trace(model, prompt, null));
    separate = rightAnswers(model, tokenizer, questions);
    detach();
    yield { type: "probing" };
    plain = prompts.map((prompt, k) => trace(model, prompt, expected[k]!.tokens));
  } finally {
    model.dispose();
  }
  yield { type: "probing" };
  const second = loadModel(typeof other === "string" ? other : base, dtype);
  try {
    if (typeof other !== "string") attachAdapters(second, other);
    const found = prompts.map((prompt, k) => trace(second, prompt, expected[k]!.tokens));
    const merged = rightAnswers(second, tokenizer, questions);
    return {
      ...compare(expected, plain, found),
      accuracy: separate === null || merged === null ? null : { rows: questions.length, separate, merged },
    };
  } finally {
    second.dispose();
  }
}

/** Exact match of a model's greedy answers, in percent; null without questions. */
function rightAnswers(
  model: LanguageModel,
  tokenizer: Tokenizer,
  questions: readonly { readonly source: number[]; readonly answer: string }[],
): number | null {
  const lengths = questions.map(({ source }) => source.length);
  const answered = evaluationBatches(lengths, ANSWERS_AT_ONCE).flatMap((batch) => {
    const rows = batch.map((index) => questions[index]!);
    const answers = inference(() =>
      greedy(model.startDecoding(promptsOf(rows, model)), {
        endIds: model.endIds,
        maxNewTokens: LONGEST_ANSWER,
      }),
    );
    return rows.map(({ answer }, k) => ({
      prediction: tokenizer.decode(answers[k]!, { skipSpecialTokens: true }),
      target: answer,
    }));
  });
  return scoreAnswers(answered, null).accuracy;
}

function compare(
  expected: readonly Trace[],
  plain: readonly Trace[],
  found: readonly Trace[],
): Omit<ProbeResult, "accuracy"> {
  const result = { positions: 0, difference: 0, effect: 0, magnitude: 0, changedChoices: 0 };
  for (const [k, { logits }] of expected.entries()) {
    for (const [place, scores] of logits.entries()) {
      const merged = found[k]!.logits[place]!;
      result.positions++;
      result.difference = Math.max(result.difference, largestDifference(scores, merged));
      result.effect = Math.max(result.effect, largestDifference(scores, plain[k]!.logits[place]!));
      result.magnitude = scores.reduce(
        (largest, score) => Math.max(largest, Math.abs(score)),
        result.magnitude,
      );
      if (likeliest(scores) !== likeliest(merged)) result.changedChoices++;
    }
  }
  return { prompts: expected.length, ...result };
}

/** Differences of this share of the logits' size are float32's own. */
const NOISE = 1e-5;

/**
 * Whether merging kept the adapters' effect: logits differ by at most `tolerance` of what they change, and not more right
 * answers are lost than a percentage point.
 */
export const isFaithful = (
  { difference, effect, magnitude, accuracy }: ProbeResult,
  tolerance: number,
): boolean =>
  difference <= tolerance * effect + NOISE * magnitude &&
  (accuracy === null || accuracy.merged >= accuracy.separate - MOST_LOST);
