/**
 * N-LoRA's penalty as a part: the one place where its form, its strength and what it remembers come together. Methods that
 * open an adapter per task give it to their frame; others put it on the adapter they train.
 */
import type { AdapterDelta } from "../adapters/delta.js";
import type { Lora } from "../adapters/lora.js";
import { tidy } from "../tensor/scope.js";
import type { Tensor } from "../tensor/tensor.js";
import type { ModuleShape, PenaltyContext, Shaping } from "./incremental.js";
import { Memory, type MemoryUse } from "./memory.js";
import type { TaskContext, Update } from "./method.js";
import { moduleShapes, openModules, penalisedModules } from "./modules.js";
import type { SparsityOptions } from "./options.js";
import { checkSparsity, sparsityMemory, sparsityPenalty } from "./penalties.js";
import { SteeredLambda } from "./steered-lambda.js";

export class Sparsity {
  readonly remembers: MemoryUse;
  readonly #steered: SteeredLambda;

  constructor(readonly options: SparsityOptions) {
    this.remembers = sparsityMemory(options);
    this.#steered = new SteeredLambda(options);
  }

  get shaping(): Shaping {
    return this.#steered;
  }

  /** What was penalised and how strongly, for the record. */
  get record() {
    const { penalty, lambda, lambdaUnit, target } = this.options;
    return { ...penalty, lambda, lambdaUnit, target };
  }

  /** Throws a ConfigError for modules that the penalty cannot be computed on. */
  check(modules: readonly ModuleShape[]): void {
    checkSparsity(this.options, modules);
  }

  terms({ modules, index, scale }: PenaltyContext): Record<string, Tensor> {
    const sparsity = sparsityPenalty(modules, this.options, index, scale, this.#steered.factor);
    return sparsity ? { sparsity } : {};
  }
}

/** The penalty on an adapter that is trained without a frame of its own, if there is one. `beneath`: frozen adapters. */
export class AdapterSparsity {
  readonly #part: Sparsity | null;
  readonly #memory: Memory;
  #index = 0;

  /** Throws a ConfigError for layers that the penalty cannot be computed on. */
  constructor(
    readonly lora: Lora,
    options: SparsityOptions | null,
    readonly beneath: readonly AdapterDelta[],
  ) {
    this.#part = options && new Sparsity(options);
    this.#memory = new Memory(this.#part?.remembers ?? {});
    tidy(() => this.#part?.check(moduleShapes(lora, beneath)));
  }

  get record(): Readonly<Record<string, unknown>> {
    return this.#part ? { sparsity: this.#part.record } : {};
  }

  /** The adapter is open, at the start of a task. */
  open(task: TaskContext): void {
    this.#index = task.index;
    tidy(() => {
      const modules = openModules(this.lora, this.beneath);
      this.#memory.refresh(modules);
      this.#part?.shaping.open?.(modules, task);
    });
  }

  terms(): Record<string, Tensor> {
    const { lora } = this;
    return (
      this.#part?.terms({
        modules: penalisedModules(lora, this.#memory),
        index: this.#index,
        scale: lora.scale,
      }) ?? {}
    );
  }

  afterUpdate(update: Update): void {
    this.#part?.shaping.afterUpdate?.(update);
  }

  measures(): Readonly<Record<string, number>> {
    return this.#part?.shaping.measures?.() ?? {};
  }

  dispose(): void {
    this.#memory.dispose();
  }
}
