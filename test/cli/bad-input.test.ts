/** What a run says of bad input: one line that names the place, a failing exit code, and nothing lost. Needs `npm run build`. */
import {
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { SafetensorsFile } from "../../src/io/safetensors.js";
import type { RunEvent } from "../../src/learn/events.js";
import type { RunRecord } from "../../src/runs/record.js";
import { packageRoot } from "../../src/tensor/native.js";
import { nlora, writeConfig, writeTasks } from "../support/command-line.js";

const root = mkdtempSync(join(tmpdir(), "nlora-bad-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const bundled = join(packageRoot, "assets", "t5-mini");
const WEIGHTS = "model.safetensors";

/** A folder with links to the bundled model's files, for `change` to spoil. */
function model(name: string, change: (folder: string) => void): string {
  const folder = join(root, name);
  mkdirSync(folder);
  for (const file of readdirSync(bundled)) symlinkSync(join(bundled, file), join(folder, file));
  change(folder);
  return folder;
}

/** Replaces the link to a file by a copy, and returns its path. */
function ownCopy(folder: string, file: string): string {
  rmSync(join(folder, file));
  copyFileSync(join(bundled, file), join(folder, file));
  return join(folder, file);
}

function editConfig(folder: string, change: Record<string, unknown>): void {
  const path = ownCopy(folder, "config.json");
  writeFileSync(path, JSON.stringify({ ...JSON.parse(readFileSync(path, "utf8")), ...change }));
}

beforeAll(() => {
  writeTasks(root);
  writeConfig(root, "tiny.yaml");
});

let runs = 0;

/** Runs the tiny configuration with some settings changed; checks that it fails in one line without a stack. */
async function fail(
  settings: readonly string[],
): Promise<{ status: number | null; error: string; out: string }> {
  const out = join(root, `run-${++runs}`);
  const set = settings.flatMap((setting) => ["--set", setting]);
  const { status, stderr } = await nlora(root, ["train", "tiny.yaml", "--out", out, "--quiet", ...set]);
  const errors = stderr.split("\n").filter((line) => line.startsWith("error: "));
  expect(errors, stderr).toHaveLength(1);
  expect(stderr).not.toMatch(/^ +at /m);
  return { status, error: errors[0]!.slice("error: ".length), out };
}

const journalOf = (out: string) =>
  readFileSync(join(out, "events.jsonl"), "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as RunEvent);

describe("a checkpoint", () => {
  const folder = (name: string) => join(root, name);
  it.each<[string, (name: string) => void, (name: string) => string]>([
    ["missing", () => {}, (name) => `there is no folder ${folder(name)}, and it is no name on the hub`],
    [
      "truncated",
      (name) => model(name, (path) => truncateSync(ownCopy(path, WEIGHTS), 1_000_000)),
      (name) => `${folder(name)}/${WEIGHTS} is truncated: header promises 18863728 bytes, file has 1000000`,
    ],
    [
      "misshapen",
      (name) => model(name, (path) => editConfig(path, { d_ff: 100 })),
      (name) =>
        `${folder(name)}/${WEIGHTS}: tensor "encoder.block.0.layer.1.DenseReluDense.wi.weight" has shape [1024,256], expected [100,256]`,
    ],
    [
      "pickled",
      (name) => model(name, (path) => renameSync(join(path, WEIGHTS), join(path, "pytorch_model.bin"))),
      (name) =>
        `${folder(name)}: found pytorch_model.bin, expected ${WEIGHTS} or ${WEIGHTS}.index.json. ` +
        "Pickle files can run code when they are opened, so they are not read.",
    ],
    [
      "foreign",
      (name) => model(name, (path) => editConfig(path, { model_type: "bert" })),
      (name) =>
        `${folder(name)}/config.json: model_type is "bert"; supported are t5, llama, mistral, qwen2, qwen3.`,
    ],
    [
      "wordless",
      (name) => model(name, (path) => rmSync(join(path, "tokenizer.json"))),
      (name) => `${folder(name)}/tokenizer.json does not exist`,
    ],
  ])("that is %s is named, with what is wrong with it", async (name, make, message) => {
    make(name);
    const { status, error, out } = await fail([`model=${name}`]);
    expect(error).toBe(message(name));
    expect(status).toBe(1);
    expect(journalOf(out)).toMatchObject([{ type: "run-failed", message: message(name) }]);
  });
});

describe("a configuration", () => {
  const lines = (settings: Record<string, string>) =>
    [
      "name: tiny",
      "method:",
      `  name: ${settings.method ?? "n-lora"}`,
      "data:",
      "  kind: benchmark",
      "  root: data",
    ]
      .concat(
        `  tasks: [agnews, ${settings.task ?? "yahoo"}]`,
        "training:",
        `  ${settings.key ?? "batchSize"}: 8`,
      )
      .join("\n");
  it.each<[string, Record<string, string>, RegExp]>([
    [
      "method",
      { method: "n-lorra" },
      /^error: bad\.yaml:3:3: method\.name: .*"n-lorra"; did you mean n-lora\?$/,
    ],
    ["task", { task: "yaho" }, /^error: bad\.yaml:7:19: data\.tasks\.1: .*"yaho"; did you mean yahoo\?$/],
    [
      "key",
      { key: "batchsize" },
      /^error: bad\.yaml:9:3: training\.batchsize: unknown key; did you mean batchSize\?$/,
    ],
  ])("with an unknown %s is refused at its line, and nothing is written", async (_, settings, message) => {
    writeFileSync(join(root, "bad.yaml"), lines(settings));
    const { status, stderr } = await nlora(root, ["train", "bad.yaml", "--out", "never"]);
    expect(stderr.trimEnd()).toMatch(message);
    expect(status).toBe(2);
    expect(existsSync(join(root, "never"))).toBe(false);
  });
});

describe("a data file", () => {
  const good = '{"input": "What colour is it?", "output": "red"}\n';
  it.each<[string, string, string]>([
    ["without anything in it", "", ": the file is empty"],
    [
      "with a broken line",
      `${good}${good}{"input": "x", "outp`,
      ', line 3: not valid JSON: {"input": "x", "outp',
    ],
    [
      "with a label outside the label set",
      `${good}\n{"input": "x", "output": "green"}\n`,
      ', line 3: the label "green" is not in the label set (red, blue)',
    ],
    [
      "with a blank output",
      `${good}{"input": "x", "output": " "}\n`,
      ', line 2: the field "output" is blank',
    ],
    [
      "without a field",
      `${good}{"input": "x", "label": "red"}\n`,
      ', line 2: the field "output" is missing (fields found: input, label)',
    ],
  ])("%s is named with the line", async (_, content, message) => {
    const path = join(root, "bad.jsonl");
    writeFileSync(path, content);
    const { status, error } = await fail(["data.tasks.0.train=bad.jsonl"]);
    expect(error).toBe(`${path}${message}`);
    expect(status).toBe(1);
  });

  it("in Parquet whose footer no longer fits its columns is named, and ends nothing else", async () => {
    const damaged = readFileSync(join(packageRoot, "test/fixtures/parquet/chat.parquet"));
    // A column of two parts: the first is damaged, and the name of the second is not that of the schema.
    for (const [at, value] of Object.entries({ 35: 91, 88: 10, 468: 3 })) {
      damaged[Number(at)] = value;
    }
    writeFileSync(join(root, "parts.parquet"), damaged);
    const { status, stderr } = await nlora(root, ["data", "preview", "parts.parquet"]);
    expect(stderr).toMatch(/^error: .*parts\.parquet: cannot read column messages of row group 1: /);
    expect(stderr).not.toMatch(/^ +at /m);
    expect(status).toBe(1);
  });

  it("that does not exist is named", async () => {
    const { status, error } = await fail(["data.tasks.2.test=nowhere.jsonl"]);
    expect(error).toBe(`${join(root, "nowhere.jsonl")}: no such file`);
    expect(status).toBe(1);
  });
});

describe("a run", () => {
  it("in which nothing would be trained says which layers there are", async () => {
    const { status, error } = await fail(["lora.targetModules=[query, value]"]);
    expect(error).toBe(
      'lora.targetModules: no linear layer of the model is named "query"; its layers are named k, o, q, v, wi, wo.',
    );
    expect(status).toBe(2);
  });

  it("whose loss is NaN from the start stops at the first step", async () => {
    const name = "weights-with-nan";
    model(name, (folder) => {
      const path = ownCopy(folder, WEIGHTS);
      const { begin } = SafetensorsFile.open(path).info("encoder.final_layer_norm.weight");
      const file = openSync(path, "r+");
      writeSync(file, Uint8Array.of(0xff, 0xff, 0xff, 0xff), 0, 4, begin);
      closeSync(file);
    });
    const { status, error, out } = await fail([`model=${name}`, "evaluation.base=false"]);
    expect(error).toMatch(/^The task loss is NaN at task colour, step 1\./);
    expect(status).toBe(1);
    expect(JSON.parse(readFileSync(join(out, "record.json"), "utf8"))).toMatchObject({ status: "failed" });
  });

  it("that diverges names task and step and keeps what earlier tasks gave", async () => {
    const { status, error, out } = await fail(["training.learningRate=[0.001, 1e30, 0.001]"]);
    expect(error).toMatch(/^The (task loss|sparsity|gradient norm) is (NaN|Infinity) at task size, step 2\./);
    expect(status).toBe(1);
    expect(readdirSync(join(out, "adapters"))).toEqual(["1-colour"]);
    expect(readdirSync(join(out, "predictions"))).toHaveLength(6);
    const record = JSON.parse(readFileSync(join(out, "record.json"), "utf8")) as RunRecord;
    expect(record).toMatchObject({ status: "failed", deltaNorms: [expect.any(Number), null, null] });
    expect(record.accuracy.map((row) => row.map((value) => value !== null))).toEqual(
      [1, 2, 3].map(() => [true, false, false]),
    );
    const events = journalOf(out);
    expect(events.filter(({ type }) => type === "task-end")).toMatchObject([{ task: "colour" }]);
    expect(events.at(-1)).toMatchObject({ type: "run-failed", message: error });
    const inspected = await nlora(root, ["inspect", join(out, "adapters", "1-colour"), "--json"]);
    expect(inspected.status).toBe(0);
  });
});

describe("inspect", () => {
  it.each<[string, string[], RegExp]>([
    ["a folder that does not exist", ["nowhere"], /^error: adapter folder nowhere does not exist/],
    [
      "a folder that is no adapter",
      ["."],
      /^error: \.: no adapter_config\.json, so it is not an adapter folder/,
    ],
  ])("of %s fails in one line", async (_, folders, message) => {
    const { status, stdout, stderr } = await nlora(root, ["inspect", ...folders]);
    expect(stderr).toMatch(message);
    expect(stdout).toBe("");
    expect(status).toBe(1);
  });
});
