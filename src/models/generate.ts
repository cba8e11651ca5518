/** Ways of choosing tokens, for every model family: what they see of a model is its decoding. */
import type { Decoding } from "./decoding.js";

export interface EndOptions {
  /** Tokens that end an answer. */
  readonly endIds: readonly number[];
  readonly maxNewTokens: number;
}

/** The likeliest token at every step: new token ids per row, the end token included where it was reached. Uses up the decoding. */
export function greedy(decoding: Decoding, { endIds, maxNewTokens }: EndOptions): number[][] {
  const answers: number[][] = Array.from({ length: decoding.rows }, () => []);
  let active = answers.map((_, row) => row);
  try {
    for (let count = 1; count <= maxNewTokens; count++) {
      const best = decoding.logits.argmax(-1);
      const tokens = best.toArray();
      best.dispose();
      const going: number[] = [];
      for (const [i, token] of tokens.entries()) {
        answers[active[i]!]!.push(token);
        if (!endIds.includes(token)) going.push(i);
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
