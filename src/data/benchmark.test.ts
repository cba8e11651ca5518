import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { loadBenchmark } from "./benchmark.js";
import { CATALOG } from "./catalog.js";

const folder = mkdtempSync(join(tmpdir(), "nlora-data-"));
afterAll(() => rmSync(folder, { recursive: true }));

let files = 0;
/** Writes a file under a fresh folder and returns that folder. */
function root(contents: Record<string, string>): string {
  const base = join(folder, `${files++}`);
  for (const [path, content] of Object.entries(contents)) {
    mkdirSync(dirname(join(base, path)), { recursive: true });
    writeFileSync(join(base, path), content);
  }
  return base;
}

const row = (label: string, sentence: string) => JSON.stringify({ label, sentence });
const array = (...rows: string[]) => `[\n${rows.join(",\n")}\n]\n`;
const copa = (train: string, test = array(row("B", "test"))) =>
  root({ "COPA/COPA/train.json": train, "COPA/COPA/test.json": test, "COPA/COPA/labels.json": '["A", "B"]' });
const options = { seed: 1, identity: "task+dataset" as const };
const loadCopa = (train: string) => loadBenchmark(copa(train), ["COPA"], options);

describe("the benchmark layout", () => {
  test("rows become prompts with their labels, text left as it is", () => {
    const { stream, notes } = loadCopa(array(row("A", 'a literal \\n and a "quote"\n'), row("B", "two")));
    expect(stream.tasks[0]).toMatchObject({ name: "COPA", labels: ["A", "B"] });
    expect(stream.tasks[0]!.train.map((example) => [example.input, example.output])).toEqual([
      ['Task:COPA\nDataset:COPA\na literal \\n and a "quote"\n\nAnswer:', "A"],
      ["Task:COPA\nDataset:COPA\ntwo\nAnswer:", "B"],
    ]);
    expect(notes).toEqual([]);
  });

  test("with a shuffled identity every row names a dataset of the stream, and nothing else changes", () => {
    const rows = array(...Array.from({ length: 60 }, (_, k) => row("A", `row ${k}`)));
    const labels = '["A", "B"]';
    const folders = ["COPA/COPA", "NLI/RTE", "WiC/WiC"].flatMap((name) => [
      [`${name}/train.json`, rows],
      [`${name}/test.json`, rows],
      [`${name}/labels.json`, labels],
    ]);
    const base = root(Object.fromEntries(folders) as Record<string, string>);
    const load = (identity: "none" | "shuffled", seed = 1) =>
      loadBenchmark(base, ["COPA", "RTE", "WiC"], { seed, identity }).stream.tasks;
    const plain = load("none");
    const shuffled = load("shuffled");
    for (const [t, task] of shuffled.entries()) {
      for (const split of ["train", "test"] as const) {
        const heads = task[split].map((example, k) => {
          const [family, dataset, ...rest] = example.input.split("\n");
          expect(rest.join("\n")).toBe(plain[t]![split][k]!.input);
          return `${family} ${dataset}`;
        });
        const named = ["Task:COPA Dataset:COPA", "Task:NLI Dataset:RTE", "Task:WiC Dataset:WiC"];
        expect([...new Set(heads)].sort()).toEqual(named);
        for (const name of named) expect(heads.filter((head) => head === name).length).toBeGreaterThan(8);
      }
    }
    expect(load("shuffled")).toEqual(shuffled);
    expect(load("shuffled", 2)).not.toEqual(shuffled);
  });

  test.each([
    ["an empty file", " \n", /train\.json: the file is empty/],
    ["an empty array", "[]", /train\.json: the file has no rows/],
    ["an object", '{"label": "A"}', /expected a JSON array of rows, found an object/],
    [
      "a cut-off file",
      `[\n${row("A", "x")},\n{"label": "A", "sen`,
      /train\.json, line 3: not valid JSON: \{"label": "A", "sen/,
    ],
    ["a file without its end", `[\n${row("A", "x")}\n`, /train\.json, line 2: not valid JSON/],
    [
      "a broken row",
      array(row("A", "x"), '{"label": "A" "y"}', row("B", "z")),
      /train\.json, line 3: not valid JSON/,
    ],
    ["a missing comma", `[\n${row("A", "x")}\n${row("A", "y")}\n]`, /train\.json, line 2: not valid JSON/],
    [
      "a missing field",
      array(row("A", "x"), '{"label": "A", "text": "y"}'),
      /line 3 \(row 2\): the field "sentence" is missing \(fields found: label, text\)/,
    ],
    [
      "a field that is no string",
      array('{"label": 1, "sentence": "y"}'),
      /line 2 \(row 1\): the field "label" must be a string, found the number 1/,
    ],
    ["a blank sentence", array(row("A", " ")), /line 2 \(row 1\): the field "sentence" is blank/],
    ["a row that is no object", array("null"), /row 1: expected an object, found null/],
    [
      "an unknown label",
      array(row("A", "x"), row("C", "y")),
      /line 3 \(row 2\): the label "C" is not in the label set \(A, B\)/,
    ],
    [
      "an error in a file of one line",
      `[${row("A", "x")}, ${row("C", "y")}]`,
      /train\.json, row 2: the label "C"/,
    ],
  ])("%s is refused with its place", (_, train, message) => {
    expect(() => loadCopa(train)).toThrowError(
      expect.objectContaining({ code: "data", message: expect.stringMatching(message) }),
    );
  });

  test("a missing folder or file and an unknown or repeated dataset are refused, naming what was looked for", () => {
    const base = copa(array(row("A", "x")));
    expect(() => loadBenchmark(base, ["RTE"], options)).toThrowError(`no folder ${join(base, "NLI", "RTE")}`);
    expect(() => loadBenchmark(base, ["SST2"], options)).toThrowError(/no dataset named "SST2"/);
    expect(() => loadBenchmark(base, ["COPA", "COPA"], options)).toThrowError(
      /"COPA" is in the stream twice/,
    );
    expect(() => loadBenchmark(base, [], options)).toThrowError(/at least one task/);
    rmSync(join(base, "COPA/COPA/test.json"));
    expect(() => loadBenchmark(base, ["COPA"], options)).toThrowError(/test\.json: no such file/);
  });

  test('MNLI rows labelled "-" are left out and counted', () => {
    const base = root({
      "NLI/MNLI/train.json": array(row("neutral", "x")),
      "NLI/MNLI/test.json": array(row("-", "a"), row("neutral", "b"), row("-", "c")),
      "NLI/MNLI/labels.json": '["neutral", "entailment", "contradiction"]',
    });
    const { stream, notes } = loadBenchmark(base, ["MNLI"], options);
    expect(stream.tasks[0]!.test.length).toBe(1);
    expect(notes).toEqual(['MNLI: 2 test rows labelled "-" (no agreed answer) left out']);
  });

  test("a row cap keeps the labels' shares, is seeded and noted", () => {
    const rows = Array.from({ length: 40 }, (_, index) => row(index % 4 === 0 ? "A" : "B", `${index}`));
    const base = copa(array(...rows));
    const load = (seed: number) => loadBenchmark(base, ["COPA"], { ...options, seed, trainRows: 8 });
    const train = load(1).stream.tasks[0]!.train;
    expect(train.map((example) => example.output).sort()).toEqual(["A", "A", "B", "B", "B", "B", "B", "B"]);
    expect(load(1)).toEqual(load(1));
    expect(load(1).stream).not.toEqual(load(2).stream);
    expect(load(1).notes).toEqual(["COPA: 8 of 40 train rows (stratified sample, seed 1)"]);
    expect(() => loadBenchmark(base, ["COPA"], { ...options, trainRows: 0 })).toThrowError(/found 0/);
  });

  test("a hold-out tests on train rows only, and no held-out text stays in train", () => {
    const texts = Array.from({ length: 40 }, (_, index) => `text ${index % 35}`);
    const base = copa(array(...texts.map((text, index) => row(index % 2 ? "A" : "B", text))));
    const { stream, notes } = loadBenchmark(base, ["COPA"], { ...options, holdOut: { fraction: 0.25 } });
    const { train, test: held } = stream.tasks[0]!;
    expect(held.length).toBe(10);
    expect(held.some((example) => example.parts!.body === "test")).toBe(false);
    const inTrain = new Set(train.map((example) => example.input));
    expect(held.filter((example) => inTrain.has(example.input))).toEqual([]);
    expect(notes[0]).toMatch(/^COPA: tested on 10 rows held out of train \(seed 1\), \d+ remain/);
  });

  const shared = join(process.env.NLORA_SHARED ?? resolve("../shared"), "data/cl-benchmark");
  test.skipIf(!existsSync(shared))("all fifteen real datasets load (needs ../shared)", () => {
    const names = CATALOG.map((entry) => entry.name);
    const { stream, notes } = loadBenchmark(shared, names, options);
    expect(stream.tasks.reduce((sum, task) => sum + task.train.length, 0)).toBe(36366);
    expect(stream.tasks.reduce((sum, task) => sum + task.test.length, 0)).toBe(16095);
    expect(notes).toEqual([]);
  });
});
