/** One run, from its configuration to its record: puts model, data and method together and lets them learn. */
import { basename } from "node:path";
import { disposeDelta } from "../adapters/lora.js";
import { lengthReport } from "../data/lengths.js";
import { Tokenizer } from "../io/tokenizer/tokenizer.js";
import { evaluateTask } from "../learn/evaluate.js";
import type { HubProgress, RunEvent } from "../learn/events.js";
import { JOINT_TASK, jointTask, taskContext, trainTask } from "../learn/learn.js";
import { OnlineLearner } from "../learn/online.js";
import type { ActiveMethod, Saves } from "../methods/method.js";
import { createMethod, METHOD_FACTS, trainsAllWeights } from "../methods/registry.js";
import { frobeniusNorms, geometrySummary } from "../metrics/geometry.js";
import { loadModel, readModelFacts } from "../models/registry.js";
import { Rng } from "../random.js";
import { foldRecord, type RecordDetails } from "../runs/fold-record.js";
import { readJournal } from "../runs/journal.js";
import type { RunOptions } from "../runs/protocol.js";
import type { RunRecord } from "../runs/record.js";
import type { RunFolder } from "../runs/run-folder.js";
import { checkDevice, defaultDtype, engineReport } from "../tensor/engine-report.js";
import { setThreads } from "../tensor/grad.js";
import type { Config } from "./config.js";
import { checkVocabulary, encodeOptions, encodeTask } from "./encoding.js";
import { type Prepared, prepare } from "./prepare.js";
import { openReference } from "./reference.js";
import { reportsOf } from "./reports.js";
import { baseOf, finishedTask, forgetTask, keptBytes, type Saving, saveTask } from "./saved-task.js";
import { openStart, type Start } from "./start-from.js";

/**
 * Trains and evaluates as `runs/protocol.ts` describes. Yields every event from `run-start` to `run-end`; writes
 * adapters, predictions and record.json into the folder. All waiting is done by
 * `prepare`, before the first tensor.
 */
