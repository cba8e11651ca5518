import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import fc from "fast-check";
import { afterAll, expect, it } from "vitest";
import type { AdapterDelta } from "../adapters/delta.js";
import { CheckpointError } from "../errors.js";
import { tensor } from "../tensor/create.js";
import { randn, zeros } from "../tensor/functions.gen.js";
import { packageRoot } from "../tensor/native.js";
import { liveTensors, tidy } from "../tensor/scope.js";
import type { Tensor } from "../tensor/tensor.js";
import { type PeftSettings, readPeft, writePeft } from "./peft.js";
import { publicModelName } from "./peft-config.js";
import { SafetensorsFile, writeSafetensors } from "./safetensors.js";

const root = mkdtempSync(join(tmpdir(), "nlora-peft-"));
afterAll(() => rmSync(root, { recursive: true }));
const golden = join(packageRoot, "test", "fixtures", "golden", "lora-peft");

const MODULES = [
  "encoder.block.0.layer.0.SelfAttention.q",
  "decoder.block.1.layer.1.EncDecAttention.v",
] as const;
const key = (module: string, factor: string): string => `base_model.model.${module}.${factor}.weight`;
const CONFIG = { peft_type: "LORA", r: 2, lora_alpha: 8, target_modules: ["q", "v"] };
const SETTINGS: PeftSettings = {
  dropout: 0.1,
  targetModules: ["q", "v"],
  taskType: "SEQ_2_SEQ_LM",
  base: { name: "google-t5/t5-small", revision: null },
};

let count = 0;
function adapter(config: unknown, tensors: readonly (readonly [string, Tensor])[]): string {
  const folder = join(root, String(count++));
  mkdirSync(folder);
  writeFileSync(join(folder, "adapter_config.json"), JSON.stringify(config));
  writeSafetensors(join(folder, "adapter_model.safetensors"), tensors);
  return folder;
}

/** Ones, [rank, 3] and [5, rank], for each module. */
const pairs = (modules: readonly string[] = MODULES, rank = 2): [string, Tensor][] =>
  modules.flatMap((module): [string, Tensor][] => [
    [key(module, "lora_A"), zeros([rank, 3]).add(1)],
    [key(module, "lora_B"), zeros([5, rank]).add(1)],
  ]);

const deltaOf = (modules: readonly string[], rank = 2): AdapterDelta => ({
  name: "sst",
  scale: 4,
  modules: new Map(modules.map((module) => [module, { a: randn([rank, 3]), b: randn([5, rank]) }])),
});

const refusal = (config: unknown, tensors = pairs()): string => {
  try {
    readPeft(adapter(config, tensors));
  } catch (error) {
    expect(error).toBeInstanceOf(CheckpointError);
    return (error as Error).message;
  }
  return "read";
};

it("reads a folder that PEFT wrote", () => {
  tidy(() => {
    const { config, delta, previous, provenance } = readPeft(golden);
    expect([config.rank, config.alpha, [...(config.targetModules as string[])].sort()]).toEqual([
      4,
      8,
      ["q", "v"],
    ]);
    expect([delta.name, delta.scale, delta.modules.size, previous]).toEqual(["lora-peft", 2, 12, undefined]);
    expect(provenance).toBe(null);
    const stored = SafetensorsFile.open(join(golden, "adapter_model.safetensors"));
    for (const [module, { a, b }] of delta.modules) {
      expect([a.dim(0), b.dim(1)]).toEqual([4, 4]);
      expect(a.equal(stored.tensor(key(module, "lora_A")))).toBe(true);
      expect(b.equal(stored.tensor(key(module, "lora_B")))).toBe(true);
    }
  });
});

it("matches the sums of |B A| that the reference computed from the adapter PEFT wrote", () => {
  const { penalty } = JSON.parse(readFileSync(join(golden, "golden.json"), "utf8")) as {
    penalty: { sums: Record<string, number> };
  };
  tidy(() => {
    const { delta } = readPeft(golden);
    expect(Object.keys(penalty.sums).sort()).toEqual([...delta.modules.keys()].sort());
    for (const [module, { a, b }] of delta.modules) {
      const expected = penalty.sums[module]!;
      expect(Math.abs(b.matmul(a).abs().sum().item() / expected - 1)).toBeLessThan(1e-5);
    }
  });
});

