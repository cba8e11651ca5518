/** What happens with files that are missing, malformed or unsupported, and with the files beside `tokenizer.json`. */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CheckpointError, ConfigError } from "../../errors.js";
import { Tokenizer } from "./tokenizer.js";

const fixtures = resolve(import.meta.dirname, "../../../test/fixtures/tokenizers");
let folder = "";

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "nlora-tokenizer-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** A small tokenizer's file with the members at the given paths ("model.vocab") replaced. */
function fileWith(name: string, changes: Record<string, unknown>): string {
  const file = JSON.parse(readFileSync(join(fixtures, `${name}.json`), "utf8")) as Record<string, unknown>;
  for (const [path, value] of Object.entries(changes)) {
    const keys = path.split(".");
    const last = keys.pop()!;
    const parent = keys.reduce((place, key) => place[key] as Record<string, unknown>, file);
    parent[last] = value;
  }
  const path = join(folder, "tokenizer.json");
  writeFileSync(path, JSON.stringify(file));
  return path;
}

function failure(run: () => unknown): Error {
  try {
    run();
  } catch (error) {
    return error as Error;
  }
  throw new Error("nothing was thrown");
}

describe("a tokenizer.json that cannot be used", () => {
  const word = { type: "Split", behavior: "Isolated", invert: false };
  it.each<[string, string, Record<string, unknown>, RegExp]>([
    [
      "model",
      "tiny-byte-gpt2",
      { "model.type": "WordPiece" },
      /model\.type is "WordPiece", .*not a supported model/,
    ],
    [
      "normalizer",
      "tiny-byte-qwen2",
      { normalizer: { type: "BertNormalizer" } },
      /normalizer\.type is "BertNormalizer"/,
    ],
    [
      "pre-tokenizer",
      "tiny-byte-gpt2",
      { "pre_tokenizer.type": "Mystery" },
      /pre_tokenizer\.type is "Mystery"/,
    ],
    [
      "post-processor",
      "tiny-byte-gpt2",
      { "post_processor.type": "Mystery" },
      /post_processor\.type is "Mystery"/,
    ],
    ["decoder", "tiny-byte-gpt2", { "decoder.type": "CTC" }, /decoder\.type is "CTC"/],
    [
      "behaviour",
      "tiny-byte-gpt2",
      { pre_tokenizer: { ...word, behavior: "x", pattern: {} } },
      /behavior is "x"; expected "Removed"/,
    ],
    [
      "pattern",
      "tiny-byte-gpt2",
      { pre_tokenizer: { ...word, pattern: { Regex: "(a" } } },
      /"\(a" cannot be used/,
    ],
    [
      "group",
      "tiny-byte-gpt2",
      { pre_tokenizer: { ...word, pattern: { Regex: "(?>a)" } } },
      /the group "\(\?>a"/,
    ],
    [
      "property",
      "tiny-byte-gpt2",
      { pre_tokenizer: { ...word, pattern: { Regex: "\\p{Nope}" } } },
      /the property \{Nope\}/,
    ],
    ["id", "tiny-byte-gpt2", { "model.vocab": { a: -1 } }, /model\.vocab\.a is -1; expected a token id/],
    ["merge", "tiny-byte-gpt2", { "model.merges": ["a b c"] }, /merges\[0\] is "a b c"; expected two tokens/],
    ["merged token", "tiny-byte-gpt2", { "model.merges": [["a", "zzz"]] }, /"zzz" is not in the vocabulary/],
    [
      "unknown token",
      "tiny-bpe-unknown",
      { "model.unk_token": "?!" },
      /unk_token is "\?!"; expected a token of/,
    ],
    ["dropout", "tiny-byte-gpt2", { "model.dropout": 0.1 }, /dropout is 0\.1/],
    [
      "score",
      "tiny-unigram-charsmap",
      { "model.vocab": [["a", "b"]] },
      /vocab\[0\] is \["a","b"\]; expected a pair/,
    ],
    ["unknown id", "tiny-unigram-charsmap", { "model.unk_id": 1000 }, /unk_id is 1000; expected an id below/],
    [
      "character map",
      "tiny-unigram-charsmap",
      { "normalizer.precompiled_charsmap": "AAAA" },
      /charsmap holds 3 bytes/,
    ],
    ["template", "tiny-unigram-charsmap", { "post_processor.single": [] }, /single has 0 sequences/],
    [
      "special token",
      "tiny-unigram-charsmap",
      { "post_processor.special_tokens": {} },
      /special_tokens\.<\/s> is missing/,
    ],
    [
      "added token",
      "tiny-byte-gpt2",
      { added_tokens: [{ id: 0, content: 5 }] },
      /added_tokens\[0\]\.content is 5; expected a string/,
    ],
  ])("names the %s that is wrong", (_, name, changes, message) => {
    const error = failure(() => Tokenizer.fromFile(fileWith(name, changes)));
    expect(error).toBeInstanceOf(CheckpointError);
    expect(error.message).toMatch(message);
    expect(error.message).toMatch(/^tokenizer\.json: /);
  });

  it("names the file when it is missing or not JSON", () => {
    const missing = join(folder, "missing.json");
    expect(failure(() => Tokenizer.fromFile(missing)).message).toBe(`${missing} does not exist`);
    const path = join(folder, "broken.json");
    writeFileSync(path, "{");
    const error = failure(() => Tokenizer.fromFile(path));
    expect(error).toBeInstanceOf(CheckpointError);
    expect(error.message).toMatch(/broken\.json is not valid JSON/);
  });

  it("is told from a folder that has other files only, with what to do", () => {
    const other = mkdtempSync(join(folder, "other-"));
    writeFileSync(join(other, "tokenizer.model"), "");
    const error = failure(() => Tokenizer.fromFolder(other)) as CheckpointError;
    expect(error).toBeInstanceOf(CheckpointError);
    expect(error.message).toBe(`${other}: no tokenizer.json, found tokenizer.model`);
    expect(error.hint).toContain("save_pretrained(folder)");
    const empty = mkdtempSync(join(folder, "empty-"));
    expect(failure(() => Tokenizer.fromFolder(empty)).message).toMatch(/tokenizer\.json does not exist$/);
  });

  it("says which text a Unigram vocabulary without unk_id cannot express", () => {
    const tokenizer = Tokenizer.fromFile(fileWith("tiny-unigram-charsmap", { "model.unk_id": null }));
    expect(() => tokenizer.encode("\u4e2d")).toThrow(CheckpointError);
    expect(() => tokenizer.encode("\u4e2d")).toThrow(/cannot express "\u2581?\u4e2d"/);
  });
});

