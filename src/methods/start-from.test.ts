/** Streams that start from adapters made elsewhere: frozen, in the forward pass, in penalties and metrics. */
import { describe, expect, it } from "vitest";
import { expectClose, type GoldenBatch, goldenBatch, readGolden } from "../../test/support/golden.js";
import { learn, methodOptions, tinyLora, tinyMethod, tinyModel, tinyTask } from "../../test/support/tiny.js";
import { withScale } from "../adapters/combine.js";
import type { AdapterDelta } from "../adapters/delta.js";
import { Lora } from "../adapters/lora.js";
import { CheckpointError } from "../errors.js";
import { geometrySummary } from "../metrics/geometry.js";
import type { T5 } from "../models/t5.js";
import { EVALUATION } from "../nn/context.js";
import { Rng } from "../random.js";
import { tensor } from "../tensor/create.js";
import { inference, noGrad } from "../tensor/grad.js";
import { liveTensors, tidy } from "../tensor/scope.js";
import { METHOD_NAMES, trainsAllWeights, trainsPrompts } from "./registry.js";

const SCALE = tinyLora.alpha / tinyLora.rank;
const example = readGolden<GoldenBatch>("t5-classic");
const logitsOf = (model: T5): number[] =>
  inference(() => model.logits(goldenBatch(example), EVALUATION).toArray());

/** An adapter on the layers of these names, with random factors from a seed. */
function foreign(name: string, targets: readonly string[], rank: number, scale: number): AdapterDelta {
  const model = tinyModel();
  const rng = new Rng(9).fork(name);
  const random = (shape: [number, number]) =>
    tensor(
      Array.from({ length: shape[0] * shape[1] }, () => 0.4 * (rng.uniform() - 0.5)),
      shape,
    );
  const layers = [...model.linears.values()].filter((linear) =>
    targets.includes(linear.name.split(".").at(-1)!),
  );
  const modules = new Map(
    layers.map((linear) => [
      linear.name,
      { a: random([rank, linear.inputs]), b: random([linear.outputs, rank]) },
    ]),
  );
  model.dispose();
  return { name, scale, modules };
}

/** The logits of the model with the adapters' updates written into its weights. */
function denseLogits(adapters: readonly AdapterDelta[]): number[] {
  const model = tinyModel() as T5;
  noGrad(() => {
    for (const { scale, modules } of adapters) {
      for (const [name, { a, b }] of modules) {
        model.linears.get(name)!.weight.add_(b.matmul(a).mul(scale));
      }
    }
  });
  const logits = logitsOf(model);
  model.dispose();
  return logits;
}

/** One with other ranks, scales and layers than the run's q and v: attention's o and the feed-forward's wi. */
const made = (): AdapterDelta[] => [
  withScale(foreign("other", ["q", "o", "wi"], 3, 5 / 3), SCALE),
  withScale(foreign("same", ["q", "v"], 4, SCALE), SCALE),
];

/** Methods that train prompts or all weights are refused with `startFrom` before anything is made. */
const ADAPTER_METHODS = METHOD_NAMES.filter((name) => {
  const options = methodOptions({ name });
  return !trainsAllWeights(options) && !trainsPrompts(options);
});

describe.each(ADAPTER_METHODS)("%s on adapters of others", (name) => {
  it.each(["stacked", "merged"] as const)(
    "starts at them, %s, and leaves them as they are",
    (previousAdapters) => {
      const before = liveTensors();
      tidy(() => {
        const start = made();
        const values = start.map(({ modules }) => [...modules.values()].map(({ b }) => b.toArray()));
        const model = tinyModel() as T5;
        // dense adapters leave no row free
        const options = name === "mask-lora" ? { name, whenFull: "share-least-used" } : { name };
        const method = tinyMethod(model, options, { previousAdapters, dropout: 0 }, start);
        expectClose(logitsOf(model), denseLogits(start), 1e-4, "logits before the first task");
        learn(model, method, [tinyTask("alpha", 16, 5), tinyTask("beta", 16, 5)]);
        const own = method.saves.adapter === "delta" ? method.deltas! : method.deltas!.slice(-1);
        expectClose(logitsOf(model), denseLogits([...start, ...own]), 1e-4, "logits after two tasks");
        expect(method.deltas).toHaveLength(2);
        for (const { modules } of method.deltas!) {
          expect([...modules.keys()].every((module) => /\.[qv]$/.test(module))).toBe(true);
        }
        expect(start.map(({ modules }) => [...modules.values()].map(({ b }) => b.toArray()))).toEqual(values);
        method.dispose();
        model.dispose();
      });
      expect(liveTensors()).toBe(before);
    },
  );
});

