/** A tiny model and made-up rows for tests of the loop and the methods. */
import { createHash } from "node:crypto";
import type { AdapterDelta } from "../../src/adapters/delta.js";
import { targetLinears } from "../../src/adapters/lora.js";
import type { EncodedExample } from "../../src/data/encode.js";
import type { RunEvent } from "../../src/learn/events.js";
import type { EncodedTask, TrainingSettings } from "../../src/learn/learn.js";
import { jointTask, taskContext, trainTask } from "../../src/learn/learn.js";
import type { ActiveMethod, FinishedTask } from "../../src/methods/method.js";
import type { ReferenceRun } from "../../src/methods/reference.js";
import {
  createMethod,
  METHOD_FACTS,
  METHOD_NAMES,
  METHOD_OPTIONS,
  type MethodName,
  type MethodOptions,
  methodSchema,
} from "../../src/methods/registry.js";
import type { LanguageModel } from "../../src/models/language-model.js";
import { loadModel } from "../../src/models/registry.js";
import { Rng } from "../../src/random.js";
import { tensor as tensorOf } from "../../src/tensor/create.js";
import type { Tensor } from "../../src/tensor/tensor.js";
import { goldenFolder } from "./golden.js";

export const tinyModel = (name = "t5-classic"): LanguageModel => loadModel(goldenFolder(name), "float32");

/** Rows whose answer depends on their first token, so that there is something to learn. */
export function tinyTask(name: string, rows: number, seed: number): EncodedTask {
  const rng = new Rng(seed).fork(name);
  const row = (): EncodedExample => {
    const source = Array.from({ length: 4 + rng.integer(6) }, () => 3 + rng.integer(60));
    const target = [70 + (source[0]! % 2) + 2 * (name.charCodeAt(0) % 5), 1];
    return { source: [...source, 1], target, sourceLength: source.length + 1, targetLength: 2 };
  };
  const train = Array.from({ length: rows }, row);
  const test = Array.from({ length: 8 }, row);
  return { name, labels: null, train, test, answers: test.map(() => ""), inputs: test.map(() => "") };
}

export const tinySettings: TrainingSettings = {
  epochs: 1,
  batchSize: 8,
  microBatchSize: null,
  learningRate: 1e-2,
  betas: [0.9, 0.999],
  eps: 1e-8,
  weightDecay: 0,
  clip: { norm: 1, scope: "total" },
  lengthBuckets: false,
  checkpointing: false,
  maxSteps: null,
  logEvery: 1,
};

export const tinyLora = {
  rank: 4,
  alpha: 8,
  dropout: 0.1,
  targetModules: null,
  previousAdapters: "stacked" as "stacked" | "merged",
  seqDelta: "snapshot" as "snapshot" | "increment",
};

/** The ids as text, as a row's own text would be. */
const textOf = ({ source, target }: EncodedExample) => ({
  input: source.join(" "),
  output: target.join(" "),
});

const isControl = (name: MethodName): boolean => "reference" in METHOD_OPTIONS[name];

/** Options as a config gives them, the others by default; controls follow a run that is not there. */
export function methodOptions(values: object): MethodOptions<MethodName> {
  const { name } = values as { readonly name: MethodName };
  return methodSchema.parse(isControl(name) ? { reference: "elsewhere", ...values } : values);
}

const THREE_TASKS = ["alpha", "beta", "gamma"].map((name) => ({ name, train: [] }));

export function tinyMethod(
  model: LanguageModel,
  values: object,
  lora: Partial<typeof tinyLora> = {},
  startFrom: readonly AdapterDelta[] = [],
  tasks: readonly Pick<EncodedTask, "name" | "train">[] = THREE_TASKS,
): ActiveMethod {
  const options = methodOptions(values);
  const settings = { ...tinyLora, ...lora };
  return createMethod({
    model,
    lora: settings,
    options,
    tasks: tasks.map(({ name, train }) => ({ name, labels: [], train: train.map(textOf) })),
    startFrom,
    reference: isControl(options.name) ? tinyReference(model, settings.targetModules) : null,
  });
}

/** Three tasks whose updates have norm 0.05, on 5 rows and 7 columns of every layer. */
export const tinyReference = (
  model: LanguageModel,
  targets: readonly string[] | null = null,
): ReferenceRun => {
  const sizes = targetLinears(model, targets).map(({ name, outputs, inputs }) => {
    return [name, { norm: 0.05, rows: 5, columns: 7, outputs, inputs }] as const;
  });
  return { name: "reference", tasks: [new Map(sizes), new Map(sizes), new Map(sizes)] };
};

const copyOf = (tensor: Tensor) => {
  const { shape, dtype, device } = tensor;
  const values = tensor.toArray();
  return () => tensorOf(values, shape, dtype, device);
};

