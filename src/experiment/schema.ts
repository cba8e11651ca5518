/** What a config may say: every setting with its type, its default and a line of help. Paper defaults: methods of N-LoRA. */
import { z } from "zod";
import { methodSchema } from "../methods/registry.js";
import { choice, flag, group, number, perTask, text, whole } from "../settings.js";
import { dataSchema, TASK_NAME } from "./data-schema.js";

/** What a configuration without these groups gets; a setting given on the command line is added to it. */
export const DEFAULT_GROUPS = { data: { kind: "synthetic" }, method: { name: "n-lora" } } as const;

const BOUNDARIES = "one of detected, known, none, or { every: 200 }";

const onlineSchema = group({
  boundaries: z
    .union([choice(["detected", "known", "none"]), group({ every: whole({ min: 1 }) })], {
      error: BOUNDARIES,
    })
    .default("detected")
    .describe(
      "where a new adapter is opened: where losses rise (detected), where tasks begin (known), never (none), or { every: 200 } rows",
    ),
  onAlarm: choice(["new-adapter", "roll-back"])
    .default("new-adapter")
    .describe("boundaries detected: the open adapter is closed as it is, or as it was before the change"),
  updates: whole({ min: 1 }).default(1).describe("updates on every batch that arrives"),
  mixing: whole({ min: 0 })
    .default(0)
    .describe("rows around every change in which the two tasks mix; 0: sudden changes"),
  detector: group({
    delta: number({ min: 0 })
      .default(0.005)
      .describe("what a loss may lie above the mean without counting, in standard deviations"),
    threshold: number({ above: 0 })
      .default(30)
      .describe("how much has to add up for an alarm, in standard deviations"),
    memory: whole({ min: 2 })
      .nullable()
      .default(100)
      .describe("rows that mean and deviation reach back to, the newest counting most; null: all alike"),
    warmUp: whole({ min: 1 }).default(32).describe("rows of an adapter before its first alarm"),
  })
    .prefault({})
    .describe("Page-Hinkley test on the losses of the rows"),
});

export const configSchema = group({
  name: z
    .string({ error: TASK_NAME })
    .regex(/^[\p{L}\p{N}][\p{L}\p{N}._-]*$/u, { error: TASK_NAME })
    .default("run")
    .describe("part of the run folder's name"),
  seed: whole({ min: 0, max: 2 ** 32 - 1 })
    .default(42)
    .describe("fixes initialisation, data order and dropout"),
  model: text("a folder with a checkpoint, org/name on the hub, or builtin")
    .default("builtin")
    .describe("folder of a Hugging Face checkpoint, org/name or org/name@revision on the hub, or builtin"),
  dtype: choice(["auto", "float32", "bfloat16"])
    .default("auto")
    .describe(
      "compute type; auto: bfloat16 on cuda and with AMX or AVX512-BF16, else float32 (what is trained is kept in float32)",
    ),
  device: choice(["cpu", "cuda"])
    .default("cpu")
    .describe("where the model computes; cuda needs an engine that sees a CUDA device"),
  threads: whole({ min: 1 })
    .nullable()
    .default(null)
    .describe("compute threads; null: OMP_NUM_THREADS or all cores"),
  data: dataSchema.prefault(DEFAULT_GROUPS.data),
  truncate: choice(["end", "body"])
    .default("end")
    .describe(
      "what is cut of a source that is too long: its end (official), or its sentence so that Answer: stays",
    ),
  maxSourceLength: whole({ min: 2 }).default(512).describe("tokens of a source, end token included"),
  maxTargetLength: whole({ min: 2 }).default(50).describe("tokens of a target, end token included"),
  startFrom: z
    .array(text("an adapter folder"), { error: "a list of adapter folders" })
    .default([])
    .describe(
      "PEFT adapter folders to start from: frozen beneath what is trained, earlier tasks in the metrics",
    ),
  lora: group({
    rank: whole({ min: 1 }).default(8).describe("rank r of one task's adapter"),
    alpha: number({ above: 0 }).default(32).describe("the update is scaled by alpha / rank"),
    dropout: number({ min: 0, below: 1 }).default(0.1).describe("dropout on the inputs of the adapters"),
    targetModules: z
      .array(text("a module name"), { error: "a list of module names" })
      .min(1, { error: "a list of module names" })
      .nullable()
      .default(null)
      .describe("names of the adapted linear layers; null: by model family (T5: q, v)"),
    previousAdapters: choice(["stacked", "merged"])
      .default("stacked")
      .describe("earlier adapters are kept apart (they see LoRA dropout) or added to the weights"),
    storage: choice(["dense", "sparse"])
      .default("dense")
      .describe("adapter files: as PEFT reads them, or without zero rows and columns (nlora reads both)"),
    seqDelta: choice(["snapshot", "increment"])
      .default("snapshot")
      .describe("seq-lora: what counts as a task's update in the metrics"),
  }).prefault({}),
  method: methodSchema
    .prefault(DEFAULT_GROUPS.method)
    .describe("what is trained and what is added to the loss"),
  training: group({
    epochs: perTask("whole", { min: 1 })
      .default(10)
      .describe("passes over a task's rows; one number or one per task"),
    batchSize: whole({ min: 1 }).default(32).describe("rows per optimizer step"),
    microBatchSize: whole({ min: 1 })
      .nullable()
      .default(null)
      .describe("rows computed at a time, gradients accumulated; null: batchSize"),
    learningRate: perTask("number", { min: 0 })
      .default(1e-3)
      .describe(
        "constant within a task; one number or one per task; 0.0001 where all weights are trained, 0.3 where prompts are",
      ),
    betas: z
      .tuple([number({ min: 0, below: 1 }), number({ min: 0, below: 1 })], {
        error: "two numbers >= 0 and < 1",
      })
      .default([0.9, 0.999])
      .describe("AdamW: decay rates of the two moments"),
    eps: number({ above: 0 }).default(1e-8).describe("AdamW: added to the root of the second moment"),
    weightDecay: number({ min: 0 }).default(0).describe("AdamW: decoupled weight decay"),
    clip: group({
      norm: number({ above: 0 })
        .nullable()
        .default(1)
        .describe("largest global gradient norm; null: no clipping"),
      scope: choice(["total", "task-only"])
        .default("total")
        .describe("whether the penalty's gradient counts and is clipped with the task's"),
    }).prefault({}),
    lengthBuckets: flag()
      .default(true)
      .describe("put rows of similar length into a batch, which saves padding"),
    checkpointing: flag()
      .default(false)
      .describe(
        "compute activations again in the backward pass instead of keeping them: less memory, more time",
      ),
    maxSteps: whole({ min: 1 })
      .nullable()
      .default(null)
      .describe("at most this many steps per task; null: all epochs"),
    logEvery: whole({ min: 1 }).default(1).describe("steps between logged steps"),
  }).prefault({}),
  online: onlineSchema
    .nullable()
    .default(null)
    .describe("rows arrive once, and nothing says where a task ends; null: task after task"),
  evaluation: group({
    tasks: choice(["all", "seen"])
      .default("all")
      .describe("test on all tasks after each, or on those trained so far"),
    batchSize: whole({ min: 1 }).default(64).describe("rows answered at a time"),
    maxNewTokens: whole({ min: 1 }).default(50).describe("tokens of an answer at most (greedy decoding)"),
    base: flag().default(true).describe("test the untouched base model first"),
    every: whole({ min: 1 })
      .default(1)
      .describe(
        "test on all those after every so many tasks and the last; in between, on the new task alone",
      ),
  }).prefault({}),
});

/** A whole configuration, every setting filled in. */
export type Config = z.output<typeof configSchema>;
