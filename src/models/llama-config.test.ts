import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { goldenFolder } from "../../test/support/golden.js";
import { CheckpointError } from "../errors.js";
import { readJsonObject } from "../io/json.js";
import { SafetensorsFile, writeSafetensors } from "../io/safetensors.js";
import { tensor } from "../tensor/create.js";
import { liveTensors, tidy } from "../tensor/scope.js";
import { readLlamaConfig } from "./llama-config.js";
import { loadModel } from "./registry.js";

const llama = {
  model_type: "llama",
  vocab_size: 100,
  hidden_size: 64,
  num_hidden_layers: 4,
  num_attention_heads: 8,
  intermediate_size: 96,
  max_position_embeddings: 128,
};
const read = (values: object) => readLlamaConfig({ ...llama, ...values }, "config.json");

describe("a config of the LLaMA family", () => {
  it("says the same in the layout before transformers 5 and in that since", () => {
    const scaling = {
      rope_type: "llama3",
      factor: 8,
      low_freq_factor: 1,
      high_freq_factor: 4,
      original_max_position_embeddings: 32,
    };
    const before = read({ rope_theta: 500000, rope_scaling: scaling, torch_dtype: "bfloat16" });
    const since = read({ rope_parameters: { ...scaling, rope_theta: 500000 }, dtype: "bfloat16" });
    expect(since).toEqual(before);
    expect(before.rope).not.toEqual(read({ rope_theta: 500000 }).rope);
    expect(read({ rope_scaling: null, rope_parameters: null }).rope).toEqual(read({}).rope);
  });

  it("falls back on what transformers falls back on", () => {
    expect(read({})).toMatchObject({
      keyValueHeads: 8,
      headWidth: 8,
      epsilon: 1e-6,
      tied: false,
      headNorms: false,
      biases: { queryKeyValue: false, output: false, feedForward: false },
      windows: [null, null, null, null],
      endIds: [2],
      padId: 2,
    });
    const mistral = { model_type: "mistral", attention_bias: true, eos_token_id: [5, 6] };
    expect(read(mistral)).toMatchObject({
      keyValueHeads: 8,
      windows: [4096, 4096, 4096, 4096],
      biases: { queryKeyValue: false, output: false },
      endIds: [5, 6],
    });
    expect(read({ ...mistral, sliding_window: null }).windows).toEqual([null, null, null, null]);
    expect(read({ model_type: "qwen3", eos_token_id: 9, pad_token_id: 4 })).toMatchObject({
      headWidth: 128,
      headNorms: true,
      padId: 4,
    });
    expect(read({ pad_token_id: -1 }).padId).toBe(2);
  });

  it("limits the reach of the layers that Qwen's settings name", () => {
    const qwen = { model_type: "qwen2", eos_token_id: 9, sliding_window: 6, max_window_layers: 3 };
    expect(read(qwen).windows).toEqual([null, null, null, null]);
    expect(read({ ...qwen, use_sliding_window: true }).windows).toEqual([null, null, null, 6]);
    const layer_types = ["sliding_attention", "full_attention", "sliding_attention", "full_attention"];
    expect(read({ ...qwen, use_sliding_window: true, layer_types }).windows).toEqual([6, null, 6, null]);
    expect(() => read({ ...qwen, layer_types })).toThrow(/layer_types names "sliding_attention", expected/);
    expect(() => read({ ...qwen, layer_types: ["full_attention"] })).toThrow(/expected a list of 4 names/);
  });

  it.each<[string, object, RegExp]>([
    ["another activation", { hidden_act: "gelu" }, /hidden_act is "gelu", expected "silu"/],
    ["quantised weights", { quantization_config: { bits: 4 } }, /quantised/],
    ["heads that cannot share", { num_key_value_heads: 3 }, /num_key_value_heads is 3, expected a divisor/],
    ["a width that heads do not divide", { hidden_size: 60 }, /hidden_size is 60, expected a multiple/],
    ["heads of odd width", { head_dim: 7 }, /a head is 7 wide, expected an even width/],
    [
      "heads wider than memory",
      { head_dim: 1e12 },
      /a head is 1000000000000 wide, expected .* at most 65536/,
    ],
    [
      "layers without end",
      { num_hidden_layers: 1e9 },
      /"num_hidden_layers" is 1000000000, expected .* 1 to 1000/,
    ],
    [
      "an end token beyond the vocabulary",
      { eos_token_id: [2, 100] },
      /expected ids below vocab_size \(100\)/,
    ],
    ["no end token where none is usual", { model_type: "qwen2" }, /"eos_token_id" is missing/],
    ["an unknown scaling", { rope_scaling: { type: "longrope" } }, /"longrope", expected default, linear/],
    [
      "a scaling per layer type",
      { rope_parameters: { full_attention: {} } },
      /settings for "full_attention"/,
    ],
    [
      "a scaling that is no object",
      { rope_scaling: "linear" },
      /rope_scaling is "linear", expected an object/,
    ],
    ["linear scaling without a factor", { rope_scaling: { type: "linear" } }, /"factor" is missing/],
    ["partly rotated heads", { partial_rotary_factor: 0.5 }, /partial_rotary_factor is 0.5, expected 1/],
  ])("is refused with %s", (_, values, message) => {
    expect(() => read(values)).toThrow(CheckpointError);
    expect(() => read(values)).toThrow(message);
  });
});

describe("a checkpoint of the LLaMA family", () => {
  const inCopy = (action: (folder: string) => void): void => {
    const folder = mkdtempSync(join(tmpdir(), "nlora-llama-"));
    try {
      cpSync(goldenFolder("llama-classic"), folder, { recursive: true });
      action(folder);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  };
  const edit = (folder: string, values: object): void => {
    const file = join(folder, "config.json");
    writeFileSync(file, JSON.stringify({ ...readJsonObject(file), ...values }));
  };

  it("is refused when it holds weights that the model has no place for", () => {
    inCopy((folder) => {
      const before = liveTensors();
      const file = join(folder, "model.safetensors");
      tidy(() => {
        const stored = SafetensorsFile.open(file);
        writeSafetensors(file, [
          ...stored.names.map((name) => [name, stored.tensor(name).clone()] as const),
          ["model.layers.0.self_attn.q_proj.bias", tensor(new Float32Array(24), [24])],
          ["model.layers.0.self_attn.rotary_emb.inv_freq", tensor([1, 2, 3], [3])],
        ]);
      });
      expect(() => loadModel(folder, "float32")).toThrow(
        /1 weights have no place in a model of type llama: model\.layers\.0\.self_attn\.q_proj\.bias/,
      );
      expect(liveTensors()).toBe(before);
    });
  });

  it("with dynamic scaling computes as far as that is not needed, and no further", () => {
    inCopy((folder) => {
      edit(folder, { rope_scaling: { type: "dynamic", factor: 2 }, max_position_embeddings: 12 });
      const model = loadModel(folder, "float32");
      const start = (length: number) =>
        tidy(() =>
          model.startDecoding({
            inputIds: tensor(new Array(length).fill(5), [1, length], "int64"),
            attentionMask: tensor(new Array(length).fill(1), [1, length], "bool"),
          }),
        );
      const decoding = start(12);
      expect(() => decoding.step([5])).toThrow(/a sequence is 13 tokens long, expected at most 12/);
      decoding.dispose();
      expect(() => start(13)).toThrow(/dynamic RoPE scaling/);
      model.dispose();
    });
  });
});
