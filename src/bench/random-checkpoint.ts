/** Checkpoints of a given shape with made-up weights, to measure on. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { writeSafetensors } from "../io/safetensors.js";
import { createModel } from "../models/registry.js";
import type { Device, DType } from "../tensor/dtype.js";
import { empty, ones, randn } from "../tensor/functions.gen.js";
import { inference, manualSeed } from "../tensor/grad.js";
import type { Tensor } from "../tensor/tensor.js";

/** Holds shapes and no values. */
const NOWHERE = "meta" as string as Device;
const POOL = 64 * 2 ** 20;

/** The names and shapes of the weights that a model of this config reads, in its order. */
function weightsOf(config: Readonly<Record<string, unknown>>): [string, readonly number[]][] {
  return inference(() => {
    const found: [string, readonly number[]][] = [];
    const source = {
      tensor(name: string, shape: readonly number[]): Tensor {
        found.push([name, shape]);
        return empty(shape, { dtype: "bfloat16", device: NOWHERE });
      },
    };
    createModel(source, config, "bfloat16", "config.json").dispose();
    return found;
  });
}

/** Writes config.json and model.safetensors. Weights are slices of one pool of normal numbers, norms are ones. */
export function writeRandomCheckpoint(
  folder: string,
  config: Readonly<Record<string, unknown>>,
  dtype: DType,
): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "config.json"), JSON.stringify(config));
  const weights = weightsOf(config);
  inference(() => {
    manualSeed(1);
    const largest = Math.max(...weights.map(([, shape]) => sizeOf(shape)));
    const pool = randn([largest + POOL], { dtype }).mul_(0.02);
    let at = 0;
    const tensors = weights.map(([name, shape]): [string, Tensor] => {
      if (shape.length === 1) return [name, ones(shape, { dtype })];
      at = (at + 4099) % POOL;
      return [name, pool.narrow(0, at, sizeOf(shape)).view(shape)];
    });
    writeSafetensors(join(folder, "model.safetensors"), tensors);
    return null;
  });
}

const sizeOf = (shape: readonly number[]): number => shape.reduce((product, length) => product * length, 1);
