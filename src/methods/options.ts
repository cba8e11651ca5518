/**
 * The options of every method, as schemas; the config's `method` is told apart by `name`. Methods take their option types
 * from here. Defaults and meanings: N-LoRA (arXiv 2410.10179) and its released code; O-LoRA's released code; docs/methods.md.
 */
import { z } from "zod";
import { choice, flag, group, number, perTask, text, whole } from "../settings.js";

export const PENALTY_KINDS = [
  "delta-w",
  "released-code",
  "factor-a",
  "factor-b",
  "factors",
  "factor-bound",
  "none",
] as const;
export type PenaltyKind = (typeof PENALTY_KINDS)[number];

/** How a strength is steered towards a target. */
const steering = {
  every: whole({ min: 1 }).default(5).describe("steps between corrections of the strength"),
  kappa: number({ above: 0 })
    .default(0.1)
    .describe("largest change of the strength's logarithm in one correction"),
};

const sparsity = {
  penalty: group({
    kind: choice(PENALTY_KINDS)
      .default("delta-w")
      .describe("what is kept small: delta-w is the paper's equation, released-code the r x r product"),
    normalise: choice(["rms", "sum", "mean"])
      .default("rms")
      .describe(
        "delta-w and factor-bound: the sum is divided by sqrt(d_out d_in), by nothing, or by d_out d_in",
      ),
    includeScaling: flag().default(false).describe("penalise s B A instead of B A"),
    gamma: number({ min: 0 })
      .default(0)
      .describe("delta-w: an element that n earlier tasks use counts 1 + gamma n times"),
  }).prefault({}),
  lambda: perTask("number", { min: 0 })
    .default(0.4)
    .describe("weight of the sparsity penalty; one number or one per task"),
  lambdaUnit: choice(["published", "raw"])
    .default("published")
    .describe("published: lambda as in the paper, converted for the kind; raw: used as it stands"),
  target: group({
    gsr: number({ above: 0, below: 1 }).describe(
      "generalised sparsity rate of the open adapter; small is sparse",
    ),
    ...steering,
  })
    .nullable()
    .default(null)
    .describe("steer lambda towards a sparsity, starting at the lambda given; null: it stays as given"),
};

const orthogonality = {
  lambda1: perTask("number", { min: 0 })
    .default(0.5)
    .describe("weight of the orthogonality of A to earlier A; one number or one per task"),
  lambda2: perTask("number", { min: 0 })
    .default(0)
    .describe("weight of the norms of the new A and B; one number or one per task"),
  orth: choice(["abs", "squared", "updates"])
    .default("abs")
    .describe(
      "sum of |A_i A_t^T| (released code), its squared Frobenius norm (paper), or ||dW_i^T dW_t||_F^2 of whole updates",
    ),
};

const places = () =>
  z.union([whole({ min: 1 }), choice(["share", "all"])], {
    error: 'a whole number >= 1, "share" (an equal part for every task) or "all"',
  });

const reference = text("the folder of a finished run").describe(
  "run folder whose updates this one is matched to, task by task and layer by layer",
);

const proximal = {
  mu: perTask("number", { min: 0 })
    .default(1)
    .describe("strength on the rows of B; a row whose gradient is steady stays while mu < sqrt(rank)"),
  nu: perTask("number", { min: 0 }).default(1).describe("strength on the columns of A"),
  warmup: whole({ min: 0 }).default(50).describe("steps of a task before the first shrinking"),
  gamma: number({ min: 0 })
    .default(0)
    .describe(
      "the row and column that earlier tasks use most are shrunk 1 + gamma times as hard, others in proportion",
    ),
  target: group({
    density: number({ above: 0, below: 1 }).describe(
      "share of the elements of dW in rows and columns that are left",
    ),
    ...steering,
  })
    .nullable()
    .default(null)
    .describe("steer mu and nu together towards a density; null: they stay as given"),
};

const masks = {
  rows: places().default("share").describe("rows of every layer that a task may change"),
  columns: places().default("all").describe("columns of every layer that a task may change"),
  choice: choice(["gradient", "random"])
    .default("gradient")
    .describe("which free ones a task gets: those with the largest gradient of the frozen weights, or any"),
  probeRows: whole({ min: 1 }).default(256).describe("training rows that the gradient is taken of"),
  block: whole({ min: 1 })
    .default(1)
    .describe("rows and columns are given out in blocks of this many, as the size of an attention head"),
  whenFull: choice(["error", "share-least-used", "recycle"])
    .default("error")
    .describe(
      "a stream that needs more than there are is refused, later tasks share those used least, or all are given out anew",
    ),
};

