/**
 * Learns a stream that does not say where a task ends: every batch that arrives is answered first (test, then train), its
 * losses are watched for a change, and a new adapter is opened where one is found.
 */
import { negated, stackAdapters } from "../adapters/combine.js";
import type { AdapterDelta } from "../adapters/delta.js";
import { disposeDelta, keepDelta } from "../adapters/lora.js";
import { type Arrivals, arrivals } from "../data/arrivals.js";
import { batchOf } from "../data/collate.js";
import type { EncodedExample } from "../data/encode.js";
import type { ActiveMethod, TaskContext } from "../methods/method.js";
import type { LanguageModel } from "../models/language-model.js";
import { EVALUATION, type ForwardContext, trainingContext } from "../nn/context.js";
import { AdamW, type Parameter } from "../nn/optim.js";
import type { Rng } from "../random.js";
import { at } from "../settings.js";
import { tensor } from "../tensor/create.js";
import { inference, noGrad } from "../tensor/grad.js";
import { tidy } from "../tensor/scope.js";
import type { Tensor } from "../tensor/tensor.js";
import { type DetectorOptions, InputShift, PageHinkley } from "./drift.js";
import type { RunEvent } from "./events.js";
import { checkStep, type EncodedTask, stepEvent, type TrainingSettings, trainStep } from "./learn.js";

export interface OnlineSettings {
  /** Where adapters begin: where a change is detected, at the tasks' true starts, nowhere, or every so many rows. */
  readonly boundaries: "detected" | "known" | "none" | { readonly every: number };
  /** What becomes of the open adapter at a detected change: it is closed as it is, or as it was before the change. */
  readonly onAlarm: "new-adapter" | "roll-back";
  /** Updates on every batch that arrives. */
  readonly updates: number;
  /** Rows around a change in which two tasks mix. */
  readonly mixing: number;
  readonly detector: DetectorOptions;
}

/** How the model answers a row. */
export interface RowScore {
  /** Mean cross-entropy over its label tokens. */
  readonly loss: number;
  /** Whether greedy decoding would have given its target, token by token. */
  readonly correct: boolean;
}

/** Rows whose distance is beyond this are taken for inputs of another kind; drawn alike, 3 is hardly reached. */
const SHIFTED = 4;
/** Batches that a roll-back can go behind. */
const KEPT = 16;

type Watched = EncodedExample & { readonly features: Float32Array };

/** An adapter's stretch of the stream. */
interface Segment {
  readonly context: TaskContext;
  /** Its rows so far, the ones that the method sees. */
  readonly rows: Watched[];
  readonly parameters: readonly Parameter[];
  readonly optimizer: AdamW;
  readonly forward: ForwardContext;
  /** The parameters before each of the last batches, with the segment's rows by then. */
  readonly kept: { readonly rows: number; readonly values: readonly Tensor[] }[];
  /** Updates so far. */
  step: number;
}

/** Where the stream is, in the evaluation's words: of the tasks the learner knows nothing. */
interface Place {
  readonly task: string;
  readonly index: number;
  step: number;
}

export class OnlineLearner {
  readonly #stream: Arrivals<EncodedExample>;
  readonly #detector: PageHinkley;
  readonly #shift: InputShift;
  /** Rows that have arrived. */
  #seen = 0;
  #segments = 0;
  #open: Segment | null = null;
  /** The adapters that were finished, and the open one, at the last `update`. */
  #told: { readonly count: number; readonly open: AdapterDelta | null } = { count: 0, open: null };

  /** Throws a DataError where tasks are too short to mix. */
  constructor(
    readonly model: LanguageModel,
    readonly method: ActiveMethod,
    readonly tasks: readonly EncodedTask[],
    readonly settings: OnlineSettings,
    readonly training: TrainingSettings,
    readonly rng: Rng,
  ) {
    const order = rng.fork("rows");
    const rows = tasks.map(({ name, train }) => ({ name, rows: order.fork(name).shuffle(train) }));
    this.#stream = arrivals(rows, settings.mixing, rng.fork("arrivals"));
    this.#detector = new PageHinkley(settings.detector);
    this.#shift = new InputShift(model.inputEmbedding, rng.fork("projection"));
  }

