/** The `normalizer` of `tokenizer.json`: what happens to text before it is split. */

import { readCharsmap } from "./charsmap.js";
import type { Field } from "./fields.js";
import { Pattern, replaceSpans } from "./pattern.js";
import { characterClass, characterWidth, isWhitespace, normalForm } from "./unicode.js";

/** Text on its way. */
export interface NormalText {
  readonly text: string;
  /** Whether the text begins where the whole input does: false once something in front of it was removed. */
  readonly atStart: boolean;
}

export type Normalizer = (input: NormalText) => NormalText;

const supported = [
  "Sequence",
  "NFC",
  "NFD",
  "NFKC",
  "NFKD",
  "Precompiled",
  "Replace",
  "Strip",
  "Prepend",
  "Lowercase",
  "Nmt",
];

export function readNormalizer(field: Field): Normalizer {
  const type = field.get("type");
  switch (type.value) {
    case "Sequence": {
      const steps = field.get("normalizers").items().map(readNormalizer);
      return (input) => steps.reduce((result, step) => step(result), input);
    }
    case "NFC":
    case "NFD":
    case "NFKC":
    case "NFKD": {
      const form = type.value;
      return mapping((text) => normalForm(text, form));
    }
    case "Precompiled":
      return mapping(readCharsmap(field.get("precompiled_charsmap")));
    case "Replace":
      return replacer(Pattern.read(field.get("pattern")), field.get("content").string());
    case "Strip":
      return stripper(field.get("strip_left").boolean(), field.get("strip_right").boolean());
    case "Prepend": {
      const prefix = field.get("prepend").string();
      return mapping((text) => (text === "" ? "" : prefix + text));
    }
    case "Lowercase":
      return mapping(lowercase);
    case "Nmt":
      return ({ text, atStart }) => ({
        text: text.replace(nmtRemoved, "").replace(nmtBlanks, " "),
        atStart: atStart && text.search(nmtRemoved) !== 0,
      });
    default:
      throw type.unsupported("normalizer", supported);
  }
}

function mapping(map: (text: string) => string): Normalizer {
  return ({ text, atStart }) => ({ text: map(text), atStart });
}

/** What replaces several characters is counted to the last of them, and then the text no longer begins at the start. */
function replacer(pattern: Pattern, content: string): Normalizer {
  return ({ text, atStart }) => {
    const bounds = pattern.find(text);
    if (bounds.length === 0) return { text, atStart };
    const first = bounds[0] === 0 ? text.slice(0, bounds[1]) : "";
    const keepsStart =
      first === "" || (content !== "" && first.length === characterWidth(first.charCodeAt(0)));
    return { text: replaceSpans(text, bounds, content), atStart: atStart && keepsStart };
  };
}

function stripper(left: boolean, right: boolean): Normalizer {
  return ({ text, atStart }) => {
    let start = 0;
    let end = text.length;
    if (left) while (start < end && isWhitespace(text.charCodeAt(start))) start++;
    if (right) while (end > start && isWhitespace(text.charCodeAt(end - 1))) end--;
    return { text: text.slice(start, end), atStart: atStart && start === 0 };
  };
}

/** Character by character, so that a final sigma is lowered like any other. */
function lowercase(text: string): string {
  return text.includes("\u03a3")
    ? Array.from(text, (character) => character.toLowerCase()).join("")
    : text.toLowerCase();
}

/** The cleaning rules of Google's neural machine translation: controls removed, odd blanks made blanks. */
const nmtRemoved = new RegExp(characterClass("1-8 b e-1f 7f 8f 9f"), "gu");
const nmtBlanks = new RegExp(characterClass("9 a c d 1680 200b-200f 2028 2029 2581 feff fffd"), "gu");
