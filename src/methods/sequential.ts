/** One backbone trained task after task: the frame that SeqFT, SeqLoRA, Replay, EWC, LwF and MTL share. */
import type { Backbone } from "./backbone.js";
import type { FinishedTask, Hooks, MethodParts, TaskContext } from "./method.js";

export interface SequentialParts extends Partial<Pick<Hooks, "plan" | "losses" | "penalties" | "state">> {
  readonly penaltyRecord: Readonly<Record<string, unknown>>;
  beforeTask?(task: TaskContext): void;
  /** When the task is trained, before anything is saved. */
  afterTask?(task: TaskContext): void;
  /** When the backbone is as it was after the last of the finished tasks. */
  restore?(finished: readonly FinishedTask[]): void;
  dispose?(): void;
}

/** `parts` added to plain training of the backbone. */
export function sequentialMethod(backbone: Backbone, parts: SequentialParts): MethodParts {
  const { sparsity } = backbone;
  return {
    ...parts,
    beforeTask(task) {
      const parameters = backbone.open(task.rng);
      sparsity?.open(task);
      parts.beforeTask?.(task);
      return parameters;
    },
    penalties: () => ({ ...parts.penalties?.(), ...sparsity?.terms() }),
    afterUpdate: (update) => sparsity?.afterUpdate(update),
    measures: () => sparsity?.measures() ?? {},
    afterTask(task) {
      parts.afterTask?.(task);
      return backbone.finish(task.name);
    },
    saves: { ...backbone.saves, state: parts.state !== undefined },
    restore(finished) {
      backbone.restore(finished);
      parts.restore?.(finished);
    },
    deltas: backbone.deltas,
    penaltyRecord: { ...parts.penaltyRecord, ...sparsity?.record },
    dispose() {
      parts.dispose?.();
      backbone.dispose();
    },
  };
}