it("gives back what it wrote, in the model's order, and overwrites only its own files", () => {
  tidy(() => {
    const folder = join(root, "written", "1-sst");
    for (const delta of [deltaOf(MODULES), deltaOf([...MODULES].reverse())]) {
      writePeft(folder, delta, SETTINGS);
      writeFileSync(join(folder, "notes.md"), "mine");
      const read = readPeft(folder);
      expect(read.delta.scale).toBe(delta.scale);
      expect([...read.delta.modules.keys()]).toEqual([...delta.modules.keys()]);
      for (const [module, { a, b }] of read.delta.modules) {
        expect(a.equal(delta.modules.get(module)!.a)).toBe(true);
        expect(b.equal(delta.modules.get(module)!.b)).toBe(true);
      }
      expect(read.provenance).toBe(null);
      expect(read.config).toMatchObject({ rank: 2, alpha: 8, dropout: 0.1, taskType: "SEQ_2_SEQ_LM" });
    }
    expect(readdirSync(folder).sort()).toEqual([
      "adapter_config.json",
      "adapter_model.safetensors",
      "notes.md",
    ]);
    expect(readdirSync(join(root, "written"))).toEqual(["1-sst"]);
  });
});

it("writes no path of this machine", () => {
  expect(publicModelName("google-t5/t5-large")).toBe("google-t5/t5-large");
  expect(publicModelName("gpt2")).toBe("gpt2");
  expect(publicModelName(root)).toBe(basename(root));
  expect(publicModelName(`${root}/`)).toBe(basename(root));
  expect(publicModelName("../models/t5-mini")).toBe("t5-mini");
  expect(publicModelName("~/models/t5-mini/")).toBe("t5-mini");
  expect(publicModelName("some/deep/t5-mini")).toBe("t5-mini");
  expect(publicModelName("C:\\models\\t5-mini")).toBe("t5-mini");
  expect(publicModelName("src/io")).toBe("io");
  expect([publicModelName("/"), publicModelName(""), publicModelName(null)]).toEqual([null, null, null]);
  tidy(() => {
    const folder = join(root, "no-path");
    writePeft(folder, deltaOf(MODULES), { ...SETTINGS, base: { name: root, revision: null } });
    expect(readPeft(folder).config.base.name).toBe(basename(root));
    expect(readFileSync(join(folder, "adapter_config.json"), "utf8")).not.toContain("/");
  });
});

it("refuses to write what does not fit, and leaves nothing behind", () => {
  tidy(() => {
    const parent = join(root, "refused");
    const folder = join(parent, "x");
    const broken = deltaOf(MODULES);
    broken.modules.get(MODULES[1])!.b.fill_(Number.NaN);
    expect(() => writePeft(folder, broken, SETTINGS)).toThrow(/holds 10 values that are NaN/);
    const unequal: AdapterDelta = {
      ...broken,
      modules: new Map([[MODULES[0], { a: zeros([2, 3]), b: zeros([5, 3]) }]]),
    };
    expect(() => writePeft(folder, unequal, SETTINGS)).toThrow(/lora_A has shape \[2,3\] and lora_B \[5,3\]/);
    expect(() => writePeft(folder, deltaOf([]), SETTINGS)).toThrow(/"sst" has no modules/);
    expect(() => writePeft(folder, deltaOf(["x.k"]), SETTINGS)).toThrow(
      /factors for x.k, but target_modules/,
    );
    expect(existsSync(parent)).toBe(false);
    writeFileSync(parent, "");
    expect(() => writePeft(folder, deltaOf(MODULES), SETTINGS)).toThrow(CheckpointError);
  });
});

it("scales as PEFT does: rsLoRA, and patterns folded into b", () => {
  tidy(() => {
    const scaled = (extra: object, tensors = pairs()): number[] => {
      const { delta } = readPeft(adapter({ ...CONFIG, ...extra }, tensors));
      return MODULES.map((m) => {
        const { a, b } = delta.modules.get(m)!;
        return b.mul(delta.scale).matmul(a).toArray()[0]!;
      });
    };
    const near = (found: number[], expected: number[]) =>
      found.forEach((value, i) => void expect(value).toBeCloseTo(expected[i]!, 5));
    near(scaled({}), [8, 8]);
    near(scaled({ use_rslora: true }), [16 / Math.SQRT2, 16 / Math.SQRT2]);
    near(scaled({ alpha_pattern: { q: 2, "block.1.layer.1.EncDecAttention.v": 4 } }), [2, 4]);
    near(scaled({ alpha_pattern: { [`^${MODULES[0]}`]: 2, "^v": 99 } }), [2, 8]);
    near(scaled({ alpha_pattern: { "layer\\.1\\.EncDecAttention\\.v$": 4, v: 99 } }), [8, 4]);
    near(scaled({ lora_alpha: 0, alpha_pattern: { q: 2 } }), [2, 0]);
    expect(refusal({ ...CONFIG, lora_alpha: 0 })).toMatch(
      /"lora_alpha" is 0, expected a number other than 0/,
    );
    const ranks = [...pairs([MODULES[0]], 2), ...pairs([MODULES[1]], 4)];
    near(scaled({ rank_pattern: { v: 4 } }, ranks), [8, 8]);
    near(scaled({ rank_pattern: { v: 4 }, use_rslora: true }, ranks), [16 / Math.SQRT2, 16]);
  });
});

