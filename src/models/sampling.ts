/** Drawing a token from the scores of the next one: temperature, then top-k, then top-p, as transformers orders them. */
import { RunError } from "../errors.js";
import type { Rng } from "../random.js";

export interface Sampling {
  /** The scores are divided by it; above 0. */
  readonly temperature: number;
  /** Only the k highest scores (and those equal to the last of them); null: all. */
  readonly topK: number | null;
  /** Only the likeliest tokens that together reach this probability, in (0, 1]; null or 1: all. */
  readonly topP: number | null;
}

/** Tokens that may be drawn and their probabilities, which add up to 1. */
export interface Candidates {
  readonly ids: ArrayLike<number>;
  readonly probabilities: Float64Array;
}

/** The tokens that the filters leave; with filters likeliest first (equal scores: lower id first), else in order of ids. */
export function candidates(scores: Float32Array, { temperature, topK, topP }: Sampling): Candidates {
  const highest = maximum(scores);
  const weight = (id: number) => Math.exp((scores[id]! - highest) / temperature);
  if (topK === null && (topP === null || topP === 1)) {
    const probabilities = Float64Array.from(scores, (_, id) => weight(id));
    return { ids: Array.from(scores.keys()), probabilities: normalised(probabilities) };
  }
  let kept: number[] = [];
  const byScore = descending(scores);
  if (topK !== null) {
    for (const id of byScore) {
      if (kept.length >= topK && scores[id]! < scores[kept.at(-1)!]!) break;
      kept.push(id);
    }
  }
  if (topP !== null && topP < 1) {
    const ids = topK === null ? scores.keys() : kept.values();
    let total = 0;
    for (const id of ids) total += weight(id);
    const nucleus: number[] = [];
    let before = 0;
    for (const id of topK === null ? byScore : kept) {
      // A token stays if those above it do not reach top-p yet; the first always stays.
      if (nucleus.length > 0 && before / total >= topP) break;
      nucleus.push(id);
      before += weight(id);
    }
    kept = nucleus;
  }
  return { ids: kept, probabilities: normalised(Float64Array.from(kept, weight)) };
}

/** A token drawn with one number of the generator. Throws a RunError when a score is not a number. */
export function drawToken(scores: Float32Array, sampling: Sampling, rng: Rng): number {
  const { ids, probabilities } = candidates(scores, sampling);
  let left = rng.uniform();
  let last = 0;
  for (const [index, probability] of probabilities.entries()) {
    if (probability === 0) continue;
    last = index;
    left -= probability;
    if (left < 0) break;
  }
  return ids[last]!;
}

export interface TokenLogprob {
  readonly id: number;
  /** Natural logarithm of the probability that the model itself gives it, before any filter. */
  readonly logprob: number;
}

/** The log probabilities of one token and of the `count` likeliest. */
export function logprobsOf(
  scores: Float32Array,
  id: number,
  count: number,
): { readonly chosen: number; readonly top: readonly TokenLogprob[] } {
  const highest = maximum(scores);
  let total = 0;
  for (const score of scores) total += Math.exp(score - highest);
  const norm = highest + Math.log(total);
  const top: TokenLogprob[] = [];
  for (const likely of count > 0 ? descending(scores) : []) {
    top.push({ id: likely, logprob: scores[likely]! - norm });
    if (top.length === count) break;
  }
  return { chosen: scores[id]! - norm, top };
}

function maximum(scores: Float32Array): number {
  let highest = Number.NEGATIVE_INFINITY;
  for (const score of scores) {
    if (score > highest) highest = score;
    else if (Number.isNaN(score)) highest = Number.NaN;
  }
  if (Number.isFinite(highest)) return highest;
  throw new RunError(`the model's scores of the next token are not finite (the highest is ${highest})`, {
    hint: "Are its weights and adapters undamaged? float16 overflows with models trained in bfloat16.",
  });
}

function normalised(weights: Float64Array): Float64Array {
  let total = 0;
  for (const weight of weights) total += weight;
  return weights.map((weight) => weight / total);
}

/** Ids by falling score, equal scores by rising id, found one by one: few are needed of many. */
function* descending(scores: Float32Array): Generator<number> {
  const heap = Int32Array.from(scores.keys());
  let size = heap.length;
  const isBefore = (a: number, b: number): boolean =>
    scores[a]! > scores[b]! || (scores[a] === scores[b] && a < b);
  const sink = (start: number): void => {
    let at = start;
    const id = heap[at]!;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= size) break;
      if (child + 1 < size && isBefore(heap[child + 1]!, heap[child]!)) child++;
      if (!isBefore(heap[child]!, id)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = id;
  };
  for (let at = (size >> 1) - 1; at >= 0; at--) sink(at);
  while (size > 0) {
    yield heap[0]!;
    size--;
    heap[0] = heap[size]!;
    sink(0);
  }
}
