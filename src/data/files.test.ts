import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { packageRoot } from "../tensor/native.js";
import type { Message } from "./chat.js";
import { type FileOptions, type FileTask, loadFiles } from "./files.js";
import type { Task } from "./task.js";

const folder = mkdtempSync(join(tmpdir(), "nlora-files-"));
afterAll(() => rmSync(folder, { recursive: true }));
const fixture = (name: string) => join(packageRoot, "test/fixtures/parquet", name);

let files = 0;
function file(content: string, extension = "jsonl"): string {
  const path = join(folder, `${files++}.${extension}`);
  writeFileSync(path, content);
  return path;
}
const lines = (...rows: readonly object[]) => file(rows.map((row) => JSON.stringify(row)).join("\n"));

/** A chat template of the plainest kind. */
const render = (messages: readonly Message[]) =>
  `${messages.map(({ role, content }) => `<${role}>${content}`).join("")}<assistant>`;

const defaults = { labels: null, format: "auto", columns: {}, prompt: null, instruction: null } as const;
const options: FileOptions = { seed: 1, incomplete: "error", chat: async () => render };

/** Loads one task that is tested on what it is trained on. */
async function load(path: string, task: Partial<FileTask> = {}, more: Partial<FileOptions> = {}) {
  const source = { ...defaults, name: "mine", train: [path], test: [path], ...task };
  const { stream, notes } = await loadFiles([source], { ...options, ...more });
  return { task: stream.tasks[0]!, notes };
}
const pairs = (task: Task) => task.train.map(({ input, output }) => [input, output]);
const loadPairs = async (path: string, task: Partial<FileTask> = {}) => pairs((await load(path, task)).task);

describe("the shape of rows is found", () => {
  test.each<[string, object[], [string, string][], RegExp]>([
    [
      "input and output",
      [{ input: "a", output: "b" }],
      [["a", "b"]],
      /input-output \(jsonl\): input from input, output from output; free text/,
    ],
    [
      "prompt and completion",
      [{ prompt: "a", completion: "b", id: 1 }],
      [["a", "b"]],
      /prompt-completion.*not used: id/,
    ],
    ["question and answer", [{ question: "a", answer: "b" }], [["a", "b"]], /question-answer/],
    [
      "text and label",
      [
        { text: "a", label: "y" },
        { text: "b", label: "x" },
      ],
      [
        ["a", "y"],
        ["b", "x"],
      ],
      /text-label.*; 2 labels/,
    ],
    ["sentence and label", [{ sentence: "a", label: "y" }], [["a", "y"]], /text-label.*input from sentence/],
  ])("as %s", async (_, rows, expected, note) => {
    const { task, notes } = await load(lines(...rows));
    expect(pairs(task)).toEqual(expected);
    expect(notes[0]).toMatch(note);
    expect(notes[0]).toMatch(/^mine: read as /);
  });

  test("as Alpaca's, with its prompt, and without the input part where a row has none", async () => {
    const path = lines(
      { instruction: "Add.", input: "1 and 2", output: "3" },
      { instruction: "Say hello.", input: "", output: "hello" },
      { instruction: "Say bye.", input: null, output: "bye" },
    );
    const { task } = await load(path);
    expect(task.train[0]!.input).toBe(
      "Below is an instruction that describes a task, paired with an input that provides further context. Write a response that appropriately completes the request.\n\n### Instruction:\nAdd.\n\n### Input:\n1 and 2\n\n### Response:",
    );
    expect(task.train[0]!.parts!.body).toBe("1 and 2");
    expect(task.train[1]!.input).toBe(
      "Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n### Instruction:\nSay hello.\n\n### Response:",
    );
    expect(task.train.map(({ output }) => output)).toEqual(["3", "hello", "bye"]);
    const without = lines({ instruction: "Say hello.", output: "hello" });
    expect((await load(without)).notes[0]).toMatch(
      /read as alpaca \(jsonl\): instruction from instruction, output/,
    );
  });

  test("as conversations, of which the last answer is learned", async () => {
    const chat = [
      { role: "system", content: "Be brief." },
      { role: "user", content: "2 + 2?" },
      { role: "assistant", content: "4" },
      { role: "user", content: "3 + 3?" },
      { role: "assistant", content: " 6 " },
      { role: "user", content: "Thanks." },
    ];
    const source = "<system>Be brief.<user>2 + 2?<assistant>4<user>3 + 3?<assistant>";
    const { task } = await load(lines({ messages: chat }));
    expect(pairs(task)).toEqual([[source, "6"]]);
    expect(task.train[0]!.parts).toMatchObject({ body: "3 + 3?", suffix: "<assistant>" });
    const from: Record<string, string> = { system: "system", user: "human", assistant: "gpt" };
    const shared = chat.map(({ role, content }) => ({ from: from[role], value: content }));
    expect(await loadPairs(lines({ id: 7, conversations: shared }))).toEqual([[source, "6"]]);
    expect(await loadPairs(fixture("chat.parquet"))).toEqual([
      ["<user>What is 2 + 2?<assistant>4<user>And 3 + 3?<assistant>", "6"],
    ]);
    const parts = [{ role: "user", content: [{ type: "text", text: "Hi" }] }, chat[2]!];
    expect(await loadPairs(lines({ messages: parts }))).toEqual([["<user>Hi<assistant>", "4"]]);
  });

  test("the more telling of two shapes is meant, and two that tell as much are an error that lists them", async () => {
    expect((await load(lines({ instruction: "a", input: "b", output: "c" }))).notes[0]).toMatch(
      /read as alpaca/,
    );
    const both = lines({ question: "a", answer: "b", text: "c", label: "d" });
    await expect(load(both)).rejects.toThrowError(
      "the columns fit question-answer (question, answer) and text-label (text, label); columns found: question, answer, text, label",
    );
    expect(await loadPairs(both, { format: "question-answer" })).toEqual([["a", "b"]]);
    expect(await loadPairs(both, { columns: { input: "text", output: "answer" } })).toEqual([["c", "b"]]);
  });

  test("no known shape is an error that lists what there is and what there could be", async () => {
    const path = lines({ body: "a", stars: 5 });
    await expect(load(path)).rejects.toThrowError(
      /the columns fit no known format; columns found: body, stars; expected messages \(messages\), .*text-label \(text, label\)/,
    );
    await expect(load(path, { format: "alpaca" })).rejects.toThrowError(
      /fit not alpaca; .* expected alpaca \(input\?, output, instruction\)/,
    );
    await expect(load(path, { columns: { input: "Body", output: "stars" } })).rejects.toThrowError(
      /there is no column "Body"; columns found: body, stars/,
    );
    await expect(load(path, { columns: { output: "stars" } })).rejects.toThrowError(
      /fit not input-output|no known format/,
    );
  });
});

