/**
 * The Unigram model: the split of a piece with the greatest sum of token scores (Viterbi), after Kudo (2018),
 * "Subword Regularization", with the tie-breaking and unknown-token rules of the Hugging Face library.
 */

import { CheckpointError } from "../../errors.js";
import { byteTokens } from "./byte-tokens.js";
import type { Field } from "./fields.js";
import type { Model } from "./model.js";
import { scoreAsRead } from "./score.js";
import { Trie } from "./trie.js";
import { characterWidth, utf8 } from "./unicode.js";
import { WordCache } from "./word-cache.js";

/** How much worse than the worst token an unknown character scores. */
const unknownPenalty = 10;

export class Unigram implements Model {
  private readonly ids = new Map<string, number>();
  private readonly trie = new Trie();
  private readonly cache = new WordCache();
  private readonly unknownScore: number;
  private readonly byteIds: readonly (number | undefined)[] | null;
  private bestScore = new Float64Array(256);
  private bestStart = new Int32Array(256);
  private bestId = new Int32Array(256);

  /** `tokens` and `scores` are indexed by id; with `byteFallback` unknown text becomes tokens such as `<0x0A>`. */
  constructor(
    private readonly tokens: readonly string[],
    private readonly scores: Float64Array,
    readonly unkId: number | null,
    byteFallback: boolean,
  ) {
    let worst = Number.POSITIVE_INFINITY;
    for (let id = 0; id < tokens.length; id++) {
      this.ids.set(tokens[id]!, id);
      this.trie.insert(tokens[id]!, id);
      worst = Math.min(worst, scores[id]!);
    }
    this.unknownScore = worst - unknownPenalty;
    this.byteIds = byteFallback ? byteTokens((token) => this.ids.get(token)) : null;
  }

  get size(): number {
    return this.tokens.length;
  }

  tokenToId(token: string): number | undefined {
    return this.ids.get(token);
  }

  idToToken(id: number): string | undefined {
    return this.tokens[id];
  }

  append(piece: string, ids: number[]): void {
    this.cache.append(piece, ids, this.split);
  }

  private readonly split = (piece: string, ids: number[]): void => {
    this.findBestPath(piece);
    const { bestStart, bestId, unkId } = this;
    const reversed: number[] = [];
    let end = piece.length;
    while (end > 0) {
      let start = bestStart[end]!;
      const id = bestId[end]!;
      if (id === unkId) {
        // Neighbouring unknown characters become one token.
        while (start > 0 && bestId[start] === unkId) start = bestStart[start]!;
        this.appendUnknownReversed(piece.slice(start, end), reversed);
      } else {
        reversed.push(id);
      }
      end = start;
    }
    for (let i = reversed.length - 1; i >= 0; i--) ids.push(reversed[i]!);
  };

  /** Fills best-path tables: entry `end` tells the token and start of the best path over `piece[0, end)`. */
  private findBestPath(piece: string): void {
    const length = piece.length;
    if (this.bestScore.length <= length) {
      this.bestScore = new Float64Array(length * 2);
      this.bestStart = new Int32Array(length * 2);
      this.bestId = new Int32Array(length * 2);
    }
    const { trie, scores, bestScore, bestStart, bestId } = this;
    bestScore[0] = 0;
    bestStart.fill(-1, 0, length + 1);
    bestId[0] = -1;
    let width = 1;
    for (let start = 0; start < length; start += width) {
      const scoreHere = bestScore[start]!;
      width = characterWidth(piece.charCodeAt(start));
      let singleCharacterKnown = false;
      let node = 0;
      for (let end = start; end < length; ) {
        node = trie.child(node, piece.charCodeAt(end++));
        if (node === 0) break;
        const id = trie.ids[node]!;
        if (id < 0) continue;
        const score = scores[id]! + scoreHere;
        if (bestStart[end]! < 0 || score > bestScore[end]!) {
          bestScore[end] = score;
          bestStart[end] = start;
          bestId[end] = id;
        }
        if (end - start === width) singleCharacterKnown = true;
      }
      if (singleCharacterKnown) continue;
      const end = start + width;
      const score = this.unknownScore + scoreHere;
      if (bestStart[end]! < 0 || score > bestScore[end]!) {
        bestScore[end] = score;
        bestStart[end] = start;
        bestId[end] = this.requireUnkId(piece);
      }
    }
  }

  private appendUnknownReversed(text: string, reversed: number[]): void {
    const known = this.ids.get(text);
    if (known !== undefined) {
      reversed.push(known);
      return;
    }
    if (this.byteIds !== null) {
      const bytes = Array.from(utf8(text), (byte) => this.byteIds?.[byte]);
      if (bytes.every((id) => id !== undefined)) {
        for (let i = bytes.length - 1; i >= 0; i--) reversed.push(bytes[i]!);
        return;
      }
    }
    reversed.push(this.requireUnkId(text));
  }

  private requireUnkId(text: string): number {
    if (this.unkId !== null) return this.unkId;
    throw new CheckpointError(
      `the Unigram vocabulary cannot express ${JSON.stringify(text.slice(0, 40))} and has no unk_id`,
    );
  }
}

/** Reads a `model` of type Unigram: `vocab` is a list of [token, score], ids are positions. */
export function readUnigram(field: Field): Unigram {
  const vocabulary = field.get("vocab");
  const entries = vocabulary.array();
  const tokens: string[] = [];
  const scores = new Float64Array(entries.length);
  for (const [id, entry] of entries.entries()) {
    const [token, score] = Array.isArray(entry) ? (entry as unknown[]) : [];
    if (typeof token !== "string" || typeof score !== "number") {
      throw vocabulary.items()[id]!.wrong("a pair of token and score");
    }
    tokens.push(token);
    scores[id] = scoreAsRead(score);
  }
  const unkId = field.get("unk_id").missing ? null : field.get("unk_id").index();
  if (unkId !== null && unkId >= tokens.length) {
    throw field.get("unk_id").wrong(`an id below the vocabulary's size, ${tokens.length}`);
  }
  return new Unigram(tokens, scores, unkId, field.get("byte_fallback").boolean(false));
}
