/** Learns the tasks of a stream one after another and reports everything that happens as an event. */

import { batchOf } from "../data/collate.js";
import type { EncodedExample } from "../data/encode.js";
import { RunError } from "../errors.js";
import type { ActiveMethod, Share, TaskContext, TaskRows, Update } from "../methods/method.js";
import type { LanguageModel } from "../models/language-model.js";
import { type ForwardContext, trainingContext } from "../nn/context.js";
import { AdamW, clipFactor, globalGradNorm, type Parameter } from "../nn/optim.js";
import type { Rng } from "../random.js";
import { at, type PerTask } from "../settings.js";
import { tidy } from "../tensor/scope.js";
import type { Tensor } from "../tensor/tensor.js";
import type { RunEvent, StepEvent } from "./events.js";

export interface TrainingSettings {
  readonly epochs: PerTask<number>;
  readonly batchSize: number;
  readonly microBatchSize: number | null;
  readonly learningRate: PerTask<number>;
  readonly betas: readonly [number, number];
  readonly eps: number;
  readonly weightDecay: number;
  readonly clip: { readonly norm: number | null; readonly scope: "total" | "task-only" };
  readonly lengthBuckets: boolean;
  /** Activations are computed again in the backward pass instead of kept. */
  readonly checkpointing: boolean;
  readonly maxSteps: number | null;
  readonly logEvery: number;
}

/** A task with its rows as token ids. */
export interface EncodedTask {
  readonly name: string;
  readonly labels: readonly string[] | null;
  readonly train: readonly EncodedExample[];
  readonly test: readonly EncodedExample[];
  /** The right answers of the test rows, as text. */
  readonly answers: readonly string[];
  /** The test rows' sources, as text. */
  readonly inputs: readonly string[];
  /** The tasks that this one is made of, where it is several learned at once. */
  readonly parts?: readonly TaskRows[];
}

/** What all tasks together are called where they are learned at once. */
export const JOINT_TASK = "joint";

/** The training rows of all tasks as one task. */
export const jointTask = (tasks: readonly EncodedTask[]): EncodedTask => ({
  name: JOINT_TASK,
  labels: null,
  train: tasks.flatMap(({ train }) => train),
  test: [],
  answers: [],
  inputs: [],
  parts: tasks.map(({ name, train }) => ({ name, rows: train })),
});

/** What a method gets to see of a task. */
export function taskContext(task: EncodedTask, index: number, rng: Rng): TaskContext {
  const own = { name: task.name, rows: task.train };
  return { ...own, index, rng, parts: task.parts ?? [own] };
}

export interface StepReport {
  readonly taskLoss: number;
  readonly penalties: Readonly<Record<string, number>>;
  readonly gradNorm: number;
  readonly tokens: number;
}

function sum(terms: readonly Tensor[]): Tensor {
  return terms.slice(1).reduce((total, term) => total.add(term), terms[0]!);
}

/** A step's losses: what counts as task loss, and the terms beside it by name, all with their weights. */
interface Losses {
  taskLoss: number;
  readonly terms: Record<string, number>;
  tokens: number;
}

/**
 * The gradients of one share of a step, its rows split into micro-batches. Its loss and the method's terms are means
 * over the label tokens of all its rows, however they are split.
 */
function accumulate(
  model: LanguageModel,
  method: Pick<ActiveMethod, "prefix" | "losses">,
  share: Share,
  microBatchSize: number,
  context: ForwardContext,
  losses: Losses,
): void {
  const { rows, weight, term } = share;
  const labelTokens = rows.reduce((total, row) => total + row.target.length, 0);
  if (labelTokens === 0)
    throw new RunError("A batch has no label tokens, so nothing can be learned from it.");
  const record = (name: string, value: number): void => {
    losses.terms[name] = (losses.terms[name] ?? 0) + value;
  };
  for (let start = 0; start < rows.length; start += microBatchSize) {
    const part = rows.slice(start, start + microBatchSize);
    tidy(() => {
      const batch = { ...batchOf(part, model), prefix: method.prefix(part) };
      const output = model.forward(batch, context);
      const fraction = output.labelTokens / labelTokens;
      const factor = weight * fraction;
      const terms = Object.entries(method.losses({ share, batch, output }));
      const weighted = [
        [output.loss, factor] as const,
        ...terms.map(([, each]) => [each, fraction] as const),
      ];
      output.backward(sum(weighted.map(([each, by]) => (by === 1 ? each : each.mul(by)))));
      const loss = output.loss.item() * factor;
      if (term === null) losses.taskLoss += loss;
      else record(term, loss);
      for (const [name, each] of terms) record(name, each.item() * fraction);
    });
    for (const row of part) losses.tokens += row.source.length + row.target.length;
  }
}

