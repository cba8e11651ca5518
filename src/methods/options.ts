/**
 * Groups of options that several methods have, as schemas; each method's file names its own, and types follow from them.
 * Defaults and meanings: N-LoRA (arXiv 2410.10179) and its released code; O-LoRA's released code; docs/methods.md.
 */
import type { z } from "zod";
import { choice, flag, group, number, perTask, text, whole } from "../settings.js";

/** What options of these schemas look like once they are filled in. */
export type Settings<Shape extends z.ZodRawShape> = z.output<z.ZodObject<Shape>>;

const PENALTY_KINDS = [
  "delta-w",
  "released-code",
  "factor-a",
  "factor-b",
  "factors",
  "factor-bound",
  "none",
] as const;

/** How a strength is steered towards a target. */
export const steering = {
  every: whole({ min: 1 }).default(5).describe("steps between corrections of the strength"),
  kappa: number({ above: 0 })
    .default(0.1)
    .describe("largest change of the strength's logarithm in one correction"),
};

export const sparsityOptions = {
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

export type SparsityOptions = Settings<typeof sparsityOptions>;

export const orthogonalityOptions = {
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

export type OrthogonalityOptions = Settings<typeof orthogonalityOptions>;

export const referenceOption = text("the folder of a finished run").describe(
  "run folder whose updates this one is matched to, task by task and layer by layer",
);

/** N-LoRA's penalty as a part of methods that train one adapter. */
export const withSparsity = {
  sparsity: group(sparsityOptions)
    .nullable()
    .default(null)
    .describe("N-LoRA's penalty on the adapter, with the options of n-lora; null: none"),
};

/** What methods train that do not open an adapter per task. */
export const withBackbone = {
  backbone: choice(["full", "lora"])
    .default("full")
    .describe("what is trained: all weights of the model, or one LoRA adapter"),
  ...withSparsity,
};

export const promptPositions = (start: number) =>
  whole({ min: 1 }).default(start).describe("trained positions of a prompt, in front of the text");
