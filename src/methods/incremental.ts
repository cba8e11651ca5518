/** A new adapter per task, the earlier ones frozen: the frame that IncLoRA, O-LoRA and N-LoRA share. */
import type { AdapterDelta } from "../adapters/delta.js";
import { disposeDelta, keepDelta, Lora } from "../adapters/lora.js";
import { cat } from "../tensor/functions.gen.js";
import { tidy } from "../tensor/scope.js";
import type { Tensor } from "../tensor/tensor.js";
import type { MethodParts, MethodSetup, TaskContext } from "./method.js";
import type { MethodName } from "./options.js";
import type { PenalisedModule } from "./penalties.js";

export interface PenaltyContext {
  readonly modules: readonly PenalisedModule[];
  /** Of the task, from 0. */
  readonly index: number;
  /** alpha / rank */
  readonly scale: number;
}

export interface IncrementalOptions {
  penalties(context: PenaltyContext): Readonly<Record<string, Tensor>>;
  readonly penaltyRecord: Readonly<Record<string, unknown>>;
  /** Whether a penalty reads the A of earlier tasks. */
  readonly usesPreviousA?: boolean;
  /** Refuses modules that the penalty cannot be computed on. */
  check?(
    modules: readonly { readonly name: string; readonly inputs: number; readonly outputs: number }[],
  ): void;
}

/** IncLoRA with penalties on the adapter that is being trained. */
export function incrementalMethod(
  { model, lora: options, startFrom }: MethodSetup<MethodName>,
  { penalties, penaltyRecord, usesPreviousA, check }: IncrementalOptions,
): MethodParts {
  const lora = new Lora(model, options);
  check?.(lora.modules.map(({ name, linear }) => ({ name, inputs: linear.inputs, outputs: linear.outputs })));
  for (const delta of startFrom) lora.addFrozen(delta);
  const deltas: AdapterDelta[] = [];
  let index = 0;
  let previousA: (Tensor | null)[] = lora.modules.map(() => null);

  const stackPrevious = (): void => {
    if (!usesPreviousA) return;
    for (const stacked of previousA) stacked?.dispose();
    previousA = lora.modules.map(({ name }) => {
      const earlier = [...startFrom, ...deltas].flatMap((delta) => delta.modules.get(name)?.a ?? []);
      return earlier.length === 0 ? null : cat(earlier).keep();
    });
  };

  return {
    beforeTask(task: TaskContext) {
      index = task.index;
      stackPrevious();
      return lora.open(task.rng);
    },
    penalties() {
      const modules = lora.modules.map(({ name, linear, current }, m) => ({
        name,
        inputs: linear.inputs,
        outputs: linear.outputs,
        a: current!.a,
        b: current!.b,
        previousA: previousA[m]!,
      }));
      return penalties({ modules, index, scale: lora.scale });
    },
    afterTask(task: TaskContext) {
      const delta = lora.snapshot(task.name);
      lora.close();
      deltas.push(delta);
      return delta;
    },
    saves: { adapter: "delta", weights: null, state: false },
    restore(finished) {
      tidy(() => {
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
      for (const stacked of previousA) stacked?.dispose();
      for (const delta of deltas) disposeDelta(delta);
      lora.dispose();
    },
  };
}
