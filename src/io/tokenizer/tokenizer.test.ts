/** Ids and texts against the Python `tokenizers` library; made by tools/golden/tokenizer_cases.py. */

import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { gunzipSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Tokenizer } from "./tokenizer.js";

const root = resolve(import.meta.dirname, "../../..");
const fixtures = resolve(root, "test/fixtures/tokenizers");
const shared = process.env.NLORA_SHARED ?? resolve(root, "../shared");

function read<T>(name: string): T {
  return JSON.parse(gunzipSync(readFileSync(resolve(fixtures, name))).toString("utf8")) as T;
}

const { lines } = read<{ lines: string[] }>("lines.json.gz");

/** Index of a line, ids, number of special tokens among them, ids cut, text, text with special tokens. */
type TinyCase = [number, number[], number, number[], string, string];

interface TinyGolden {
  readonly maxLength: number;
  readonly vocabSize: number;
  readonly cases: TinyCase[];
  /** Eight digits for every line. */
  readonly digests: string;
}

const tinyNames = readdirSync(fixtures)
  .filter((name) => name.endsWith(".golden.json.gz"))
  .map((name) => name.replace(".golden.json.gz", ""));

describe.each(tinyNames)("the small tokenizer %s", (name) => {
  const golden = read<TinyGolden>(`${name}.golden.json.gz`);
  const tokenizer = Tokenizer.fromFile(resolve(fixtures, `${name}.json`));
  const text = (case_: TinyCase): string => lines[case_[0]]!;

  it("gives the library's ids with and without special tokens", () => {
    for (const case_ of golden.cases) {
      const [, ids, specials] = case_;
      expect(tokenizer.encode(text(case_)), text(case_)).toEqual(ids);
      expect(tokenizer.encode(text(case_), { addSpecialTokens: false }).length).toBe(ids.length - specials);
    }
  });

  it("gives the library's ids and texts on more than 2,000 lines, by their digests", () => {
    expect(lines.length).toBeGreaterThan(2000);
    const wrong = lines.filter((line, index) => {
      const ids = tokenizer.encode(line);
      const decoded = [true, false].map((skipSpecialTokens) => tokenizer.decode(ids, { skipSpecialTokens }));
      const digest = createHash("sha256")
        .update([ids.join(), ...decoded].join("\0"))
        .digest("hex");
      return digest.slice(0, 8) !== golden.digests.slice(8 * index, 8 * index + 8);
    });
    expect(wrong).toEqual([]);
  });

  it("cuts to the greatest length as the library does", () => {
    const { maxLength } = golden;
    for (const case_ of golden.cases) {
      expect(tokenizer.encode(text(case_), { maxLength }), text(case_)).toEqual(case_[3]);
    }
  });

  it("gives the library's text back with and without special tokens", () => {
    for (const case_ of golden.cases) {
      const [, ids, , , skipped, kept] = case_;
      expect(tokenizer.decode(ids), text(case_)).toBe(skipped);
      expect(tokenizer.decode(ids, { skipSpecialTokens: false }), text(case_)).toBe(kept);
    }
  });

  it("counts its vocabulary as the library does and maps every id to its token and back", () => {
    expect(tokenizer.vocabSize).toBe(golden.vocabSize);
    for (const id of new Set(golden.cases.flatMap((case_) => case_[1]))) {
      expect(tokenizer.tokenToId(tokenizer.idToToken(id)!)).toBe(id);
    }
  });
});

const realFolders = {
  "t5-mini": "models/t5-mini",
  llama: "data/tokenizers/llama",
  "unigram-nmt-nfkc": "data/tokenizers/unigram-nmt-nfkc",
  "pegasus-unigram": "data/tokenizers/pegasus-unigram",
  "gpt2-byte-bpe": "data/tokenizers/gpt2-byte-bpe",
};

describe.each(Object.entries(realFolders))("the real tokenizer %s (needs ../shared)", (name, folder) => {
  const path = resolve(shared, folder);

  it.skipIf(!existsSync(path))("gives the library's ids and texts on more than 2,000 lines", () => {
    const golden = read<{ ids: number[][]; decoded: Record<string, string> }>(`real-${name}.json.gz`);
    const tokenizer = Tokenizer.fromFile(resolve(path, "tokenizer.json"));
    expect(lines.length).toBeGreaterThan(2000);
    for (const [index, line] of lines.entries()) {
      const ids = golden.ids[index]!;
      expect(tokenizer.encode(line), line).toEqual(ids);
      if (index % 4 === 0) expect(tokenizer.decode(ids), line).toBe(golden.decoded[index] ?? line);
    }
  });
});

describe("the t5-mini folder (needs ../shared)", () => {
  const folder = resolve(shared, "models/t5-mini");

  it.skipIf(!existsSync(folder))(
    "gives the input ids of the model's golden cases, which sentencepiece made",
    () => {
      interface GoldenCase {
        source_text: string | string[];
        input_ids: number[][];
      }
      const file = readFileSync(resolve(folder, "golden.json"), "utf8");
      const { cases } = JSON.parse(file) as { cases: GoldenCase[] };
      const tokenizer = Tokenizer.fromFolder(folder);
      for (const case_ of cases) {
        const texts = [case_.source_text].flat();
        const encoded = tokenizer.encodeBatch(texts);
        const longest = Math.max(...encoded.map((ids) => ids.length));
        const padded = encoded.map((ids) => [...ids, ...Array(longest - ids.length).fill(tokenizer.padId)]);
        expect(padded).toEqual(case_.input_ids);
      }
    },
  );

  it.skipIf(!existsSync(folder))("knows its special tokens", () => {
    const { padId, eosId, bosId, unkId, vocabSize } = Tokenizer.fromFolder(folder);
    expect({ padId, eosId, bosId, unkId, vocabSize }).toEqual({
      padId: 0,
      eosId: 1,
      bosId: null,
      unkId: 2,
      vocabSize: 8100,
    });
  });
});

describe("byte-level tokenizers", () => {
  const tokenizer = Tokenizer.fromFile(resolve(fixtures, "tiny-byte-llama3.json"));

  it("give back any text", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        fc.pre(!/\p{Surrogate}/u.test(text));
        expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
      }),
      { seed: 7, numRuns: 500 },
    );
  });

  it("read lone surrogates as U+FFFD", () => {
    expect(tokenizer.encode("a\ud800b\udc00\ud83d\ude00")).toEqual(
      tokenizer.encode("a\ufffdb\ufffd\u{1f600}"),
    );
  });
});
