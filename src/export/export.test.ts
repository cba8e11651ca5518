import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  expectClose,
  type GoldenBatch,
  goldenBatch,
  goldenFolder,
  readGolden,
} from "../../test/support/golden.js";
import { attachAdapters } from "../adapters/attach.js";
import { stackAdapters } from "../adapters/combine.js";
import type { AdapterDelta } from "../adapters/delta.js";
import { promptsOf } from "../data/collate.js";
import { CheckpointError, DataError, UsageError } from "../errors.js";
import { Checkpoint } from "../io/checkpoint.js";
import { readPeft, writePeft } from "../io/peft.js";
import type { Provenance } from "../io/provenance.js";
import { SafetensorsFile, writeSafetensors } from "../io/safetensors.js";
import { Tokenizer } from "../io/tokenizer/tokenizer.js";
import { greedy } from "../models/generate.js";
import { loadModel } from "../models/registry.js";
import { EVALUATION } from "../nn/context.js";
import { Rng } from "../random.js";
import { tensor } from "../tensor/create.js";
import { inference } from "../tensor/grad.js";
import { packageRoot } from "../tensor/native.js";
import { liveTensors, tidy } from "../tensor/scope.js";
import { type ExportOptions, type ExportReport, type ExportStep, exporting, vllmNote } from "./export.js";
import { isFaithful, readPrompts } from "./probe.js";

const root = mkdtempSync(join(tmpdir(), "nlora-export-"));
afterAll(() => rmSync(root, { recursive: true }));
const bundled = join(packageRoot, "assets", "t5-mini");

let count = 0;
const fresh = () => join(root, `out-${count++}`);

function finish(steps: Generator<ExportStep, ExportReport>): ExportReport {
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
  }
}

const run = (paths: readonly string[], options: Partial<ExportOptions> & Pick<ExportOptions, "format">) =>
  finish(exporting(paths, { out: fresh(), base: null, ...options }));

interface Shape {
  readonly targets: readonly string[];
  readonly rank: number;
  readonly scale: number;
  readonly size?: number;
  readonly provenance?: Provenance;
}

/** A folder with a random adapter for a model, on its layers of these names. */
function adapter(
  name: string,
  model: string,
  { targets, rank, scale, size = 0.1, provenance }: Shape,
): string {
  const folder = join(root, name);
  const rng = new Rng(4).fork(name);
  const checkpoint = Checkpoint.open(model);
  const random = (shape: [number, number]) =>
    tensor(
      Array.from({ length: shape[0] * shape[1] }, () => size * (rng.uniform() - 0.5)),
      shape,
    );
  tidy(() => {
    const modules = checkpoint.names.flatMap((weight) => {
      const module = weight.replace(/\.weight$/, "");
      if (!targets.includes(module.split(".").at(-1)!)) return [];
      const [outputs, inputs] = checkpoint.info(weight).shape as [number, number];
      return [[module, { a: random([rank, inputs]), b: random([outputs, rank]) }] as const];
    });
    writePeft(
      folder,
      { name, scale, modules: new Map(modules) },
      {
        dropout: 0,
        targetModules: targets,
        taskType: null,
        base: { name: "t5-mini", revision: null },
        ...(provenance && { provenance }),
      },
    );
  });
  return folder;
}

const own = (position: number, task: string, holds: "delta" | "cumulative" = "delta"): Provenance => ({
  holds,
  tasks: [task],
  position,
  run: "r-n-lora-s1",
  method: "n-lora",
  base: { name: "t5-mini", revision: null },
  includes: [],
  needs: Array.from({ length: position - 1 }, (_, k) => `../${k + 1}-task`),
});

let first: string;
let second: string;
beforeAll(() => {
  first = adapter("1-task", bundled, { targets: ["q", "v"], rank: 2, scale: 4, provenance: own(1, "task") });
  second = adapter("2-next", bundled, {
    targets: ["q", "o"],
    rank: 3,
    scale: 0.5,
    provenance: own(2, "next"),
  });
});

/** dW with its scale, added up over adapters. */
const updates = (deltas: readonly AdapterDelta[], module: string): number[] => {
  const { scale, modules } = stackAdapters(deltas, "sum");
  const { a, b } = modules.get(module)!;
  return b.matmul(a).mul(scale).toArray();
};