function copiesOf(tensors: Iterable<readonly [string, Tensor]>): () => Record<string, Tensor> {
  const copies = [...tensors].map(([name, each]) => [name, copyOf(each)] as const);
  return () => Object.fromEntries(copies.map(([name, make]) => [name, make()]));
}

/** What a run folder would hold of the task that the method has just finished, in memory. */
function remember(
  model: LanguageModel,
  method: ActiveMethod,
  place: { readonly name: string; readonly index: number },
  delta: AdapterDelta | null,
): FinishedTask {
  const absent = (what: string) => () => {
    throw new Error(`the method does not save ${what}`);
  };
  const modules = [...(delta?.modules ?? [])].map(
    ([name, { a, b }]) => [name, copyOf(a), copyOf(b)] as const,
  );
  const { saves } = method;
  const { tensors, rows } = method.state();
  const state = copiesOf(Object.entries(tensors));
  const text = JSON.stringify(rows);
  return {
    ...place,
    adapter: () => ({
      name: place.name,
      scale: delta!.scale,
      modules: new Map(modules.map(([name, a, b]) => [name, { a: a(), b: b() }])),
    }),
    weights: saves.weights === null ? absent("weights") : copiesOf(model.weights),
    state: saves.state ? () => ({ tensors: state(), rows: JSON.parse(text) }) : absent("state"),
  };
}

/** Trains the tasks from `first` on and returns every event; finished tasks are added to `finished`. */
export function learn(
  model: LanguageModel,
  method: ActiveMethod,
  tasks: readonly EncodedTask[],
  {
    settings = tinySettings,
    seed = 1,
    first = 0,
    finished = [],
  }: { settings?: TrainingSettings; seed?: number; first?: number; finished?: FinishedTask[] } = {},
): RunEvent[] {
  const events: RunEvent[] = [];
  for (const [index, task] of tasks.entries()) {
    if (index < first) continue;
    const rng = new Rng(seed).fork(`task ${index + 1}`);
    for (const event of trainTask(model, method, task, index, settings, rng)) events.push(event);
    const delta = method.afterTask(taskContext(task, index, rng));
    const saved = remember(model, method, { name: task.name, index }, delta);
    finished.push(saved);
    method.saved(saved);
  }
  return events;
}

/** A method's options as a config gives them. */
export type MethodValues = { readonly name: MethodName } & Readonly<Record<string, unknown>>;

/** Every method by default (prompts short), and those with a choice of backbone with an adapter as well. */
export const METHOD_CASES: readonly (readonly [label: string, values: MethodValues])[] = METHOD_NAMES.flatMap(
  (name) => {
    const own = [name, { name, ...(name === "lfpt5" && { promptLength: 6 }) }] as const;
    return "backbone" in methodOptions({ name })
      ? [own, [`${name} with an adapter`, { name, backbone: "lora" }] as const]
      : [own];
  },
);

/** Trains a stream of tasks, whole or behind some that are finished, and says how it ended. */
export function runTiny(
  values: MethodValues,
  tasks: readonly EncodedTask[],
  options: Parameters<typeof learn>[3] = {},
  lora: Partial<typeof tinyLora> = {},
) {
  const model = tinyModel();
  const method = tinyMethod(model, values, lora, [], tasks);
  if (options.finished && options.first) method.restore(options.finished);
  const isJoint = METHOD_FACTS[values.name].learns === "jointly";
  const events = isJoint
    ? learn(model, method, [...tasks.slice(0, -1), jointTask(tasks)], { ...options, first: tasks.length - 1 })
    : learn(model, method, tasks, options);
  const result = {
    events,
    steps: events.filter((event) => event.type === "step"),
    print: fingerprint(model, method),
    learned: learnedPrint(model, method),
    factors: method.deltas ? factorsOf(method) : [],
  };
  method.dispose();
  model.dispose();
  return result;
}

/** Tells whether two runs learned the same: a digest of all weights of the model and of the method's adapters. */
function learnedPrint(model: LanguageModel, method: ActiveMethod): string {
  const hash = createHash("sha256");
  for (const weight of model.weights.values()) hash.update(weight.toBytes());
  for (const values of method.deltas ? factorsOf(method) : []) hash.update(Float32Array.from(values));
  return hash.digest("hex");
}

/** Tells whether two runs ended alike: what they learned, and what the method remembers. */
export function fingerprint(model: LanguageModel, method: ActiveMethod): string {
  const hash = createHash("sha256").update(learnedPrint(model, method));
  const { tensors, rows } = method.state();
  for (const tensor of Object.values(tensors)) hash.update(tensor.toBytes());
  hash.update(JSON.stringify(rows));
  return hash.digest("hex");
}

/** Every factor of every finished task, as numbers. */
export const factorsOf = (method: ActiveMethod): number[][] =>
  method.deltas!.flatMap((delta) =>
    [...delta.modules.values()].flatMap(({ a, b }) => [a.toArray(), b.toArray()]),
  );
