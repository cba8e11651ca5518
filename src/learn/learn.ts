/** Learns the tasks of a stream one after another and reports everything that happens as an event. */

import { batchesPerEpoch, causalBatch, planBatches, seq2seqBatch } from "../data/batches.js";
import type { EncodedExample } from "../data/encode.js";
import { RunError } from "../errors.js";
import type { ActiveMethod } from "../methods/method.js";
import type { Batch, LanguageModel } from "../models/language-model.js";
import { type ForwardContext, trainingContext } from "../nn/context.js";
import { AdamW, clipFactor, globalGradNorm, type Parameter } from "../nn/optim.js";
import type { Rng } from "../random.js";
import { at, type PerTask } from "../settings.js";
import { tensor } from "../tensor/create.js";
import { tidy } from "../tensor/scope.js";
import type { Tensor } from "../tensor/tensor.js";
import type { RunEvent } from "./events.js";

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
}

export interface StepReport {
  readonly taskLoss: number;
  readonly penalties: Readonly<Record<string, number>>;
  readonly gradNorm: number;
  readonly tokens: number;
}

/** The tensors of some rows, on the model's device. Belongs to the open scope. */
export function batchOf(rows: readonly EncodedExample[], model: LanguageModel): Batch {
  const { source, labels } = (model.family === "causal" ? causalBatch : seq2seqBatch)(rows, model.padId);
  const { device } = model;
  return {
    inputIds: tensor(source.ids, source.shape, "int32", device).toDtype("int64"),
    attentionMask: tensor(source.mask, source.shape, "bool", device),
    labels: tensor(labels.ids, labels.shape, "int32", device).toDtype("int64"),
  };
}

function sum(terms: readonly Tensor[]): Tensor {
  return terms.slice(1).reduce((total, term) => total.add(term), terms[0]!);
}

/**
 * The gradients of one optimizer step over `rows`, split into micro-batches. The task loss is the mean over the label
 * tokens of all rows, and the penalties are counted once, however the rows are split.
 */
function accumulate(
  model: LanguageModel,
  rows: readonly EncodedExample[],
  microBatchSize: number,
  context: ForwardContext,
): { taskLoss: number; tokens: number } {
  const labelTokens = rows.reduce((total, row) => total + row.target.length, 0);
  if (labelTokens === 0)
    throw new RunError("A batch has no label tokens, so nothing can be learned from it.");
  let taskLoss = 0;
  let tokens = 0;
  for (let start = 0; start < rows.length; start += microBatchSize) {
    const part = rows.slice(start, start + microBatchSize);
    tidy(() => {
      const output = model.forward(batchOf(part, model), context);
      const share = output.labelTokens / labelTokens;
      output.backward(share);
      taskLoss += output.loss.item() * share;
    });
    for (const row of part) tokens += row.source.length + row.target.length;
  }
  return { taskLoss, tokens };
}

/** One update. Every tensor made here is released on return; only numbers leave. */
export function trainStep(
  model: LanguageModel,
  method: Pick<ActiveMethod, "penalties">,
  optimizer: AdamW,
  rows: readonly EncodedExample[],
  settings: Pick<TrainingSettings, "microBatchSize" | "clip">,
  learningRate: number,
  context: ForwardContext,
): StepReport {
  return tidy(() => {
    const { parameters } = optimizer;
    const { clip } = settings;
    const { taskLoss, tokens } = accumulate(model, rows, settings.microBatchSize ?? rows.length, context);
    let gradNorm = 0;
    if (clip.scope === "task-only") {
      gradNorm = globalGradNorm(parameters);
      const factor = clipFactor(gradNorm, clip.norm);
      for (const { tensor: parameter } of parameters) parameter.grad?.mul_(factor);
    }
    const terms = method.penalties();
    if (Object.keys(terms).length > 0) sum(Object.values(terms)).backward();
    const penalties = Object.fromEntries(Object.entries(terms).map(([name, term]) => [name, term.item()]));
    let factor = 1;
    if (clip.scope === "total") {
      gradNorm = globalGradNorm(parameters);
      factor = clipFactor(gradNorm, clip.norm);
    }
    const total = taskLoss + Object.values(penalties).reduce((all, value) => all + value, 0);
    if (Number.isFinite(total) && Number.isFinite(gradNorm)) optimizer.step(learningRate, factor);
    optimizer.zeroGrad();
    return { taskLoss, penalties, gradNorm, tokens };
  });
}

function checkStep(report: StepReport, parameters: readonly Parameter[], task: string, step: number): void {
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
  const parameters = method.beforeTask({ name: task.name, index, rng: rng.fork("initialisation") });
  if (parameters.length === 0) throw new RunError(`The method trains nothing on task ${task.name}.`);
  const epochs = at(settings.epochs, index);
  const learningRate = at(settings.learningRate, index);
  const perEpoch = batchesPerEpoch(task.train.length, settings.batchSize);
  const steps = Math.min(perEpoch * epochs, settings.maxSteps ?? Number.POSITIVE_INFINITY);
  yield {
    type: "task-start",
    task: task.name,
    index,
    steps,
    trainable: parameters.reduce((count, { tensor: parameter }) => count + parameter.size, 0),
    rows: task.train.length,
  };
  const context = trainingContext(rng.fork("dropout"), settings.checkpointing);
  const plan = planBatches(
    task.train.map((row) => row.sourceLength),
    {
      batchSize: settings.batchSize,
      epochs,
      rng: rng.fork("batches"),
      bucket: settings.lengthBuckets ? "length" : "none",
    },
  );
  using optimizer = new AdamW(parameters, settings);
  let step = 0;
  for (const indices of plan) {
    if (step === steps) break;
    step++;
    const started = performance.now();
    const rows = indices.map((row) => task.train[row]!);
    const report = trainStep(model, method, optimizer, rows, settings, learningRate, context);
    checkStep(report, parameters, task.name, step);
    if (step % settings.logEvery !== 0 && step !== steps && step !== 1) continue;
    yield {
      type: "step",
      task: task.name,
      index,
      step,
      epoch: Math.ceil(step / perEpoch),
      taskLoss: report.taskLoss,
      penalties: report.penalties,
      lr: learningRate,
      gradNorm: report.gradNorm,
      tokensPerSecond: report.tokens / ((performance.now() - started) / 1000),
    };
  }
}