const nullSpace = {
  ...sparsity,
  energy: number({ min: 0, max: 1 })
    .default(0.95)
    .describe("share of the energy of every earlier task's layer inputs that later updates leave unchanged"),
  probeRows: whole({ min: 1 }).default(200).describe("training rows of a task that its inputs are taken of"),
};

/** N-LoRA's penalty as a part of methods that train one adapter. */
const withSparsity = {
  sparsity: group(sparsity)
    .nullable()
    .default(null)
    .describe("N-LoRA's penalty on the adapter, with the options of n-lora; null: none"),
};

/** What methods train that do not open an adapter per task. */
const withBackbone = {
  backbone: choice(["full", "lora"])
    .default("full")
    .describe("what is trained: all weights of the model, or one LoRA adapter"),
  ...withSparsity,
};

const MEMORY = "{ fraction: 0.02 }, { perTask: 100 }, { perClass: 20 } or { totalWithReservoir: 500 }";

const replay = {
  ...withBackbone,
  memory: z
    .union(
      [
        group({ fraction: number({ min: 0, max: 1 }) }),
        group({ perTask: whole({ min: 0 }) }),
        group({ perClass: whole({ min: 0 }) }),
        group({ totalWithReservoir: whole({ min: 1 }) }),
      ],
      { error: MEMORY },
    )
    .default({ fraction: 0.02 })
    .describe(
      "training rows kept: a share of each task's (at least one per class), rows per task or per class, or one bounded reservoir",
    ),
  rho: number({ min: 0, below: 1 })
    .default(0.25)
    .describe("share of replayed rows in a batch, and weight of their loss (schedule mixed)"),
  schedule: choice(["mixed", "everyK"])
    .default("mixed")
    .describe("replayed rows join every batch, or are a batch of their own after every k batches"),
  k: whole({ min: 1 }).default(10).describe("schedule everyK: batches between two replayed ones"),
};

const ewc = {
  ...withBackbone,
  lambda: perTask("number", { min: 0 })
    .default(10)
    .describe("weight of (1/2) sum F (theta - theta*)^2, F of mean one; one number or one per task"),
  fisher: choice(["empirical", "sampled", "batched"])
    .default("empirical")
    .describe(
      "squared gradients per row of its gold answer or of one drawn from the model, or of batch means",
    ),
  rows: whole({ min: 1 }).default(512).describe("training rows that the Fisher information is measured on"),
  fisherBatch: whole({ min: 1 }).default(32).describe("fisher batched: rows per mean"),
  mode: choice(["online", "separate"])
    .default("online")
    .describe("one accumulated Fisher around the last weights, or one of each task around its own"),
  gamma: number({ min: 0, max: 1 }).default(1).describe("mode online: F <- gamma F + F_t"),
};

const lwf = {
  ...withBackbone,
  tau: number({ above: 0 }).default(2).describe("temperature of teacher and student"),
  lambdaO: perTask("number", { min: 0 })
    .default(1)
    .describe("weight of KL(teacher || student) at the label tokens; one number or one per task"),
  scaleByTau2: flag().default(false).describe("multiply the term by tau^2"),
};

const mtl = {
  ...withBackbone,
  mixing: choice(["proportional", "equal", "temperature"])
    .default("proportional")
    .describe(
      "rows of all tasks shuffled, a batch of each task per step (losses summed), or tasks drawn by n^(1/tau)",
    ),
  tau: number({ above: 0 }).default(2).describe("mixing temperature: 1 is proportional, large is uniform"),
};

const promptLength = (start: number) =>
  whole({ min: 1 }).default(start).describe("trained positions of a prompt, in front of the text");

const l2p = {
  poolSize: whole({ min: 1 }).default(10).describe("prompts in the pool that all tasks share"),
  promptLength: promptLength(5),
  selected: whole({ min: 1 })
    .default(3)
    .describe("prompts in front of a row: those whose keys are nearest to it"),
  beta: number({ min: 0 })
    .default(0.5)
    .describe("weight of the cosine that pulls the keys chosen for a row towards it"),
};