it("widens 16-bit factors to float32 and accepts an adapter's name in the keys", () => {
  tidy(() => {
    const module = MODULES[0];
    const folder = adapter(CONFIG, [
      [`base_model.model.${module}.lora_A.default.weight`, tensor([1, 2, 3, 4], [2, 2], "bfloat16")],
      [`base_model.model.${module}.lora_B.default.weight`, tensor([1, 0.5], [1, 2], "float16")],
    ]);
    const { a, b } = readPeft(folder).delta.modules.get(module)!;
    expect([a.dtype, a.toArray(), b.dtype, b.toArray()]).toEqual([
      "float32",
      [1, 2, 3, 4],
      "float32",
      [1, 0.5],
    ]);
  });
});

it("reads the stacked and the split layout of the released O-LoRA and N-LoRA code", () => {
  tidy(() => {
    const stacked = readPeft(adapter({ ...CONFIG, r_sum: 6 }, pairs(MODULES, 6)));
    expect([stacked.delta.scale, stacked.delta.modules.get(MODULES[0])!.a.shape]).toEqual([4, [6, 3]]);
    expect(stacked.previous).toBeUndefined();

    const fresh = pairs(MODULES, 2).map(([name, value]): [string, Tensor] => [
      name.replace("lora_", "loranew_"),
      value.mul(3),
    ]);
    const split = readPeft(adapter({ ...CONFIG, r_sum: 4 }, [...pairs(MODULES, 4), ...fresh]));
    expect([split.delta.scale, split.delta.modules.get(MODULES[1])!.b.toArray()]).toEqual([
      4,
      Array(10).fill(3),
    ]);
    expect(split.previous?.modules.get(MODULES[1])?.a.shape).toEqual([4, 3]);

    const first = readPeft(adapter({ ...CONFIG, r_sum: 0 }, [...pairs(MODULES, 0), ...fresh]));
    expect([first.delta.modules.size, first.previous]).toEqual([2, undefined]);
    expect(refusal({ ...CONFIG, r_sum: 6 }, [...pairs(MODULES, 4), ...fresh])).toMatch(
      /expected \[6, inputs\]/,
    );
    expect(refusal({ ...CONFIG, r_sum: 4 }, [...pairs(MODULES, 4), fresh[0]!])).toMatch(/no loranew_B/);
  });
});

it("refuses what is not plain LoRA and what does not fit together, and frees what it had read", () => {
  tidy(() => {
    const before = liveTensors();
    expect(refusal({ ...CONFIG, peft_type: "IA3" }, [])).toMatch(/"peft_type" is "IA3", expected "LORA"/);
    expect(refusal({ ...CONFIG, use_dora: true }, [])).toMatch(/"use_dora" is true, expected it off/);
    expect(refusal({ ...CONFIG, modules_to_save: ["lm_head"] }, [])).toMatch(
      /"modules_to_save" is \["lm_head"\]/,
    );
    expect(refusal({ ...CONFIG, bias: "all" }, [])).toMatch(/"bias" is "all"/);
    expect(refusal({ ...CONFIG, init_lora_weights: "pissa" }, [])).toMatch(/"init_lora_weights" is "pissa"/);
    expect(refusal({ ...CONFIG, alpha_pattern: { "(a+)+b": 1 } }, [])).toMatch(
      /regular expressions are not read/,
    );
    expect(refusal({ ...CONFIG, r: 0 }, [])).toMatch(/"r" is 0, expected a whole number of at least 1/);
    expect(refusal({ ...CONFIG, target_modules: 3 }, [])).toMatch(/"target_modules" is 3/);
    expect(refusal(CONFIG, [])).toMatch(/no LoRA factors/);
    expect(liveTensors()).toBe(before);
  });
  tidy(() => {
    const all = pairs();
    const before = liveTensors();
    expect(refusal({ ...CONFIG, r: 3 }, all)).toMatch(
      /shape \[2,3\] and lora_B \[5,2\], expected \[3, inputs\]/,
    );
    expect(refusal({ ...CONFIG, target_modules: ["k"] }, all)).toMatch(/target_modules is \["k"\]/);
    expect(refusal(CONFIG, all.slice(0, 3))).toMatch(/EncDecAttention.v has no lora_B, only its partner/);
    expect(liveTensors()).toBe(before);
  });
  tidy(() => {
    const [first] = pairs();
    const weight = first![1];
    expect(refusal(CONFIG, [...pairs(), ["base_model.model.lm_head.weight", weight]])).toMatch(
      /is not a LoRA factor/,
    );
    expect(refusal(CONFIG, [...pairs(), [key(MODULES[0], "lora_A.b"), weight]])).toMatch(/two lora_A for/);
    expect(refusal(CONFIG, [...pairs().slice(1), [first![0], weight.toDtype("int64")]])).toMatch(/is int64/);
    expect(refusal(CONFIG, [...pairs().slice(1), [first![0], weight.mul(Number.NaN)]])).toMatch(
      /6 values that are NaN/,
    );
    expect(refusal(CONFIG, [...pairs().slice(1), [first![0], weight.toDtype("float64").mul(1e300)]])).toMatch(
      /infinite/,
    );
  });
});

