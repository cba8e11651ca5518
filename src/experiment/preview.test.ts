import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { goldenFolder } from "../../test/support/golden.js";
import { packageRoot } from "../tensor/native.js";
import { resolveConfig, taskNames } from "./config.js";
import { previewData } from "./preview.js";

const root = mkdtempSync(join(tmpdir(), "nlora-preview-"));
afterAll(() => rmSync(root, { recursive: true }));

function file(name: string, content: string): string {
  writeFileSync(join(root, name), content);
  return join(root, name);
}

const files = (train: string, test: string, more: object = {}) => ({
  data: { kind: "files", tasks: [{ name: "mood", train, test, ...more }] },
});

describe("a preview", () => {
  const train = file(
    "train.csv",
    `text,label\nGood day,good\nBad day,bad\nGOOD  DAY,good\n${"a very long text ".repeat(20)},bad\n`,
  );
  const held = file("test.csv", "text,label\ngood day,good\n");

  test("counts labels, lengths, cuts and texts that are in train and test, and shows rows as ids say them", async () => {
    const config = resolveConfig({ ...files(train, held), maxSourceLength: 16 });
    const { model, family, tasks } = await previewData(config, { rows: 2 });
    expect([model, family]).toEqual(["builtin", "seq2seq"]);
    const [task] = tasks;
    expect(task).toMatchObject({
      task: "mood",
      labels: [
        { label: "bad", train: 2, test: 0 },
        { label: "good", train: 2, test: 1 },
      ],
      lengths: [
        { split: "train", rows: 4, truncated: 1, limit: 16 },
        { split: "test", rows: 1, truncated: 0 },
      ],
      shared: 2,
    });
    expect(task!.notes).toEqual([
      "read as text-label (csv): input from text, output from label; 2 labels",
      "2 train rows have the same text as a test row",
    ]);
    const { histogram, lengths } = task!;
    expect(histogram.counts.reduce((sum, count) => sum + count, 0)).toBe(4);
    expect(histogram.counts.at(-1)).toBe(1);
    expect(Math.floor(lengths[0]!.max / histogram.width)).toBe(histogram.counts.length - 1);
    expect(task!.rows.map(({ row }) => row)).toEqual([1, 2, 4]);
    expect(task!.rows[0]).toEqual({
      row: 1,
      source: { text: "Good day</s>", tokens: 3, cut: 0 },
      target: { text: "good</s>", tokens: 2, cut: 0 },
    });
    const cut = task!.rows[2]!.source;
    expect([cut.tokens, cut.tokens + cut.cut]).toEqual([16, lengths[0]!.max]);
  });

  test("of one task reads that task alone, and names the tasks if there is none of that name", async () => {
    const config = resolveConfig({
      data: {
        kind: "files",
        tasks: [
          { name: "mood", train, test: held },
          { name: "gone", train: "nowhere.csv", test: "nowhere.csv" },
        ],
      },
    });
    expect((await previewData(config, { task: "mood", rows: 0 })).tasks.map(({ task }) => task)).toEqual([
      "mood",
    ]);
    await expect(previewData(config, { rows: 1 })).rejects.toThrowError(/nowhere\.csv: no such file/);
    await expect(previewData(config, { task: "moods", rows: 1 })).rejects.toThrowError(
      "there is no task moods; tasks: mood, gone",
    );
    const bundled = resolveConfig({});
    const [first] = taskNames(bundled);
    const made = await previewData(bundled, { task: first!, rows: 1 });
    expect(made.tasks.map(({ task }) => task)).toEqual([first]);
  });

  test("of conversations for a decoder-only model shows its chat template and special tokens", async () => {
    const model = join(root, "llama");
    mkdirSync(model);
    const golden = readFileSync(join(goldenFolder("llama-classic"), "config.json"), "utf8");
    writeFileSync(join(model, "config.json"), JSON.stringify({ ...JSON.parse(golden), vocab_size: 600 }));
    const tokenizer = "test/fixtures/tokenizers/tiny-sp-bpe-bytes.json";
    copyFileSync(join(packageRoot, tokenizer), join(model, "tokenizer.json"));
    writeFileSync(join(model, "tokenizer_config.json"), '{"bos_token": "<s>", "eos_token": "</s>"}');
    writeFileSync(
      join(model, "chat_template.jinja"),
      "{{ bos_token }}{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}[answer]",
    );
    const messages = [
      { role: "user", content: "Hi" },
      { role: "assistant", content: "Yo" },
    ];
    const chat = file("chat.jsonl", JSON.stringify({ messages }));
    const config = resolveConfig({ ...files(chat, chat), model });
    const preview = await previewData(config, { rows: 1, untested: true });
    expect(preview.family).toBe("causal");
    const [task] = preview.tasks;
    expect(task!.lengths.map(({ split }) => split)).toEqual(["train"]);
    expect(task!.rows[0]!.source.text).toBe("<s> [user]Hi[answer]");
    expect(task!.rows[0]!.target.text).toBe("Yo</s>");
  });
});