describe("a merged model", () => {
  it.each([
    ["t5-classic", "lora-peft"],
    ["llama-classic", "llama-classic/adapter"],
    ["llama3-gqa", "llama3-gqa/adapter"],
    ["mistral-gqa", "mistral-gqa/adapter"],
    ["qwen2-biases", "qwen2-biases/adapter"],
    ["qwen3-norms", "qwen3-norms/adapter"],
  ])("of %s has the loss that PEFT computes with the adapter beside the model", (base, peft) => {
    const before = liveTensors();
    const out = fresh();
    run([goldenFolder(peft)], { format: "hf", base: goldenFolder(base), out });
    const golden = readGolden<{ loss: number; adapter?: { loss: number } }>(base);
    const expected =
      base === "t5-classic" ? readGolden<{ loss: number }>("lora-peft").loss : golden.adapter!.loss;
    const model = loadModel(out, "float32");
    const loss = tidy(() =>
      model.forward(goldenBatch(readGolden<GoldenBatch>(base)), EVALUATION).loss.item(),
    );
    expectClose([loss], [expected], 1e-4, "loss");
    expect(Math.abs(expected - golden.loss)).toBeGreaterThan(1e-3);
    model.dispose();
    expect(liveTensors()).toBe(before);
  });

  it("adds all adapters in float32 and rounds once, whatever the base's type; the rest is copied bit for bit", () => {
    const out = fresh();
    const report = run([first, second], { format: "hf", base: bundled, out });
    const base = Checkpoint.open(bundled);
    const merged = Checkpoint.open(out);
    expect(merged.names).toEqual(base.names);
    let [changed, updated, unchanged] = [0, 0, 0];
    tidy(() => {
      const deltas = [first, second].map((folder) => readPeft(folder).delta);
      for (const name of base.names) {
        const [old, found] = [base.tensor(name), merged.tensor(name)];
        expect(found.dtype).toBe("bfloat16");
        const module = name.replace(/\.weight$/, "");
        if (!deltas.some(({ modules }) => modules.has(module))) {
          expect(Buffer.compare(found.toBytes(), old.toBytes())).toBe(0);
          continue;
        }
        changed++;
        const update = updates(deltas, module);
        const exact = old.toArray().map((weight, i) => weight + update[i]!);
        // Half a unit in the last of bfloat16's 8 bits.
        const values = found.toArray();
        for (const [i, value] of values.entries()) {
          if (Math.abs(value - exact[i]!) > 2 ** -8 * Math.abs(exact[i]!) + 1e-7)
            expect(value).toBe(exact[i]);
        }
        updated += update.filter((value) => value !== 0).length;
        unchanged += old.toArray().filter((weight, i) => update[i] !== 0 && weight === values[i]).length;
      }
    });
    expect(report.merged).toMatchObject({ adapted: changed, tensors: base.names.length });
    expect(changed).toBe(36);
    // Sums of the same terms in another order may round the other way, or to nothing.
    expect(Math.abs(report.merged!.updated - updated)).toBeLessThan(10);
    expect(Math.abs(report.merged!.unchanged - unchanged)).toBeLessThan(1e-3 * updated);
    expect(
      readFileSync(join(out, "tokenizer.json")).equals(readFileSync(join(bundled, "tokenizer.json"))),
    ).toBe(true);
    expect(readdirSync(out).sort()).toEqual([...readdirSync(bundled), "README.md"].sort());
  });

  it("comes in shards of a size and another type as asked, with an index that transformers reads", () => {
    const [whole, sharded] = [fresh(), fresh()];
    const options = { format: "hf", base: bundled, dtype: "float32" } as const;
    run([first], { ...options, out: whole });
    run([first], { ...options, out: sharded, maxShardBytes: 9e6 });
    const index = JSON.parse(readFileSync(join(sharded, "model.safetensors.index.json"), "utf8")) as {
      metadata: { total_size: number };
      weight_map: Record<string, string>;
    };
    const [left, right] = [Checkpoint.open(whole), Checkpoint.open(sharded)];
    expect([...right.names].sort()).toEqual([...left.names].sort());
    let total = 0;
    tidy(() => {
      for (const name of left.names) {
        const value = left.tensor(name);
        expect(value.dtype).toBe("float32");
        total += 4 * value.size;
        expect(right.tensor(name).equal(value)).toBe(true);
      }
    });
    expect(index.metadata.total_size).toBe(total);
    const files = [...new Set(Object.values(index.weight_map))].sort();
    expect(files.length).toBeGreaterThan(3);
    expect(files[0]).toBe(`model-00001-of-0000${files.length}.safetensors`);
    for (const file of files.slice(0, -1)) {
      const bytes = SafetensorsFile.open(join(sharded, file));
      const data = bytes.names.reduce(
        (sum, name) => sum + 4 * bytes.info(name).shape.reduce((p, n) => p * n, 1),
        0,
      );
      expect(data <= 9e6 || bytes.names.length === 1).toBe(true);
    }
    const config = JSON.parse(readFileSync(join(whole, "config.json"), "utf8")) as object;
    const original = JSON.parse(readFileSync(join(bundled, "config.json"), "utf8")) as object;
    expect(config).toEqual({ ...original, torch_dtype: "float32" });
    // transformers refuses 1 where it expects 1.0.
    expect(readFileSync(join(whole, "config.json"), "utf8")).toContain('"initializer_factor": 1.0,');
  });

  it("says what it holds in its metadata and its card", () => {
    const out = fresh();
    const { notes } = run([first, second], { format: "hf", base: goldenLike(), out });
    expect(notes).toEqual([
      "the adapters were trained on the base model t5-mini, this export uses other-name",
    ]);
    expect(SafetensorsFile.open(join(out, "model.safetensors")).metadata).toMatchObject({
      format: "pt",
      "nlora.holds": "cumulative",
      "nlora.tasks": '["task","next"]',
    });
    const card = readFileSync(join(out, "README.md"), "utf8");
    expect(card).toMatch(/^A merged model: .*\*\*The cumulative update\*\* of the tasks `task`, `next`\.$/m);
    expect(card).toMatch(/^\| lost to rounding \| [\d.]+ % of the updated weights/m);
  });
});

