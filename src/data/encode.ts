/**
 * From text to token ids, with the cut made explicit: what was longer than a limit is counted before training.
 * The benchmark's limits are 512 source and 50 target tokens, end token included.
 */
import { DataError } from "../errors.js";
import type { Example, PromptParts } from "./task.js";

/** What encoding needs of a tokenizer. */
export interface TextEncoder {
  /** `maxLength` cuts at the end and keeps the special tokens; special tokens are added unless told otherwise. */
  encode(text: string, options?: { addSpecialTokens?: boolean; maxLength?: number }): number[];
}

export interface EncodeOptions {
  /** "end" (official): the source is cut at its end. "body": the sentence is shortened, "Answer:" stays. */
  readonly truncate: "end" | "body";
  /** In tokens, special tokens included. */
  readonly sourceLimit: number;
  readonly targetLimit: number;
}

export const DEFAULT_ENCODE_OPTIONS: EncodeOptions = { truncate: "end", sourceLimit: 512, targetLimit: 50 };

export interface EncodedExample {
  readonly source: number[];
  readonly target: number[];
  /** Lengths in tokens before any cut, special tokens included. */
  readonly sourceLength: number;
  readonly targetLength: number;
}

/**
 * The token ids of an example, at most `sourceLimit` and `targetLimit` of them. With `truncate: "body"` an example
 * without parts counts as all body. Throws a DataError if the prompt around the body alone exceeds the limit.
 */
export function encodeExample(
  tokenizer: TextEncoder,
  example: Example,
  options: EncodeOptions = DEFAULT_ENCODE_OPTIONS,
): EncodedExample {
  let source = tokenizer.encode(example.input);
  let target = tokenizer.encode(example.output);
  const sourceLength = source.length;
  const targetLength = target.length;
  if (sourceLength > options.sourceLimit) {
    source =
      options.truncate === "end"
        ? tokenizer.encode(example.input, { maxLength: options.sourceLimit })
        : shortenBody(tokenizer, example, options.sourceLimit);
  }
  if (targetLength > options.targetLimit) {
    target = tokenizer.encode(example.output, { maxLength: options.targetLimit });
  }
  return { source, target, sourceLength, targetLength };
}

/** The longest prefix of whole words of the body with which the prompt still fits, found by bisection. */
function shortenBody(tokenizer: TextEncoder, example: Example, limit: number): number[] {
  const parts: PromptParts = example.parts ?? { head: "", body: example.input, suffix: "" };
  const cuts = [0, ...Array.from(parts.body.matchAll(/\S+/g), (word) => word.index + word[0].length)];
  const encodeWith = (words: number) =>
    tokenizer.encode(parts.head + parts.body.slice(0, cuts[words]) + parts.suffix);
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
