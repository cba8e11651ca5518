import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { expect, test } from "vitest";
import { CATALOG, catalogEntry, INSTRUCTIONS } from "./catalog.js";
import { ORDERS, taskOrder } from "./orders.js";

const root = join(process.env.NLORA_SHARED ?? resolve("../shared"), "data/cl-benchmark");

test("the catalog holds fifteen datasets with 70,861 official test rows", () => {
  expect(CATALOG.length).toBe(15);
  expect(CATALOG.reduce((sum, entry) => sum + entry.officialRows.test, 0)).toBe(70861);
});

test("an unknown dataset is refused with the names there are and, for a wrong case, the right one", () => {
  expect(() => catalogEntry("agnewz")).toThrowError(/no dataset named "agnewz".*dbpedia, amazon.*SST-2/);
  expect(() => catalogEntry("mnli")).toThrowError(expect.objectContaining({ hint: 'did you mean "MNLI"?' }));
});

test("every order names known datasets, none twice: four in the standard orders, all fifteen in the long ones", () => {
  for (const order of ORDERS) {
    const entries = order.datasets.map(catalogEntry);
    expect(new Set(entries).size).toBe(order.datasets.length);
    expect(order.datasets.length).toBe(/[456]$/.test(order.name) ? 15 : 4);
  }
  expect(taskOrder("order-6").datasets.slice(0, 3)).toEqual(["yelp", "amazon", "MNLI"]);
  expect(taskOrder("llama-2").datasets).toEqual(taskOrder("order-2").datasets);
  expect(() => taskOrder("order-7")).toThrowError(/order-1, .*llama-3/);
});

test.skipIf(!existsSync(root))(
  "labels and instructions equal those of the benchmark's files (needs ../shared)",
  () => {
    const instructions: unknown = JSON.parse(readFileSync(join(root, "instructions.json"), "utf8"));
    const ours = Object.entries(INSTRUCTIONS).filter(([, text]) => text !== null);
    expect(Object.fromEntries(ours.map(([family, text]) => [family, `${text}\n`]))).toEqual(instructions);
    for (const entry of CATALOG) {
      const file = join(root, entry.family, entry.name, "labels.json");
      expect(JSON.parse(readFileSync(file, "utf8"))).toEqual(entry.labels);
    }
  },
);
