/** What a continual-learning method is: what it trains, on which rows, what it adds to the loss, what it keeps between tasks. */
import type { z } from "zod";
import type { AdapterDelta } from "../adapters/delta.js";
import type { LoraOptions } from "../adapters/lora.js";
import { type BatchPlan, batchesPerEpoch, planBatches } from "../data/batches.js";
import type { EncodedExample } from "../data/encode.js";
import type { Task } from "../data/task.js";
import type { Batch, LanguageModel, ModelOutput } from "../models/language-model.js";
import type { Parameter } from "../nn/optim.js";
import type { Rng } from "../random.js";
import type { Tensor } from "../tensor/tensor.js";
import type { Settings } from "./options.js";
import type { ReferenceRun } from "./reference.js";

/** The training rows of one task. No method sees a test row. */
export interface TaskRows {
  readonly name: string;
  readonly rows: readonly EncodedExample[];
}

export interface TaskContext extends TaskRows {
  /** From 0. */
  readonly index: number;
  /** For initialisation and choices; forked per task. */
  readonly rng: Rng;
  /** The tasks that are learned at once; the task itself, unless the method learns all of them jointly. */
  readonly parts: readonly TaskRows[];
}

/** Rows of one step that are averaged together. */
export interface Share {
  readonly rows: readonly EncodedExample[];
  /** Factor of the share's loss, which is the mean over the label tokens of its rows. */
  readonly weight: number;
  /** The name under which its loss is recorded beside the penalties; null: it counts as task loss. */
  readonly term: string | null;
}

/** The steps of a task. Each is one update; its loss is the weighted sum over its shares. */
export interface StepPlan {
  readonly stepsPerEpoch: number;
  /** All epochs, step by step. */
  readonly steps: Iterable<readonly Share[]>;
}

/** A forward pass during training: a share, or as many of its rows as are computed at a time. */
export interface StepView {
  readonly share: Share;
  readonly batch: Batch;
  readonly output: ModelOutput;
}

/** A row as it is answered. */
export type Source = Pick<EncodedExample, "source">;

/** An update that is about to happen or has happened. */
export interface Update {
  /** From 1, within the task. */
  readonly step: number;
  readonly learningRate: number;
}

/** What a method keeps of a finished task besides an adapter and the model's weights. */
export interface TaskState {
  readonly tensors: Readonly<Record<string, Tensor>>;
  /** Lists of plain objects, one JSON Lines file each. */
  readonly rows: Readonly<Record<string, readonly object[]>>;
}

/** A finished task as it was saved. What is read belongs to the open scope; only what the method `saves` can be read. */
export interface FinishedTask {
  readonly name: string;
  readonly index: number;
  adapter(): AdapterDelta;
  /** All weights of the model after the task, by checkpoint name. */
  weights(): Readonly<Record<string, Tensor>>;
  state(): TaskState;
}

/** What the run folder holds of finished tasks. */
export interface Saves {
  /**
   * What an adapter folder holds: what the task added to the folders before it, everything so far, or all that its own
   * task needs; null: there are none.
   */
  readonly adapter: "delta" | "cumulative" | "alone" | null;
  /** The model's weights after the last task, or after every task. */
  readonly weights: "last" | "every" | null;
  /** Whether `state` of the last task is needed to go on. */
  readonly state: boolean;
}

/** The hooks that most methods leave out. */
export interface Hooks {
  /** Which rows the steps of a task train on. The number of the task's own rows per step stays that of `ownRows`. */
  plan(task: TaskContext, plan: BatchPlan): StepPlan;
  /**
   * What stands before the tokens of each of some rows (`Batch.prefix`), with its history in training; null: nothing.
   * Called right before a forward pass of the rows or before they are answered; belongs to the open scope.
   */
  prefix(rows: readonly Source[]): Tensor | null;
  /**
   * The one prompt that stands before every row of the activated task, [positions, width]; null: there is none, or it is
   * another for other rows. Borrowed, or of the open scope.
   */
  prompt(): Tensor | null;
  /**
   * Terms of a forward pass, by name, coefficients included: means over the label tokens of the view's rows, weighted
   * with them as the task loss is. Computed inside the step's scope, before the gradients.
   */
  losses(view: StepView): Readonly<Record<string, Tensor>>;
  /**
   * Terms of the parameters alone, by name, coefficients included; once per update, however its rows are split. A term
   * without a history is only recorded: the hook has added its gradient to the parameters' by itself.
   */
  penalties(): Readonly<Record<string, Tensor>>;
  /** After all gradients are there, before they are clipped as a whole. */
  beforeUpdate(update: Update): void;
  /** After the parameters have moved. */
  afterUpdate(update: Update): void;
  /** Numbers about what is trained, by name: logged with a step, and recorded as they stand at the end of the task. */
  measures(): Readonly<Record<string, number>>;
  /** What of the method's memory is written after the task; the tensors are borrowed. */
  state(): TaskState;
  /** The task's files are written, and can be read from now on. */
  saved(task: FinishedTask): void;
  /** A copy of the adapter that is being trained, the caller's; null where the method opens none. */
  openAdapter(name: string): AdapterDelta | null;
  /** Sets the model up to answer rows of a task, trained or not. Called before a task is evaluated. */
  activate(task: { readonly name: string; readonly index: number }): void;
}

