import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, expect, it } from "vitest";
import { zeros } from "../tensor/functions.gen.js";
import { tidy } from "../tensor/scope.js";
import { readPeft, writePeft } from "./peft.js";
import { baseModel, modelCard, type Provenance, provenanceMetadata, readProvenance } from "./provenance.js";

const ones = (shape: readonly number[]) => zeros(shape).add(1);
const root = mkdtempSync(join(tmpdir(), "nlora-provenance-"));
afterAll(() => rmSync(root, { recursive: true }));

const provenance: Provenance = {
  holds: "delta",
  tasks: ["yahoo"],
  position: 3,
  run: "tiny-n-lora-s7",
  method: "n-lora",
  base: { name: "google-t5/t5-large", revision: "a".repeat(40) },
  includes: [],
  needs: ["../1-dbpedia", "../2-amazon"],
};

it("reads back what it wrote", () => {
  const text = fc.string({ unit: "binary", maxLength: 8 });
  const optional = fc.option(text);
  const any: fc.Arbitrary<Provenance> = fc.record({
    holds: fc.constantFrom("delta" as const, "cumulative" as const),
    tasks: fc.array(text, { maxLength: 3 }),
    position: fc.option(fc.integer({ min: 1, max: 99 })),
    run: optional,
    method: optional,
    base: fc.record({ name: optional, revision: optional }),
    includes: fc.array(text, { maxLength: 2 }),
    needs: fc.array(text, { maxLength: 2 }),
  });
  fc.assert(
    fc.property(any, (one) => {
      expect(readProvenance(provenanceMetadata(one))).toEqual(one);
      expect(() => modelCard(one, { title: "x", facts: [], library: "peft" })).not.toThrow();
    }),
  );
});

it("takes nothing from metadata that says nothing, and the single task from older folders", () => {
  expect(readProvenance({ format: "pt" })).toBe(null);
  expect(readProvenance({ "nlora.holds": "everything" })).toBe(null);
  const old = {
    "nlora.task": "sst",
    "nlora.position": "2",
    "nlora.method": "o-lora",
    "nlora.holds": "delta",
  };
  expect(readProvenance(old)).toMatchObject({ tasks: ["sst"], position: 2, method: "o-lora", run: null });
  expect(readProvenance({ ...old, "nlora.position": "1e99", "nlora.tasks": "[1]" })).toMatchObject({
    tasks: ["sst"],
    position: null,
  });
});

it("names a base model by its place on the hub and its commit, and never by a local path", () => {
  const commit = "0123456789abcdef0123456789abcdef01234567";
  const snapshot = join(root, "models--org--name", "snapshots", commit);
  mkdirSync(snapshot, { recursive: true });
  symlinkSync(snapshot, join(root, "link"));
  expect(baseModel("org/name", snapshot)).toEqual({ name: "org/name", revision: commit });
  expect(baseModel("org/name@main", join(root, "link"))).toEqual({ name: "org/name", revision: commit });
  expect(baseModel("org/name@v1.0", null)).toEqual({ name: "org/name", revision: "v1.0" });
  expect(baseModel(root, root)).toEqual({ name: root.split("/").at(-1), revision: null });
});

it("says in the card whether it is a delta or cumulative, and what else is needed", () => {
  const facts = { title: "3-yahoo", facts: [["rank", "8"] as const], library: "peft" as const };
  const card = modelCard(provenance, facts);
  expect(card).toMatch(/^---\nbase_model: google-t5\/t5-large\nlibrary_name: peft\n/);
  expect(card).toContain(
    "**The update of one task**: what training on `yahoo` (task 3 of its stream) added.",
  );
  expect(card).toContain("apply it together with `../1-dbpedia`, `../2-amazon`");
  expect(card).toContain("| base revision | `aaaa");
  const whole = { ...provenance, holds: "cumulative" as const, tasks: ["a", "b"], position: 2, needs: [] };
  const cumulative = (changes: Partial<Provenance>) => modelCard({ ...whole, ...changes }, facts);
  expect(cumulative({ position: null })).toContain("update** of the tasks `a`, `b`. With");
  expect(cumulative({ tasks: ["a"], includes: ["x", "y"] })).toContain(
    "of the task `a`, and of the adapters `x`, `y`.",
  );
  expect(cumulative({ tasks: [], includes: ["x"] })).toContain("update** of the adapters `x`.");
  expect(modelCard(whole, facts)).toContain(
    "**The cumulative update** of the tasks 1 to 2: `a`, `b`. With the base model it is enough",
  );
  const local = { ...provenance, base: { name: "t5`mini|x", revision: null } };
  expect(modelCard(local, facts)).not.toMatch(/base_model:|revision/);
  expect(modelCard(local, facts)).toContain("| base model | `t5 mini x` |");
});

it("is in the folder: metadata, config and card; modules of another rank are in the patterns", () => {
  tidy(() => {
    const modules = new Map([
      ["a.q", { a: ones([4, 3]), b: ones([5, 4]) }],
      ["a.v", { a: ones([2, 3]), b: ones([5, 2]) }],
    ]);
    const folder = join(root, "adapter");
    writePeft(
      folder,
      { name: "sum", scale: 32 / 6, modules },
      {
        dropout: 0,
        targetModules: ["q", "v"],
        taskType: null,
        base: provenance.base,
        provenance,
        notes: ["A note."],
      },
    );
    const config = JSON.parse(readFileSync(join(folder, "adapter_config.json"), "utf8")) as object;
    expect(config).toMatchObject({
      base_model_name_or_path: "google-t5/t5-large",
      revision: "a".repeat(40),
      r: 4,
      lora_alpha: (32 / 6) * 4,
      rank_pattern: { "a.v": 2 },
      alpha_pattern: { "a.v": (32 / 6) * 2 },
    });
    const card = readFileSync(join(folder, "README.md"), "utf8");
    expect(card).toMatch(/^# sum$/m);
    expect(card).toMatch(/rank \| 4 \(1 modules have less/);
    expect(card).toMatch(/^A note\.$/m);
    const read = readPeft(folder);
    expect(read.provenance).toEqual(provenance);
    expect(read.delta.scale).toBe(32 / 6);
    expect(read.delta.modules.get("a.v")!.b.equal(ones([5, 2]))).toBe(true);
  });
});
