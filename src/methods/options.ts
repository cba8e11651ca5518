/**
 * The options of every method, as schemas; the config's `method` is told apart by `name`. Methods take their option types
 * from here. Defaults and meanings: N-LoRA (arXiv 2410.10179) and its released code; O-LoRA's released code.
 */
import { z } from "zod";
import { choice, flag, group, perTask } from "../settings.js";

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
  }).prefault({}),
  lambda: perTask("number", { min: 0 })
    .default(0.4)
    .describe("weight of the sparsity penalty; one number or one per task"),
  lambdaUnit: choice(["published", "raw"])
    .default("published")
    .describe("published: lambda as in the paper, converted for the kind; raw: used as it stands"),
};

const orthogonality = {
  lambda1: perTask("number", { min: 0 })
    .default(0.5)
    .describe("weight of the orthogonality of A to earlier A; one number or one per task"),
  lambda2: perTask("number", { min: 0 })
    .default(0)
    .describe("weight of the norms of the new A and B; one number or one per task"),
  orth: choice(["abs", "squared"])
    .default("abs")
    .describe("sum of |A_i A_t^T| (released code) or its squared Frobenius norm (paper)"),
};

/** One line per method. The keys are the methods' names. */
export const methodOptions = {
  "seq-lora": group({ name: z.literal("seq-lora") }),
  "inc-lora": group({ name: z.literal("inc-lora") }),
  "o-lora": group({ name: z.literal("o-lora"), ...orthogonality }),
  "n-lora": group({ name: z.literal("n-lora"), ...sparsity }),
  "o-lora-n-lora": group({ name: z.literal("o-lora-n-lora"), ...orthogonality, ...sparsity }),
} as const satisfies Record<string, z.ZodObject>;

export type MethodName = keyof typeof methodOptions;
/** The options of one method, with its name. */
export type MethodOptions<Name extends MethodName = MethodName> = z.output<(typeof methodOptions)[Name]>;
export type SparsityOptions = Omit<MethodOptions<"n-lora">, "name">;
export type OrthogonalityOptions = Omit<MethodOptions<"o-lora">, "name">;

export const METHOD_NAMES = Object.keys(methodOptions) as MethodName[];

type Schema = (typeof methodOptions)[MethodName];

/** The config's `method`: a mapping with `name` and that method's options, or the name alone. */
export const methodSchema = z.preprocess(
  (value) => (typeof value === "string" ? { name: value } : value),
  z.discriminatedUnion("name", Object.values(methodOptions) as [Schema, ...Schema[]], {
    error: `one of ${METHOD_NAMES.join(", ")}`,
  }),
);
