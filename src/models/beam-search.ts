/** Beam search over a decoding, as transformers 5 defines it: which beams go on, when a prompt is done, how scores compare. */
import { ConfigError } from "../errors.js";
import { tensor } from "../tensor/create.js";
import { inference } from "../tensor/grad.js";
import type { Decoding } from "./decoding.js";
import type { EndOptions } from "./generate.js";

export interface BeamOptions extends EndOptions {
  readonly beams: number;
  /** Scores are divided by length ** lengthPenalty: above 0 favours longer answers (default 1). */
  readonly lengthPenalty?: number;
  /**
   * When a prompt with `beams` finished answers is done. true: at once; false (default): when its best running beam, at
   * its present length, is no better than the worst of them; "never": the same, at the length most in its favour.
   */
  readonly earlyStopping?: boolean | "never";
}

export interface Beam {
  /** New token ids, the end token included where it was reached. */
  readonly ids: readonly number[];
  /** Sum of the log probabilities over length ** lengthPenalty. */
  readonly score: number;
}

/** A prompt that is not done. */
interface Search {
  readonly row: number;
  /** Best first. */
  running: { readonly ids: readonly number[]; readonly score: number }[];
  /** Best first, at most as many as there are beams. */
  finished: Beam[];
}

/** Per row of the decoding its finished answers, best first, at most as many as beams. Uses up the decoding. */
export function beamSearch(decoding: Decoding, options: BeamOptions): Beam[][] {
  const { beams, endIds, maxNewTokens } = options;
  const results: Beam[][] = Array.from({ length: decoding.rows }, () => []);
  // So many that `beams` of them go on whatever ends.
  const candidates = Math.max(2, 1 + endIds.length) * beams;
  let open = results.map((_, row): Search => ({ row, running: [{ ids: [], score: 0 }], finished: [] }));
  try {
    const vocabulary = decoding.logits.dim(1);
    if (candidates > vocabulary) {
      throw new ConfigError(
        `${beams} beams need ${candidates} candidates a step, the vocabulary has ${vocabulary}`,
      );
    }
    for (let length = 1; length <= maxNewTokens && open.length > 0; length++) {
      const best = bestContinuations(decoding, open, candidates);
      const isLast = length === maxNewTokens;
      // The rows that go on and the token of each.
      const sources: number[] = [];
      const tokens: number[] = [];
      const going: Search[] = [];
      let firstRow = 0;
      for (const [index, search] of open.entries()) {
        const before = search.running;
        const chosen: { beam: number; token: number }[] = [];
        search.running = [];
        for (const [rank, { beam, token, score }] of best[index]!.entries()) {
          const ids = () => [...before[beam]!.ids, token];
          const ends = isLast || endIds.includes(token);
          if (ends && rank < beams)
            finish(search, { ids: ids(), score: penalised(score, length, options) }, beams);
          if (ends || search.running.length === beams) continue;
          search.running.push({ ids: ids(), score });
          chosen.push({ beam, token });
        }
        if (isLast || isDone(search, length, options)) results[search.row] = search.finished;
        else {
          going.push(search);
          for (const { beam, token } of chosen) {
            sources.push(firstRow + beam);
            tokens.push(token);
          }
        }
        firstRow += before.length;
      }
      open = going;
      if (open.length === 0) break;
      decoding.select(sources);
      decoding.step(tokens);
    }
  } finally {
    decoding.dispose();
  }
  return results;
}

interface Continuation {
  readonly beam: number;
  readonly token: number;
  readonly score: number;
}

/** The best continuations of all running beams of each prompt, best first. All prompts have equally many beams. */
function bestContinuations(decoding: Decoding, open: readonly Search[], count: number): Continuation[][] {
  const beams = open[0]!.running.length;
  const { values, indices, vocabulary } = inference(() => {
    const { logits } = decoding;
    const earlier = open.flatMap((search) => search.running.map(({ score }) => score));
    const scores = logits
      .logSoftmax(-1, "float32")
      .add(tensor(earlier, [earlier.length, 1], "float32", logits.device));
    const [best, places] = scores.view([open.length, beams * logits.dim(1)]).topk(count);
    return { values: best.toArray(), indices: places.toArray(), vocabulary: logits.dim(1) };
  });
  return open.map((_, index) =>
    values.slice(index * count, (index + 1) * count).map((score, rank) => {
      const place = indices[index * count + rank]!;
      return { beam: Math.floor(place / vocabulary), token: place % vocabulary, score };
    }),
  );
}

const penalised = (score: number, length: number, { lengthPenalty = 1 }: BeamOptions): number =>
  score / length ** lengthPenalty;

/** Adds an answer if it is among the best; of equal ones the earlier stays in front. */
function finish(search: Search, answer: Beam, beams: number): void {
  const worse = search.finished.findIndex(({ score }) => score < answer.score);
  search.finished.splice(worse < 0 ? search.finished.length : worse, 0, answer);
  search.finished.length = Math.min(search.finished.length, beams);
}

function isDone({ running, finished }: Search, length: number, options: BeamOptions): boolean {
  const { beams, earlyStopping = false, lengthPenalty = 1, maxNewTokens } = options;
  if (finished.length < beams) return false;
  if (earlyStopping === true) return true;
  const favourable = earlyStopping === "never" && lengthPenalty > 0 ? maxNewTokens : length;
  return penalised(running[0]!.score, favourable, options) <= finished.at(-1)!.score;
}