/** A method at work on one model and one stream. The loop calls the hooks in this order for every task. */
export interface ActiveMethod extends Hooks {
  /** Gets ready, whatever was activated before, and returns what will be trained. */
  beforeTask(task: TaskContext): readonly Parameter[];
  /** Consolidates, and returns the adapter to save, owned by the method; null for methods without adapters. */
  afterTask(task: TaskContext): AdapterDelta | null;
  readonly saves: Saves;
  /** Takes up a stream behind finished tasks (at least one). */
  restore(finished: readonly FinishedTask[]): void;
  /** The updates of all finished tasks, for the metrics; null for methods whose updates are no adapters. */
  readonly deltas: readonly AdapterDelta[] | null;
  /** What was penalised and how strongly, as recorded with the run. */
  readonly penaltyRecord: Readonly<Record<string, unknown>>;
  dispose(): void;
}

/** A method's own part; fields are values, not getters. */
export type MethodParts = Omit<ActiveMethod, keyof Hooks> & Partial<Hooks>;

export interface MethodSetup<Options extends object> {
  readonly model: LanguageModel;
  readonly lora: LoraOptions & { readonly seqDelta: "snapshot" | "increment" };
  readonly options: Options;
  /** Finished adapters beneath the stream: frozen, not trained. They live at least as long as the method. */
  readonly startFrom: readonly AdapterDelta[];
  /** The run that a control is compared with; null for other methods. */
  readonly reference: ReferenceRun | null;
  /** The stream, without its test rows. */
  readonly tasks: readonly Pick<Task, "name" | "labels" | "train">[];
}

/** What a method is in words: for help, documents and checks. */
export interface MethodFacts {
  readonly title: string;
  readonly trains: string;
  /** Between tasks. */
  readonly keeps: string;
  /** Whether answering takes the task's name, beyond what the prompt says; it does not unless this says so. */
  readonly needsTaskIdentity?: true;
  /** All tasks at once; one after another unless this says so. */
  readonly learns?: "jointly";
}

/** A method's file: what it is, what can be set, and what it does. */
export interface Method<Name extends string = string, Shape extends z.ZodRawShape = z.ZodRawShape>
  extends MethodFacts {
  /** As a config has it. */
  readonly name: Name;
  /** Beside the name. */
  readonly options: Shape;
  create(setup: MethodSetup<Settings<Shape> & { readonly name: Name }>): MethodParts;
}

export const defineMethod = <const Name extends string, Shape extends z.ZodRawShape>(
  method: Method<Name, Shape>,
): Method<Name, Shape> => method;

/** The task's rows alone, every row once per epoch: what a step trains on unless a method says otherwise. */
export function ownRows({ rows }: TaskRows, plan: BatchPlan): StepPlan {
  return {
    stepsPerEpoch: batchesPerEpoch(rows.length, plan.batchSize),
    steps: (function* () {
      const lengths = rows.map((row) => row.sourceLength);
      for (const indices of planBatches(lengths, plan)) {
        yield [{ rows: indices.map((index) => rows[index]!), weight: 1, term: null }];
      }
    })(),
  };
}

const DEFAULTS: Hooks = {
  plan: ownRows,
  prefix: () => null,
  prompt: () => null,
  losses: () => ({}),
  penalties: () => ({}),
  beforeUpdate() {},
  afterUpdate() {},
  measures: () => ({}),
  state: () => ({ tensors: {}, rows: {} }),
  saved() {},
  openAdapter: () => null,
  activate() {},
};

/** A method with the hooks it leaves out. */
export const withDefaults = (parts: MethodParts): ActiveMethod => ({ ...DEFAULTS, ...parts });
