import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { goldenFolder } from "../../test/support/golden.js";
import { loadModel, readModelFacts } from "./registry.js";

it.each([
  ["of the config", null, [1]],
  ["of generation_config.json", { eos_token_id: [7, 9] }, [7, 9]],
  ["of the config where generation_config.json names none", { eos_token_id: null }, [1]],
])("ends answers at the end tokens %s", (_, generation, expected) => {
  const folder = mkdtempSync(join(tmpdir(), "nlora-"));
  try {
    cpSync(goldenFolder("t5-classic"), folder, { recursive: true });
    if (generation) writeFileSync(join(folder, "generation_config.json"), JSON.stringify(generation));
    const model = loadModel(folder, "float32");
    expect(model.endIds).toEqual(expected);
    expect(model.eosId).toBe(expected[0]);
    const { family, vocabularySize, eosId, endIds } = model;
    expect(readModelFacts(folder)).toEqual({ family, vocabularySize, eosId, endIds });
    model.dispose();
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

it("knows of a decoder-only model without its weights what the model itself says", () => {
  const folder = goldenFolder("llama-classic");
  const model = loadModel(folder, "float32");
  const { family, vocabularySize, eosId, endIds } = model;
  expect(readModelFacts(folder)).toEqual({ family, vocabularySize, eosId, endIds });
  expect(family).toBe("causal");
  model.dispose();
});
