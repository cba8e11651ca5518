import { expect, test } from "vitest";
import type { LengthReport as EventLengthReport } from "../learn/events.js";
import { encodeExample, type TextEncoder } from "./encode.js";
import { type LengthReport, lengthReport } from "./lengths.js";

/** A real, if simple, tokenizer: one id per word (its number in the vocabulary), 1 at the end. */
class WordTokenizer implements TextEncoder {
  readonly words = ["<pad>", "</s>"];

  encode(text: string, options: { addSpecialTokens?: boolean; maxLength?: number } = {}): number[] {
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
    const encoded = encodeExample(tokenizer, example, { truncate, sourceLimit: 11, targetLimit: 3 });
    expect(tokenizer.decode(encoded.source)).toBe("Option: x, y one two three four five six Answer: </s>");
    expect(tokenizer.decode(encoded.target)).toBe("a label </s>");
    expect(encoded.sourceLength).toBe(11);
  }
});

test('the cut "end" loses the answer line, the cut "body" keeps it and as much of the sentence as fits', () => {
  const tokenizer = new WordTokenizer();
  const cut = (truncate: "end" | "body", sourceLimit: number) => {
    const encoded = encodeExample(tokenizer, example, { truncate, sourceLimit, targetLimit: 2 });
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
  const encoded = encodeExample(tokenizer, plain, { truncate: "body", sourceLimit: 3, targetLimit: 2 });
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
