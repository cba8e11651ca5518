/** What a config may say of its data: the benchmark, the reader's own files or datasets, or the generated stream. */
import { z } from "zod";
import { CATALOG } from "../data/catalog.js";
import { FORMATS } from "../data/shape.js";
import { choice, group, number, text, whole } from "../settings.js";

const DATASET_NAMES = CATALOG.map((dataset) => dataset.name) as [string, ...string[]];

const rowCap = () => whole({ min: 1 }).nullable().default(null);

const selection = {
  trainRows: rowCap().describe("at most this many training rows per task (stratified sample); null: all"),
  testRows: rowCap().describe("at most this many test rows per task (stratified sample); null: all"),
  holdOut: z
    .union([group({ fraction: number({ above: 0, below: 1 }) }), group({ rows: whole({ min: 1 }) })], {
      error: "null, { fraction: 0.1 } or { rows: 200 }",
    })
    .nullable()
    .default(null)
    .describe("test on rows held out of the training rows, for choosing settings; null: on the test rows"),
};

const benchmark = group({
  kind: z.literal("benchmark"),
  root: text("a folder, or hub")
    .nullable()
    .default(null)
    .describe(
      "folder with <family>/<dataset>/{train,test,labels}.json, or hub to fetch them; --data sets it",
    ),
  order: whole({ min: 1, max: 6 })
    .nullable()
    .default(null)
    .describe("the paper's task order, 1 to 6 (default 1)"),
  tasks: z
    .array(choice(DATASET_NAMES), { error: "a list of dataset names" })
    .min(1, { error: "a list of dataset names" })
    .nullable()
    .default(null)
    .describe("dataset names in the order of training, instead of an order"),
  promptIdentity: choice(["task+dataset", "none", "shuffled"])
    .default("task+dataset")
    .describe(
      "the prompt names family and dataset (official), does not, or names those of a random dataset of the stream",
    ),
  ...selection,
});

export const TASK_NAME = "a name of letters, digits, '.', '_' and '-'";

const column = () => text("the name of a column").optional();

const FILES = "a file, a folder or a list of them";
const files = () =>
  z
    .union([text(FILES), z.array(text(FILES), { error: FILES }).min(1, { error: FILES })], { error: FILES })
    .nullable()
    .default(null);

const task = group({
  name: z.string({ error: TASK_NAME }).regex(/^[\p{L}\p{N}][\p{L}\p{N}._-]*$/u, { error: TASK_NAME }),
  train: files(),
  test: files(),
  dataset: text("org/name of a dataset on the hub, or the folder of one").nullable().default(null),
  subset: text("the name of a subset").nullable().default(null),
  labels: z
    .array(text(), { error: "a list of labels" })
    .min(1, { error: "a list of labels" })
    .nullable()
    .default(null),
  format: choice(["auto", ...FORMATS]).default("auto"),
  columns: group({ input: column(), output: column(), instruction: column(), messages: column() }).default(
    {},
  ),
  prompt: text("a text with {columns}").nullable().default(null),
  instruction: text().nullable().default(null),
});

const ownFiles = group({
  kind: z.literal("files"),
  tasks: z
    .array(task, { error: "a list of tasks" })
    .min(1, { error: "a list of tasks" })
    .describe(
      "tasks in the order of training: {name, train, test} with files or folders, or {name, dataset: org/name, subset, train, test} with splits; {labels, format, columns, prompt, instruction} say how to read them (docs/data.md)",
    ),
  incomplete: choice(["error", "drop"])
    .default("error")
    .describe("what a row with a null or blank value does: stop, or be left out and counted"),
  ...selection,
});

const synthetic = group({
  kind: z.literal("synthetic"),
  stream: choice(["bundled", "long", "drift"])
    .default("bundled")
    .describe("four bundled tasks, any number of generated ones, or one whose labels change their meaning"),
  tasks: whole({ min: 2, max: 10_000 })
    .nullable()
    .default(null)
    .describe("tasks of a long stream (null: 100), phases of one that drifts (null: 8)"),
  recurAfter: whole({ min: 2 })
    .nullable()
    .default(null)
    .describe("stream drift: phases after which labels mean again what they meant at first; null: never"),
  trainRows: whole({ min: 1 }).default(1000).describe("generated training rows per task"),
  testRows: whole({ min: 1 }).default(200).describe("generated test rows per task"),
});

export const dataSchema = z.discriminatedUnion("kind", [benchmark, ownFiles, synthetic], {
  error: "one of benchmark, files, synthetic",
});

/** `data.root: hub`: the benchmark's datasets are fetched. */
export const HUB = "hub";
