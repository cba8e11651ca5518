/** A new adapter per task, the earlier ones frozen: the frame that IncLoRA and everything built on it share. */
import type { AdapterDelta, LowRankDelta } from "../adapters/delta.js";
import { disposeDelta, keepDelta, Lora } from "../adapters/lora.js";
import { tidy } from "../tensor/scope.js";
import type { Tensor } from "../tensor/tensor.js";
import { Memory, type MemoryUse } from "./memory.js";
import type { MethodParts, MethodSetup, TaskContext, Update } from "./method.js";
import { moduleShapes, openModules, penalisedModules } from "./modules.js";
import type { PenalisedModule } from "./penalties.js";

export interface PenaltyContext {
  readonly modules: readonly PenalisedModule[];
  /** Of the task, from 0. */
  readonly index: number;
  /** alpha / rank */
  readonly scale: number;
}

/** A module's shape, before anything is open. */
export interface ModuleShape {
  readonly name: string;
  readonly inputs: number;
  readonly outputs: number;
}

/** The trainable pair of a module, and the updates of earlier tasks to the same layer. */
export interface OpenModule extends ModuleShape, LowRankDelta {
  /** The frozen weight of the layer, [outputs, inputs]. */
  readonly weight: Tensor;
  readonly earlier: readonly LowRankDelta[];
}

/** What acts on the open adapter beside the loss: steps and projections of its factors. One object for a whole stream. */
export interface Shaping {
  /** The adapter is open and fresh. */
  open?(modules: readonly OpenModule[], task: TaskContext): void;
  beforeUpdate?(update: Update): void;
  afterUpdate?(update: Update): void;
  /** The task is learned; the adapter is still open. */
  close?(): void;
  /** What is logged with a step and recorded for the task. */
  measures?(): Readonly<Record<string, number>>;
  /** What it has to remember of finished tasks beside their adapters, borrowed; read back by `restore`. */
  state?(): Readonly<Record<string, Tensor>>;
  /** Takes over the tensors of a state. */
  restore?(state: Readonly<Record<string, Tensor>>): void;
  dispose?(): void;
}

export interface IncrementalOptions {
  penalties?(context: PenaltyContext): Readonly<Record<string, Tensor>>;
  readonly penaltyRecord: Readonly<Record<string, unknown>>;
  /** What a penalty reads of earlier tasks. */
  readonly remembers?: MemoryUse;
  readonly shaping?: Shaping;
  /** Refuses modules that the method cannot work on. `earlier`: the adapters that the stream starts from. */
  check?(modules: readonly (ModuleShape & { readonly earlier: readonly LowRankDelta[] })[]): void;
}

/** What methods of this frame are in words. */
export const ADAPTER_PER_TASK = { trains: "a new LoRA adapter per task", keeps: "all adapters" } as const;

/** IncLoRA with penalties on the adapter that is being trained, and what shapes it otherwise. */
export function incrementalMethod(
  { model, lora: options, startFrom }: MethodSetup<object>,
  { penalties, penaltyRecord, remembers, shaping = {}, check }: IncrementalOptions,
): MethodParts {
  const lora = new Lora(model, options);
  const deltas: AdapterDelta[] = [];
  const memory = new Memory(remembers ?? {});
  let index = 0;

  const earlier = (): AdapterDelta[] => [...startFrom, ...deltas];

  tidy(() => check?.(moduleShapes(lora, startFrom)));
  for (const delta of startFrom) lora.addFrozen(delta);

  return {
    beforeTask(task: TaskContext) {
      index = task.index;
      const parameters = lora.open(task.rng);
      tidy(() => {
        const modules = openModules(lora, earlier());
        memory.refresh(modules);
        shaping.open?.(modules, task);
      });
      return parameters;
    },
    penalties() {
      if (!penalties) return {};
      return penalties({ modules: penalisedModules(lora, memory), index, scale: lora.scale });
    },
    beforeUpdate: (update) => shaping.beforeUpdate?.(update),
    afterUpdate: (update) => shaping.afterUpdate?.(update),
    measures: () => shaping.measures?.() ?? {},
    afterTask(task: TaskContext) {
      shaping.close?.();
      const delta = lora.snapshot(task.name);
      lora.close();
      deltas.push(delta);
      return delta;
    },
    openAdapter: (name) => lora.snapshot(name),
    saves: { adapter: "delta", weights: null, state: shaping.state !== undefined },
    state: () => ({ tensors: shaping.state?.() ?? {}, rows: {} }),
    restore(finished) {
      tidy(() => {
        if (shaping.state) shaping.restore?.(finished.at(-1)!.state().tensors);
        for (const task of finished) {
          const delta = keepDelta(task.adapter());
          lora.requireModules(delta);
          lora.addFrozen(delta);
          deltas.push(delta);
        }
      });
    },
    deltas,
    penaltyRecord,
    dispose() {
      shaping.dispose?.();
      memory.dispose();
      for (const delta of deltas) disposeDelta(delta);
      lora.dispose();
    },
  };
}
