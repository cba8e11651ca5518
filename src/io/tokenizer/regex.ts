/**
 * Translates Oniguruma regular expressions (Ruby syntax, as `tokenizer.json` uses them) to JavaScript's, for the
 * flag "v". What has no counterpart here is an error that names it.
 */

import { CheckpointError } from "../../errors.js";

/** Word characters in a class; alone, "\\w" also takes the superscript digits and fractions of Latin-1. */
const wordInClass = "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}";
const word = `${wordInClass}\\xb2\\xb3\\xb9\\xbc-\\xbe`;
const setEscapes: Readonly<Record<string, string>> = {
  s: "\\p{White_Space}",
  S: "\\P{White_Space}",
  d: "\\p{Nd}",
  D: "\\P{Nd}",
  w: `[${word}]`,
  W: `[^${word}]`,
  h: "[0-9a-fA-F]",
  H: "[^0-9a-fA-F]",
};
const anchorEscapes: Readonly<Record<string, string>> = {
  A: "(?<![^])",
  z: "(?![^])",
  Z: "(?=\\n?(?![^]))",
  b: `(?:(?<=[${word}])(?![${word}])|(?<![${word}])(?=[${word}]))`,
  B: `(?:(?<=[${word}])(?=[${word}])|(?<![${word}])(?![${word}]))`,
};
const controlEscapes: Readonly<Record<string, string>> = {
  n: "\n",
  r: "\r",
  t: "\t",
  f: "\f",
  v: "\v",
  a: "\x07",
  e: "\x1b",
  "0": "\0",
};

/** The source of an equivalent JavaScript expression; `where` names the place in error messages. */
export function translateRegex(source: string, where: string): string {
  return new Translator(source, where).translate();
}

class Translator {
  private at = 0;
  private readonly out: string[] = [];
  /** For every open group: its place in `out` and whether case was ignored outside it. */
  private readonly groups: { start: number; ignoreCase: boolean }[] = [];
  private atomStart = 0;
  private ignoreCase = false;
  private possessives = 0;

  constructor(
    private readonly source: string,
    private readonly where: string,
  ) {}

  translate(): string {
    while (this.at < this.source.length) this.item();
    return this.out.join("");
  }

  private item(): void {
    const character = this.next();
    if (character === "(") this.openGroup();
    else if (character === ")") this.closeGroup();
    else if (character === "|") this.out.push("|");
    else if ("*+?".includes(character)) this.quantify(character);
    else if (character === "{" && this.take(/\{(?:\d+,?\d*|,\d+)\}/y, -1)) this.quantifyByCount();
    else this.atom(this.atomSource(character));
  }

  private atomSource(character: string): string {
    if (character === "[") return this.set();
    if (character === ".") return "[^\\n]";
    if (character === "^") return "(?<![^\\n])";
    if (character === "$") return "(?![^\\n])";
    if (character !== "\\") return this.literal(character);
    const escaped = this.source[this.at] ?? "";
    if (escaped in anchorEscapes) {
      this.at++;
      return anchorEscapes[escaped]!;
    }
    const { set, literal } = this.escape();
    return set ?? this.literal(literal);
  }

  private atom(source: string): void {
    this.atomStart = this.out.length;
    this.out.push(source);
  }

  private quantify(quantifier: string): void {
    const suffix = this.take(/[+?]/y)?.[0] ?? "";
    if (suffix === "+") {
      // Possessive: what a lookahead has matched is not given back.
      const name = `possessive${this.possessives++}`;
      const atom = this.out.splice(this.atomStart).join("");
      this.out.push(`(?:(?=(?<${name}>${atom}${quantifier}))\\k<${name}>)`);
    } else {
      this.out.push(quantifier + suffix);
    }
  }

  private quantifyByCount(): void {
    const counts = this.match[0].replace("{,", "{0,");
    if (this.source[this.at] === "+") {
      // After counts, "+" does not mean possessive: it repeats.
      this.out.splice(this.atomStart, 0, "(?:");
      this.out.push(`${counts})`);
    } else {
      this.out.push(counts + (this.take(/\?/y)?.[0] ?? ""));
    }
  }

