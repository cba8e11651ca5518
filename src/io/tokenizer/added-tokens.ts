/** The `added_tokens` of `tokenizer.json`: tokens found in the text as they stand, before the model sees it. */

import type { Field } from "./fields.js";
import type { Model } from "./model.js";
import type { Normalizer } from "./normalizers.js";
import { isWhitespace } from "./unicode.js";

interface AddedToken {
  readonly id: number;
  readonly content: string;
  /** What the text holds where the token is found, and what decoding gives back: `content`, normalized if it is to be. */
  readonly form: string;
  readonly special: boolean;
  readonly normalized: boolean;
  readonly singleWord: boolean;
  readonly lstrip: boolean;
  readonly rstrip: boolean;
}

/** A part of a text: an added token, or text between added tokens. */
export type Part =
  | { readonly id: number }
  | { readonly id?: never; readonly text: string; readonly start: number };

export class AddedTokens {
  readonly byContent = new Map<string, AddedToken>();
  readonly byId = new Map<number, AddedToken>();
  /** Finds tokens in the text as it was given. */
  readonly raw: TokenFinder;
  /** Finds tokens in the text as normalized. */
  readonly normalized: TokenFinder;

  constructor(tokens: readonly AddedToken[]) {
    for (const token of tokens) {
      this.byContent.set(token.content, token);
      this.byId.set(token.id, token);
    }
    const all = [...this.byContent.values()];
    this.raw = new TokenFinder(all.filter((token) => !token.normalized));
    this.normalized = new TokenFinder(all.filter((token) => token.normalized));
  }
}

/**
 * Reads the list. As in the library the ids in it are not used: a token of the model's vocabulary has its id there,
 * others are numbered on from the end.
 */
export function readAddedTokens(field: Field, model: Model, normalizer: Normalizer): AddedTokens {
  const ids = new Map<string, number>();
  let next = model.size;
  const tokens: AddedToken[] = [];
  for (const item of field.missing ? [] : field.items()) {
    const content = item.get("content").string();
    if (content === "") continue;
    const id = ids.get(content) ?? model.tokenToId(content) ?? next;
    ids.set(content, id);
    next = Math.max(next, id + 1);
    const normalized = item.get("normalized").boolean();
    tokens.push({
      id,
      content,
      form: normalized ? normalizer({ text: content, atStart: true }).text : content,
      special: item.get("special").boolean(),
      normalized,
      singleWord: item.get("single_word").boolean(),
      lstrip: item.get("lstrip").boolean(),
      rstrip: item.get("rstrip").boolean(),
    });
  }
  return new AddedTokens(tokens);
}

/** Nodes of a trie over code units. */
interface Node {
  readonly next: Map<number, Node>;
  token?: AddedToken;
}

/** Cuts text at tokens: leftmost first, longest among those that start at the same place. */
export class TokenFinder {
  private readonly root: Node = { next: new Map() };
  private readonly starts = new Uint8Array(1 << 16);
  private readonly empty: boolean;

  constructor(tokens: readonly AddedToken[]) {
    this.empty = tokens.length === 0;
    for (const token of tokens) {
      const { form } = token;
      let node = this.root;
      for (let i = 0; i < form.length; i++) {
        const unit = form.charCodeAt(i);
        let next = node.next.get(unit);
        if (next === undefined) {
          next = { next: new Map() };
          node.next.set(unit, next);
        }
        node = next;
      }
      if (node === this.root) continue;
      node.token ??= token;
      this.starts[form.charCodeAt(0)] = 1;
    }
  }

  /** The parts of `text`, in order; text between tokens is never empty. */
  cut(text: string): Part[] {
    if (text === "") return [];
    if (this.empty) return [{ text, start: 0 }];
    const parts: Part[] = [];
    let done = 0;
    for (let i = 0; i < text.length; ) {
      const found = this.starts[text.charCodeAt(i)] === 1 ? this.longestAt(text, i) : undefined;
      if (found === undefined) {
        i++;
        continue;
      }
      const { token, end } = found;
      const begin = i;
      i = end;
      if (token.singleWord && (wordBefore.test(text.slice(0, begin)) || wordAfter.test(text.slice(end))))
        continue;
      let from = begin;
      let to = end;
      if (token.lstrip) while (from > done && isWhitespace(text.charCodeAt(from - 1))) from--;
      if (token.rstrip) while (to < text.length && isWhitespace(text.charCodeAt(to))) to++;
      if (done < from) parts.push({ text: text.slice(done, from), start: done });
      parts.push({ id: token.id });
      done = to;
    }
    if (done < text.length) parts.push({ text: text.slice(done), start: done });
    return parts;
  }

  private longestAt(text: string, start: number): { token: AddedToken; end: number } | undefined {
    let found: { token: AddedToken; end: number } | undefined;
    let node: Node | undefined = this.root;
    for (let i = start; i < text.length; ) {
      node = node.next.get(text.charCodeAt(i++));
      if (node === undefined) break;
      if (node.token !== undefined) found = { token: node.token, end: i };
    }
    return found;
  }
}

const wordBefore = /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\u200c\u200d]$/u;
const wordAfter = /^[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\u200c\u200d]/u;
