import { expect, it } from "vitest";
import { resolveConfig } from "../experiment/config.js";
import { METHOD_NAMES } from "../methods/registry.js";
import type { FormField, FormItem } from "./pages/wire.js";
import { checkForm, settingsForm, valuesOf } from "./settings-form.js";

function fieldsOf(items: readonly FormItem[]): FormField[] {
  return items.flatMap((item) => {
    if (item.kind === "field") return [item];
    if (item.kind === "group") return fieldsOf(item.items);
    return item.variants.flatMap((variant) => fieldsOf(variant.items));
  });
}

it("has a field for every setting, each explained, with the controls that its type asks for", () => {
  const fields = fieldsOf(settingsForm());
  const of = (path: string) => fields.find((field) => field.path === path);
  expect(of("seed")).toMatchObject({ control: "number", default: "42" });
  expect(of("training.clip.scope")).toMatchObject({ control: "choice", options: ["total", "task-only"] });
  expect(of("training.lengthBuckets")).toMatchObject({ control: "flag", default: "true" });
  expect(of("training.betas")).toMatchObject({ control: "yaml", default: "[ 0.9, 0.999 ]" });
  expect(of("data.root")).toMatchObject({ control: "text", default: "null" });
  expect(of("method.penalty.kind")).toMatchObject({ control: "choice" });
  expect(of("data.tasks")).toMatchObject({ control: "yaml" });
  expect(fields.filter(({ help }) => help === "").map(({ path }) => path)).toEqual([]);
  const methods = settingsForm().find((item) => item.path === "method");
  expect(methods?.kind === "variants" && methods.variants.map(({ name }) => name)).toEqual(METHOD_NAMES);
});

it("makes the configuration that a file with the same settings makes", () => {
  const checked = checkForm({
    seed: "7",
    "method.name": "replay",
    "method.memory": "{ perTask: 100 }",
    "method.backbone": "lora",
    "method.sparsity": "true",
    "method.sparsity.lambda": "[0.1, 0.2, 0.3, 0.4]",
    "training.epochs": "2",
    "training.clip.norm": "null",
    "training.checkpointing": "true",
  });
  const config = resolveConfig({
    seed: 7,
    method: {
      name: "replay",
      backbone: "lora",
      memory: { perTask: 100 },
      sparsity: { lambda: [0.1, 0.2, 0.3, 0.4] },
    },
    training: { epochs: 2, clip: { norm: null }, checkpointing: true },
  });
  expect(checked.problems).toEqual([]);
  expect("config" in checked && checked.config).toEqual(config);
  expect(checkForm({})).toMatchObject({ config: resolveConfig({}) });
});

it("gives every configuration back as values of its fields", () => {
  const reference = "/runs/reference";
  for (const name of METHOD_NAMES) {
    const method = { name, ...(/norm-matched|random-support/.test(name) && { reference }) };
    for (const changed of [
      {},
      {
        name: "other",
        seed: 1,
        startFrom: [],
        training: { epochs: 3, betas: [0.8, 0.9], maxSteps: 5 },
      },
      {
        data: { kind: "benchmark", root: "hub", tasks: ["dbpedia", "amazon"] },
        lora: { targetModules: ["q", "v"] },
      },
      {
        data: {
          kind: "files",
          tasks: [{ name: "a", train: "/a.csv", test: ["/b.csv"], labels: ["x", "y: z"] }],
        },
      },
    ]) {
      const config = resolveConfig({ ...changed, method });
      expect(checkForm(valuesOf(config)), name).toMatchObject({ config });
    }
  }
});

it("says what is wrong at its setting, all at once", () => {
  const problems = (values: Record<string, string>) => checkForm(values).problems;
  expect(problems({ "training.batchSize": "0", "lora.rank": "many", seed: "-1" })).toEqual([
    { path: "seed", message: expect.stringContaining("expected a whole number") },
    { path: "lora.rank", message: expect.stringContaining('found "many"') },
    { path: "training.batchSize", message: expect.stringContaining("found 0") },
  ]);
  expect(problems({ "training.microBatchSize": "64" })).toEqual([
    { path: "training.microBatchSize", message: "expected at most batchSize (32), found 64" },
  ]);
  expect(problems({ "method.lambda": "[1, 2" })).toEqual([
    { path: "method.lambda", message: expect.stringContaining("expected YAML") },
  ]);
  expect(problems({ "method.name": "o-lora", "method.lambda": "1" })).toEqual([
    { path: "method.lambda", message: "not a setting of what is chosen" },
  ]);
  expect(problems({ "method.name": "x-lora" })[0]).toMatchObject({ path: "method.name" });
  expect(problems({ "__proto__.polluted": "1", constructor: "1" })).toHaveLength(2);
  expect(problems({ "data.kind": "files" })[0]).toMatchObject({ path: "data.tasks" });
});
