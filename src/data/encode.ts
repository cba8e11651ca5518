/**
 * From text to token ids, with the cut made explicit: what was longer than a limit is counted before training.
 * The benchmark's limits are 512 source and 50 target tokens, end token included. A decoder-only model reads both as one
 * sequence: beginning token, prompt, answer, end token.
 */
import { DataError } from "../errors.js";
import type { Example, PromptParts } from "./task.js";

/** What encoding needs of a tokenizer. */
export interface TextEncoder {
  /**
   * `maxLength` cuts at the end and keeps the special tokens; special tokens are added unless told otherwise, "before"
   * adds those in front of a text alone.
   */
  encode(text: string, options?: { addSpecialTokens?: boolean | "before"; maxLength?: number }): number[];
}

export interface EncodeOptions {
  /** "end" (official): the source is cut at its end. "body": the sentence is shortened, "Answer:" stays. */
  readonly truncate: "end" | "body";
  /** In tokens, special tokens included. */
  readonly sourceLimit: number;
  readonly targetLimit: number;
  /** For a decoder-only model: the token that ends an answer. null: the model reads source and target apart. */
  readonly endId: number | null;
}

export const DEFAULT_ENCODE_OPTIONS: EncodeOptions = {
  truncate: "end",
  sourceLimit: 512,
  targetLimit: 50,
  endId: null,
};

export interface EncodedExample {
  readonly source: number[];
  readonly target: number[];
  /** Lengths in tokens before any cut, special tokens included. */
  readonly sourceLength: number;
  readonly targetLength: number;
}

/**
 * The token ids of an example, at most `sourceLimit` and `targetLimit` of them. With `truncate: "body"` an example
 * without parts counts as all body. For a decoder-only model the target goes on where the source ends (encodeAnswer).
 * Throws a DataError if the prompt around the body alone exceeds the limit.
 */
export function encodeExample(
  tokenizer: TextEncoder,
  example: Example,
  options: EncodeOptions = DEFAULT_ENCODE_OPTIONS,
): EncodedExample {
  const { sourceLimit, targetLimit, endId } = options;
  const encode = (text: string, maxLength?: number): number[] =>
    endId === null ? encodeText(tokenizer, text, maxLength) : encodePrompt(tokenizer, text, maxLength);
  let source = encode(example.input);
  const sourceLength = source.length;
  let target =
    endId === null
      ? encodeText(tokenizer, example.output)
      : [...encodeAnswer(tokenizer, example.input, source, example.output), endId];
  const targetLength = target.length;
  if (sourceLength > sourceLimit) {
    source =
      options.truncate === "end"
        ? encode(example.input, sourceLimit)
        : shortenBody(encode, example, sourceLimit);
  }
  if (targetLength > targetLimit) {
    target =
      endId === null
        ? encodeText(tokenizer, example.output, targetLimit)
        : [...target.slice(0, targetLimit - 1), endId];
  }
  return { source, target, sourceLength, targetLength };
}

const encodeText = (tokenizer: TextEncoder, text: string, maxLength?: number): number[] =>
  tokenizer.encode(text, maxLength === undefined ? {} : { maxLength });

/**
 * What a decoder-only model is given to go on from: the text behind its beginning-of-sequence token (one, also where the
 * text spells it out, as chat templates do), without an end token. At most `maxLength` ids, cut at the end. Throws a
 * DataError when that is nothing.
 */
export function encodePrompt(tokenizer: TextEncoder, text: string, maxLength?: number): number[] {
  const addSpecialTokens = "before" as const;
  const start = tokenizer.encode("", { addSpecialTokens });
  const isSpelt =
    start.length > 0 && startsWith(tokenizer.encode(text.slice(0, 64), { addSpecialTokens: false }), start);
  const ids = tokenizer.encode(text, {
    addSpecialTokens: isSpelt ? false : addSpecialTokens,
    ...(maxLength === undefined ? {} : { maxLength }),
  });
  if (ids.length > 0) return ids;
  throw new DataError("a prompt is empty, and this model's tokenizer has no token to start it with", {
    hint: "give every row an input",
  });
}

/**
 * The ids of an answer as they follow a prompt (encoded as `source`) when both are read as one text, with a blank between
 * them unless either has one. So a model trained on them is asked for what it would see: SentencePiece marks the start of
 * a word in the same way, byte-level tokens contain the blank. Where a token would reach across the border, as behind a
 * prompt that ends in a blank, the answer is encoded as it stands at the start of a line.
 */
function encodeAnswer(
  tokenizer: TextEncoder,
  prompt: string,
  source: readonly number[],
  answer: string,
): number[] {
  const text = /\s$/.test(prompt) || /^\s/.test(answer) ? answer : ` ${answer}`;
  const joint = encodePrompt(tokenizer, prompt + text);
  if (startsWith(joint, source)) return joint.slice(source.length);
  const apart = { addSpecialTokens: false };
  const line = tokenizer.encode("\n", apart);
  const behindLine = tokenizer.encode(`\n${text}`, apart);
  return startsWith(behindLine, line) ? behindLine.slice(line.length) : tokenizer.encode(text, apart);
}

const startsWith = (ids: readonly number[], start: readonly number[]): boolean =>
  start.every((id, i) => ids[i] === id);

/** The longest prefix of whole words of the body with which the prompt still fits, found by bisection. */
function shortenBody(encode: (text: string) => number[], example: Example, limit: number): number[] {
  const parts: PromptParts = example.parts ?? { head: "", body: example.input, suffix: "" };
  const cuts = [0, ...Array.from(parts.body.matchAll(/\S+/g), (word) => word.index + word[0].length)];
  const encodeWith = (words: number) => encode(parts.head + parts.body.slice(0, cuts[words]) + parts.suffix);
  let fitting = 0;
  let best = encodeWith(0);
  if (best.length > limit) {
    throw new DataError(
      `the prompt without its sentence is ${best.length} tokens long, but the source limit is ${limit}`,
      { hint: `raise the source limit above ${best.length}` },
    );
  }
  let tooMany = cuts.length;
  while (tooMany - fitting > 1) {
    const middle = (fitting + tooMany) >> 1;
    const ids = encodeWith(middle);
    if (ids.length <= limit) {
      fitting = middle;
      best = ids;
    } else {
      tooMany = middle;
    }
  }
  return best;
}