  private openGroup(): void {
    const start = this.out.length;
    const group = { start, ignoreCase: this.ignoreCase };
    if (this.source[this.at] !== "?") {
      this.out.push("(?:");
    } else if (this.take(/\?(?::|=|!|<=|<!)/y)) {
      this.out.push(`(${this.match[0]}`);
    } else if (this.take(/\?(-?)i(:|\))/y)) {
      this.ignoreCase = this.match[1] === "";
      if (this.match[2] === ")") return;
      this.out.push("(?:");
    } else {
      this.fail(`the group "(${this.source.slice(this.at, this.at + 3)}"`);
    }
    this.groups.push(group);
  }

  private closeGroup(): void {
    const group = this.groups.pop();
    if (group === undefined) this.fail('a ")" without its "("');
    this.ignoreCase = group.ignoreCase;
    this.atomStart = group.start;
    this.out.push(")");
  }

  /** A character class, after its "[". */
  private set(): string {
    const open = this.take(/\^/y) ? "[^" : "[";
    const operands = [""];
    while (!this.take(/\]/y)) {
      if (this.at >= this.source.length) this.fail('a "[" without its "]"');
      if (this.take(/\[:\^?\w+:\]/y)) this.fail(`the class ${this.match[0]}`);
      if (this.take(/&&/y)) operands.push("");
      else operands.push(operands.pop() + this.setItem());
    }
    const inside = operands.length === 1 ? operands[0] : operands.map((operand) => `[${operand}]`).join("&&");
    return `${open}${inside}]`;
  }

  private setItem(): string {
    const character = this.next();
    if (character === "[") return this.set();
    let literal = character;
    if (character === "\\") {
      if (this.take(/[wW]/y)) return this.match[0] === "w" ? `[${wordInClass}]` : `[^${wordInClass}]`;
      const escaped = this.escape();
      if (escaped.set !== undefined) return escaped.set;
      literal = escaped.literal;
    }
    if (!/^-[^\]]/.test(this.source.slice(this.at))) return this.variants(literal).map(quote).join("");
    this.at++;
    const last = this.next();
    const end = last === "\\" ? this.escape() : { literal: last };
    if (end.literal === undefined || last === "[") this.fail("a range that ends in a class");
    if (this.ignoreCase) this.fail("a range that ignores case");
    return `${quote(literal)}-${quote(end.literal)}`;
  }

  /** An escape, after its backslash: a set of characters or one character. */
  private escape(): { set: string; literal?: never } | { set?: never; literal: string } {
    const character = this.next();
    const set = setEscapes[character];
    if (set !== undefined) return { set };
    if (character === "p" || character === "P") return { set: this.property(character) };
    const control = controlEscapes[character];
    if (control !== undefined) return { literal: control };
    if (character === "x" && this.take(/\{([0-9a-fA-F]{1,6})\}|([0-9a-fA-F]{2})/y)) {
      return { literal: String.fromCodePoint(Number.parseInt(this.match[1] ?? this.match[2]!, 16)) };
    }
    if (character === "u" && this.take(/[0-9a-fA-F]{4}/y)) {
      return { literal: String.fromCodePoint(Number.parseInt(this.match[0], 16)) };
    }
    if (/[\p{L}\p{N}]/u.test(character)) this.fail(`the escape "\\${character}"`);
    return { literal: character };
  }

  private property(letter: string): string {
    if (!this.take(/\{(\^?)([\w ]+)\}/y)) this.fail("a property without a name");
    const name = this.match[2]!;
    const negated = (letter === "P") !== (this.match[1] === "^");
    for (const candidate of [name, `Script=${name}`]) {
      const source = `\\${negated ? "P" : "p"}{${candidate}}`;
      if (isValid(source)) return source;
    }
    return this.fail(`the property {${name}}`);
  }

  private literal(character: string): string {
    const variants = this.variants(character).map(quote);
    return variants.length === 1 ? variants[0]! : `[${variants.join("")}]`;
  }

  /** The characters that equal `character`, where case is ignored. */
  private variants(character: string): string[] {
    if (!this.ignoreCase || !/\p{L}/u.test(character)) return [character];
    if (!/[a-z]/i.test(character)) this.fail(`"${character}", a letter beyond ASCII, where case is ignored`);
    const lower = character.toLowerCase();
    // The long s and the Kelvin sign are forms of s and k.
    return [lower, lower.toUpperCase(), ...(lower === "s" ? ["\u017f"] : lower === "k" ? ["\u212a"] : [])];
  }

  /** The next character of the source. */
  private next(): string {
    const code = this.source.codePointAt(this.at);
    if (code === undefined) return this.fail("an unfinished escape");
    const character = String.fromCodePoint(code);
    this.at += character.length;
    return character;
  }

  private match: RegExpExecArray = /(?:)/.exec("")!;

  /** Whether the sticky `regex` matches here (`offset` characters on); moves past the match and keeps it in `match`. */
  private take(regex: RegExp, offset = 0): RegExpExecArray | null {
    regex.lastIndex = this.at + offset;
    const match = regex.exec(this.source);
    if (match === null) return null;
    this.match = match;
    this.at = regex.lastIndex;
    return match;
  }

  private fail(what: string): never {
    throw new CheckpointError(
      `${this.where}: the regular expression ${JSON.stringify(this.source)} has ${what}, which is not supported here`,
    );
  }
}

function quote(character: string): string {
  return /^[\p{L}\p{N}]$/u.test(character) ? character : `\\u{${character.codePointAt(0)!.toString(16)}}`;
}

function isValid(source: string): boolean {
  try {
    new RegExp(source, "v");
    return true;
  } catch {
    return false;
  }
}
