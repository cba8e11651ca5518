import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { Tokenizer } from "../io/tokenizer/tokenizer.js";
import { encodeExample } from "./encode.js";
import { syntheticStream, syntheticTaskNames } from "./synthetic.js";
import { ASIDES, SLOTS, SYNTHETIC_TASKS } from "./synthetic-words.js";

const stream = syntheticStream({ seed: 1, trainRows: 500, testRows: 100 });

test("the bundled stream has four tasks with disjoint label sets, evenly filled", () => {
  expect(stream.tasks.length).toBe(4);
  const labels = stream.tasks.flatMap((task) => task.labels ?? []);
  expect(new Set(labels).size).toBe(20);
  for (const task of stream.tasks) {
    for (const label of task.labels!) {
      expect(task.train.filter((row) => row.output === label).length).toBe(100);
      expect(task.test.filter((row) => row.output === label).length).toBe(20);
    }
  }
});

test("no text occurs twice, neither within a split nor across train and test", () => {
  for (const task of stream.tasks) {
    const texts = [...task.train, ...task.test].map((row) => row.input);
    expect(new Set(texts).size).toBe(600);
  }
});

test("the same seed gives the same stream; another seed gives other texts", () => {
  const options = { seed: 1, trainRows: 500, testRows: 100 };
  expect(syntheticStream(options)).toEqual(stream);
  expect(syntheticStream({ ...options, seed: 2 }).tasks[0]!.test[0]).not.toEqual(stream.tasks[0]!.test[0]);
  expect(syntheticStream({ ...options, trainRows: 20 }).tasks[3]!.test).toEqual(stream.tasks[3]!.test);
});

test("every text is in the benchmark's format, with no slot left open", () => {
  for (const [index, task] of stream.tasks.entries()) {
    const words = SYNTHETIC_TASKS[index]!;
    const head = `Task:${words.family}\nDataset:${task.name}\n${words.instruction}\nOption: ${task.labels!.join(", ")} \n`;
    for (const row of [...task.train, ...task.test]) {
      expect(row.input.startsWith(head)).toBe(true);
      expect(row.input.endsWith("\nAnswer:")).toBe(true);
      expect(row.input).toBe(row.parts!.head + row.parts!.body + row.parts!.suffix);
      expect(row.input).not.toMatch(/[{}]|undefined/);
    }
  }
});

test("cues are distinct, never contain a label of their task, and no neutral word names one", () => {
  for (const words of SYNTHETIC_TASKS) {
    const cues = Object.values(words.cues).flat();
    expect(new Set(cues).size).toBe(cues.length);
    const neutral = [...Object.values(SLOTS).flat(), ...ASIDES, ...words.templates];
    for (const label of Object.keys(words.cues)) {
      for (const phrase of [...cues, ...neutral])
        expect(phrase).not.toMatch(new RegExp(`\\b${label}\\b`, "i"));
    }
  }
});

test("every text carries two nouns of its own label; two thirds and more also carry one of another label", () => {
  for (const [index, task] of stream.tasks.entries()) {
    const cues = SYNTHETIC_TASKS[index]!.cues;
    const others = task.test.map((row) => {
      const nouns = new Set(row.parts!.body.toLowerCase().match(/[a-z]+/g));
      const found = (label: string) => cues[label]!.filter((noun) => nouns.has(noun)).length;
      expect(found(row.output)).toBeGreaterThanOrEqual(2);
      return task.labels!.some((label) => label !== row.output && found(label) > 0);
    });
    expect(others.filter(Boolean).length).toBeGreaterThan((others.length * 2) / 3);
    expect(others.filter(Boolean).length).toBeLessThan(others.length);
  }
});

test("with the bundled tokenizer labels take one or two pieces, texts 40 to 100 tokens, and nothing is unknown", () => {
  const tokenizer = Tokenizer.fromFile(
    fileURLToPath(new URL("../../assets/t5-mini/tokenizer.json", import.meta.url)),
  );
  for (const task of stream.tasks) {
    for (const row of task.train) {
      const { source, target } = encodeExample(tokenizer, row);
      expect(source.length).toBeGreaterThanOrEqual(40);
      expect(source.length).toBeLessThanOrEqual(100);
      expect(source).not.toContain(tokenizer.unkId);
      expect(target.length).toBeLessThanOrEqual(3); // the end token included
    }
  }
});

