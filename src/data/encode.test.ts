import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Tokenizer } from "../io/tokenizer/tokenizer.js";
import type { LengthReport as EventLengthReport } from "../learn/events.js";
import { packageRoot } from "../tensor/native.js";
import { DEFAULT_ENCODE_OPTIONS, encodeExample, encodePrompt, type TextEncoder } from "./encode.js";
import { type LengthReport, lengthReport } from "./lengths.js";

/** A real, if simple, tokenizer: one id per word (its number in the vocabulary), 1 at the end. */
class WordTokenizer implements TextEncoder {
  readonly words = ["<pad>", "</s>"];

  encode(
    text: string,
    options: { addSpecialTokens?: boolean | "before"; maxLength?: number } = {},
  ): number[] {
    const ids = (text.match(/\S+/g) ?? []).map((word) => {
      if (!this.words.includes(word)) this.words.push(word);
      return this.words.indexOf(word);
    });
    return [...ids.slice(0, (options.maxLength ?? Number.POSITIVE_INFINITY) - 1), 1];
  }

  decode(ids: readonly number[]): string {
    return ids.map((id) => this.words[id]).join(" ");
  }
}

const parts = { head: "Option: x, y \n", body: "one two three four five six\n", suffix: "\nAnswer:" };
const example = { input: parts.head + parts.body + parts.suffix, output: "a label", parts };

test("a source within the limit is left whole, whichever cut is chosen", () => {
  for (const truncate of ["end", "body"] as const) {
    const tokenizer = new WordTokenizer();
    const encoded = encodeExample(tokenizer, example, {
      truncate,
      sourceLimit: 11,
      targetLimit: 3,
      endId: null,
    });
    expect(tokenizer.decode(encoded.source)).toBe("Option: x, y one two three four five six Answer: </s>");
    expect(tokenizer.decode(encoded.target)).toBe("a label </s>");
    expect(encoded.sourceLength).toBe(11);
  }
});

test('the cut "end" loses the answer line, the cut "body" keeps it and as much of the sentence as fits', () => {
  const tokenizer = new WordTokenizer();
  const cut = (truncate: "end" | "body", sourceLimit: number) => {
    const encoded = encodeExample(tokenizer, example, { truncate, sourceLimit, targetLimit: 2, endId: null });
    expect(encoded).toMatchObject({ sourceLength: 11, targetLength: 3 });
    expect(tokenizer.decode(encoded.target)).toBe("a </s>");
    return tokenizer.decode(encoded.source);
  };
  expect(cut("end", 7)).toBe("Option: x, y one two three </s>");
  expect(cut("body", 7)).toBe("Option: x, y one two Answer: </s>");
  expect(cut("body", 10)).toBe("Option: x, y one two three four five Answer: </s>");
  expect(cut("body", 5)).toBe("Option: x, y Answer: </s>");
  expect(() => cut("body", 4)).toThrowError(
    /without its sentence is 5 tokens long, but the source limit is 4/,
  );
});

test("an example without parts is all body", () => {
  const tokenizer = new WordTokenizer();
  const plain = { input: "one two three four", output: "x" };
  const encoded = encodeExample(tokenizer, plain, {
    truncate: "body",
    sourceLimit: 3,
    targetLimit: 2,
    endId: null,
  });
  expect(tokenizer.decode(encoded.source)).toBe("one two </s>");
});

test("the length report counts real lengths before the cut, and fits the event of the same name", () => {
  const rows = Array.from({ length: 100 }, (_, index) => ({
    sourceLength: 100 - index,
    targetLength: 2 + (index % 2),
  }));
  const report: LengthReport = lengthReport("t", "train", rows, { sourceLimit: 90, targetLimit: 2 });
  const event: EventLengthReport = report;
  expect(event).toEqual({
    task: "t",
    split: "train",
    rows: 100,
    median: 50,
    p95: 95,
    max: 100,
    truncated: 10,
    limit: 90,
    targetsTruncated: 50,
  });
});