  /** The rows of a task as they arrive, up to where it is over. */
  *task(index: number): Generator<RunEvent, void> {
    const { training, settings, tasks } = this;
    const { rows, starts, ends } = this.#stream;
    const task = tasks[index]!.name;
    const end = ends[index]!;
    const place: Place = { task, index, step: 0 };
    for (const first = this.#seen; this.#seen < end; ) {
      const batch = rows.slice(this.#seen, Math.min(end, this.#seen + training.batchSize)).map((row) => ({
        ...row,
        features: this.#shift.features(row.source),
      }));
      this.#admit(batch, starts[index]!);
      if (this.#seen === first) {
        yield {
          type: "task-start",
          task,
          index,
          steps: Math.ceil((end - first) / training.batchSize) * settings.updates,
          trainable: this.#open!.parameters.reduce((total, each) => total + each.tensor.size, 0),
          rows: end - first,
        };
      }
      const scores = scoreRows(this.model, batch);
      this.#seen += batch.length;
      yield {
        type: "arrival",
        task,
        index,
        start: starts[index]!,
        seen: this.#seen,
        rows: batch.length,
        adapter: this.#segments,
        correct: scores.filter(({ correct }) => correct).length,
        loss: scores.reduce((sum, { loss }) => sum + loss, 0) / batch.length,
      };
      yield* this.#watch(scores, place);
      yield* this.#train(batch, place);
    }
  }

  /** The batch becomes part of the open segment, or, where the settings say so, of a new one. */
  #admit(batch: readonly Watched[], start: number): void {
    const { boundaries, onAlarm } = this.settings;
    const open = this.#open;
    const isDue =
      open === null ||
      (boundaries === "known" && this.#seen >= start && this.#seen - open.rows.length < start) ||
      (typeof boundaries === "object" && open.rows.length >= boundaries.every);
    if (isDue) {
      this.#close();
      this.#begin([...batch]);
      return;
    }
    if (onAlarm === "roll-back") keepParameters(open);
    open.rows.push(...batch);
  }

  #begin(rows: Watched[]): void {
    const index = this.#segments++;
    const name = `segment-${index + 1}`;
    const rng = this.rng.fork(name);
    const context: TaskContext = { name, index, rng, rows, parts: [{ name, rows }] };
    const parameters = this.method.beforeTask({ ...context, rng: rng.fork("initialisation") });
    const optimizer = new AdamW(parameters, this.training);
    const forward = trainingContext(rng.fork("dropout"), this.training.checkpointing);
    this.#open = { context, rows, parameters, optimizer, forward, kept: [], step: 0 };
    this.#detector.reset();
  }

  #close(): void {
    const open = this.#open;
    if (open === null) return;
    this.method.afterTask(open.context);
    this.#release(open);
  }

  #release({ optimizer, kept }: Segment): void {
    optimizer[Symbol.dispose]();
    for (const { values } of kept) for (const value of values) value.dispose();
    this.#open = null;
  }

  /** Looks for a change in the losses of the rows that have just arrived, and does what is to be done about one. */
  *#watch(scores: readonly RowScore[], place: Place): Generator<RunEvent, void> {
    const { settings, training } = this;
    const detector = this.#detector;
    // All rows count, whichever raises the alarm.
    const alarms = scores.filter(({ loss }) => detector.add(loss));
    if (alarms.length === 0) return;
    const { rows } = this.#open!;
    const after = detector.count - detector.unchanged();
    const recent = rows.slice(rows.length - after);
    const distance = this.#shift.distance(
      rows.slice(0, rows.length - after).map(({ features }) => features),
      recent.map(({ features }) => features),
    );
    yield {
      type: "alarm",
      task: place.task,
      index: place.index,
      row: this.#seen,
      since: this.#seen - after,
      kind: distance === null ? null : distance > SHIFTED ? "inputs" : "answers",
      distance,
    };
    detector.reset();
    if (settings.boundaries !== "detected") return;
    if (settings.onAlarm === "roll-back") restoreParameters(this.#open!, rows.length - after);
    rows.length -= after;
    this.#close();
    this.#begin(recent);
    if (settings.onAlarm === "new-adapter") return;
    // What was learned of these rows has been taken back. The last of them are those that have just arrived.
    const missed = recent.slice(0, -scores.length);
    for (let first = 0; first < missed.length; first += training.batchSize) {
      yield* this.#train(missed.slice(first, first + training.batchSize), place);
    }
  }

  *#train(batch: readonly EncodedExample[], place: Place): Generator<RunEvent, void> {
    const { model, method, training, settings } = this;
    const { task, index } = place;
    const segment = this.#open!;
    const learningRate = at(training.learningRate, 0);
    const plan = method.plan(
      { ...segment.context, rows: batch },
      {
        batchSize: training.batchSize,
        epochs: settings.updates,
        rng: segment.context.rng.fork(`batches ${segment.step}`),
        bucket: "none",
      },
    );
    for (const shares of plan.steps) {
      place.step++;
      segment.step++;
      const started = performance.now();
      const update = { step: segment.step, learningRate };
      const report = trainStep(model, method, segment.optimizer, shares, training, update, segment.forward);
      checkStep(report, segment.parameters, task, segment.step);
      if (place.step % training.logEvery !== 0 && place.step !== 1) continue;
      yield stepEvent({ task, index, step: place.step, epoch: 1, lr: learningRate }, report, method, started);
    }
  }

  /**
   * What has been learned since the last call, as one adapter that the caller owns: those finished since, and the open one
   * without what it was then.
   */
  update(name: string): AdapterDelta {
    const finished = this.method.deltas!;
    const { count, open: before } = this.#told;
    const open = this.method.openAdapter(name)!;
    this.#told = { count: finished.length, open };
    const update = tidy(() => {
      const taken = before ? [negated(before)] : [];
      return keepDelta(stackAdapters([...finished.slice(count), ...taken, open], name));
    });
    if (before) disposeDelta(before);
    return update;
  }

  /** The stream is over: the last adapter is finished. */
  finish(): void {
    this.#close();
  }

  dispose(): void {
    if (this.#open) this.#release(this.#open);
    if (this.#told.open) disposeDelta(this.#told.open);
  }
}

/** Before any row of the batch that has arrived is trained on. */
function keepParameters({ kept, rows, parameters }: Segment): void {
  const copy = (each: Tensor) => tidy(() => noGrad(() => each.detach().clone()).keep());
  const values = parameters.map(({ tensor: each }) => copy(each));
  kept.push({ rows: rows.length, values });
  if (kept.length > KEPT) for (const value of kept.shift()!.values) value.dispose();
}

/** Brings back the parameters as they were when no more than `count` rows had been seen, or as early as is known. */
function restoreParameters({ kept, parameters }: Segment, count: number): void {
  const found = kept.findLast(({ rows }) => rows <= count) ?? kept[0];
  if (!found) return;
  tidy(() =>
    noGrad(() => {
      for (const [i, { tensor: each }] of parameters.entries()) each.copy_(found.values[i]!);
    }),
  );
}

/** By one teacher-forced pass without dropout. */
export function scoreRows(model: LanguageModel, rows: readonly EncodedExample[]): RowScore[] {
  const { losses, hits } = inference(() => {
    const { logits } = model.forward(batchOf(rows, model), EVALUATION);
    const targets = rows.flatMap(({ target }) => target);
    const wanted = tensor(targets, [targets.length, 1], "int64", model.device);
    const likely = logits.toDtype("float32").logSoftmax(1).gather(1, wanted);
    const best = logits.argmax(1, true).eq(wanted);
    return { losses: likely.neg().flatten().toArray(), hits: best.flatten().toArray() };
  });
  let from = 0;
  return rows.map(({ target }) => {
    const to = from + target.length;
    const loss = losses.slice(from, to).reduce((sum, each) => sum + each, 0) / target.length;
    const correct = hits.slice(from, to).every((hit) => hit === 1);
    from = to;
    return { loss, correct };
  });
}
