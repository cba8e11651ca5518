import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { readGguf } from "../../test/support/gguf.js";
import { goldenFolder } from "../../test/support/golden.js";
import type { AdapterDelta } from "../adapters/delta.js";
import { CheckpointError } from "../errors.js";
import { readJsonObject } from "../io/json.js";
import { readPeft } from "../io/peft.js";
import type { Provenance } from "../io/provenance.js";
import { randn } from "../tensor/functions.gen.js";
import { liveTensors, tidy } from "../tensor/scope.js";
import { writeGgufLora } from "./gguf-lora.js";

const root = mkdtempSync(join(tmpdir(), "nlora-gguf-"));
afterAll(() => rmSync(root, { recursive: true }));

const provenance: Provenance = {
  holds: "cumulative",
  tasks: ["a", "b"],
  position: 2,
  run: "r-n-lora-s1",
  method: "n-lora",
  base: { name: "org/base", revision: "f".repeat(40) },
  includes: [],
  needs: [],
};

let count = 0;
function write(
  delta: AdapterDelta,
  config: Record<string, unknown>,
  dtype: "float32" | "float16" = "float32",
) {
  const path = join(root, `${count++}.gguf`);
  writeGgufLora(path, delta, { config, configFile: "base/config.json", dtype, provenance });
  return readGguf(path);
}

const adapter = (
  modules: Record<string, [rank: number, inputs: number, outputs: number]>,
  scale = 2,
): AdapterDelta => ({
  name: "made",
  scale,
  modules: new Map(
    Object.entries(modules).map(([name, [rank, inputs, outputs]]) => [
      name,
      { a: randn([rank, inputs]), b: randn([outputs, rank]) },
    ]),
  ),
});

it("says what llama.cpp asks for, and lays data out in steps of 32 bytes", () => {
  const before = liveTensors();
  tidy(() => {
    const delta = adapter({
      "model.layers.0.self_attn.v_proj": [3, 5, 7],
      "model.layers.1.mlp.up_proj": [3, 5, 9],
    });
    const file = write(delta, { model_type: "qwen3" });
    expect(file.version).toBe(3);
    expect(Object.keys(file.values)[0]).toBe("general.architecture");
    expect(file.values).toMatchObject({
      "general.architecture": "qwen3",
      "general.type": "adapter",
      "adapter.type": "lora",
      "adapter.lora.alpha": 6,
      "general.file_type": 0,
      "general.base_model.count": 1,
      "general.base_model.0.name": "org/base",
      "general.base_model.0.version": "f".repeat(40),
      "nlora.holds": "cumulative",
      "nlora.tasks": '["a","b"]',
    });
    expect(file.values["general.description"]).toMatch(/^The cumulative update of the tasks 1 to 2: a, b\./);
    expect([...file.tensors.keys()]).toEqual([
      "blk.0.attn_v.weight.lora_a",
      "blk.0.attn_v.weight.lora_b",
      "blk.1.ffn_up.weight.lora_a",
      "blk.1.ffn_up.weight.lora_b",
    ]);
    const { a, b } = delta.modules.get("model.layers.0.self_attn.v_proj")!;
    const [storedA, storedB] = ["a", "b"].map(
      (factor) => file.tensors.get(`blk.0.attn_v.weight.lora_${factor}`)!,
    );
    expect([storedA!.dimensions, storedB!.dimensions]).toEqual([
      [5, 3],
      [3, 7],
    ]);
    expect([storedA!.values, storedB!.values]).toEqual([a.toArray(), b.toArray()]);
    const ends = [...file.tensors.values()].map(({ begin, values }) => begin + 4 * values.length);
    expect(file.size).toBe(Math.ceil(Math.max(...ends) / 32) * 32);
    expect(file.dataStart % 32).toBe(0);
  });
  expect(liveTensors()).toBe(before);
});

it("writes float16 as asked, and refuses what does not fit into it", () => {
  tidy(() => {
    const delta = adapter({ "model.layers.0.self_attn.v_proj": [2, 3, 4] });
    const file = write(delta, { model_type: "qwen2" }, "float16");
    expect(file.values["general.file_type"]).toBe(1);
    const [stored] = file.tensors.values();
    expect(stored!.type).toBe(1);
    const { a, b } = delta.modules.get("model.layers.0.self_attn.v_proj")!;
    expect(stored!.values).toEqual(a.toDtype("float16").toArray());
    b.fill_(1e6);
    expect(() => write(delta, { model_type: "qwen2" }, "float16")).toThrow(
      /lora_b" holds 8 values that are NaN or inf/,
    );
    expect(existsSync(join(root, `${count - 1}.gguf`))).toBe(false);
  });
});

