/** The `pre_tokenizer` of `tokenizer.json`: how text is cut into pieces that the model then splits one by one. */

import { encodeBytes } from "./byte-level.js";
import type { Field } from "./fields.js";
import { Pattern } from "./pattern.js";

/** Text being cut. */
export interface Pieces {
  /** The pieces in order, none of them empty. */
  readonly texts: readonly string[];
  /** Whether the first piece begins where the whole input does. */
  readonly atStart: boolean;
}

export type PreTokenizer = (pieces: Pieces) => Pieces;

const behaviors = ["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"] as const;
type Behavior = (typeof behaviors)[number];

const supported = ["Sequence", "Split", "ByteLevel", "Metaspace", "WhitespaceSplit", "Whitespace", "Digits"];
const gpt2Words = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

const wordCharacters = "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\p{Join_Control}";
const wordsAndSigns = new RegExp(`[${wordCharacters}]+|[^${wordCharacters}\\p{White_Space}]+`, "gu");

export function readPreTokenizer(field: Field): PreTokenizer {
  const type = field.get("type");
  switch (type.value) {
    case "Sequence": {
      const steps = field.get("pretokenizers").items().map(readPreTokenizer);
      return (pieces) => steps.reduce((result, step) => step(result), pieces);
    }
    case "Split": {
      const behavior = field.get("behavior").oneOf(behaviors);
      return splitter(Pattern.read(field.get("pattern")), behavior, field.get("invert").boolean(false));
    }
    case "ByteLevel":
      return byteLevel(field);
    case "Metaspace":
      return metaspace(field);
    case "WhitespaceSplit":
      return splitter(Pattern.native(/\p{White_Space}/gu, false), "Removed");
    case "Whitespace":
      return splitter(Pattern.native(wordsAndSigns, true), "Removed", true);
    case "Digits": {
      const single = field.get("individual_digits").boolean(false);
      return splitter(Pattern.native(/\p{N}/gu, false), single ? "Isolated" : "Contiguous");
    }
    default:
      throw type.unsupported("pre-tokenizer", supported);
  }
}

function byteLevel(field: Field): PreTokenizer {
  const prefix = field.get("add_prefix_space").boolean(true) ? " " : "";
  const useRegex = field.get("use_regex").boolean(true);
  const split = splitter(Pattern.regex(gpt2Words, field.where), "Isolated");
  return ({ texts, atStart }) => {
    const prefixed =
      prefix === "" ? texts : texts.map((text) => (text.startsWith(prefix) ? text : prefix + text));
    const words = useRegex ? split({ texts: prefixed, atStart }).texts : prefixed;
    return { texts: words.map(encodeBytes), atStart };
  };
}

/** Blanks become marks, a mark is put in front where the scheme says so, and words start at marks. */
function metaspace(field: Field): PreTokenizer {
  const mark = field.get("replacement").string();
  const scheme = prependScheme(field);
  const words = field.get("split").boolean(true);
  return ({ texts, atStart }) => {
    const result: string[] = [];
    for (const [index, text] of texts.entries()) {
      let marked = text.replaceAll(" ", mark);
      const prepend = scheme === "always" || (scheme === "first" && atStart && index === 0);
      if (prepend && !marked.startsWith(mark)) marked = mark + marked;
      if (words) appendWords(marked, mark, result);
      else result.push(marked);
    }
    return { texts: result, atStart };
  };
}

/** When a mark is put in front of a piece; old files say it with `add_prefix_space`. */
export function prependScheme(field: Field): "always" | "first" | "never" {
  const fallback = field.get("add_prefix_space").boolean(true) ? "always" : "never";
  return field.get("prepend_scheme").oneOf(["always", "first", "never"], fallback);
}

function appendWords(text: string, mark: string, words: string[]): void {
  let start = 0;
  let next = text.indexOf(mark, mark.length);
  while (next !== -1) {
    words.push(text.slice(start, next));
    start = next;
    next = text.indexOf(mark, next + mark.length);
  }
  words.push(text.slice(start));
}

function splitter(pattern: Pattern, behavior: Behavior, invert = false): PreTokenizer {
  return ({ texts, atStart }) => {
    const result: string[] = [];
    let stillAtStart = atStart;
    for (const [index, text] of texts.entries()) {
      const bounds = cut(text, pattern.find(text), behavior, invert);
      if (index === 0 && bounds[0] !== 0) stillAtStart = false;
      for (let i = 0; i < bounds.length; i += 2) result.push(text.slice(bounds[i], bounds[i + 1]));
    }
    return { texts: result, atStart: stillAtStart };
  };
}

/** The bounds [start, end, start, end, ...] of the non-empty pieces `text` is cut into at `matches`. */
function cut(text: string, matches: readonly number[], behavior: Behavior, invert: boolean): number[] {
  const spans: Span[] = [];
  const add = (start: number, end: number, delimiter: boolean): void => {
    if (start < end) spans.push({ start, end, delimiter: delimiter !== invert });
  };
  let done = 0;
  for (let i = 0; i < matches.length; i += 2) {
    add(done, matches[i]!, false);
    add(matches[i]!, matches[i + 1]!, true);
    done = matches[i + 1]!;
  }
  add(done, text.length, false);
  const bounds: number[] = [];
  for (const [index, span] of spans.entries()) {
    const before = spans[index - 1];
    if (behavior === "Removed" && span.delimiter) continue;
    if (before !== undefined && joins(before, span, behavior)) bounds[bounds.length - 1] = span.end;
    else bounds.push(span.start, span.end);
  }
  return bounds;
}

interface Span {
  readonly start: number;
  readonly end: number;
  readonly delimiter: boolean;
}

/** Whether a span belongs to the same piece as the one before it. */
function joins(before: Span, span: Span, behavior: Behavior): boolean {
  switch (behavior) {
    case "MergedWithPrevious":
      return span.delimiter && !before.delimiter;
    case "MergedWithNext":
      return before.delimiter && !span.delimiter;
    case "Contiguous":
      return before.delimiter === span.delimiter;
    default:
      return false;
  }
}
