/** What a schema cannot say of a configuration: settings that contradict each other or do not fit the stream. */
import { taskOrder } from "../data/orders.js";
import { syntheticTaskNames } from "../data/synthetic.js";
import { columnsOf, parseTemplate } from "../data/template.js";
import { ConfigError } from "../errors.js";
import {
  METHOD_FACTS,
  opensAdapters,
  STANDALONE_NAMES,
  trainsAllWeights,
  trainsPrompts,
} from "../methods/registry.js";
import type { Problem } from "./config-issues.js";
import type { Config } from "./schema.js";

/** The names of the tasks in the order of training, known before any data is read. */
export function taskNames(config: Pick<Config, "data">): string[] {
  const { data } = config;
  switch (data.kind) {
    case "benchmark":
      return [...(data.tasks ?? taskOrder(`order-${data.order ?? 1}`).datasets)];
    case "files":
      return data.tasks.map((task) => task.name);
    case "synthetic":
      return syntheticTaskNames(data.stream, data.tasks ?? undefined);
  }
}

export function checkConfig(config: Config): Problem[] {
  return [
    ...checkData(config),
    ...checkPerTask(config),
    ...checkMethod(config),
    ...checkTraining(config),
    ...checkStart(config),
    ...checkOnline(config),
  ];
}

function* checkData(config: Config): Generator<Problem> {
  const { data } = config;
  if (data.kind === "synthetic" && data.stream === "bundled" && data.tasks !== null) {
    yield {
      path: ["data", "tasks"],
      message: "the bundled stream has four tasks; set data.stream to long or drift",
    };
  }
  if (data.kind === "synthetic" && data.stream !== "drift" && data.recurAfter !== null) {
    yield {
      path: ["data", "recurAfter"],
      message: `expected null, labels of the ${data.stream} stream keep their meaning; set data.stream to drift`,
    };
  }
  if (data.kind === "benchmark") {
    if (data.root === null) {
      yield {
        path: ["data", "root"],
        message: "expected the folder of the benchmark data, or hub; set it, or pass --data DIR",
      };
    }
    if (data.order !== null && data.tasks !== null) {
      yield {
        path: ["data", "tasks"],
        message: `give either tasks or order, not both (order is ${data.order})`,
      };
    }
  }
  if (data.kind === "files") {
    for (const [index, task] of data.tasks.entries()) {
      for (const [key, message] of taskProblems(task, data.holdOut !== null)) {
        yield { path: ["data", "tasks", index, key], message };
      }
    }
  }
  const names = taskNames(config);
  for (const [index, name] of names.entries()) {
    if (names.indexOf(name) === index) continue;
    yield { path: ["data", "tasks", index], message: `the task ${name} is in the list twice` };
  }
}

type FilesTask = Extract<Config["data"], { kind: "files" }>["tasks"][number];

/** What is wrong with a task of files, by setting. */
function* taskProblems(task: FilesTask, heldOut: boolean): Generator<[key: string, message: string]> {
  if (task.dataset === null) {
    if (task.train === null) yield ["train", "expected a file, a folder or a list of them, found nothing"];
    if (task.test === null && !heldOut) {
      yield ["test", "expected a file, or data.holdOut to test on, found nothing"];
    }
    if (task.subset !== null) yield ["subset", "only a dataset has subsets; name one with dataset"];
  }
  if (task.prompt !== null && task.instruction !== null) {
    yield ["instruction", "give either a prompt or an instruction, not both"];
  }
  if (task.prompt === null) return;
  try {
    if (columnsOf(parseTemplate(task.prompt)).length === 0) {
      yield ["prompt", "expected a text with {columns} of the data, found none in it"];
    }
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    yield ["prompt", error.message];
  }
}

