/**
 * Byte-pair encoding: the symbols of a word merged pair by pair, lowest rank first, after Sennrich et al. (2016),
 * "Neural Machine Translation of Rare Words with Subword Units"; covers SentencePiece-BPE and byte-level files.
 */

import { mergeSymbols } from "./bpe-merge.js";
import { byteTokens } from "./byte-tokens.js";
import type { MergeTable } from "./merge-table.js";
import type { Model } from "./model.js";
import { characterWidth, utf8 } from "./unicode.js";
import { WordCache } from "./word-cache.js";

export interface BpeOptions {
  readonly unkToken: string | null;
  /** Put before every symbol of a word but the first. */
  readonly continuingPrefix: string;
  /** Put after the last symbol of a word. */
  readonly endOfWordSuffix: string;
  /** Whether neighbouring unknown characters become one unknown token. */
  readonly fuseUnk: boolean;
  readonly byteFallback: boolean;
  /** Whether a word that is a token as a whole is taken as it is, without merging. */
  readonly ignoreMerges: boolean;
}

/** SentencePiece's mark for a blank. */
const blankMark = "\u2581";

export class Bpe implements Model {
  readonly unkId: number | null;
  private readonly cache = new WordCache();
  private readonly tokens: string[] = [];
  /** Ids of tokens that are one code unit long, or -1. */
  private readonly unitIds = new Int32Array(1 << 16).fill(-1);
  private readonly byteIds: readonly (number | undefined)[] | null;
  /** Whether no token has a blank mark after another character, so that merges never cross the start of a word. */
  private readonly wordsAreIndependent: boolean;

  constructor(
    private readonly vocabulary: ReadonlyMap<string, number>,
    private readonly merges: MergeTable,
    private readonly options: BpeOptions,
  ) {
    let crossing = false;
    for (const [token, id] of vocabulary) {
      this.tokens[id] = token;
      if (token.length === 1) this.unitIds[token.charCodeAt(0)] = id;
      crossing ||= token.length > 1 && marksInside.test(token);
    }
    const { unkToken, continuingPrefix, endOfWordSuffix } = options;
    this.unkId = unkToken === null ? null : (vocabulary.get(unkToken) ?? null);
    this.byteIds = options.byteFallback ? byteTokens((token) => vocabulary.get(token)) : null;
    this.wordsAreIndependent =
      !crossing && vocabulary.has(blankMark) && continuingPrefix === "" && endOfWordSuffix === "";
  }

  get size(): number {
    return this.vocabulary.size;
  }

  tokenToId(token: string): number | undefined {
    return this.vocabulary.get(token);
  }

  idToToken(id: number): string | undefined {
    return this.tokens[id];
  }

  append(piece: string, ids: number[]): void {
    if (!this.wordsAreIndependent) {
      this.cache.append(piece, ids, this.split);
      return;
    }
    if (this.options.ignoreMerges) {
      const whole = this.vocabulary.get(piece);
      if (whole !== undefined) {
        ids.push(whole);
        return;
      }
    }
    // Word by word, so that the cache helps: a word starts at a mark that follows another character.
    let start = 0;
    let mark = piece.indexOf(blankMark, 1);
    while (mark !== -1) {
      if (piece[mark - 1] !== blankMark) {
        this.cache.append(piece.slice(start, mark), ids, this.split);
        start = mark;
      }
      mark = piece.indexOf(blankMark, mark + 1);
    }
    this.cache.append(start === 0 ? piece : piece.slice(start), ids, this.split);
  }

  private readonly split = (word: string, ids: number[]): void => {
    if (this.options.ignoreMerges && !this.wordsAreIndependent) {
      const whole = this.vocabulary.get(word);
      if (whole !== undefined) {
        ids.push(whole);
        return;
      }
    }
    mergeSymbols(this.symbols(word), this.merges, ids);
  };

  /** The ids a word starts from: its characters, or their bytes, or the unknown token. */
  private symbols(word: string): number[] {
    const { unkId } = this;
    const symbols: number[] = [];
    let unknownPending = false;
    let width = 1;
    for (let i = 0; i < word.length; i += width) {
      width = characterWidth(word.charCodeAt(i));
      const id = this.symbolId(word, i, width);
      if (id !== undefined) {
        if (unknownPending) symbols.push(unkId!);
        unknownPending = false;
        symbols.push(id);
      } else if (!this.appendBytes(word, i, width, symbols) && unkId !== null) {
        if (unknownPending && !this.options.fuseUnk) symbols.push(unkId);
        unknownPending = true;
      }
    }
    if (unknownPending) symbols.push(unkId!);
    return symbols;
  }

  private symbolId(word: string, at: number, width: number): number | undefined {
    const { continuingPrefix, endOfWordSuffix } = this.options;
    if (width === 1 && continuingPrefix === "" && endOfWordSuffix === "") {
      const id = this.unitIds[word.charCodeAt(at)]!;
      return id < 0 ? undefined : id;
    }
    return this.vocabulary.get(this.decorated(word, at, width));
  }

  private decorated(word: string, at: number, width: number): string {
    const prefix = at === 0 ? "" : this.options.continuingPrefix;
    const suffix = at + width === word.length ? this.options.endOfWordSuffix : "";
    return prefix + word.slice(at, at + width) + suffix;
  }

  private appendBytes(word: string, at: number, width: number, symbols: number[]): boolean {
    if (this.byteIds === null) return false;
    const ids = Array.from(utf8(this.decorated(word, at, width)), (byte) => this.byteIds?.[byte]);
    if (ids.includes(undefined)) return false;
    for (const id of ids) symbols.push(id!);
    return true;
  }
}

const marksInside = new RegExp(`[^${blankMark}]${blankMark}`);
