import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { CATALOG } from "../data/catalog.js";
import { HUB_SOURCES } from "../data/hub-sources.js";
import { builtinModel } from "../hub/resolve.js";
import { packageRoot } from "../tensor/native.js";
import { resolveConfig } from "./config.js";
import { loadStream } from "./prepare.js";

const root = mkdtempSync(join(tmpdir(), "nlora-prepare-"));
afterAll(() => rmSync(root, { recursive: true }));

function write(path: string, content: string): string {
  const full = join(root, path);
  mkdirSync(join(full, ".."), { recursive: true });
  writeFileSync(full, content);
  return full;
}

test("a dataset's folder is read by its splits, its integer classes named by its card", async () => {
  write("set/train.csv", "text,label\nred sky,0\nblue sea,1\n");
  write("set/validation.csv", "text,label\ngreen leaf,1\n");
  const names = "features: [{name: label, dtype: {class_label: {names: {'0': warm, '1': cold}}}}]";
  write("set/README.md", `---\ndataset_info:\n  ${names}\n---\nColours.\n`);
  const config = (task: object, more: object = {}) =>
    resolveConfig({ data: { kind: "files", tasks: [{ name: "mood", ...task }], ...more } });
  const { stream, notes } = await loadStream(config({ dataset: join(root, "set") }));
  expect(stream.tasks[0]).toMatchObject({
    labels: ["warm", "cold"],
    train: [
      { input: "red sky", output: "warm" },
      { input: "blue sea", output: "cold" },
    ],
    test: [{ input: "green leaf", output: "cold" }],
  });
  expect(notes).toEqual(["mood: read as text-label (csv): input from text, output from label; 2 labels"]);
  const held = await loadStream(config({ dataset: join(root, "set") }, { holdOut: { rows: 1 } }));
  expect([held.stream.tasks[0]!.train.length, held.stream.tasks[0]!.test.length]).toEqual([1, 1]);
  await expect(loadStream(config({ dataset: join(root, "set"), test: "dev2" }))).rejects.toThrowError(
    /set: there is no split "dev2"; splits: train, validation/,
  );
  await expect(loadStream(config({ train: join(root, "set"), test: "x" }))).rejects.toThrowError(
    /set: the folder has files of several splits \(train, validation\)/,
  );
});

test("conversations are rendered with the model's own chat template, and refused without one", async () => {
  const model = join(root, "model");
  mkdirSync(model);
  symlinkSync(join(builtinModel(), "tokenizer.json"), join(model, "tokenizer.json"));
  const chat = write(
    "chat.jsonl",
    '{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yo"}]}\n',
  );
  const config = resolveConfig({
    model,
    data: { kind: "files", tasks: [{ name: "chat", train: chat, test: chat }] },
  });
  await expect(loadStream(config)).rejects.toThrowError(`the model in ${model} has no chat template`);
  writeFileSync(
    join(model, "chat_template.jinja"),
    "{% for m in messages %}[{{ m.role }}] {{ m.content }}\n{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}",
  );
  const { stream } = await loadStream(config);
  expect(stream.tasks[0]!.train[0]).toMatchObject({ input: "[user] Hi\n[assistant]", output: "Yo" });
});

test("the benchmark's datasets are found in the hub's cache, each in its own repository", async () => {
  const fixtures = join(packageRoot, "test/fixtures/hub-benchmark");
  const commit = "c".repeat(40);
  for (const { dataset } of Object.values(HUB_SOURCES)) {
    const [id, revision = "main"] = dataset.split("@");
    const folder = id!.replace("/", "--");
    write(`home/hub/datasets--${folder}/refs/${revision}`, commit);
    cpSync(join(fixtures, folder), join(root, `home/hub/datasets--${folder}/snapshots/${commit}`), {
      recursive: true,
    });
  }
  const names = CATALOG.map(({ name }) => name);
  const config = resolveConfig({ data: { kind: "benchmark", root: "hub", tasks: names } });
  const environment = { HF_HOME: join(root, "home"), HF_HUB_OFFLINE: "1" };
  const { stream } = await loadStream(config, { hub: { environment } });
  const expected = JSON.parse(readFileSync(join(fixtures, "rows.json"), "utf8")) as Record<
    string,
    { sentences: [string, string]; labels: [string, string] }
  >;
  const seen = stream.tasks.map(({ name, train, test: held }) => [
    name,
    [train, held].map((rows) => rows.map(({ parts, output }) => [parts!.body, output])),
  ]);
  expect(seen).toEqual(
    names.map((name) => {
      const { sentences, labels } = expected[name]!;
      return [name, sentences.map((sentence, index) => [[sentence, labels[index]]])];
    }),
  );
});
