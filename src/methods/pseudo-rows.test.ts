import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { EncodedExample } from "../data/encode.js";
import { DataError } from "../errors.js";
import { Rng } from "../random.js";
import { readRow, writeRows, writingOf, writtenTask } from "./pseudo-rows.js";

const ends = { eosId: 1, endIds: [1, 2] };
const row = (source: number[], target: number[]): EncodedExample => {
  return { source, target, sourceLength: source.length, targetLength: target.length };
};
const text = fc.array(fc.integer({ min: 3, max: 20 }), { minLength: 1, maxLength: 8 });

it.each(["seq2seq", "causal"] as const)("what is written of a row reads back as the row (%s)", (family) => {
  fc.assert(
    fc.property(text, text, (source, answer) => {
      const whole = row(family === "seq2seq" ? [...source, 1] : source, [...answer, 1]);
      const writing = writingOf(whole, ends);
      expect(writing.source).toEqual([1]);
      expect(writing.target).toEqual([...source, 1, ...answer, 1]);
      expect(readRow(writing.target, { answers: [[...answer, 1]] }, ends, family)).toEqual(whole);
      expect(readRow(writing.target, { answers: null }, ends, family)).toEqual(whole);
      // Another task's answer, half a row and a row without a text are none.
      expect(readRow(writing.target, { answers: [[...answer, 21, 1]] }, ends, family)).toBeNull();
      expect(readRow(writing.target.slice(0, -1), { answers: null }, ends, family)).toBeNull();
      expect(readRow(writing.target.slice(source.length), { answers: null }, ends, family)).toBeNull();
      expect(readRow(source, { answers: null }, ends, family)).toBeNull();
    }),
  );
});

it("refuses a source with an end token inside, which would end it there", () => {
  expect(() => writingOf(row([5, 2, 6, 1], [7, 1]), ends)).toThrow(DataError);
});

describe("rows written of a task", () => {
  const rows = Array.from({ length: 100 }, (_, i) => row([5, 3 + (i % 9), 1], [i % 3 === 0 ? 7 : 8, 1]));
  const task = writtenTask("alpha", rows, true);
  const read = (ids: readonly number[]) => readRow(ids, task, ends, "seq2seq");

  it("remembers size, answers and the longest row", () => {
    expect(task).toEqual({
      name: "alpha",
      rows: 100,
      answers: [
        [7, 1],
        [8, 1],
      ],
      longest: 6,
    });
    expect(writtenTask("beta", rows, false).answers).toBeNull();
  });

  it("are as many of every answer as of any other", () => {
    let drawn = 0;
    // One answer is written four times as often.
    const write = (count: number) =>
      Array.from({ length: count }, () => [9, 1, drawn++ % 5 === 0 ? 7 : 8, 1]);
    const made = writeRows(task, 0.1, write, read, new Rng(1));
    expect(made.rows.filter(({ target }) => target[0] === 7)).toHaveLength(5);
    expect(made.rows).toHaveLength(10);
    expect(made.yield).toMatchObject({ taken: 10 });
    expect(made.yield.written).toBeGreaterThan(10);
  });

  it("are at least one of every answer, none at fraction 0, and fewer when writing fails", () => {
    const alternate = (count: number) => Array.from({ length: count }, (_, i) => [9, 1, 7 + (i % 2), 1]);
    expect(writeRows(task, 0.001, alternate, read, new Rng(1)).rows).toHaveLength(2);
    expect(writeRows(task, 0, alternate, read, new Rng(1))).toEqual({
      rows: [],
      yield: { written: 0, usable: 0, taken: 0 },
    });
    const spoilt = (count: number) => Array.from({ length: count }, () => [9, 9, 9]);
    expect(writeRows(task, 0.05, spoilt, read, new Rng(1)).yield).toEqual({
      written: 20,
      usable: 0,
      taken: 0,
    });
  });
});
