import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, expect, it } from "vitest";
import type { AdapterDelta } from "../adapters/delta.js";
import { CheckpointError } from "../errors.js";
import { tensor } from "../tensor/create.js";
import { liveTensors, tidy } from "../tensor/scope.js";
import type { Tensor } from "../tensor/tensor.js";
import { type PeftSettings, readPeft, writePeft } from "./peft.js";
import { writeSafetensors } from "./safetensors.js";

const root = mkdtempSync(join(tmpdir(), "nlora-sparse-"));
afterAll(() => rmSync(root, { recursive: true }));

const settings: PeftSettings = {
  dropout: 0,
  targetModules: ["q"],
  taskType: "SEQ_2_SEQ_LM",
  base: { name: null, revision: null },
};
const A = "base_model.model.block.q.lora_A.weight";
const B = "base_model.model.block.q.lora_B.weight";
const dense = "adapter_model.safetensors";
const sparse = "adapter_sparse.safetensors";
const adapterOf = (a: Tensor, b: Tensor): AdapterDelta => ({
  name: "x",
  scale: 2,
  modules: new Map([["block.q", { a, b }]]),
});

/** A matrix whose rows and columns are often zero, sometimes -0. */
const matrix = (rows: number, columns: number) =>
  fc
    .array(fc.constantFrom(0, 0, 0, -0, 1.5, -2, 1e-30), {
      minLength: rows * columns,
      maxLength: rows * columns,
    })
    .map((values) => ({ values, shape: [rows, columns] }));

it("restores every bit of the factors, whatever is zero", () => {
  const before = liveTensors();
  const folder = join(root, "round-trip");
  fc.assert(
    fc.property(matrix(2, 5), matrix(4, 2), (a, b) => {
      tidy(() => {
        const delta = adapterOf(tensor(a.values, a.shape), tensor(b.values, b.shape));
        writePeft(folder, delta, { ...settings, storage: "sparse" });
        expect([existsSync(join(folder, sparse)), existsSync(join(folder, dense))]).toEqual([true, false]);
        const read = readPeft(folder).delta;
        expect(read.scale).toBe(2);
        const pair = read.modules.get("block.q")!;
        for (const [found, { values, shape }] of [[pair.a, a] as const, [pair.b, b] as const]) {
          expect(found.shape).toEqual(shape);
          expect(found.toBytes()).toEqual(new Uint8Array(Float32Array.from(values).buffer));
        }
      });
    }),
    { numRuns: 12 },
  );
  expect(liveTensors()).toBe(before);
});

it("gives PEFT's files back, and leaves only one kind in a folder", () => {
  const [first, second] = [join(root, "first"), join(root, "second")];
  tidy(() => {
    const delta = adapterOf(tensor([0, 1, 2], [1, 3]), tensor([0, 3], [2, 1]));
    writePeft(first, delta, settings);
    writePeft(second, delta, { ...settings, storage: "sparse" });
    writePeft(second, readPeft(second).delta, settings);
    expect(readdirSync(second).sort()).toEqual(readdirSync(first).sort());
    expect(readFileSync(join(second, dense))).toEqual(readFileSync(join(first, dense)));
  });
});

it("takes the bytes of the used rows and columns, not of the whole", () => {
  tidy(() => {
    const place = (count: number, used: number) => (k: number) => (k % count < used ? 1 : 0);
    const a = tensor(
      Float32Array.from({ length: 8 * 1024 }, (_, k) => place(1024, 24)(k)),
      [8, 1024],
    );
    const b = tensor(
      Float32Array.from({ length: 1024 * 8 }, (_, k) => (k < 24 * 8 ? 1 : 0)),
      [1024, 8],
    );
    const sizes = (["sparse", "dense"] as const).map((storage) => {
      writePeft(join(root, storage), adapterOf(a, b), { ...settings, storage });
      return statSync(join(root, storage, storage === "sparse" ? sparse : dense)).size;
    });
    // 4 r (|R| + |C|) for the blocks, 4 (|R| + |C| + 2) for their places, and a header
    expect(sizes[0]! - 4 * 8 * 48 - 4 * 50).toBeLessThan(1024);
    expect(sizes[1]).toBeGreaterThan(4 * 8 * 2048);
  });
});

it.each([
  ["a gap below 1", [2, 0, 3], /gap 2 is 0, expected at least 1/],
  ["a negative gap", [2, -1, 3], /gap 2 is -1, expected at least 1/],
  ["a place beyond any layer", [2, 1, 2_000_000], /a place is 2000002, expected at most 1048576/],
  ["as many gaps as columns", [2, 1], /expected 3 numbers of int32, found int32 of shape \[2\]/],
])("refuses %s", (_, gaps, message) => {
  const folder = join(root, "broken");
  tidy(() => {
    writePeft(folder, adapterOf(tensor([1, 1], [1, 2]), tensor([1], [1, 1])), {
      ...settings,
      storage: "sparse",
    });
    writeSafetensors(join(folder, sparse), [
      [A, tensor([1, 1], [1, 2])],
      [`${A}.gaps`, tensor(gaps, [gaps.length], "int32")],
      [B, tensor([1], [1, 1])],
      [`${B}.gaps`, tensor([1, 1], [2], "int32")],
    ]);
    expect(() => readPeft(folder)).toThrow(CheckpointError);
    expect(() => readPeft(folder)).toThrow(message);
  });
});

it("refuses a factor without its places", () => {
  const folder = join(root, "missing");
  tidy(() => {
    const [a, b] = [tensor([1, 1], [1, 2]), tensor([1], [1, 1])];
    writePeft(folder, adapterOf(a, b), { ...settings, storage: "sparse" });
    writeSafetensors(join(folder, sparse), [
      [A, a],
      [B, b],
    ]);
    expect(() => readPeft(folder)).toThrow(/no tensor ".*lora_A.weight.gaps"/);
  });
});
