/** The patterns of `tokenizer.json`: a literal string or an Oniguruma regular expression, searched in text. */

import { CheckpointError } from "../../errors.js";
import type { Field } from "./fields.js";
import { translateRegex } from "./regex.js";
import { hideNewCharacters } from "./unicode.js";

export class Pattern {
  private constructor(
    private readonly regex: RegExp,
    /** Whether characters new to the library's Unicode tables must be hidden from the expression. */
    private readonly hideNew: boolean,
  ) {}

  /** An Oniguruma expression, read from the place `where`. */
  static regex(source: string, where: string): Pattern {
    const translated = translateRegex(source, where);
    try {
      return new Pattern(new RegExp(translated, "gv"), true);
    } catch (cause) {
      throw new CheckpointError(
        `${where}: the regular expression ${JSON.stringify(source)} cannot be used here`,
        {
          cause,
        },
      );
    }
  }

  /** A JavaScript expression with the flag "g". */
  static native(regex: RegExp, hideNew: boolean): Pattern {
    return new Pattern(regex, hideNew);
  }

  static read(field: Field): Pattern {
    const literal = field.get("String");
    if (literal.missing) return Pattern.regex(field.get("Regex").string(), field.get("Regex").where);
    if (literal.string() === "") throw literal.wrong("at least one character");
    return new Pattern(new RegExp(literal.string().replace(/[$()*+./?[\\\]^{|}-]/g, "\\$&"), "g"), false);
  }

  /** Start and end of every match, in order: [start, end, start, end, ...]. */
  find(text: string): number[] {
    const { regex } = this;
    const searched = this.hideNew ? hideNewCharacters(text) : text;
    const bounds: number[] = [];
    regex.lastIndex = 0;
    for (let match = regex.exec(searched); match !== null; match = regex.exec(searched)) {
      bounds.push(match.index, regex.lastIndex);
      if (match[0] === "") regex.lastIndex += (searched.codePointAt(match.index) ?? 0) > 0xffff ? 2 : 1;
    }
    return bounds;
  }
}

/** `text` with every span of `bounds` replaced by `content`, which is taken literally. */
export function replaceSpans(text: string, bounds: readonly number[], content: string): string {
  let result = "";
  let end = 0;
  for (let i = 0; i < bounds.length; i += 2) {
    result += text.slice(end, bounds[i]) + content;
    end = bounds[i + 1]!;
  }
  return result + text.slice(end);
}
