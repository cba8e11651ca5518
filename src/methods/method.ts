/** What a continual-learning method is: what it trains, what it adds to the loss, what it keeps between tasks. */
import type { AdapterDelta } from "../adapters/delta.js";
import type { LoraOptions } from "../adapters/lora.js";
import type { LanguageModel } from "../models/language-model.js";
import type { Parameter } from "../nn/optim.js";
import type { Rng } from "../random.js";
import type { Tensor } from "../tensor/tensor.js";
import type { MethodName, MethodOptions } from "./options.js";

export interface TaskContext {
  readonly name: string;
  /** From 0. */
  readonly index: number;
  /** For initialisation; forked per task. */
  readonly rng: Rng;
}

/** A method at work on one model and one stream. The loop calls the hooks in this order for every task. */
export interface ActiveMethod {
  /** Gets ready and returns what will be trained. */
  beforeTask(task: TaskContext): readonly Parameter[];
  /** Terms added to the task loss, by name, coefficients included; computed inside the step's scope. */
  penalties(): Readonly<Record<string, Tensor>>;
  /** Consolidates, and returns the update that the task made, owned by the method. */
  afterTask(task: TaskContext): AdapterDelta;
  /** What an adapter folder of the task should hold to reproduce the model when all folders so far are applied. */
  readonly savedAdapter: "delta" | "cumulative";
  /** Takes up a stream behind finished tasks, given their saved adapters. */
  restore(finished: readonly AdapterDelta[]): void;
  /** The updates of all finished tasks, for the metrics. */
  readonly deltas: readonly AdapterDelta[];
  /** What was penalised and how strongly, as recorded with the run. */
  readonly penaltyRecord: Readonly<Record<string, unknown>>;
  dispose(): void;
}

export interface MethodSetup<Name extends MethodName> {
  readonly model: LanguageModel;
  readonly lora: LoraOptions & { readonly seqDelta: "snapshot" | "increment" };
  readonly options: MethodOptions<Name>;
  /** Finished adapters beneath the stream: frozen, not trained. They live at least as long as the method. */
  readonly startFrom: readonly AdapterDelta[];
  /** Number of tasks in the stream. */
  readonly tasks: number;
}

export interface Method<Name extends MethodName = MethodName> {
  readonly name: Name;
  readonly title: string;
  create(setup: MethodSetup<Name>): ActiveMethod;
}

export const defineMethod = <Name extends MethodName>(method: Method<Name>): Method<Name> => method;
