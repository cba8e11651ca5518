import { describe, expect, it } from "vitest";
import { ORDERS, taskOrder } from "../data/orders.js";
import { STANDALONE_NAMES } from "../methods/registry.js";
import { resolveConfig, taskNames } from "./config.js";
import { methodNamed, preset } from "./presets.js";

describe.each(ORDERS.map(({ name }) => name))("%s", (order) => {
  it("is a valid config for every method that stands alone, source, scale and protocol, with the order's tasks", () => {
    for (const method of STANDALONE_NAMES) {
      for (const scale of ["paper", "mini"] as const) {
        for (const source of ["paper", "released"] as const) {
          for (const protocol of ["equal", "own"] as const) {
            const config = resolveConfig(preset({ order, method, scale, source, protocol }), {
              data: "data",
            });
            expect(taskNames(config)).toEqual(taskOrder(order).datasets);
            expect(config.method.name).toBe(method);
          }
        }
      }
    }
  });
});

const values = (choice: Partial<Parameters<typeof preset>[0]> = {}) =>
  resolveConfig(preset({ order: "order-1", method: "n-lora", ...choice }), { data: "data" });

it("has the paper's settings of N-LoRA, and the released scripts' where they differ", () => {
  const paper = values();
  expect(paper.training).toMatchObject({ learningRate: 1e-3, batchSize: 32, epochs: 10 });
  expect(paper.lora).toMatchObject({ rank: 8, alpha: 32, dropout: 0.1 });
  expect(paper.method).toMatchObject({ lambda: 0.4, penalty: { kind: "delta-w", normalise: "rms" } });
  const released = values({ source: "released" });
  expect(released.training.batchSize).toBe(48);
  expect(released.method).toMatchObject({ lambda: 0.4, penalty: { kind: "released-code" } });
  // Order 4: 1.2 for WiC, RTE, IMDB, yelp, SST-2, dbpedia and yahoo.
  const order4 = values({ order: "order-4" });
  const strong = ["WiC", "RTE", "IMDB", "yelp", "SST-2", "dbpedia", "yahoo"];
  expect(order4.method).toMatchObject({
    lambda: taskNames(order4).map((task) => (strong.includes(task) ? 1.2 : 0.4)),
  });
  expect(values({ order: "llama-1" }).training).toMatchObject({
    learningRate: [1e-3, 1e-4, 1e-4, 1e-4],
    epochs: [1, 10, 1, 1],
    batchSize: 48,
  });
});

it("runs O-LoRA under the others' setting or under its own", () => {
  expect(values({ method: "o-lora" }).training).toMatchObject({ epochs: 10, batchSize: 32 });
  const own = values({ method: "o-lora", protocol: "own", order: "order-6" });
  expect(own.training).toMatchObject({ batchSize: 64, learningRate: 1e-3 });
  expect(own.training.epochs).toEqual(taskNames(own).map((task) => (task === "MNLI" ? 2 : 1)));
});

it("trains one adapter in place of all weights on LLaMA, and all tasks at once for one number of epochs", () => {
  expect(values({ method: "ewc" }).method).toMatchObject({ backbone: "full" });
  expect(values({ method: "ewc", order: "llama-1" }).method).toMatchObject({ backbone: "lora" });
  const joint = values({ method: "mtl", order: "llama-1" });
  expect(joint.method).toMatchObject({ backbone: "lora" });
  // The mean of 1, 10, 1 and 1.
  expect(joint.training).toMatchObject({ epochs: 3, learningRate: 1e-4 });
});

it("moves prompts by large steps, on the bundled model by those that were measured, and shorter ones for LLaMA", () => {
  expect(values({ method: "prog-prompt" }).training).toMatchObject({ learningRate: 0.3 });
  expect(values({ method: "lfpt5", scale: "mini" }).training).toMatchObject({ learningRate: 1 });
  expect(values({ method: "prog-prompt", scale: "mini" }).method).toMatchObject({ promptLength: 50 });
  expect(values({ method: "l2p", order: "llama-1" }).training).toMatchObject({ learningRate: 0.03 });
  expect(
    [values({ method: "lfpt5" }), values({ method: "lfpt5", order: "llama-1" })].map((of) => of.method),
  ).toMatchObject([{ promptLength: 300 }, { promptLength: 100 }]);
});

it("names the nearest preset or method when there is none of that name", () => {
  expect(() => preset({ order: "order-7", method: "n-lora" })).toThrow(
    /there is no preset "order-7"; presets: order-1/,
  );
  expect(() => methodNamed("nlora")).toThrow(/there is no method "nlora"; methods: /);
});