const lfpt5 = {
  promptLength: promptLength(300),
  lambdaLm: number({ above: 0 })
    .default(0.25)
    .describe("weight of learning to write the task's rows from its token"),
  kappa: number({ min: 0, max: 1 })
    .default(0.03)
    .describe(
      "weight of KL(previous prompt || prompt) on rows it wrote; the rest of the loss counts 1 - kappa",
    ),
  fraction: number({ min: 0, max: 1 })
    .default(0.02)
    .describe(
      "rows written anew of each earlier task, as a share of its training rows (at least one per class)",
    ),
  topK: whole({ min: 1 }).default(64).describe("likeliest tokens that a written token is drawn from"),
  repetitionPenalty: number({ min: 1 })
    .default(2.5)
    .describe("what scores of tokens that the text being written has already are worsened by; 1: nothing"),
};

const progPrompt = { promptLength: promptLength(10) };

/** One line per method. The keys are the methods' names. */
export const methodOptions = {
  "seq-ft": group({ name: z.literal("seq-ft"), ...withBackbone }),
  "per-task-ft": group({ name: z.literal("per-task-ft"), ...withBackbone }),
  mtl: group({ name: z.literal("mtl"), ...mtl }),
  replay: group({ name: z.literal("replay"), ...replay }),
  ewc: group({ name: z.literal("ewc"), ...ewc }),
  lwf: group({ name: z.literal("lwf"), ...lwf }),
  l2p: group({ name: z.literal("l2p"), ...l2p }),
  lfpt5: group({ name: z.literal("lfpt5"), ...lfpt5 }),
  "prog-prompt": group({ name: z.literal("prog-prompt"), ...progPrompt }),
  "seq-lora": group({ name: z.literal("seq-lora"), ...withSparsity }),
  "inc-lora": group({ name: z.literal("inc-lora") }),
  "o-lora": group({ name: z.literal("o-lora"), ...orthogonality }),
  "n-lora": group({ name: z.literal("n-lora"), ...sparsity }),
  "prox-lora": group({ name: z.literal("prox-lora"), ...proximal }),
  "mask-lora": group({ name: z.literal("mask-lora"), ...masks }),
  "null-space-lora": group({ name: z.literal("null-space-lora"), ...nullSpace }),
  "norm-matched-lora": group({
    name: z.literal("norm-matched-lora"),
    reference,
    when: choice(["step", "task-end"])
      .default("step")
      .describe("updates are cut to the reference's size after every step, or once when the task is learned"),
  }),
  "random-support-lora": group({ name: z.literal("random-support-lora"), reference }),
  "o-lora-n-lora": group({ name: z.literal("o-lora-n-lora"), ...orthogonality, ...sparsity }),
} as const satisfies Record<string, z.ZodObject>;

export type MethodName = keyof typeof methodOptions;
/** The options of one method, with its name. */
export type MethodOptions<Name extends MethodName = MethodName> = z.output<(typeof methodOptions)[Name]>;
export type SparsityOptions = Omit<MethodOptions<"n-lora">, "name">;
export type MemoryOptions = Pick<MethodOptions<"replay">, "memory" | "rho" | "schedule" | "k">;
export type FisherOptions = Omit<MethodOptions<"ewc">, "name" | "backbone" | "sparsity">;
export type OrthogonalityOptions = Omit<MethodOptions<"o-lora">, "name">;

/** Whether a method trains all weights of the model, and not adapters. */
export const trainsAllWeights = (options: MethodOptions): boolean =>
  "backbone" in options && options.backbone === "full";

/** Whether a method trains soft prompts, and no weight or adapter. */
export const trainsPrompts = (options: MethodOptions): boolean => "promptLength" in options;

/** The learning rate of a run that names none. */
export const defaultLearningRate = (options: MethodOptions): number =>
  trainsAllWeights(options) ? 1e-4 : trainsPrompts(options) ? 0.3 : 1e-3;

export const METHOD_NAMES = Object.keys(methodOptions) as MethodName[];
/** Methods that need nothing but a stream; the others are controls, matched to a finished run of it. */
export const STANDALONE_NAMES = METHOD_NAMES.filter((name) => !("reference" in methodOptions[name].shape));

type Schema = (typeof methodOptions)[MethodName];

/** The config's `method`: a mapping with `name` and that method's options, or the name alone. */
export const methodSchema = z.preprocess(
  (value) => (typeof value === "string" ? { name: value } : value),
  z.discriminatedUnion("name", Object.values(methodOptions) as [Schema, ...Schema[]], {
    error: `one of ${METHOD_NAMES.join(", ")}`,
  }),
);