/** The bundled model under another name. */
function goldenLike(): string {
  const folder = join(root, "other-name");
  if (!existsSync(folder)) cpSync(bundled, folder, { recursive: true });
  return folder;
}

describe("a smaller rank", () => {
  const prompts = [{ text: "What is the topic? Option: a, b\nA cat sat.\nAnswer:" }];

  it("is the sum's best approximation, with its error and its effect on the logits reported", () => {
    const before = liveTensors();
    const [exact, small] = [fresh(), fresh()];
    run([first, second], { format: "peft", out: exact });
    const options = { format: "peft", base: bundled, prompts, force: true } as const;
    const report = run([first, second], { ...options, out: small, keep: { rank: 2 } });
    expect(report).toMatchObject({ rank: 2, modules: 36 });
    const { error, norm } = report.consolidated!;
    const found = tidy(() => {
      let [lost, all] = [0, 0];
      const [sum, approximation] = [exact, small].map((folder) => [readPeft(folder).delta]);
      for (const module of sum![0]!.modules.keys()) {
        const [whole, part] = [updates(sum!, module), updates(approximation!, module)];
        const { scale } = sum![0]!;
        lost += whole.reduce((total, value, i) => total + ((value - part[i]!) / scale) ** 2, 0);
        all += whole.reduce((total, value) => total + (value / scale) ** 2, 0);
      }
      return [Math.sqrt(lost), Math.sqrt(all)];
    });
    expectClose([error, norm], found, 1e-4);
    expect(error).toBeGreaterThan(0.01 * norm);
    expect(report.probe!.difference).toBeGreaterThan(0);
    expect(liveTensors()).toBe(before);
  });

  it("within a small error is kept, merged as well, and one that loses too much is refused unless forced", () => {
    const options = { format: "peft", base: bundled, prompts } as const;
    const close = run([first, second], { ...options, keep: { error: 1e-6 } });
    expect(close.consolidated!.error).toBeLessThan(1e-5);
    expect(close.probe!.difference).toBeLessThan(1e-3 * close.probe!.effect);
    const out = fresh();
    expect(() => run([first, second], { ...options, out, keep: { rank: 1 }, tolerance: 0.01 })).toThrow(
      /the smaller rank loses too much: logits differ by up to/,
    );
    expect(existsSync(out)).toBe(false);
    const merged = { ...options, format: "hf", dtype: "float32", keep: { rank: 1 } } as const;
    expect(() => run([first, second], { ...merged, tolerance: 0.01 })).toThrow(/merging lost too much/);
    const { notes, probe } = run([first, second], { ...options, base: null, keep: { rank: 1 } });
    expect(probe).toBeNull();
    expect(notes.join()).toMatch(/the logits were not compared: name the base model with --base/);
  });
});