function* checkPerTask(config: Config): Generator<Problem> {
  const names = taskNames(config);
  const settings: [string, unknown][] = [
    ["training.epochs", config.training.epochs],
    ["training.learningRate", config.training.learningRate],
    ...listed("method", config.method),
  ];
  const { title, learns } = METHOD_FACTS[config.method.name];
  for (const [key, value] of settings) {
    if (!Array.isArray(value)) continue;
    if (learns === "jointly") {
      yield {
        path: key.split("."),
        message: `expected one value, ${title} learns all tasks at once; found a list`,
      };
      continue;
    }
    if (value.length === names.length) continue;
    yield {
      path: key.split("."),
      message: `expected ${names.length} values, one per task (${names.join(", ")}), found a list of ${value.length}`,
    };
  }
}

/** The settings of a group and of the groups in it. */
function listed(prefix: string, group: object): [string, unknown][] {
  return Object.entries(group).flatMap(([key, value]): [string, unknown][] => {
    const path = `${prefix}.${key}`;
    const isGroup = typeof value === "object" && value !== null && !Array.isArray(value);
    return isGroup ? listed(path, value) : [[path, value]];
  });
}

function* checkMethod(config: Config): Generator<Problem> {
  const { method, data } = config;
  const { title, needsTaskIdentity } = METHOD_FACTS[method.name];
  if (needsTaskIdentity && data.kind === "benchmark" && data.promptIdentity !== "task+dataset") {
    yield {
      path: ["data", "promptIdentity"],
      message: `expected task+dataset, ${title} has to know the task of every row that it answers; found ${data.promptIdentity}, which hides it`,
    };
  }
  if (trainsAllWeights(method)) yield* checkAllWeights(config, title);
  if (trainsPrompts(method)) yield* checkPrompts(config, title);
}

/** Prompts stand before the base model's input, and a pool has as many as are chosen. */
function* checkPrompts({ method, startFrom }: Config, title: string): Generator<Problem> {
  if (startFrom.length > 0) {
    yield {
      path: ["startFrom"],
      message: `expected none, ${title} trains prompts of the base model and does not go on from adapters; merge them into the model`,
    };
  }
  if (method.name === "l2p" && method.selected > method.poolSize) {
    yield {
      path: ["method", "selected"],
      message: `expected at most poolSize (${method.poolSize}), found ${method.selected}`,
    };
  }
}

/** Methods that train all weights leave no place for what belongs to adapters. */
function* checkAllWeights({ method, startFrom }: Config, title: string): Generator<Problem> {
  const instead = "set method.backbone: lora";
  if ("sparsity" in method && method.sparsity !== null) {
    yield {
      path: ["method", "sparsity"],
      message: `expected null, ${title} trains all weights and no adapter; ${instead}, or leave it out`,
    };
  }
  if (startFrom.length > 0) {
    yield {
      path: ["startFrom"],
      message: `expected none, ${title} trains all weights and does not go on from adapters; ${instead}, or merge them into the model`,
    };
  }
}

function* checkTraining({ training }: Config): Generator<Problem> {
  if (training.microBatchSize === null || training.microBatchSize <= training.batchSize) return;
  yield {
    path: ["training", "microBatchSize"],
    message: `expected at most batchSize (${training.batchSize}), found ${training.microBatchSize}`,
  };
}

function* checkStart({ startFrom }: Config): Generator<Problem> {
  for (const [index, folder] of startFrom.entries()) {
    if (startFrom.indexOf(folder) === index) continue;
    yield { path: ["startFrom", index], message: `the adapter ${folder} is in the list twice` };
  }
}

/** Without boundaries there are no settings per task, and what is opened on the way has to be an adapter. */
function* checkOnline(config: Config): Generator<Problem> {
  const { online, method, training } = config;
  if (online === null) return;
  const { title } = METHOD_FACTS[method.name];
  if (!opensAdapters(method.name) || "reference" in method) {
    const able = STANDALONE_NAMES.filter(opensAdapters).join(", ");
    yield {
      path: ["online"],
      message: `expected null, ${title} cannot do without the tasks' boundaries; methods that can: ${able}`,
    };
  }
  const lists = [["training.learningRate", training.learningRate] as const, ...listed("method", method)];
  for (const [key, value] of lists) {
    if (!Array.isArray(value)) continue;
    yield { path: key.split("."), message: "expected one value, online there are no tasks; found a list" };
  }
}
