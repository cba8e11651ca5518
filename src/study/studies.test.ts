import { resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { taskOrder } from "../data/orders.js";
import { resolveConfig, taskNames } from "../experiment/config.js";
import { STANDALONE_NAMES } from "../methods/registry.js";
import { configsOf } from "./run-study.js";
import { STUDIES, studyRuns } from "./studies.js";

const study = (name: string) => STUDIES.find((each) => each.name === name)!;

describe.each(["paper", "mini"] as const)("at %s scale", (scale) => {
  it.each(STUDIES.filter(({ name }) => !["long-stream", "task-free"].includes(name)).map(({ name }) => name))(
    "every run of %s has a valid config and a folder of its own",
    (name) => {
      const runs = studyRuns(study(name), { scale });
      expect(runs.length).toBeGreaterThan(0);
      expect(new Set(runs.map(({ id }) => id)).size).toBe(runs.length);
      const configs = configsOf(runs, { root: "studies", data: "data" });
      for (const [{ seed, order, row }, config] of configs) {
        expect([config.seed, config.method.name]).toEqual([seed, row.method]);
        expect(config.data).toMatchObject({ kind: "benchmark" });
        expect(taskOrder(order).datasets.length).toBeGreaterThan(3);
      }
    },
  );
});

it.each(STUDIES.map((each) => [each.name, each] as const))(
  "every row of %s can be asked for by its label, as --methods takes it",
  (_name, { rows }) => {
    for (const { label } of rows) expect(label.split(",")).toEqual([label.trim()]);
  },
);

it("controls follow the runs that they are matched to, of the same order and seed, and bring them along", () => {
  const runs = studyRuns(study("controls"), { scale: "mini", methods: ["supports of prox-lora"] });
  expect(runs.map(({ row }) => row.label)).toEqual(
    Array.from({ length: 9 }, () => ["prox-lora", "supports of prox-lora"]).flat(),
  );
  const configs = configsOf(runs, { root: "studies", data: "data" });
  for (const [k, run] of runs.entries()) {
    const { reference } = run;
    if (run.row.label === "prox-lora") expect(reference).toBeUndefined();
    else {
      expect(reference).toBe(runs[k - 1]!.id);
      expect([runs[k - 1]!.order, runs[k - 1]!.seed]).toEqual([run.order, run.seed]);
      expect(configs.get(run)!.method).toMatchObject({ reference: resolve("studies", reference!) });
    }
  }
});

it("long streams are generated and have many tasks", () => {
  const runs = studyRuns(study("long-stream"), { scale: "mini" });
  expect(new Set(runs.map(({ order }) => order))).toEqual(new Set(["long", "drift"]));
  const counts = runs.map(({ values, set }) => taskNames(resolveConfig(values, { set })).length);
  expect(new Set(counts)).toEqual(new Set([100, 8]));
});

it("table 1 has every method that stands alone, and at mini scale more seeds for the central methods alone", () => {
  const runs = studyRuns(study("table-1"), { scale: "mini" });
  const seedsOf = (method: string) =>
    new Set(runs.filter((run) => run.row.method === method).map((run) => run.seed)).size;
  expect(STANDALONE_NAMES.filter((name) => seedsOf(name) === 0)).toEqual([]);
  expect(["n-lora", "o-lora", "inc-lora", "seq-lora"].map(seedsOf)).toEqual([3, 3, 3, 3]);
  expect(new Set(runs.map(({ order }) => order))).toEqual(new Set(["order-1", "order-2", "order-3"]));
  const long = studyRuns(study("table-1"), { scale: "paper" });
  expect(new Set(long.map(({ order }) => order)).size).toBe(6);
  expect(runs.slice(0, STANDALONE_NAMES.length * 3).every(({ seed }) => seed === 42)).toBe(true);
});

it("searches on held-out training rows, never on test rows", () => {
  for (const name of ["search", "lambda"]) {
    for (const { values, set } of studyRuns(study(name), { scale: "mini" })) {
      expect(resolveConfig(values, { set, data: "data" }).data).toMatchObject({ holdOut: { rows: 200 } });
    }
  }
});

it("runs that differ in their study's settings do not share a folder", () => {
  const ids = (name: string) => studyRuns(study(name), { scale: "mini" }).map(({ id }) => id);
  expect(ids("table-4").every((id) => ids("table-1").includes(id) || id.startsWith("o-lora-n-lora"))).toBe(
    true,
  );
  expect(ids("figure-4").some((id) => ids("table-1").includes(id))).toBe(false);
});

it("streams without boundaries are cut in five ways, by each of two methods", () => {
  const runs = studyRuns(study("task-free"), { scale: "mini", seeds: [42] });
  const configs = runs.map(({ values, set }) => resolveConfig(values, { set }));
  expect(runs).toHaveLength(2 * 5 * 4);
  expect(
    new Set(configs.map(({ online }) => JSON.stringify([online!.boundaries, online!.onAlarm]))).size,
  ).toBe(5);
  expect(new Set(configs.map(({ data, online }) => JSON.stringify([data, online!.mixing]))).size).toBe(4);
});