describe.each([
  ["SentencePiece with a beginning token", "tiny-sp-bpe-bytes.json", "<s>"],
  ["byte-level BPE with a beginning token", "tiny-byte-llama3.json", "<|begin_of_text|>"],
  ["byte-level BPE without one", "tiny-byte-qwen2.json", ""],
])("a row for a decoder-only model, %s", (_, file, start) => {
  const tokenizer = Tokenizer.fromFile(join(packageRoot, "test/fixtures/tokenizers", file));
  const endId = 2;
  const options = { ...DEFAULT_ENCODE_OPTIONS, endId };
  const textOf = (ids: readonly number[]) => tokenizer.decode(ids, { skipSpecialTokens: false });
  const prompt = "Option: World, Sports \nSome news.\nAnswer:";

  test("has one beginning token, and reads as prompt, blank, answer; the end token ends the target alone", () => {
    const { source, target } = encodeExample(tokenizer, { input: prompt, output: "World" }, options);
    const beginning = start === "" ? [] : [tokenizer.tokenToId(start)!];
    expect(source).toEqual(tokenizer.encode(prompt, { addSpecialTokens: "before" }));
    expect(source.slice(0, 2).filter((id) => beginning.includes(id))).toEqual(beginning);
    expect(target.at(-1)).toBe(endId);
    expect(target.slice(0, -1)).not.toContain(endId);
    expect(textOf([...source.slice(beginning.length), ...target.slice(0, -1)])).toBe(`${prompt} World`);
  });

  test("is, token for token, what prompt and answer are as one text", () => {
    const word = fc.stringMatching(/^[A-Za-z,.&é]{1,8}$/);
    const words = fc.array(word, { minLength: 1, maxLength: 5 }).map((list) => list.join(" "));
    fc.assert(
      fc.property(words, words, (input, output) => {
        const { source, target } = encodeExample(
          tokenizer,
          { input, output },
          { ...options, targetLimit: 200 },
        );
        expect(target.at(-1)).toBe(endId);
        const joint = tokenizer.encode(`${input} ${output}`, { addSpecialTokens: "before" });
        expect([...source, ...target.slice(0, -1)]).toEqual(joint);
      }),
      { numRuns: 200 },
    );
  });

  test("goes on without a blank behind one, and behind a new line", () => {
    for (const input of ["Answer: ", "Answer:\n"]) {
      const { source, target } = encodeExample(tokenizer, { input, output: "World" }, options);
      expect(source).toEqual(encodePrompt(tokenizer, input));
      expect(
        textOf([...source, ...target.slice(0, -1)])
          .replace(start, "")
          .trimStart(),
      ).toBe(`${input}World`);
    }
  });

  test("has one beginning token too where the prompt spells it", () => {
    expect(encodePrompt(tokenizer, `${start}Some news`)).toEqual(encodePrompt(tokenizer, "Some news"));
  });

  test("keeps beginning and end token when source and target are cut", () => {
    const cut = { ...options, sourceLimit: 9, targetLimit: 3 };
    const { source, target, targetLength } = encodeExample(
      tokenizer,
      { input: prompt, output: "a very long answer indeed" },
      cut,
    );
    expect(source).toEqual(encodePrompt(tokenizer, prompt).slice(0, 9));
    expect(target).toHaveLength(3);
    expect(target.at(-1)).toBe(endId);
    expect(targetLength).toBeGreaterThan(5);
    const body = encodeExample(
      tokenizer,
      { input: prompt, output: "x", parts: { head: "", body: prompt.slice(0, -8), suffix: "\nAnswer:" } },
      { ...options, truncate: "body", sourceLimit: 30 },
    );
    expect(textOf(body.source)).toMatch(/\nAnswer:$/);
    expect(body.source.length).toBeLessThanOrEqual(30);
  });

  test("cannot begin with nothing", () => {
    if (start !== "") expect(encodePrompt(tokenizer, "")).toHaveLength(1);
    else expect(() => encodePrompt(tokenizer, "")).toThrowError(/a prompt is empty/);
  });
});