it("penalises overlap with their A from the first task on, where O-LoRA trains the same layers", () => {
  const overlap = (targets: readonly string[]): (number | undefined)[] =>
    tidy(() => {
      const model = tinyModel();
      const method = tinyMethod(model, { name: "o-lora" }, {}, [foreign("given", targets, 3, SCALE)]);
      const steps = learn(model, method, [tinyTask("alpha", 16, 5)]).filter((event) => event.type === "step");
      method.dispose();
      model.dispose();
      return steps.map(({ penalties }) => penalties.orthogonality);
    });
  expect(overlap(["q"]).every((value) => value! > 0)).toBe(true);
  expect(overlap(["wi"])).toEqual([undefined, undefined]);
});

it("counts them as earlier tasks in OO, AWOM and ACR, and not in the sparsity of what was trained", () => {
  tidy(() => {
    const [first, second] = ["first", "second"].map((name) => foreign(name, ["q", "v"], 4, SCALE));
    const { gsr, ...together } = geometrySummary([first!, second!]);
    const { gsr: own, ...split } = geometrySummary([second!], [first!]);
    expect(split).toEqual(together);
    expect(own).toEqual(geometrySummary([second!]).gsr);
    expect(own).not.toEqual(gsr);

    // Layers that only one of them changes add nothing to overlaps, and their positions to the rate of collisions.
    const wide = foreign("second", ["q", "v", "wi"], 4, SCALE);
    const mixed = geometrySummary([second!], [wide]);
    const shared = geometrySummary(
      [second!],
      [{ ...wide, modules: new Map([...wide.modules].filter(([n]) => !n.endsWith("wi"))) }],
    );
    expect(mixed.orthogonalOverlap.squared).toBeCloseTo(shared.orthogonalOverlap.squared!, 10);
    expect(mixed.awom.spectral).toBeCloseTo(shared.awom.spectral!, 10);
    expect(mixed.acr.exact).toBeLessThan(shared.acr.exact!);
    expect(mixed.acr.exact).toBeGreaterThan(0);
  });
});

it("refuses an adapter for other layers or sizes, having changed nothing", () => {
  const before = liveTensors();
  tidy(() => {
    const model = tinyModel() as T5;
    const logits = logitsOf(model);
    const lora = new Lora(model, { ...tinyLora });
    const good = foreign("good", ["q"], 2, 1);
    const [layer, pair] = [...good.modules][0]!;
    const llama = {
      ...good,
      name: "llama",
      modules: new Map([...good.modules, ["model.layers.0.q_proj", pair]]),
    };
    expect(() => lora.addFrozen(llama)).toThrow(CheckpointError);
    expect(() => lora.addFrozen(llama)).toThrow(
      /adapter llama: the model has no linear layer model.layers.0.q_proj; its layers are named k, o, q, v, wi, wo/,
    );
    const narrow = { ...good, modules: new Map([[layer, { a: pair.a.narrow(1, 0, 5), b: pair.b }]]) };
    expect(() => lora.addFrozen(narrow)).toThrow(
      /has 5 inputs and \d+ outputs there, \d+ and \d+ in the model/,
    );
    expect(logitsOf(model)).toEqual(logits);
    lora.addFrozen(good);
    expect(logitsOf(model)).not.toEqual(logits);
    expect(() => lora.requireModules(good)).toThrow(
      /adapter good has no module .*\.v, which this run trains/,
    );
    lora.dispose();
    model.dispose();
  });
  expect(liveTensors()).toBe(before);
});
