/** The requests that are understood: OpenAI's completions and chat completions. What cannot be done is refused by name. */
import { z } from "zod";
import { valueAt } from "../experiment/config-issues.js";
import { ApiError } from "./api-error.js";

/** Fields that change nothing here. */
const IGNORED = ["user", "store", "metadata", "service_tier", "safety_identifier", "prompt_cache_key"];

const optional = <Schema extends z.ZodType>(schema: Schema) =>
  schema.nullish().transform((value) => value ?? null);
const whole = (min: number, max = Number.MAX_SAFE_INTEGER) => z.int().min(min).max(max);
/** A feature of the API that is not offered; values that switch it off are taken. */
const only = (...values: readonly unknown[]) =>
  z
    .unknown()
    .refine((value) => value === null || values.some((each) => same(each, value)), {
      error: "is not supported by this server",
    })
    .optional();
const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

const SHARED = {
  model: z.string(),
  temperature: optional(z.number().min(0).max(2)),
  top_p: optional(z.number().gt(0).max(1)),
  /** Not OpenAI's; vLLM's. */
  top_k: optional(whole(1)),
  n: optional(whole(1, 128)),
  max_tokens: optional(whole(1)),
  seed: optional(z.int()),
  stop: optional(z.union([z.string(), z.array(z.string()).max(4)])),
  stream: optional(z.boolean()),
  stream_options: optional(z.strictObject({ include_usage: optional(z.boolean()) })),
  presence_penalty: only(0),
  frequency_penalty: only(0),
  logit_bias: only({}),
};

const tokenIds = z.array(whole(0)).min(1);

export const completionSchema = z.strictObject({
  ...SHARED,
  prompt: z.union([z.string(), z.array(z.string()).min(1), tokenIds, z.array(tokenIds).min(1)], {
    error: "expected text, token ids, or a list of either",
  }),
  logprobs: optional(whole(0, 20)),
  echo: only(false),
  suffix: only(""),
  best_of: only(1),
});

const content = z.union([
  z.string(),
  z
    .array(z.strictObject({ type: z.literal("text"), text: z.string() }))
    .min(1)
    .transform((parts) => parts.map(({ text }) => text).join("")),
]);

export const chatSchema = z.strictObject({
  ...SHARED,
  messages: z.array(z.strictObject({ role: z.string(), content, name: only("") })).min(1),
  max_completion_tokens: optional(whole(1)),
  logprobs: optional(z.boolean()),
  top_logprobs: optional(whole(0, 20)),
  response_format: only({ type: "text" }),
  tools: only([]),
  tool_choice: only("none", "auto"),
  parallel_tool_calls: only(true, false),
  functions: only([]),
  function_call: only("none", "auto"),
});

export type CompletionBody = z.infer<typeof completionSchema>;
export type ChatBody = z.infer<typeof chatSchema>;

/** The request in a body. Throws an ApiError that names the first field that is wrong. */
export function parseBody<Body>(schema: z.ZodType<Body>, value: unknown): Body {
  const known =
    typeof value === "object" && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).filter(([key]) => !IGNORED.includes(key)))
      : value;
  const parsed = schema.safeParse(known);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  if (issue.code === "unrecognized_keys") {
    const name = [...issue.path, issue.keys[0]!].map(String).join(".");
    throw new ApiError(400, `${name}: this server does not know the field`, name, "unsupported_parameter");
  }
  const path = issue.path.map(String);
  const param = path.length === 0 ? null : path.join(".");
  const wrong = lowered(issue.message);
  const isMissing = param !== null && valueAt(known, path) === undefined;
  const expected = wrong.replace(/^invalid input: |, received undefined$/g, "");
  throw new ApiError(400, `${param ?? "the body"}: ${isMissing ? `is missing, ${expected}` : wrong}`, param);
}

const lowered = (message: string): string => message.charAt(0).toLowerCase() + message.slice(1);