describe("a greatest length", () => {
  const tokenizer = Tokenizer.fromFile(join(fixtures, "tiny-unigram-charsmap.json"));

  it("keeps the special tokens", () => {
    const ids = tokenizer.encode("one two three", { maxLength: 3 });
    expect(ids).toHaveLength(3);
    expect(ids.at(-1)).toBe(tokenizer.eosId);
    expect(tokenizer.encode("one two three", { maxLength: 1 })).toEqual([tokenizer.eosId]);
  });

  it("without room for the special tokens is an error", () => {
    expect(() => tokenizer.encode("a", { maxLength: 0 })).toThrow(ConfigError);
    expect(() => tokenizer.encode("a", { maxLength: Number.NaN })).toThrow(/maxLength is NaN/);
    expect(tokenizer.encode("a", { maxLength: 0, addSpecialTokens: false })).toEqual([]);
  });

  it("stored in the file is not applied", () => {
    const truncation = { direction: "Right", max_length: 2, strategy: "LongestFirst", stride: 0 };
    const stored = Tokenizer.fromFile(fileWith("tiny-unigram-charsmap", { truncation }));
    expect(stored.encode("one two three")).toEqual(tokenizer.encode("one two three"));
  });
});

describe("blanks before punctuation", () => {
  // What transformers' clean_up_tokenization gives.
  const [before, after] = [
    "I do n't , you 've ; they 're ' here ' ! It 's ? I 'm . .5",
    "I don't, you've ; they're'here '! It's? I'm..5",
  ];
  function fromFolder(name: string, config: object): Tokenizer {
    fileWith(name, {});
    writeFileSync(join(folder, "tokenizer_config.json"), JSON.stringify(config));
    writeFileSync(join(folder, "special_tokens_map.json"), "{}");
    return Tokenizer.fromFolder(folder);
  }
  const byteFallback = "tiny-unigram-bytes";

  it("are taken away where tokenizer_config.json asks for it or the caller does, but not of BPE", () => {
    const asks = fromFolder(byteFallback, { clean_up_tokenization_spaces: true });
    const text = before.toLowerCase();
    const ids = asks.encode(text);
    expect(asks.decode(ids, { cleanUpSpaces: false })).toBe(text);
    expect(asks.decode(ids)).toBe(after.toLowerCase());
    const silent = fromFolder(byteFallback, {});
    expect(silent.decode(ids)).toBe(text);
    expect(silent.decode(ids, { cleanUpSpaces: true })).toBe(after.toLowerCase());
    const bpe = fromFolder("tiny-byte-llama3", { clean_up_tokenization_spaces: true });
    expect(bpe.decode(bpe.encode(before))).toBe(before);
  });
});

