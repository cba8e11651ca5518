/** Choosing tokens until every answer has ended, for every model family: what this sees of a model is its decoding. */
import type { Rng } from "../random.js";
import type { Tensor } from "../tensor/tensor.js";
import type { Decoding } from "./decoding.js";
import { drawToken, type Sampling } from "./sampling.js";

export interface EndOptions {
  /** Tokens that end an answer. */
  readonly endIds: readonly number[];
  readonly maxNewTokens: number;
  /** How many end tokens there are in an answer, the last of which ends it; 1 by default. */
  readonly ends?: number;
}

/** The likeliest token of every row of logits [rows, vocabulary]. */
export function likeliestTokens(logits: Tensor): number[] {
  const best = logits.argmax(-1);
  const tokens = best.toArray();
  best.dispose();
  return tokens;
}

/** One row of logits [rows, vocabulary] as numbers. */
export function scoresOf(logits: Tensor, row: number): Float32Array {
  const one = logits.select(0, row);
  const scores = Float32Array.from(one.toTypedArray() as ArrayLike<number>);
  one.dispose();
  return scores;
}

/** The likeliest token at every step: new token ids per row, the end token included where it was reached. Uses up the decoding. */
export const greedy = (decoding: Decoding, options: EndOptions): number[][] =>
  write(decoding, options, likeliestTokens);

/**
 * A token drawn at every step, as `greedy` otherwise. Every row has random numbers of its own, so what it draws does not
 * depend on the rows beside it.
 */
export function sample(
  decoding: Decoding,
  options: EndOptions & {
    readonly sampling: Sampling;
    readonly rng: Rng;
    /** Scores of tokens that stand since the answer's last end token are worsened by it (Keskar et al. 2019); 1: not. */
    readonly repetitionPenalty?: number;
  },
): number[][] {
  const { sampling, endIds, rng, repetitionPenalty = 1 } = options;
  const generators = Array.from({ length: decoding.rows }, (_, row) => rng.fork(`row ${row}`));
  return write(decoding, options, (logits, rows, answers) =>
    rows.map((row, index) => {
      const scores = scoresOf(logits, index);
      if (repetitionPenalty !== 1) penaliseRepeats(scores, answers[row]!, endIds, repetitionPenalty);
      return drawToken(scores, sampling, generators[row]!);
    }),
  );
}

function penaliseRepeats(
  scores: Float32Array,
  answer: readonly number[],
  endIds: readonly number[],
  penalty: number,
): void {
  const part = answer.slice(answer.findLastIndex((id) => endIds.includes(id)) + 1);
  for (const id of new Set(part)) {
    const score = scores[id]!;
    scores[id] = score > 0 ? score / penalty : score * penalty;
  }
}

/**
 * `choose` gets the logits, for each of their rows which answer it goes on, and all answers so far. Finished answers leave
 * the batch.
 */
function write(
  decoding: Decoding,
  { endIds, maxNewTokens, ends = 1 }: EndOptions,
  choose: (logits: Tensor, rows: readonly number[], answers: readonly (readonly number[])[]) => number[],
): number[][] {
  const answers: number[][] = Array.from({ length: decoding.rows }, () => []);
  const ended = answers.map(() => 0);
  let active = answers.map((_, row) => row);
  try {
    for (let count = 1; count <= maxNewTokens; count++) {
      const tokens = choose(decoding.logits, active, answers);
      const going: number[] = [];
      for (const [i, token] of tokens.entries()) {
        const row = active[i]!;
        answers[row]!.push(token);
        if (endIds.includes(token)) ended[row]!++;
        if (ended[row]! < ends) going.push(i);
      }
      if (going.length === 0 || count === maxNewTokens) break;
      if (going.length < active.length) decoding.select(going);
      active = going.map((i) => active[i]!);
      decoding.step(going.map((i) => tokens[i]!));
    }
  } finally {
    decoding.dispose();
  }
  return answers;
}