describe("columns and prompts", () => {
  const nli = lines(
    { premise: "It rains.", hypothesis: "It is wet.", label: 0, meta: { source: { id: "x1" } } },
    { premise: "It rains a lot.", hypothesis: "No.", label: 1, meta: { source: { id: "x2" } } },
  );

  test("a prompt is filled from the columns, and its longest column is what a cut may shorten", async () => {
    const { task, notes } = await load(nli, {
      prompt: "{{premise}} {premise}\n{meta.source.id} hypothesis: {hypothesis}\nAnswer:",
      columns: { output: "label" },
      labels: ["yes", "no"],
    });
    expect(pairs(task)).toEqual([
      ["{premise} It rains.\nx1 hypothesis: It is wet.\nAnswer:", "yes"],
      ["{premise} It rains a lot.\nx2 hypothesis: No.\nAnswer:", "no"],
    ]);
    expect(task.train.map(({ parts }) => parts!.body)).toEqual(["It is wet.", "It rains a lot."]);
    expect(notes[0]).not.toMatch(/not used/);
  });

  test("an instruction goes before the text with the labels to choose from, as in the benchmark", async () => {
    const path = lines({ text: "Great.", label: "good" }, { text: "Awful.", label: "bad" });
    const { task } = await load(path, { instruction: "Which mood?" });
    expect(task.train[0]!.input).toBe("Which mood?\nOption: bad, good \nGreat.\nAnswer:");
    const free = await load(lines({ input: "a", output: "b" }), { instruction: "Answer the question." });
    expect(free.task.train[0]!.input).toBe("Answer the question.\na\nAnswer:");
    await expect(
      load(lines({ instruction: "a", output: "b" }), { instruction: "Answer." }),
    ).rejects.toThrowError(/alpaca rows have instructions of their own/);
  });

  test("every text with doubled braces is its own template", async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: fc.constantFrom("{", "}", "a", " ", "\n") }), async (text) => {
        const prompt = `${text.replace(/[{}]/g, (brace) => brace + brace)}{input}`;
        const { task } = await load(lines({ input: "x", output: "y" }), { prompt });
        expect(task.train[0]!.input).toBe(`${text}x`);
      }),
      { numRuns: 40 },
    );
    await expect(load(nli, { prompt: "{premise} {", columns: { output: "label" } })).rejects.toThrowError(
      /has a \{ without its other half/,
    );
    await expect(load(nli, { prompt: "{nothing}", columns: { output: "label" } })).rejects.toThrowError(
      /no column "nothing"/,
    );
  });

  test("a value inside an object or a list is reached with dots", async () => {
    const path = lines({ question: "a", answers: { text: ["b", "c"], start: [1] } });
    expect(await loadPairs(path, { columns: { input: "question", output: "answers.text.1" } })).toEqual([
      ["a", "c"],
    ]);
    await expect(load(path, { columns: { input: "question", output: "answers" } })).rejects.toThrowError(
      expect.objectContaining({
        message: expect.stringMatching(/line 1: the field "answers" must be text, found an object/),
        hint: expect.stringContaining("answers.text"),
      }),
    );
  });
});