describe("the comparison of logits", () => {
  const prompts = ["What is the topic? Option: a, b\nA cat sat.\nAnswer:", "def f(x):"].map((text) => ({
    text,
  }));
  const base = { format: "hf", base: bundled, prompts } as const;

  it("finds float32 merging the same up to float32's own error, and bfloat16 within the tolerance", () => {
    const before = liveTensors();
    const wide = run([first, second], { ...base, dtype: "float32" }).probe!;
    const narrow = run([first, second], base).probe!;
    expect(liveTensors()).toBe(before);
    expect(wide).toMatchObject({ prompts: 2, changedChoices: 0 });
    expect(wide.positions).toBeGreaterThanOrEqual(2);
    expect(wide.difference).toBeLessThan(1e-4 * wide.magnitude);
    expect(wide.effect).toBeGreaterThan(0.1);
    expect(narrow.effect).toBe(wide.effect);
    expect(narrow.difference).toBeGreaterThan(10 * wide.difference);
    expect(isFaithful(narrow, 0.1)).toBe(true);
  });

  it("refuses a merge that rounds the adapters away, and leaves nothing, unless forced", () => {
    const faint = adapter("faint", bundled, { targets: ["q", "v"], rank: 1, scale: 1, size: 0.005 });
    const out = fresh();
    const names = readdirSync(root);
    expect(() => run([faint], { ...base, out })).toThrow(CheckpointError);
    expect(() => run([faint], { ...base, out })).toThrow(
      /merging lost too much: .*rounding left \d\d(\.\d)? % of/,
    );
    expect(readdirSync(root)).toEqual(names);
    const forced = run([faint], { ...base, out, force: true });
    expect(forced.merged!.unchanged / forced.merged!.updated).toBeGreaterThan(0.9);
    expect(existsSync(out)).toBe(true);
    expect(isFaithful(run([faint], { ...base, dtype: "float32" }).probe!, 0.1)).toBe(true);
  });

  it("counts the right answers of both where they are known, and refuses a merge that loses some", () => {
    const texts = ["Is a cat an animal? Option: yes, no\nAnswer:", "Say it again: red", "One two three"];
    const spoken = tidy(() => {
      const model = loadModel(bundled, "float32");
      try {
        attachAdapters(model, [readPeft(first).delta]);
        const tokenizer = Tokenizer.fromFolder(bundled);
        return texts.map((text) => {
          const decoding = model.startDecoding(promptsOf([{ source: tokenizer.encode(text) }], model));
          const [ids] = greedy(decoding, { endIds: model.endIds, maxNewTokens: 50 });
          return tokenizer.decode(ids!, { skipSpecialTokens: true });
        });
      } finally {
        model.dispose();
      }
    });
    // Two that the adapter's model gives, and one that it does not.
    const known = [
      { text: texts[0]!, answer: spoken[0]! },
      { text: texts[1]!, answer: spoken[1]! },
      { text: texts[2]!, answer: `${spoken[2]} and more` },
      ...prompts,
    ];
    const two = 200 / 3;
    const kept = run([first], { ...base, prompts: known, dtype: "float32" }).probe!;
    expect(kept.accuracy).toEqual({ rows: 3, separate: two, merged: two });
    expect(kept.prompts).toBe(5);
    expect(isFaithful(kept, 0.1)).toBe(true);
    expect(isFaithful({ ...kept, accuracy: { rows: 3, separate: two, merged: 100 / 3 } }, 0.1)).toBe(false);
    expect(isFaithful({ ...kept, accuracy: { rows: 300, separate: 66, merged: 65.5 } }, 0.1)).toBe(true);
    expect(run([first], base).probe!.accuracy).toBeNull();
  });

  it("reads prompts a line, and from JSON Lines", () => {
    const file = (name: string, text: string) => {
      writeFileSync(join(root, name), text);
      return join(root, name);
    };
    expect(readPrompts(file("p.txt", "one\r\n\n two \n"))).toEqual([{ text: "one" }, { text: " two " }]);
    expect(readPrompts(file("p.jsonl", '{"input":"a","output":"b"}\n{"prompt":"c","target":"d"}\n'))).toEqual(
      [
        { text: "a", answer: "b" },
        { text: "c", answer: "d" },
      ],
    );
    expect(() => readPrompts(file("e.jsonl", '{"x":1}\n'))).toThrow(/e.jsonl:1: expected an object with/);
    expect(() => readPrompts(file("b.jsonl", "{\n"))).toThrow(/b.jsonl:1: not valid JSON/);
    expect(() => readPrompts(file("n.txt", "\n"))).toThrow(DataError);
    expect(() => readPrompts(join(root, "none.txt"))).toThrow(/cannot read the prompts/);
  });
});

