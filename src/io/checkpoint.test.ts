import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, expect, it } from "vitest";
import { CheckpointError } from "../errors.js";
import { tensor } from "../tensor/create.js";
import { packageRoot } from "../tensor/native.js";
import { tidy } from "../tensor/scope.js";
import { Checkpoint, configReader } from "./checkpoint.js";
import { writeSafetensors } from "./safetensors.js";

const root = mkdtempSync(join(tmpdir(), "nlora-checkpoint-"));
afterAll(() => rmSync(root, { recursive: true }));
const golden = join(packageRoot, "test", "fixtures", "golden");
const shared = process.env.NLORA_SHARED ?? resolve(packageRoot, "..", "shared");

let count = 0;
function folder(files: Record<string, string> = { "config.json": "{}" }): string {
  const path = join(root, String(count++));
  mkdirSync(path);
  for (const [name, text] of Object.entries(files)) writeFileSync(join(path, name), text);
  return path;
}

it("reads a sharded folder as the same tensors as the whole one", () => {
  const whole = Checkpoint.open(join(golden, "t5-gated"));
  const sharded = Checkpoint.open(join(golden, "t5-gated-sharded"));
  expect([...sharded.names].sort()).toEqual([...whole.names].sort());
  expect(whole.settings.count("d_model")).toBe(24);
  tidy(() => {
    for (const name of whole.names) {
      const expected = whole.tensor(name);
      expect(sharded.tensor(name, expected.shape).equal(expected)).toBe(true);
    }
  });
  expect(sharded.unused()).toEqual([]);
});

it("remembers what was never read", () => {
  const path = folder();
  tidy(() => {
    const w = tensor([1, 2], [1, 2]);
    writeSafetensors(join(path, "model.safetensors"), [
      ["a.w", w],
      ["b.w", w],
    ]);
    const checkpoint = Checkpoint.open(path);
    expect(checkpoint.has("a.w")).toBe(true);
    checkpoint.tensor("a.w", [1, 2]);
    expect(checkpoint.unused()).toEqual(["b.w"]);
    expect(() => checkpoint.tensor("b.w", [2, 1])).toThrow(
      /tensor "b.w" has shape \[1,2\], expected \[2,1\]/,
    );
    expect(() => checkpoint.tensor("x.a.w")).toThrow(/no tensor "x.a.w" among 2; similar: a.w/);
    expect(checkpoint.unused()).toEqual(["b.w"]);
  });
});

it("says which file is missing", () => {
  expect(() => Checkpoint.open(join(root, "none"))).toThrow(/none does not exist/);
  expect(() => Checkpoint.open(folder({}))).toThrow(/config.json does not exist/);
  expect(() => Checkpoint.open(folder())).toThrow(/no weights, expected model.safetensors or/);
  const path = folder({});
  cpSync(join(golden, "t5-gated-sharded"), path, { recursive: true });
  rmSync(join(path, "model-00002-of-00002.safetensors"));
  expect(() => Checkpoint.open(path)).toThrow(/1 of 2 shards missing: model-00002-of-00002.safetensors/);
});

it("refuses pickle files with a way out", () => {
  try {
    Checkpoint.open(folder({ "config.json": "{}", "pytorch_model.bin": "x" }));
    expect.unreachable();
  } catch (error) {
    expect(error).toBeInstanceOf(CheckpointError);
    expect((error as CheckpointError).message).toMatch(/found pytorch_model.bin, expected model.safetensors/);
    expect((error as CheckpointError).hint).toMatch(/safe_serialization/);
  }
});

it("refuses an index that leaves the folder, is no map, or does not fit its shards", () => {
  const open = (index: unknown) => {
    const path = folder({ "config.json": "{}", "model.safetensors.index.json": JSON.stringify(index) });
    copyFileSync(join(golden, "t5-gated", "model.safetensors"), join(path, "a.safetensors"));
    return Checkpoint.open(path);
  };
  for (const name of [
    "../a.safetensors",
    "/a.safetensors",
    "..\\a.safetensors",
    ".a.safetensors",
    "a.bin",
    3,
    null,
  ]) {
    expect(() => open({ weight_map: { w: name } })).toThrow(/weight_map names the file/);
  }
  expect(() => open({})).toThrow(/weight_map is undefined/);
  expect(() => open([])).toThrow(/expected a JSON object, found a list/);
  expect(() => open({ weight_map: { w: "a.safetensors" } })).toThrow(/no tensor "w", but .*index.json says/);
  expect(open({ weight_map: { "shared.weight": "a.safetensors" } }).names).toEqual(["shared.weight"]);
});

it("refuses a shard that was cut off", () => {
  const path = folder({});
  cpSync(join(golden, "t5-gated-sharded"), path, { recursive: true });
  const shard = join(path, "model-00001-of-00002.safetensors");
  truncateSync(shard, readFileSync(shard).length - 1);
  expect(() => Checkpoint.open(path)).toThrow(/model-00001-of-00002.safetensors is truncated/);
});

it("names file and key of a setting that is missing or of the wrong kind", () => {
  const read = configReader({ a: 1, b: 1.5, c: true, d: "x", e: null, f: 0, g: Number.NaN }, "m/config.json");
  expect([read.integer("a"), read.float("b"), read.boolean("c"), read.string("d")]).toEqual([
    1,
    1.5,
    true,
    "x",
  ]);
  expect([read.integer("e", 4), read.string("none", "y"), read.integer("f", 3)]).toEqual([4, "y", 0]);
  expect(() => read.integer("b", 1)).toThrow('m/config.json: "b" is 1.5, expected a whole number');
  expect(() => read.integer("none")).toThrow('m/config.json: "none" is missing, expected a whole number');
  expect(() => read.count("f")).toThrow(/expected a whole number of at least 1/);
  expect(() => read.float("g")).toThrow(/expected a number/);
  expect(() => read.boolean("d")).toThrow(/expected true or false/);
  expect(() => read.string("constructor")).toThrow(/"constructor" is missing/);
});

it.skipIf(!existsSync(join(shared, "models", "t5-mini")))(
  "reads the shared t5-mini (needs ../shared) as stored, every tensor in bfloat16",
  () => {
    const checkpoint = Checkpoint.open(join(shared, "models", "t5-mini"));
    tidy(() => {
      for (const name of checkpoint.names) {
        const read = checkpoint.tensor(name);
        expect(read.dtype).toBe("bfloat16");
      }
      const embedding = checkpoint.tensor("shared.weight", [
        checkpoint.settings.count("vocab_size"),
        checkpoint.settings.count("d_model"),
      ]);
      expect(embedding.isfinite().all().item()).toBe(1);
    });
  },
);