describe("labels", () => {
  test("whole numbers get the names that the file has, or those that are given, in their order", async () => {
    const path = fixture("emotions-1.parquet");
    const stored = await load(path);
    expect(stored.task.labels).toEqual(["sadness", "joy", "anger"]);
    expect(pairs(stored.task).slice(0, 3)).toEqual([
      ["row 5000", "anger"],
      ["row 5001", "sadness"],
      ["row 5002", "joy"],
    ]);
    const given = await load(path, { labels: ["blue", "gold", "red"] });
    expect(given.task.labels).toEqual(["blue", "gold", "red"]);
    expect(given.task.train[0]!.output).toBe("red");
    await expect(load(path, { labels: ["a", "b"] })).rejects.toThrowError(
      /numbers of 3 classes \(sadness, joy, anger\), but labels names 2/,
    );
    const csv = file("text,label\na,1\nb,0\nc,1.0\n", "csv");
    expect(await loadPairs(csv, { labels: ["no", "yes"] })).toEqual([
      ["a", "yes"],
      ["b", "no"],
      ["c", "yes"],
    ]);
    expect(await loadPairs(lines({ text: "a", label: true }), { labels: ["no", "yes"] })).toEqual([
      ["a", "yes"],
    ]);
    expect(await loadPairs(file("text,label\na,1\nb,2\n", "csv"), { labels: ["1", "2"] })).toEqual([
      ["a", "1"],
      ["b", "2"],
    ]);
  });

  test.each<[string, object[], Partial<FileTask>, RegExp]>([
    [
      "a number without names",
      [
        { text: "a", label: "x" },
        { text: "b", label: 3 },
      ],
      {},
      /line 2: the label 3 is a number, and the names of the labels are not known/,
    ],
    ["digits without names", [{ text: "a", label: "0" }], {}, /line 1: the label 0 is a number/],
    [
      "a number beyond the set",
      [
        { text: "a", label: 0 },
        { text: "b", label: 2 },
      ],
      { labels: ["x", "y"] },
      /line 2: the label 2 is not one of 0 to 1 \(x, y\)/,
    ],
    [
      "the number of no label",
      [{ text: "a", label: -1 }],
      { labels: ["x", "y"] },
      /line 1: the label -1 is not one of/,
    ],
    [
      "a word outside the set",
      [
        { text: "a", label: "x" },
        { text: "b", label: "z" },
      ],
      { labels: ["x", "y"] },
      /line 2: the label "z" is not in the label set \(x, y\)/,
    ],
    [
      "a fraction",
      [{ text: "a", label: 0.5 }],
      { labels: ["x", "y"] },
      /line 1: the label "0.5" is not in the label set/,
    ],
    [
      "numbers and words",
      [
        { text: "a", label: "x" },
        { text: "b", label: 1 },
      ],
      { labels: ["x", "y"] },
      /line 2: the label "1" is not in the label set/,
    ],
    ["an empty set", [{ text: "a", label: "x" }], { labels: [] }, /label set is empty/],
    ["a label twice", [{ text: "a", label: "x" }], { labels: ["x", "x"] }, /"x" is listed twice/],
  ])("%s is refused", async (_, rows, task, message) => {
    await expect(load(lines(...rows), task)).rejects.toThrowError(message);
  });

  test("more distinct labels than a set can have are free text", async () => {
    const rows = Array.from({ length: 101 }, (_, index) => ({ text: `t${index}`, label: `l${index}` }));
    expect((await load(lines(...rows))).task.labels).toBeNull();
    expect((await load(lines(...rows.slice(1)))).task.labels).toHaveLength(100);
  });
});

