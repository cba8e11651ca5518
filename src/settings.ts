/**
 * Building blocks of the config's schema. The `error` text of each block says what is expected there;
 * experiment/config-issues.ts turns it into a line of a ConfigError. Two texts have a fixed form that it reads again:
 * "one of a, b" (choices) and, for an unknown key, the known keys joined by ", ".
 */
import { z } from "zod";
import { ConfigError } from "./errors.js";

/** A mapping with exactly these keys. */
export function group<Shape extends z.ZodRawShape>(shape: Shape) {
  const keys = Object.keys(shape).join(", ");
  return z.strictObject(shape, {
    error: (issue) => (issue.code === "unrecognized_keys" ? keys : `a mapping with keys of ${keys}`),
  });
}

/** One of a few words. */
export function choice<const Words extends readonly [string, ...string[]]>(words: Words) {
  return z.enum(words, { error: `one of ${words.join(", ")}` });
}

export interface Range {
  readonly min?: number;
  readonly max?: number;
  /** The least value that is not allowed any more. */
  readonly above?: number;
  readonly below?: number;
}

function rangeText({ min, max, above, below }: Range): string {
  const low = min !== undefined ? ` >= ${min}` : above !== undefined ? ` > ${above}` : "";
  const high = max !== undefined ? `<= ${max}` : below !== undefined ? `< ${below}` : "";
  return low && high ? `${low} and ${high}` : high ? ` ${high}` : low;
}

function ranged(base: z.ZodNumber, range: Range, error: string): z.ZodNumber {
  let schema = base;
  if (range.min !== undefined) schema = schema.min(range.min, { error });
  if (range.max !== undefined) schema = schema.max(range.max, { error });
  if (range.above !== undefined) schema = schema.gt(range.above, { error });
  if (range.below !== undefined) schema = schema.lt(range.below, { error });
  return schema;
}

/** A finite number. */
export function number(range: Range = {}) {
  const error = `a number${rangeText(range)}`;
  return ranged(z.number({ error }), range, error);
}

/** A whole number. */
export function whole(range: Range = {}) {
  const error = `a whole number${rangeText(range)}`;
  return ranged(z.int({ error }), range, error);
}

export function text(expected = "a text") {
  return z.string({ error: expected }).min(1, { error: expected });
}

export function flag() {
  return z.boolean({ error: "true or false" });
}

/** One value for all tasks, or a list with one value per task in the stream's order. */
export type PerTask<Value> = Value | Value[];

/** A number, or a list of numbers with one per task; `at` reads both. */
export function perTask(kind: "number" | "whole", range: Range = {}) {
  const schema = kind === "number" ? number(range) : whole(range);
  const noun = kind === "number" ? "a number" : "a whole number";
  const error = `${noun}${rangeText(range)}, or a list of them with one per task`;
  return z.union([schema, z.array(schema).min(1)], { error });
}

/** The value for the task at `index` (from 0). Throws a ConfigError if a list has no value for it. */
export function at<Value>(setting: PerTask<Value>, index: number): Value {
  if (!Array.isArray(setting)) return setting;
  const value: Value | undefined = setting[index];
  if (value === undefined) {
    throw new ConfigError(`a list of ${setting.length} values has none for task ${index + 1}`);
  }
  return value;
}
