/** The layers that a Lora adapts, as checks, penalties and steps of methods see them. */
import { withScale } from "../adapters/combine.js";
import type { AdapterDelta, LowRankDelta } from "../adapters/delta.js";
import type { Lora, LoraModule } from "../adapters/lora.js";
import type { ModuleShape, OpenModule } from "./incremental.js";
import type { Memory } from "./memory.js";
import type { PenalisedModule } from "./penalties.js";

const shapeOf = ({ name, linear: { inputs, outputs } }: LoraModule): ModuleShape => ({
  name,
  inputs,
  outputs,
});

/** The updates of a layer, all under one scale; what is made for it belongs to the open scope. */
const updatesOf = (name: string, deltas: readonly AdapterDelta[], scale: number): LowRankDelta[] =>
  deltas.flatMap((delta) => {
    const pair = delta.modules.get(name);
    return pair ? [withScale({ ...delta, modules: new Map([[name, pair]]) }, scale).modules.get(name)!] : [];
  });

export const moduleShapes = (lora: Lora, earlier: readonly AdapterDelta[]) =>
  lora.modules.map((module) => ({
    ...shapeOf(module),
    earlier: updatesOf(module.name, earlier, lora.scale),
  }));

/** The trainable pairs with the updates of earlier adapters to the same layers. */
export const openModules = (lora: Lora, earlier: readonly AdapterDelta[]): OpenModule[] =>
  lora.modules.map((module) => ({
    ...shapeOf(module),
    ...module.current!,
    weight: module.linear.weight,
    earlier: updatesOf(module.name, earlier, lora.scale),
  }));

/** The trainable pairs with what is remembered of earlier adapters. */
export const penalisedModules = (lora: Lora, memory: Memory): PenalisedModule[] =>
  lora.modules.map((module, index) => ({
    ...shapeOf(module),
    ...module.current!,
    ...memory.of(index),
  }));