describe("the rows of q and k", () => {
  const q = "model.layers.0.self_attn.q_proj";
  const k = "model.layers.0.self_attn.k_proj";
  const v = "model.layers.0.self_attn.v_proj";
  const made = () => adapter({ [q]: [2, 6, 24], [k]: [2, 6, 12], [v]: [2, 6, 12] });

  /** Head by head, the rows of the first and the second half in turn. */
  const dealt = (values: readonly number[], heads: number, rank: number): number[] => {
    const rows = values.length / rank;
    const half = rows / heads / 2;
    return Array.from({ length: rows }, (_, row) => {
      const [head, place] = [Math.floor(row / (2 * half)), row % (2 * half)];
      const from = head * 2 * half + (place % 2) * half + Math.floor(place / 2);
      return values.slice(from * rank, (from + 1) * rank);
    }).flat();
  };

  it.each([
    ["llama", "llama", true],
    ["mistral", "llama", true],
    ["qwen2", "qwen2", false],
    ["qwen3", "qwen3", false],
  ])("of a %s model are in the order that llama.cpp's %s rotates", (type, architecture, isDealt) => {
    tidy(() => {
      const delta = made();
      const file = write(delta, { model_type: type, num_attention_heads: 4, num_key_value_heads: 2 });
      expect(file.values["general.architecture"]).toBe(architecture);
      const stored = (name: string) => file.tensors.get(`blk.0.${name}.weight.lora_b`)!.values;
      const plain = (module: string) => delta.modules.get(module)!.b.toArray();
      expect(stored("attn_q")).toEqual(isDealt ? dealt(plain(q), 4, 2) : plain(q));
      expect(stored("attn_k")).toEqual(isDealt ? dealt(plain(k), 2, 2) : plain(k));
      expect(stored("attn_v")).toEqual(plain(v));
      if (isDealt) expect(stored("attn_q")).not.toEqual(plain(q));
    });
  });

  it("need the heads that the config names", () => {
    tidy(() => {
      const delta = made();
      expect(() => write(delta, { model_type: "llama" })).toThrow(/"num_attention_heads" is missing/);
      expect(() => write(delta, { model_type: "llama", num_attention_heads: 5 })).toThrow(
        /q_proj has 24 outputs there, expected a multiple of twice its 5 heads/,
      );
    });
  });
});

it("keeps alpha / rank the same for modules of different rank", () => {
  tidy(() => {
    const [v, up] = ["model.layers.0.self_attn.v_proj", "model.layers.0.mlp.up_proj"];
    const delta = adapter({ [v!]: [4, 5, 6], [up!]: [1, 5, 6] }, 3);
    const file = write(delta, { model_type: "qwen2" });
    const alpha = file.values["adapter.lora.alpha"] as number;
    for (const [module, name] of [
      [v, "attn_v"],
      [up, "ffn_up"],
    ] as const) {
      const { dimensions, values } = file.tensors.get(`blk.0.${name}.weight.lora_b`)!;
      const expected = delta.modules.get(module!)!.b.mul(3).toArray();
      values.forEach(
        (value, i) => void expect((value * alpha) / dimensions[0]!).toBeCloseTo(expected[i]!, 5),
      );
    }
  });
});

it("names every layer of T5 that PEFT adapts as llama.cpp does", () => {
  tidy(() => {
    const { delta } = readPeft(goldenFolder("lora-peft"));
    const file = write(delta, readJsonObject(join(goldenFolder("t5-classic"), "config.json")));
    expect(file.values["general.architecture"]).toBe("t5");
    const names = [...file.tensors.keys()].filter((name) => name.endsWith("lora_a")).sort();
    const blocks = [0, 1].flatMap((n) => [
      ...["q", "v"].map((x) => `enc.blk.${n}.attn_${x}`),
      ...["q", "v"].map((x) => `dec.blk.${n}.attn_${x}`),
      ...["q", "v"].map((x) => `dec.blk.${n}.cross_attn_${x}`),
    ]);
    expect(names).toEqual(blocks.map((name) => `${name}.weight.lora_a`).sort());
    const others = adapter({
      "encoder.block.3.layer.1.DenseReluDense.wi_0": [1, 2, 2],
      "encoder.block.3.layer.1.DenseReluDense.wi_1": [1, 2, 2],
      "decoder.block.3.layer.2.DenseReluDense.wi": [1, 2, 2],
      "decoder.block.3.layer.2.DenseReluDense.wo": [1, 2, 2],
      "decoder.block.3.layer.0.SelfAttention.o": [1, 2, 2],
    });
    expect([...write(others, { model_type: "t5" }).tensors.keys()].filter((_, i) => i % 2 === 0)).toEqual([
      "enc.blk.3.ffn_gate.weight.lora_a",
      "enc.blk.3.ffn_up.weight.lora_a",
      "dec.blk.3.ffn_up.weight.lora_a",
      "dec.blk.3.ffn_down.weight.lora_a",
      "dec.blk.3.attn_o.weight.lora_a",
    ]);
  });
});

it("refuses layers and models that llama.cpp has no name for here", () => {
  tidy(() => {
    expect(() =>
      write(adapter({ "model.layers.0.constructor": [1, 2, 2] }), { model_type: "qwen2" }),
    ).toThrow(/llama.cpp has no tensor for the layer model.layers.0.constructor of a qwen2 model/);
    expect(() => write(adapter({ lm_head: [1, 2, 2] }), { model_type: "llama" })).toThrow(CheckpointError);
    expect(() => write(adapter({ x: [1, 2, 2] }), { model_type: "gpt2" })).toThrow(
      /base\/config.json: model_type is "gpt2", expected llama, mistral/,
    );
  });
});