describe("a PEFT export", () => {
  it("of several adapters is their sum, with patterns only where ranks differ", () => {
    const out = fresh();
    const report = run([first, second], { format: "peft", out });
    tidy(() => {
      const { delta, config, provenance } = readPeft(out);
      const parts = [first, second].map((folder) => readPeft(folder).delta);
      for (const module of delta.modules.keys()) {
        expectClose(updates([delta], module), updates(parts, module), 1e-5, module);
      }
      expect(report).toMatchObject({ rank: 5, modules: 36, notes: [] });
      expect(config).toMatchObject({ rank: 5, alpha: 2.5, targetModules: ["q", "v", "o"], dropout: 0 });
      expect(config.rankPattern).toHaveLength(24);
      expect(provenance).toMatchObject({
        holds: "cumulative",
        tasks: ["task", "next"],
        run: "r-n-lora-s1",
        needs: [],
      });
    });
    const same = adapter("same", bundled, { targets: ["q", "v"], rank: 6, scale: 4 });
    const even = fresh();
    run([first, same], { format: "peft", out: even });
    tidy(() =>
      expect(readPeft(even).config).toMatchObject({ rank: 8, alpha: 32, rankPattern: [], alphaPattern: [] }),
    );
  });

  it("computes what the adapters compute side by side", () => {
    const out = fresh();
    run([first, second], { format: "peft", out });
    const model = loadModel(bundled, "float32");
    const ids = [5, 6, 7, 8, 9, 1];
    const logits = (folders: readonly string[]) =>
      tidy(() => {
        const detach = attachAdapters(
          model,
          folders.map((folder) => readPeft(folder).delta),
        );
        const decoding = inference(() =>
          model.startDecoding({
            inputIds: tensor(ids, [1, 6], "int64"),
            attentionMask: tensor(Array(6).fill(1), [1, 6], "bool"),
          }),
        );
        const values = decoding.logits.toArray();
        decoding.dispose();
        detach();
        return values;
      });
    const plain = logits([]);
    expectClose(logits([out]), logits([first, second]), 1e-4, "logits");
    expect(Math.max(...logits([out]).map((value, i) => Math.abs(value - plain[i]!)))).toBeGreaterThan(0.1);
    expect(logits([])).toEqual(plain);
    model.dispose();
  });

  it("names whole paths where an adapter picked its layers otherwise than by name", () => {
    const odd = fresh();
    cpSync(first, odd, { recursive: true });
    const config = JSON.parse(readFileSync(join(odd, "adapter_config.json"), "utf8")) as object;
    writeFileSync(
      join(odd, "adapter_config.json"),
      JSON.stringify({ ...config, target_modules: ".*SelfAttention\\.(q|v)|.*EncDecAttention\\.(q|v)" }),
    );
    const out = fresh();
    run([odd], { format: "peft", out });
    tidy(() => {
      const { config: written, delta } = readPeft(out);
      expect(written.targetModules).toEqual([...delta.modules.keys()]);
    });
  });

  it("says how vLLM loads a high rank, and that it does not load a higher one", () => {
    expect(vllmNote(16, "CAUSAL_LM")).toEqual([]);
    expect(vllmNote(400, "SEQ_2_SEQ_LM")).toEqual([]);
    expect(vllmNote(120, "CAUSAL_LM")).toEqual([expect.stringMatching(/--max-lora-rank 128 .*rank 120/)]);
    expect(vllmNote(520, null)).toEqual([
      expect.stringMatching(/up to rank 512, this one has 520: .*--format hf/),
    ]);
  });
});

