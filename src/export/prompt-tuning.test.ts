/** Prompts of runs in PEFT's layout: what PEFT itself writes, and what the run answers. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { goldenFolder } from "../../test/support/golden.js";
import { writeTinyChat } from "../../test/support/tiny-run.js";
import { TINY_NEW_TOKENS, trainTiny } from "../../test/support/tiny-training.js";
import { promptsOf } from "../data/collate.js";
import { readJsonObject } from "../io/json.js";
import { PEFT_FILES } from "../io/peft.js";
import type { Provenance } from "../io/provenance.js";
import { SafetensorsFile } from "../io/safetensors.js";
import { Tokenizer } from "../io/tokenizer/tokenizer.js";
import type { Prediction } from "../learn/evaluate.js";
import { greedy } from "../models/generate.js";
import { loadModel } from "../models/registry.js";
import { RunFolder } from "../runs/run-folder.js";
import { inference } from "../tensor/grad.js";
import { liveTensors, tidy } from "../tensor/scope.js";
import { type ExportOptions, exporting } from "./export.js";
import { writePrompt } from "./prompt-tuning.js";

const root = mkdtempSync(join(tmpdir(), "nlora-prompts-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));
const tiny = join(root, "tiny");
beforeAll(() => writeTinyChat(tiny));

let count = 0;
const fresh = () => join(root, `out-${count++}`);
const weights = (folder: string) => SafetensorsFile.open(join(folder, PEFT_FILES.weights));

function exported(run: string, options: Partial<ExportOptions> = {}) {
  const out = fresh();
  const steps = exporting([run], { format: "peft", out, base: tiny, ...options });
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
    // Nothing is under the name before all is.
    expect(existsSync(out)).toBe(false);
  }
}

describe.each([
  ["t5-classic", "SEQ_2_SEQ_LM"],
  ["t5-gated", "SEQ_2_SEQ_LM"],
  ["llama3-gqa", "CAUSAL_LM"],
  ["qwen3-norms", "CAUSAL_LM"],
] as const)("a prompt of %s", (name, taskType) => {
  it("is written as PEFT writes it: every bit of the prompt, and every field of the config", () => {
    const peft = goldenFolder(`${name}/prompt`);
    const out = fresh();
    const provenance: Provenance = {
      ...{
        holds: "cumulative",
        tasks: ["a"],
        position: 1,
        run: "r",
        method: "lfpt5",
        includes: [],
        needs: [],
      },
      base: { name, revision: null },
    };
    tidy(() => {
      const prompt = weights(peft).tensor("prompt_embeddings");
      const model = readJsonObject(join(goldenFolder(name), "config.json"));
      expect(writePrompt(out, { prompt, taskType, model, provenance, title: "t", about: "A prompt." })).toBe(
        5,
      );
      expect(weights(out).names).toEqual(weights(peft).names);
      expect(weights(out).tensor("prompt_embeddings").equal(prompt)).toBe(true);
    });
    const found = readJsonObject(join(out, PEFT_FILES.config));
    // Of a version of PEFT, and of tokens that a tokenizer adds: not of this prompt.
    const { peft_version, tokenizer_kwargs, modules_to_save, ...expected } = readJsonObject(
      join(peft, PEFT_FILES.config),
    );
    expect(found).toEqual(expected);
    expect([tokenizer_kwargs, modules_to_save]).toEqual([null, null]);
  });
});

describe.each(["prog-prompt", "lfpt5"])("the export of a run of %s", (method) => {
  let run: string;
  let tasks: string[];
  beforeAll(async () => {
    run = await trainTiny(join(root, method), tiny, method);
    tasks = new RunFolder(run).readRecord()!.tasks as string[];
  });

  /** What the base model answers behind an exported prompt, and what the run had answered. */
  function answers(out: string, after: number) {
    const rows = readFileSync(join(run, "predictions", `${after}-${tasks[after - 1]}.jsonl`), "utf8")
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Prediction);
    const model = loadModel(tiny, "float32");
    const tokenizer = Tokenizer.fromFolder(tiny);
    const found = inference(() => {
      const prefix = weights(out).tensor("prompt_embeddings").unsqueeze(0);
      const asked = rows.map(({ input }) => ({ source: [...tokenizer.encode(input)] }));
      const options = { endIds: model.endIds, maxNewTokens: TINY_NEW_TOKENS };
      return greedy(model.startDecoding({ ...promptsOf(asked, model), prefix }), options);
    });
    model.dispose();
    return {
      found: found.map((ids) => tokenizer.decode(ids, { skipSpecialTokens: true }).trim()),
      expected: rows.map(({ prediction }) => prediction),
    };
  }

  it("answers as the run did, and says what it is", () => {
    const before = liveTensors();
    const { out, positions, rank, provenance } = exported(run);
    const { found, expected } = answers(out, 2);
    expect(found).toEqual(expected);
    expect(positions).toBe(method === "lfpt5" ? 300 : 20);
    expect(rank).toBe(null);
    expect(provenance.tasks).toEqual(tasks);
    expect(readFileSync(join(out, "README.md"), "utf8")).toContain("prompt-tuning");
    expect(liveTensors()).toBe(before);
  });

  it("of an earlier task is the prompt of that task, where it was kept", () => {
    if (method === "lfpt5") {
      expect(() => exported(run, { task: "1" })).toThrow(/after the last task alone/);
      return;
    }
    const { out, positions } = exported(run, { task: tasks[0]! });
    expect(positions).toBe(10);
    const { found, expected } = answers(out, 1);
    expect(found).toEqual(expected);
  });

  it("ended early leaves nothing and frees everything", () => {
    const before = liveTensors();
    const out = fresh();
    const steps = exporting([run], { format: "peft", out, base: tiny });
    expect(steps.next().done).toBe(false);
    steps.return(undefined as never);
    expect(existsSync(out)).toBe(false);
    expect(liveTensors()).toBe(before);
  });

  it("as anything but PEFT's prompt tuning is refused before anything is written", () => {
    for (const options of [
      { format: "hf" },
      { format: "gguf-lora" },
      { delta: true },
      { keep: { rank: 2 } },
    ] as const) {
      expect(() => exported(run, options)).toThrow(/trains a soft prompt/);
    }
    expect(() => exported(run, { base: null })).toThrow(/read with its base model/);
  });
});

it("a run whose rows have prompts of their own has no single one, and says so", async () => {
  const run = await trainTiny(join(root, "l2p"), tiny, "l2p");
  expect(() => exported(run)).toThrow(/row by row/);
});
