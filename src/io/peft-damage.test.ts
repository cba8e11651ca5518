/** Adapter folders whose weights are not what they should be: read as finite LoRA that fits together, or refused. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, expect, it } from "vitest";
import { CheckpointError } from "../errors.js";
import { tensor } from "../tensor/create.js";
import type { DType } from "../tensor/dtype.js";
import { liveTensors, tidy } from "../tensor/scope.js";
import { PEFT_FILES, readPeft } from "./peft.js";
import { writeSafetensors } from "./safetensors.js";

const root = mkdtempSync(join(tmpdir(), "nlora-damage-"));
afterAll(() => rmSync(root, { recursive: true }));
const weights = join(root, PEFT_FILES.weights);
const config = join(root, PEFT_FILES.config);
mkdirSync(root, { recursive: true });

const plain = { peft_type: "LORA", r: 2, lora_alpha: 4, target_modules: null };

const outcome = (): string => {
  const before = liveTensors();
  try {
    return tidy(() => {
      const { delta } = readPeft(root);
      for (const { a, b } of delta.modules.values()) {
        expect([a.dtype, b.dtype]).toEqual(["float32", "float32"]);
        expect([a.shape.length, b.shape.length, b.dim(1)]).toEqual([2, 2, a.dim(0)]);
        expect(a.isfinite().all().item() + b.isfinite().all().item()).toBe(2);
      }
      return `read ${delta.modules.size}`;
    });
  } catch (error) {
    if (!(error instanceof CheckpointError)) throw error;
    expect(error.message).not.toMatch(/\n/);
    return error.message;
  } finally {
    expect(liveTensors()).toBe(before);
  }
};

const put = (entries: readonly (readonly [string, readonly number[], DType, number])[]): void =>
  tidy(() =>
    writeSafetensors(
      weights,
      entries.map(([name, shape, dtype, value]) => {
        const size = shape.reduce((product, length) => product * length, 1);
        return [name, tensor(Array(size).fill(value), shape).toDtype(dtype)] as const;
      }),
    ),
  );

it("reads any set of tensors as LoRA that fits together, or refuses it in one line", () => {
  writeFileSync(config, JSON.stringify(plain));
  const module = fc.constantFrom(
    "m.q",
    "m.v",
    "__proto__",
    "constructor",
    "model.layers.0.self_attn.q_proj",
    "",
  );
  const factor = fc.oneof(
    { weight: 8, arbitrary: fc.constantFrom("lora_A.weight", "lora_B.weight") },
    {
      weight: 1,
      arbitrary: fc.constantFrom(
        "lora_A.default.weight",
        "loranew_A.weight",
        "lora_B.bias",
        "lora_embedding_A",
        "lora_magnitude_vector",
        "weight",
      ),
    },
  );
  const prefix = fc.oneof(
    { weight: 9, arbitrary: fc.constant("base_model.model.") },
    { weight: 1, arbitrary: fc.constantFrom("", "base_model.") },
  );
  const side = fc.constantFrom(0, 1, 2, 2, 2, 3);
  const shape = fc.oneof(
    { weight: 6, arbitrary: fc.constant("fits" as const) },
    { weight: 1, arbitrary: fc.array(side, { maxLength: 3 }) },
  );
  const dtype = fc.constantFrom<DType>(
    "float32",
    "float32",
    "bfloat16",
    "float16",
    "float64",
    "int64",
    "bool",
  );
  const value = fc.constantFrom(0, 0.5, -1, 1, Number.NaN, 1e30, Infinity);
  const entry = fc
    .tuple(
      prefix,
      module,
      factor,
      shape,
      fc.oneof({ weight: 5, arbitrary: fc.constant<DType>("float32") }, dtype),
      value,
    )
    .map(([start, name, kind, size, type, fill]) => {
      const fitting = kind.includes("A") ? [2, 3] : [3, 2];
      return [`${start}${name}.${kind}`, size === "fits" ? fitting : size, type, fill] as const;
    });
  const pair = fc
    .constantFrom("m.q", "m.v", "x.__proto__")
    .map((name) => [
      [`base_model.model.${name}.lora_A.weight`, [2, 3], "float32", 0.5] as const,
      [`base_model.model.${name}.lora_B.weight`, [3, 2], "bfloat16", -1] as const,
    ]);
  const files = fc
    .tuple(fc.array(pair, { maxLength: 3 }), fc.array(entry, { maxLength: 2 }))
    .map(([pairs, more]) => [...new Map([...pairs.flat(), ...more].map((each) => [each[0], each])).values()]);
  let read = 0;
  fc.assert(
    fc.property(files, (entries) => {
      put(entries);
      if (outcome().startsWith("read")) read++;
    }),
    { numRuns: 300 },
  );
  expect(read).toBeGreaterThan(20);
  expect(read).toBeLessThan(280);
});

it("refuses what other kinds of adapters store, by name", () => {
  writeFileSync(config, JSON.stringify(plain));
  const good = [
    ["base_model.model.m.q.lora_A.weight", [2, 3], "float32", 1],
    ["base_model.model.m.q.lora_B.weight", [3, 2], "float32", 1],
  ] as const;
  for (const name of [
    "base_model.model.m.q.lora_magnitude_vector",
    "base_model.model.embed.lora_embedding_A",
    "base_model.model.lm_head.weight",
    "base_model.model.m.q.lora_B.bias",
    "base_model.model.m.q.base_layer.weight",
  ]) {
    put([...good, [name, [2], "float32", 1]]);
    expect(outcome()).toMatch(/is not a LoRA factor, expected names like base_model\.model/);
  }
  put(good);
  expect(outcome()).toBe("read 1");
  for (const [key, value] of Object.entries({
    use_dora: true,
    modules_to_save: ["lm_head"],
    bias: "lora_only",
    lora_bias: true,
    peft_type: "ADALORA",
    lora_alpha: 0,
    r: 3,
    target_modules: ["k"],
    rank_pattern: { q: 1 },
  })) {
    writeFileSync(config, JSON.stringify({ ...plain, [key]: value }));
    expect(outcome(), key).not.toMatch(/^read/);
  }
});

it("refuses weights that were cut off anywhere, and config files that are no settings", () => {
  writeFileSync(config, JSON.stringify(plain));
  put([
    ["base_model.model.m.q.lora_A.weight", [2, 3], "float32", 1],
    ["base_model.model.m.q.lora_B.weight", [3, 2], "float32", 1],
  ]);
  const whole = readFileSync(weights);
  for (let length = 0; length < whole.length; length += 7) {
    truncateSync(weights, length);
    expect(outcome()).toMatch(/truncated|not a safetensors file|not valid JSON/);
    writeFileSync(weights, whole);
  }
  for (const text of ["", "[]", "null", "{", '{"r":1,"r":2}', `${'{"a":'.repeat(99)}1${"}".repeat(99)}`]) {
    writeFileSync(config, text);
    expect(outcome()).toMatch(/adapter_config.json/);
  }
});
