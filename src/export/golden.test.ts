/** What PEFT computes with the folders that an export writes, and what is computed here with those that PEFT wrote. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import {
  expectClose,
  type GoldenBatch,
  goldenBatch,
  goldenFolder,
  readGolden,
} from "../../test/support/golden.js";
import { attachAdapters } from "../adapters/attach.js";
import { PEFT_FILES, readPeft } from "../io/peft.js";
import { loadModel } from "../models/registry.js";
import { EVALUATION } from "../nn/context.js";
import { tidy } from "../tensor/scope.js";
import { exporting } from "./export.js";

const root = mkdtempSync(join(tmpdir(), "nlora-sums-"));
afterAll(() => rmSync(root, { recursive: true }));

type Losses = Readonly<Record<"given" | "delta" | "sum" | "together", number>>;
const golden = readGolden<Readonly<Record<string, Losses>>>("lora-sums");

describe.each([
  ["t5-classic", "lora-peft"],
  ["llama3-gqa", "llama3-gqa/adapter"],
])("on %s", (base, other) => {
  const expected = golden[base]!;
  const given = goldenFolder(`lora-sums/${base}/given`);
  const written = (name: string) => goldenFolder(`lora-sums/${base}/${name}`);

  it("adapters with patterns, with rsLoRA, and several at once have PEFT's loss", () => {
    const model = loadModel(goldenFolder(base), "float32");
    const loss = (...folders: string[]) =>
      tidy(() => {
        const detach = attachAdapters(
          model,
          folders.map((folder) => readPeft(folder).delta),
        );
        const value = model.forward(goldenBatch(readGolden<GoldenBatch>(base)), EVALUATION).loss.item();
        detach();
        return value;
      });
    expectClose([loss(given)], [expected.given], 1e-4, "given");
    expectClose([loss(written("delta"))], [expected.delta], 1e-4, "delta");
    expectClose([loss(written("sum"))], [expected.sum], 1e-4, "sum");
    expectClose([loss(goldenFolder(other), given)], [expected.together], 1e-4, "together");
    model.dispose();
  });

  it("PEFT computes the same with an export as with what was exported", () => {
    expectClose([expected.delta], [expected.given], 1e-6, "one adapter");
    expectClose([expected.sum], [expected.together], 1e-6, "two adapters");
    expect(Math.abs(expected.sum - expected.given)).toBeGreaterThan(0.01);
  });

  it.each([
    ["delta", [given]],
    ["sum", [goldenFolder(other), given]],
  ])("the export of the %s is still the folder that PEFT read", (name, folders) => {
    const out = join(root, `${base}-${name}`);
    const steps = exporting(folders, { format: "peft", out, base: null });
    while (!steps.next().done);
    for (const file of Object.values(PEFT_FILES)) {
      expect(readFileSync(join(out, file)).equals(readFileSync(join(written(name), file))), file).toBe(true);
    }
  });
});