it("says what is missing in a folder that is no adapter", () => {
  const folder = join(root, "empty");
  expect(() => readPeft(folder)).toThrow(/does not exist/);
  mkdirSync(join(folder, "task-1"), { recursive: true });
  writeFileSync(join(folder, "task-1", "adapter_config.json"), JSON.stringify(CONFIG));
  expect(() => readPeft(folder)).toThrow(/no adapter_config.json/);
  expect(() => readPeft(join(folder, "task-1"))).toThrow(/no adapter_model.safetensors/);
  writeFileSync(join(folder, "task-1", "adapter_model.bin"), "");
  expect(() => readPeft(join(folder, "task-1"))).toThrow(/found adapter_model.bin, expected/);
  expect(() => readPeft(join(folder, "task-1", "adapter_config.json"))).toThrow(CheckpointError);
});

it("reads an adapter with a damaged config as finite LoRA of the file's shapes, or throws a CheckpointError", () => {
  const folder = join(root, "fuzz");
  const original = tidy(() => {
    writePeft(folder, deltaOf(MODULES), SETTINGS);
    return readFileSync(join(folder, "adapter_config.json"), "utf8");
  });
  const keys = [
    ...Object.keys(JSON.parse(original) as object),
    "use_rslora",
    "r_sum",
    "__proto__",
    "arrow_config",
  ];
  const value = fc.oneof(
    fc.jsonValue({ maxDepth: 2 }),
    fc.constantFrom(
      0,
      -1,
      2,
      8,
      1e308,
      5e-324,
      2 ** 53,
      true,
      "LORA",
      [],
      ["q"],
      { q: 1e-308, v: 1e308 },
      { q: 2 },
    ),
  );
  const setKey = fc.tuple(fc.constantFrom(...keys), value).map(([name, v]) => (text: string) => {
    const entry = `${JSON.stringify(name)}:${JSON.stringify(v)}`;
    const config = JSON.parse(text) as Record<string, unknown>;
    delete config[name];
    return `{${entry},${JSON.stringify(config).slice(1)}`;
  });
  const cut = fc.tuple(fc.nat(600), fc.nat(3), fc.string({ maxLength: 3 })).map(
    ([where, drop, put]) =>
      (text: string) =>
        text.slice(0, where) + put + text.slice(where + drop),
  );
  let read = 0;
  const damages = fc.oneof(fc.array(setKey, { minLength: 1, maxLength: 3 }), fc.tuple(cut));
  fc.assert(
    fc.property(damages, (list) => {
      writeFileSync(
        join(folder, "adapter_config.json"),
        list.reduce((text, act) => act(text), original),
      );
      tidy(() => {
        try {
          const { delta } = readPeft(folder);
          read++;
          expect([...delta.modules.keys()]).toEqual(MODULES);
          expect(Number.isFinite(delta.scale)).toBe(true);
          for (const { a, b } of delta.modules.values()) {
            expect([a.shape, b.shape]).toEqual([
              [2, 3],
              [5, 2],
            ]);
            expect(a.isfinite().all().item() + b.isfinite().all().item()).toBe(2);
          }
        } catch (error) {
          if (!(error instanceof CheckpointError)) throw error;
        }
      });
    }),
    { numRuns: 500 },
  );
  expect(read).toBeGreaterThan(50);
  expect(read).toBeLessThan(450);
});