/** One update. Every tensor made here is released on return; only numbers leave. */
export function trainStep(
  model: LanguageModel,
  method: Pick<ActiveMethod, "prefix" | "losses" | "penalties" | "beforeUpdate" | "afterUpdate">,
  optimizer: AdamW,
  shares: readonly Share[],
  settings: Pick<TrainingSettings, "microBatchSize" | "clip">,
  update: Update,
  context: ForwardContext,
): StepReport {
  return tidy(() => {
    const { parameters } = optimizer;
    const { clip } = settings;
    const losses: Losses = { taskLoss: 0, terms: {}, tokens: 0 };
    for (const share of shares) {
      accumulate(model, method, share, settings.microBatchSize ?? share.rows.length, context, losses);
    }
    let gradNorm = 0;
    if (clip.scope === "task-only") {
      gradNorm = globalGradNorm(parameters);
      const factor = clipFactor(gradNorm, clip.norm);
      for (const { tensor: parameter } of parameters) parameter.grad?.mul_(factor);
    }
    const terms = method.penalties();
    const open = Object.values(terms).filter((term) => term.requiresGrad);
    if (open.length > 0) sum(open).backward();
    method.beforeUpdate(update);
    const penalties = {
      ...losses.terms,
      ...Object.fromEntries(Object.entries(terms).map(([name, term]) => [name, term.item()])),
    };
    let factor = 1;
    if (clip.scope === "total") {
      gradNorm = globalGradNorm(parameters);
      factor = clipFactor(gradNorm, clip.norm);
    }
    const { taskLoss, tokens } = losses;
    const total = taskLoss + Object.values(penalties).reduce((all, value) => all + value, 0);
    if (Number.isFinite(total) && Number.isFinite(gradNorm)) {
      optimizer.step(update.learningRate, factor);
      method.afterUpdate(update);
    }
    optimizer.zeroGrad();
    return { taskLoss, penalties, gradNorm, tokens };
  });
}

/** Throws a RunError where a step went wrong; the weights are as they were before it. */
export function checkStep(
  report: StepReport,
  parameters: readonly Parameter[],
  task: string,
  step: number,
): void {
  const where = `task ${task}, step ${step}`;
  const parts = Object.entries({
    "task loss": report.taskLoss,
    ...report.penalties,
    "gradient norm": report.gradNorm,
  });
  const broken = parts.find(([, value]) => !Number.isFinite(value));
  if (broken) {
    throw new RunError(
      `The ${broken[0]} is ${broken[1]} at ${where}. The weights were left as they were before it.`,
      {
        hint:
          step === 1
            ? "This task has trained nothing yet: look for NaN in the model's weights, or use dtype: float32."
            : "Lower training.learningRate, or use dtype: float32.",
      },
    );
  }
  if (step === 1 && report.gradNorm === 0) {
    throw new RunError(
      `Nothing is trained at ${where}: all gradients of the ${parameters.length} trainable tensors are zero.`,
      { hint: "Check lora.targetModules, and that the rows have targets." },
    );
  }
}

/** Trains the model on one task. The caller closes the method's task afterwards. */
export function* trainTask(
  model: LanguageModel,
  method: ActiveMethod,
  task: EncodedTask,
  index: number,
  settings: TrainingSettings,
  rng: Rng,
): Generator<RunEvent, void> {
  const context = taskContext(task, index, rng);
  const parameters = method.beforeTask({ ...context, rng: rng.fork("initialisation") });
  if (parameters.length === 0) throw new RunError(`The method trains nothing on task ${task.name}.`);
  const epochs = at(settings.epochs, index);
  const learningRate = at(settings.learningRate, index);
  const plan = method.plan(context, {
    batchSize: settings.batchSize,
    epochs,
    rng: rng.fork("batches"),
    bucket: settings.lengthBuckets ? "length" : "none",
  });
  const steps = Math.min(plan.stepsPerEpoch * epochs, settings.maxSteps ?? Number.POSITIVE_INFINITY);
  yield {
    type: "task-start",
    task: task.name,
    index,
    steps,
    trainable: parameters.reduce((count, { tensor: parameter }) => count + parameter.size, 0),
    rows: task.train.length,
  };
  const forward = trainingContext(rng.fork("dropout"), settings.checkpointing);
  using optimizer = new AdamW(parameters, settings);
  let step = 0;
  for (const shares of plan.steps) {
    if (step === steps) break;
    step++;
    const started = performance.now();
    const report = trainStep(model, method, optimizer, shares, settings, { step, learningRate }, forward);
    checkStep(report, parameters, task.name, step);
    if (step % settings.logEvery !== 0 && step !== steps && step !== 1) continue;
    const epoch = Math.ceil(step / plan.stepsPerEpoch);
    yield stepEvent({ task: task.name, index, step, epoch, lr: learningRate }, report, method, started);
  }
}

/** What a step says; `started`: by performance.now(). */
export function stepEvent(
  place: Pick<StepEvent, "task" | "index" | "step" | "epoch" | "lr">,
  { taskLoss, penalties, gradNorm, tokens }: StepReport,
  method: Pick<ActiveMethod, "measures">,
  started: number,
): StepEvent {
  const measures = method.measures();
  return {
    type: "step",
    ...place,
    taskLoss,
    penalties,
    gradNorm,
    ...(Object.keys(measures).length > 0 && { measures }),
    tokensPerSecond: tokens / ((performance.now() - started) / 1000),
  };
}