test("a number of rows that is no positive integer is refused", () => {
  expect(() => syntheticStream({ seed: 1, trainRows: 0, testRows: 1 })).toThrowError(/trainRows.*found 0/);
});

test("a long stream has as many tasks as asked for, each with names of its own for three subjects", () => {
  const long = syntheticStream({ kind: "long", seed: 1, tasks: 120, trainRows: 9, testRows: 3 });
  expect(long.tasks.map(({ name }) => name)).toEqual(syntheticTaskNames("long", 120));
  expect(new Set(long.tasks.map(({ name }) => name)).size).toBe(120);
  for (const task of long.tasks) {
    expect(new Set(task.labels).size).toBe(3);
    expect(task.train.every((row) => row.input.includes(`Dataset:${task.name}\n`))).toBe(true);
    for (const label of task.labels!) expect(task.train.filter((row) => row.output === label).length).toBe(3);
  }
  // The same names stand for different subjects in different tasks.
  expect(new Set(long.tasks.map(({ labels }) => labels!.toSorted().join())).size).toBeGreaterThan(90);
  const again = syntheticStream({ kind: "long", seed: 1, tasks: 120, trainRows: 9, testRows: 3 });
  expect(again).toEqual(long);
});

test("a drifting stream asks the same all along, and exchanges two labels' meaning from phase to phase", () => {
  const drift = syntheticStream({ kind: "drift", seed: 3, tasks: 6, trainRows: 200, testRows: 5 });
  const nouns = SYNTHETIC_TASKS.flatMap(({ cues }) => Object.values(cues));
  // Which subject a label's texts are about: the one whose nouns occur in all of them.
  const subjectOf = (phase: number, label: string) => {
    const texts = drift.tasks[phase]!.train.filter((row) => row.output === label).map(
      (row) => row.parts!.body,
    );
    return nouns.findIndex((words) =>
      texts.every((text) => words.some((word) => new RegExp(`\\b${word}\\b`, "i").test(text))),
    );
  };
  const labels = drift.tasks[0]!.labels!;
  const meanings = drift.tasks.map((_, phase) => labels.map((label) => subjectOf(phase, label)));
  for (const [phase, meaning] of meanings.entries()) {
    expect(meaning).not.toContain(-1);
    expect(drift.tasks[phase]!.labels).toEqual(labels);
    expect(drift.tasks[phase]!.train[0]!.parts!.head).toBe(drift.tasks[0]!.train[0]!.parts!.head);
    if (phase > 0) expect(meaning.filter((subject, i) => subject !== meanings[phase - 1]![i]).length).toBe(2);
  }
});

test("a drifting stream that recurs means again what it meant, in other words", () => {
  const rows = { trainRows: 100, testRows: 5 };
  const { tasks } = syntheticStream({ kind: "drift", seed: 3, tasks: 5, recurAfter: 2, ...rows });
  const nouns = SYNTHETIC_TASKS.flatMap(({ cues }) => Object.values(cues).flat());
  const nounsOf = (phase: number) => {
    const { labels, train } = tasks[phase]!;
    return labels!.map((label) => {
      const texts = train.filter(({ output }) => output === label).map(({ parts }) => parts!.body);
      // A noun that is beside the point is rarer than one that is not.
      const counts = nouns.map(
        (noun) => texts.filter((text) => new RegExp(`\\b${noun}\\b`, "i").test(text)).length,
      );
      return nouns[counts.indexOf(Math.max(...counts))]!;
    });
  };
  const groupOf = (noun: string) =>
    SYNTHETIC_TASKS.flatMap(({ cues }) => Object.values(cues)).findIndex((words) => words.includes(noun));
  const groups = tasks.map((_, phase) => nounsOf(phase).map(groupOf));
  expect(groups[2]).toEqual(groups[0]);
  expect(groups[3]).toEqual(groups[1]);
  expect(groups[4]).toEqual(groups[0]);
  expect(groups[1]).not.toEqual(groups[0]);
  expect(tasks[2]!.train.map(({ input }) => input)).not.toEqual(tasks[0]!.train.map(({ input }) => input));
});
