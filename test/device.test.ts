/**
 * Where a run computes. No machine of ours with a GPU is needed: libtorch's "meta" device holds shapes without values,
 * which is enough to see that everything a step needs is put where the model is.
 */
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import type { AdapterDelta } from "../src/adapters/delta.js";
import { disposeDelta, Lora, moveDelta } from "../src/adapters/lora.js";
import { batchOf } from "../src/data/collate.js";
import { ConfigError } from "../src/errors.js";
import { resolveConfig } from "../src/experiment/config.js";
import { runExperiment } from "../src/experiment/run.js";
import { loadModel } from "../src/models/registry.js";
import { AdamW } from "../src/nn/optim.js";
import { Rng } from "../src/random.js";
import { RunFolder } from "../src/runs/run-folder.js";
import type { Device } from "../src/tensor/dtype.js";
import { defaultDtype } from "../src/tensor/engine-report.js";
import { zeros } from "../src/tensor/functions.gen.js";
import { guarded } from "../src/tensor/native.js";
import { liveTensors, tidy } from "../src/tensor/scope.js";
import { goldenFolder } from "./support/golden.js";

const META = "meta" as string as Device;
const rows = [{ source: [5, 6, 7, 1], target: [8, 1], sourceLength: 4, targetLength: 2 }];
const options = {
  rank: 2,
  alpha: 4,
  dropout: 0.1,
  targetModules: null,
  previousAdapters: "stacked",
} as const;

const cudaDevices = guarded((engine) => engine.systemInfo().cudaDevices);

it.skipIf(cudaDevices > 0)(
  "refuses device: cuda without a CUDA device, before anything is read or written",
  async () => {
    const folder = mkdtempSync(join(tmpdir(), "nlora-device-"));
    try {
      const config = resolveConfig({ device: "cuda", model: "no-such-model" });
      const run = runExperiment(config, new RunFolder(folder), { resume: false, shouldStop: () => false });
      await expect(run.next()).rejects.toThrowError(ConfigError);
      const again = runExperiment(config, new RunFolder(folder), { resume: false, shouldStop: () => false });
      await expect(again.next()).rejects.toThrowError(
        /^device: expected cpu, found cuda; .* sees no CUDA device$/,
      );
      expect(readdirSync(folder)).toEqual([]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
);

it("computes in bfloat16 on a GPU unless told otherwise", () => {
  expect(defaultDtype("cuda")).toBe("bfloat16");
  expect(defaultDtype("cpu")).toBe(defaultDtype());
});

/** The devices of a model, a batch, an adapter before and after it is finished, and the optimizer's parameters. */
function devicesOf(device: Device, name: string): Set<string> {
  const found = new Set<string>();
  const model = loadModel(goldenFolder(name), "bfloat16", device);
  const lora = new Lora(model, options);
  tidy(() => {
    found.add(model.device);
    for (const { weight } of model.linears.values()) found.add(weight.device);
    for (const tensor of Object.values(batchOf(rows, model))) found.add(tensor.device);
    const parameters = lora.open(new Rng(1));
    using optimizer = new AdamW(parameters, { betas: [0.9, 0.999], eps: 1e-8, weightDecay: 0 });
    for (const { tensor } of optimizer.parameters) found.add(tensor.device);
    const delta = lora.snapshot("first");
    lora.close();
    for (const { linear, previous } of lora.modules) {
      found.add(previous!.a.device);
      for (const { a, b } of linear.additions) found.add(a.device).add(b.device);
    }
    disposeDelta(delta);
  });
  lora.dispose();
  model.dispose();
  return found;
}

const NAMES = ["t5-gated", "qwen2-biases"];

it.each(NAMES)("keeps everything on the cpu by default: %s", (name) => {
  const before = liveTensors();
  expect(devicesOf("cpu", name)).toEqual(new Set(["cpu"]));
  expect(liveTensors()).toBe(before);
});

it.each(NAMES)("puts model, batches, adapters and optimizer on the device it is given: %s", (name) => {
  const before = liveTensors();
  expect(devicesOf(META, name)).toEqual(new Set(["meta"]));
  expect(liveTensors()).toBe(before);
});

it("moves a saved adapter to the model's device and releases what it was read into", () => {
  const before = liveTensors();
  const pair = { a: zeros([2, 6]), b: zeros([4, 2]) };
  const delta: AdapterDelta = { name: "first", scale: 2, modules: new Map([["q", pair]]) };
  expect(moveDelta(delta, "cpu").modules.get("q")).toEqual(pair);
  const moved = moveDelta(delta, META);
  expect(moved.modules.get("q")!.a.device).toBe("meta");
  expect(moved.modules.get("q")!.b.shape).toEqual([4, 2]);
  expect(pair.a.isLive).toBe(false);
  disposeDelta(moved);
  expect(liveTensors()).toBe(before);
});
