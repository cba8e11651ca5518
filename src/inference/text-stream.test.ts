import { readdirSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Tokenizer } from "../io/tokenizer/tokenizer.js";
import { packageRoot } from "../tensor/native.js";
import { type StreamDecoder, TextStream } from "./text-stream.js";

const folder = join(packageRoot, "test/fixtures/tokenizers");
const tokenizers = [
  ...readdirSync(folder)
    .filter((name) => /^tiny-[\w-]+\.json$/.test(name))
    .map((name) => [name, Tokenizer.fromFile(join(folder, name))] as const),
  ["t5-mini", Tokenizer.fromFolder(join(packageRoot, "assets/t5-mini"))] as const,
];

const piecesOf = (
  decoder: StreamDecoder,
  ids: readonly number[],
  stops: readonly string[] = [],
): string[] => {
  const stream = new TextStream(decoder, stops);
  const pieces = ids.map((id) => stream.push(id));
  return [...pieces, stream.finish()];
};

const texts = fc.oneof(
  fc.string({ unit: "binary", maxLength: 40 }),
  fc.string({ unit: "grapheme", maxLength: 40 }),
  fc.constantFrom(
    "  two  blanks ",
    "naïve café 日本語 👩‍👩‍👧‍👦 🏳️‍🌈",
    "\n\tcode {\n}",
    "é́́",
    "x".repeat(60),
    "�",
  ),
);

describe.each(tokenizers)("text of %s as its tokens come", (_, tokenizer) => {
  it("adds up to the text of all tokens", () => {
    fc.assert(
      fc.property(texts, (text) => {
        const ids = tokenizer.encode(text);
        expect(piecesOf(tokenizer, ids).join("")).toBe(tokenizer.decode(ids));
      }),
      { numRuns: 200 },
    );
  });

  it("is whole characters, also when tokens are arbitrary", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(tokenizer.vocabSize - 1), { maxLength: 30 }), (ids) => {
        const whole = tokenizer.decode(ids);
        const pieces = piecesOf(tokenizer, ids);
        for (const piece of pieces) expect(piece).not.toMatch(/\p{Surrogate}/u);
        if (!whole.includes("\ufffd")) {
          expect(pieces.join("")).toBe(whole);
          expect(pieces.join("")).not.toContain("\ufffd");
        }
      }),
      { numRuns: 200 },
    );
  });
});

/** Tokens that are given texts. */
const spelling = (tokens: readonly string[]): StreamDecoder => ({
  decode: (ids) => ids.map((id) => tokens[id]).join(""),
  isSpecial: () => false,
});

describe("stop texts", () => {
  const letters = fc.string({ unit: fc.constantFrom("a", "b", "c"), maxLength: 4 });
  const stopTexts = fc.string({ unit: fc.constantFrom("a", "b", "c"), minLength: 1, maxLength: 5 });

  it("cut the text where the first of them is complete, however it is cut into tokens", () => {
    fc.assert(
      fc.property(
        fc.array(letters, { maxLength: 12 }),
        fc.array(stopTexts, { maxLength: 3 }),
        (tokens, stops) => {
          const whole = tokens.join("");
          // Letter by letter: the first end of a stop text, and the longest one that ends there.
          let expected = whole;
          for (let end = 1; end <= whole.length; end++) {
            const found = stops.filter((stop) => whole.slice(0, end).endsWith(stop));
            if (found.length === 0) continue;
            expected = whole.slice(0, end - Math.max(...found.map((stop) => stop.length)));
            break;
          }
          const pieces = piecesOf(spelling(tokens), [...tokens.keys()], stops);
          expect(pieces.join("")).toBe(expected);
        },
      ),
      { numRuns: 1000 },
    );
  });

  it("hold back only what may still become one", () => {
    const stream = new TextStream(spelling(["one E", "N", "ough", " END", " more"]), ["END"]);
    expect([0, 1, 2, 3].map((id) => stream.push(id))).toEqual(["one ", "", "ENough", " "]);
    expect(stream.stopped).toBe(true);
    expect(stream.push(4) + stream.finish()).toBe("");
  });

  it("that never come leave the text as it is", () => {
    expect(piecesOf(spelling(["a", "E", "N"]), [0, 1, 2], ["END"])).toEqual(["a", "", "", "EN"]);
  });
});

it("says nothing of special tokens", () => {
  const tokenizer = Tokenizer.fromFolder(join(packageRoot, "assets/t5-mini"));
  const ids = tokenizer.encode("a fine day", { addSpecialTokens: false });
  const between = [ids[0]!, tokenizer.eosId!, ...ids.slice(1), tokenizer.padId!];
  expect(piecesOf(tokenizer, between).join("")).toBe("a fine day");
});
