/** All methods: one line each, here and among the imports. Names, options and words are their files'. */
import { z } from "zod";
import { group } from "../settings.js";
import { ewc } from "./ewc.js";
import { incLora } from "./inc-lora.js";
import { ADAPTER_PER_TASK } from "./incremental.js";
import { l2p } from "./l2p.js";
import { lfpt5 } from "./lfpt5.js";
import { lwf } from "./lwf.js";
import { maskLora } from "./mask-lora.js";
import {
  type ActiveMethod,
  type Method,
  type MethodFacts,
  type MethodSetup,
  withDefaults,
} from "./method.js";
import { mtl } from "./mtl.js";
import { nLora } from "./n-lora.js";
import { normMatchedLora } from "./norm-matched-lora.js";
import { nullSpaceLora } from "./null-space-lora.js";
import { oLora } from "./o-lora.js";
import { oLoraNLora } from "./o-lora-n-lora.js";
import type { Settings } from "./options.js";
import { perTaskFt } from "./per-task-ft.js";
import { progPrompt } from "./prog-prompt.js";
import { proxLora } from "./prox-lora.js";
import { randomSupportLora } from "./random-support-lora.js";
import { replay } from "./replay.js";
import { seqFt } from "./seq-ft.js";
import { seqLora } from "./seq-lora.js";

export const METHODS = [
  seqFt,
  perTaskFt,
  mtl,
  replay,
  ewc,
  lwf,
  l2p,
  lfpt5,
  progPrompt,
  seqLora,
  incLora,
  oLora,
  nLora,
  proxLora,
  maskLora,
  nullSpaceLora,
  normMatchedLora,
  randomSupportLora,
  oLoraNLora,
] as const;

type Methods = (typeof METHODS)[number];
export type MethodName = Methods["name"];

type OptionsOf<Each> =
  Each extends Method<infer Name, infer Shape> ? Settings<Shape & { name: z.ZodLiteral<Name> }> : never;
/** The options of one method, with its name. */
export type MethodOptions<Name extends MethodName = MethodName> = OptionsOf<Extract<Methods, { name: Name }>>;

type ByName<Value> = { readonly [Name in MethodName]: Value };
const byName = <Value>(value: (method: Methods) => Value): ByName<Value> =>
  Object.fromEntries(METHODS.map((method) => [method.name, value(method)])) as ByName<Value>;

/** In the order of tables and help. */
export const METHOD_NAMES: readonly MethodName[] = METHODS.map(({ name }) => name);

/** The options that a method has beside its name. */
export const METHOD_OPTIONS: ByName<z.ZodRawShape> = byName(({ options }) => options);

export const METHOD_FACTS: ByName<MethodFacts> = byName((method) => method);

/** Methods that need nothing but a stream; the others are controls, matched to a finished run of it. */
export const STANDALONE_NAMES = METHOD_NAMES.filter((name) => !("reference" in METHOD_OPTIONS[name]));

/** Whether a method opens a new LoRA adapter for every task. */
export const opensAdapters = (name: MethodName): boolean =>
  METHOD_FACTS[name].trains === ADAPTER_PER_TASK.trains;

/** Whether a method trains all weights of the model, and not adapters. */
export const trainsAllWeights = (options: MethodOptions): boolean =>
  "backbone" in options && options.backbone === "full";

/** Whether a method trains soft prompts, and no weight or adapter. */
export const trainsPrompts = (options: MethodOptions): boolean => "promptLength" in options;

/** The learning rate of a run that names none. */
export const defaultLearningRate = (options: MethodOptions): number =>
  trainsAllWeights(options) ? 1e-4 : trainsPrompts(options) ? 0.3 : 1e-3;

type SchemaOf<Each> =
  Each extends Method<infer Name, infer Shape>
    ? z.ZodObject<Shape & { name: z.ZodLiteral<Name> }, z.core.$strict>
    : never;
const schemas = METHODS.map(({ name, options }) => group({ name: z.literal(name), ...options }));

/** The config's `method`: a mapping with `name` and that method's options, or the name alone. */
export const methodSchema = z.preprocess(
  (value) => (typeof value === "string" ? { name: value } : value),
  z.discriminatedUnion("name", schemas as unknown as [SchemaOf<Methods>, ...SchemaOf<Methods>[]], {
    error: `one of ${METHOD_NAMES.join(", ")}`,
  }),
);

/** Starts the method that the options name. */
export function createMethod(setup: MethodSetup<MethodOptions>): ActiveMethod {
  const method = METHODS.find(({ name }) => name === setup.options.name)! as Method;
  return withDefaults(method.create(setup));
}