export async function* runExperiment(
  config: Config,
  folder: RunFolder,
  { resume }: RunOptions,
): AsyncGenerator<RunEvent, RunRecord> {
  if (config.threads !== null) setThreads(config.threads);
  const { device } = config;
  checkDevice(device);
  const dtype = config.dtype === "auto" ? defaultDtype(device) : config.dtype;
  const said: RunEvent[] = resume ? readJournal(folder.journalFile) : [];
  const revision = said.findLast((event) => event.type === "run-start")?.modelRevision ?? null;
  const {
    modelFolder: path,
    onHub,
    stream,
    notes,
  } = yield* reportsOf<RunEvent, Prepared>((report, signal) => {
    const onProgress = (progress: HubProgress) => report({ type: "download", ...progress });
    return prepare(config, { onProgress, signal, preferCache: resume }, revision);
  });
  const tokenizer = Tokenizer.fromFolder(path);
  checkVocabulary(tokenizer, readModelFacts(path), path);
  // Updates of weights are smaller than what bfloat16 can tell apart.
  const model = loadModel(path, dtype, device, trainsAllWeights(config.method) ? "float32" : dtype);
  const names = stream.tasks.map((task) => task.name);
  const saving: Saving = {
    folder,
    config,
    model,
    folderOfBase: path,
    base: baseOf(config, path),
    tasks: names,
    startFrom: config.startFrom.map((each) => basename(each)),
  };
  let details: RecordDetails = {};
  const say = <Event extends RunEvent>(event: Event): Event => {
    if (event.type !== "step" && event.type !== "evaluation-progress") said.push(event);
    return event;
  };
  let method: ActiveMethod | undefined;
  let start: Start | undefined;
  let online: OnlineLearner | null = null;
  try {
    start = openStart(config, saving.base.name, folder, said, device);
    method = createMethod({
      model,
      lora: config.lora,
      options: config.method,
      tasks: stream.tasks,
      startFrom: start.deltas,
      reference: openReference(config, names),
    });
    const { title, learns, needsTaskIdentity } = METHOD_FACTS[config.method.name];
    const isJoint = learns === "jointly";
    const places = isJoint
      ? [{ name: JOINT_TASK, index: names.length - 1 }]
      : names.map((name, index) => ({ name, index }));
    const saver = config.online ? { ...method, saves: ONLINE_SAVES } : method;
    // What an online run knows of its stream is not kept: it starts with the first row again.
    const first = resume && !config.online ? folder.nextTask(places, saver.saves) : 0;
    if (first > 0) {
      const finished = places.filter(({ index }) => index < first);
      method.restore(finished.map((place) => finishedTask(saving, place)));
    }
    const time = new Date().toISOString();
    yield say({
      type: "run-start",
      time,
      method: config.method.name,
      model: onHub?.name ?? (config.model === "builtin" ? "builtin" : basename(config.model)),
      tasks: names,
      seed: config.seed,
      resumedAt: first,
      ...(onHub && { modelRevision: onHub.revision }),
      ...(start.facts.length > 0 && { startFrom: start.facts }),
    });
    details = {
      penalty: method.penaltyRecord,
      engine: { ...recordedEngine(), device, dtype, seed: config.seed },
    };
    folder.writeRecord(foldRecord(said, details)!);
    const identity = needsTaskIdentity ? [`${title} is told which task a row is of when it answers`] : [];
    const anew = resume && config.online ? ["an online run cannot go on in its stream; it starts anew"] : [];
    for (const message of [...notes, ...start.notes, ...identity, ...anew])
      yield say({ type: "note", level: "info", message });

    const limits = encodeOptions(tokenizer, model, config);
    const tasks = stream.tasks.map((task) => encodeTask(task, tokenizer, limits));
    yield say({
      type: "lengths",
      report: tasks.flatMap((task) => [
        lengthReport(task.name, "train", task.train, limits),
        lengthReport(task.name, "test", task.test, limits),
      ]),
    });

    const evaluate = function* (afterIndex: number): Generator<RunEvent, void> {
      const testsAll = (afterIndex + 1) % config.evaluation.every === 0 || afterIndex === tasks.length - 1;
      for (const [index, task] of tasks.entries()) {
        if (!testsAll && index !== afterIndex) continue;
        if (config.evaluation.tasks === "seen" && afterIndex >= 0 && index > afterIndex) continue;
        method!.activate({ name: task.name, index });
        const answers = evaluateTask(model, method!, tokenizer, task, index, afterIndex, config.evaluation);
        let next = answers.next();
        for (; !next.done; next = answers.next()) yield say(next.value);
        folder.savePredictions(afterIndex, task.name, next.value);
      }
    };
    if (config.evaluation.base && first === 0) yield* evaluate(-1);

    const rng = new Rng(config.seed);
    online =
      config.online &&
      new OnlineLearner(model, method, tasks, config.online, config.training, rng.fork("online"));
    for (const [turn, place] of places.entries()) {
      const { index } = place;
      if (index < first) continue;
      const task = isJoint ? jointTask(tasks) : tasks[index]!;
      const started = performance.now();
      const own = rng.fork(`task ${index + 1}`);
      const learning = online
        ? online.task(index)
        : trainTask(model, method, task, index, config.training, own);
      for (const event of learning) yield say(event);
      const measures = method.measures();
      const update = online?.update(task.name);
      const delta = update ?? method.afterTask(taskContext(task, index, own));
      const seconds = (performance.now() - started) / 1000;
      saveTask(saving, place, saver, delta);
      const deltaNorm = method.deltas && frobeniusNorms(update ? [update] : method.deltas.slice(-1))[0]!;
      if (update) disposeDelta(update);
      else method.saved(finishedTask(saving, place));
      yield* evaluate(index);
      yield say({
        type: "task-end",
        task: task.name,
        index,
        seconds,
        deltaNorm,
        ...(Object.keys(measures).length > 0 && { measures }),
        keptBytes: keptBytes(saving, places.slice(0, turn + 1), saver),
      });
      if (turn > 0) forgetTask(saving, places[turn - 1]!, saver);
      folder.writeRecord(foldRecord(said, details)!);
    }
    online?.finish();
    if (method.deltas) details = { ...details, geometry: geometrySummary(method.deltas, start.deltas) };
    yield say({ type: "run-end", time: new Date().toISOString(), status: "done" });
    return foldRecord(said, details)!;
  } finally {
    online?.dispose();
    method?.dispose();
    for (const delta of start?.deltas ?? []) disposeDelta(delta);
    model.dispose();
  }
}

/** Of an online run, whose adapters begin and end within tasks: what each task added, as one adapter. */
const ONLINE_SAVES: Saves = { adapter: "delta", weights: null, state: false };

function recordedEngine(): Record<string, unknown> {
  const { libtorch, origin, blas, threads, processor, vectorExtensions, fusedKernels } = engineReport();
  return { libtorch, origin, blas, threads, processor, vectorExtensions, fusedKernels };
}