describe("special tokens", () => {
  function fromFolder(config: object, map: object): Tokenizer {
    fileWith("tiny-byte-qwen2", {});
    writeFileSync(join(folder, "tokenizer_config.json"), JSON.stringify(config));
    writeFileSync(join(folder, "special_tokens_map.json"), JSON.stringify(map));
    return Tokenizer.fromFolder(folder);
  }

  it("are those that tokenizer_config.json names, then special_tokens_map.json, then the customary ones", () => {
    const tokenizer = fromFolder(
      { eos_token: "<|im_end|>", bos_token: null },
      {
        eos_token: "<|endoftext|>",
        bos_token: "<|im_start|>",
        pad_token: { content: "<|im_start|>", lstrip: false },
      },
    );
    expect(tokenizer.idToToken(tokenizer.eosId!)).toBe("<|im_end|>");
    expect(tokenizer.idToToken(tokenizer.padId!)).toBe("<|im_start|>");
    expect(tokenizer.bosId).toBeNull();
    expect(fromFolder({}, {}).padId).toBe(tokenizer.tokenToId("<pad>"));
  });

  it("that are not in the vocabulary are an error", () => {
    expect(() => fromFolder({ eos_token: "<end>" }, {})).toThrow(
      /tokenizer_config\.json: eos_token is "<end>"; expected a token of the vocabulary/,
    );
  });

  it("are left out by id when decoding, also where the normalizer changes their text", () => {
    const options = { single_word: false, lstrip: false, rstrip: false, normalized: true, special: true };
    const tokenizer = Tokenizer.fromFile(
      fileWith("tiny-bpe-suffix", { added_tokens: [{ id: 1, content: "</S>", ...options }] }),
    );
    const ids = tokenizer.encode("ab </S>", { addSpecialTokens: false });
    expect(ids.at(-1)).toBe(tokenizer.tokenToId("</S>"));
    expect(tokenizer.decode(ids)).not.toContain("s>");
    expect(tokenizer.decode(ids, { skipSpecialTokens: false })).toContain("</s>");
  });

  it("outside the vocabulary are passed over", () => {
    const tokenizer = Tokenizer.fromFile(join(fixtures, "tiny-byte-gpt2.json"));
    const ids = tokenizer.encode("hello");
    expect(tokenizer.decode([...ids, 99999, -1])).toBe(tokenizer.decode(ids));
    expect(tokenizer.idToToken(99999)).toBeNull();
    expect(tokenizer.tokenToId("no such token")).toBeNull();
  });
});