describe("a wrong export", () => {
  it("counts no adapter twice, and says which others are missing", () => {
    const whole = adapter("whole", bundled, {
      targets: ["q"],
      rank: 1,
      scale: 1,
      provenance: { ...own(2, "next", "cumulative"), tasks: ["task", "next"] },
    });
    expect(() => run([first, whole], { format: "peft" })).toThrow(
      /1-task is contained in .*whole .*count twice/,
    );
    expect(() => run([first, first], { format: "peft" })).toThrow(/count twice/);
    expect(run([second], { format: "peft" }).notes).toEqual([
      "these adapters say that they also need ../1-task, which are not among them",
    ]);
  });

  it("is refused before anything is written: no base, a taken name, options that do not go together", () => {
    expect(() => run([first], { format: "hf" })).toThrow(/--format hf needs the base model/);
    expect(() => run([first], { format: "gguf-lora" })).toThrow(UsageError);
    expect(() => run([first], { format: "gguf-lora", base: bundled, dtype: "bfloat16" })).toThrow(
      /found bfloat16/,
    );
    expect(() => run([first], { format: "peft", delta: true })).toThrow(/1-task is not a run folder/);
    expect(() => run([first], { format: "peft", task: "1" })).toThrow(/--task picks a task of a run/);
    expect(() => run([first], { format: "hf", delta: true, base: bundled })).toThrow(
      /--delta: a model is merged/,
    );
    const taken = fresh();
    mkdirSync(taken);
    run([first], { format: "peft", out: taken });
    expect(() => run([first], { format: "peft", out: taken })).toThrow(`${taken} exists already`);
  });

  it("names adapter and weight that do not fit the base", () => {
    const out = fresh();
    const base = goldenFolder("t5-classic");
    expect(() => run([first], { format: "hf", base, out })).toThrow(
      /adapter 1-task: the model in .*t5-classic has no weight .*block\.2\.|its update of .* is \[256, 256\], the weight in .*t5-classic \[/,
    );
    expect(() => run([first], { format: "hf", base: goldenFolder("llama-classic"), out })).toThrow(
      /llama-classic has no weight .*SelfAttention.q.weight/,
    );
    const broken = join(root, "broken");
    mkdirSync(broken, { recursive: true });
    writeFileSync(join(broken, "config.json"), "{}");
    tidy(() => {
      const { delta } = readPeft(first);
      const [module] = delta.modules.keys();
      const values = Array(256 * 256).fill(0);
      values[77] = Number.NaN;
      writeSafetensors(join(broken, "model.safetensors"), [
        ...[...delta.modules.keys()]
          .slice(1)
          .map((name) => [`${name}.weight`, tensor(Array(65536).fill(1), [256, 256])] as const),
        [`${module}.weight`, tensor(values, [256, 256])],
      ]);
    });
    expect(() => run([first], { format: "hf", base: broken, out })).toThrow(/holds 1 values that are NaN/);
    const strong = adapter("strong", bundled, { targets: ["q"], rank: 1, scale: 1e7, size: 1 });
    expect(() => run([strong], { format: "hf", base: bundled, out, dtype: "float16" })).toThrow(
      /merged values are NaN or infinite in float16/,
    );
    expect(existsSync(out)).toBe(false);
  });

  it("ended early leaves nothing, at whichever step, and frees everything", () => {
    const before = liveTensors();
    const names = readdirSync(root).length;
    const options = {
      format: "hf",
      out: fresh(),
      base: bundled,
      prompts: [{ text: "x" }],
      maxShardBytes: 4e6,
    } as const;
    const steps = [...stepsOf(exporting([first], options))].length;
    rmSync(options.out, { recursive: true });
    expect(steps).toBeGreaterThan(90);
    for (const stop of [1, 2, Math.floor(steps / 2), steps - 3, steps - 1]) {
      const going = exporting([first], options);
      for (let k = 0; k < stop; k++) going.next();
      expect(readdirSync(root).length).toBe(names + 1);
      going.return(undefined as never);
      expect(existsSync(options.out)).toBe(false);
      expect(readdirSync(root).length).toBe(names);
    }
    expect(liveTensors()).toBe(before);
  });

  it("that was killed is cleaned up by the next one of the same name", () => {
    const out = fresh();
    const abandoned = join(root, `.${out.split("/").at(-1)}.999999999-0.tmp`);
    const alive = join(root, `.${out.split("/").at(-1)}.${process.ppid}-0.tmp`);
    mkdirSync(abandoned);
    mkdirSync(alive);
    run([first], { format: "peft", out });
    expect([existsSync(abandoned), existsSync(alive)]).toEqual([false, true]);
  });
});

function* stepsOf(steps: Generator<ExportStep, ExportReport>): Generator<ExportStep> {
  yield* steps;
}