describe("rows that are wrong", () => {
  const whole = { input: "a", output: "b" };
  test.each<[string, object[], RegExp]>([
    [
      "a missing field",
      [whole, { input: "x" }],
      /line 2: the field "output" is missing \(fields found: input\)/,
    ],
    [
      "another shape",
      [whole, { text: "x", label: "y" }],
      /line 2: the field "input" is missing \(fields found: text, label\)/,
    ],
    ["null", [whole, { input: null, output: "b" }], /line 2: the field "input" is null/],
    ["a blank", [whole, { input: "a", output: " " }], /line 2: the field "output" is blank/],
    [
      "a list",
      [whole, { input: ["a"], output: "b" }],
      /line 2: the field "input" must be text, found a list/,
    ],
    [
      "a conversation without roles",
      [{ messages: [{ role: "user", content: "a" }, { text: "b" }] }],
      /line 1, message 2: expected role and content, or from and value, found text/,
    ],
    [
      "an unknown speaker",
      [
        {
          conversations: [
            { from: "human", value: "a" },
            { from: "narrator", value: "b" },
          ],
        },
      ],
      /message 2: unknown role "narrator"; expected one of human,/,
    ],
    [
      "a message without text",
      [{ messages: [{ role: "user", content: null }] }],
      /message 1: expected the content to be text, found null/,
    ],
    [
      "a conversation without an answer",
      [{ messages: [{ role: "user", content: "a" }] }],
      /line 1: the conversation has no answer to learn/,
    ],
    [
      "an answer without a question",
      [{ messages: [{ role: "assistant", content: "a" }] }],
      /line 1: the conversation begins with its only answer/,
    ],
  ])("%s is refused with its line", async (_, rows, message) => {
    await expect(load(lines(...rows))).rejects.toThrowError(
      expect.objectContaining({ code: "data", message: expect.stringMatching(message) }),
    );
  });

  test("any JSON at all is read or refused by one line that names the place, and nothing else", async () => {
    const columns = [
      "input",
      "output",
      "text",
      "label",
      "instruction",
      "messages",
      "conversations",
      "a\nb",
    ] as const;
    const message = fc.record(
      {
        role: fc.jsonValue(),
        content: fc.jsonValue(),
        from: fc.constantFrom("human", "gpt", 1),
        value: fc.jsonValue(),
      },
      { requiredKeys: [] },
    );
    const value = fc.oneof(fc.string(), fc.integer(), fc.jsonValue(), fc.array(message, { maxLength: 3 }));
    const row = fc.dictionary(fc.constantFrom(...columns), value, { maxKeys: 3 });
    const labels = fc.option(fc.uniqueArray(fc.string(), { maxLength: 3 }));
    const rows = fc.array(row, { minLength: 1, maxLength: 3 });
    await fc.assert(
      fc.asyncProperty(rows, labels, fc.constantFrom("error", "drop"), async (values, given, incomplete) => {
        const path = lines(...values);
        try {
          await load(path, { labels: given }, { incomplete });
        } catch (error) {
          expect(error).toMatchObject({ code: "data", message: expect.stringMatching(/^[^\n]*$/) });
        } finally {
          rmSync(path);
        }
      }),
      { numRuns: 300 },
    );
  });

  test("incomplete rows are left out and counted where that is asked for", async () => {
    const { task, notes } = await load(fixture("nulls.parquet"), {}, { incomplete: "drop" });
    expect(pairs(task)).toEqual([["a", "b"]]);
    expect(notes.slice(1, 3)).toEqual([
      'mine: train: 1 of 3 rows left out: the field "input" is null',
      'mine: train: 1 of 3 rows left out: the field "output" is null',
    ]);
    await expect(load(fixture("nulls.parquet"))).rejects.toThrowError(
      /nulls\.parquet, row 2: the field "input" is null/,
    );
  });
});

describe("splits", () => {
  test("without test data rows must be held out of train; texts shared by train and test are noted", async () => {
    const path = lines(...["a", "b", "c", "d"].map((input) => ({ input, output: "yes" })));
    await expect(load(path, { test: null })).rejects.toThrowError(/task mine has no test data/);
    const { task } = await load(path, { test: null }, { holdOut: { rows: 1 } });
    expect([task.train.length, task.test.length]).toEqual([3, 1]);
    expect((await load(path)).notes[1]).toBe("mine: 4 train rows have the same text as a test row");
  });

  test("several files are one split", async () => {
    const train = [fixture("emotions-1.parquet"), fixture("emotions-0.parquet")];
    const { task, notes } = await load(train[0]!, { train }, { trainRows: 30 });
    expect(task.train.length).toBe(30);
    expect(new Set(task.train.map(({ output }) => output)).size).toBe(3);
    expect(notes[0]).toMatch(/read as text-label \(2 files of parquet\)/);
  });
});
