/** Settings out of a JSON object somebody else wrote, typed; every error names the file and the key. */
import { CheckpointError } from "../errors.js";
import { show } from "./json.js";

/** Each method returns the value of a key, or `fallback` where the key is absent or null. */
export interface ConfigReader {
  integer(key: string, fallback?: number): number;
  /** One whole number or a list of at least one. */
  integers(key: string, fallback?: readonly number[]): readonly number[];
  /** A whole number of at least one: sizes. */
  count(key: string, fallback?: number): number;
  /** A count of layers, which are built one by one before any weight is looked for: at most a thousand. */
  layers(key: string, fallback?: number): number;
  /** A finite number. */
  float(key: string, fallback?: number): number;
  boolean(key: string, fallback?: boolean): boolean;
  string(key: string, fallback?: string): string;
}

/** Reads `values`; `file` is what errors call it. The methods throw `CheckpointError`. */
export function configReader(values: Readonly<Record<string, unknown>>, file: string): ConfigReader {
  function read<T>(
    key: string,
    fallback: T | undefined,
    expected: string,
    fits: (value: unknown) => value is T,
  ): T {
    const value = Object.hasOwn(values, key) ? (values[key] ?? undefined) : undefined;
    if (fits(value)) return value;
    if (value === undefined && fallback !== undefined) return fallback;
    const found = value === undefined ? "is missing" : `is ${show(value)}`;
    throw new CheckpointError(`${file}: ${show(key)} ${found}, expected ${expected}`);
  }
  const isInteger = (value: unknown): value is number => Number.isSafeInteger(value);
  const isIntegers = (value: unknown): value is number | readonly number[] =>
    isInteger(value) || (Array.isArray(value) && value.length > 0 && value.every(isInteger));
  const isCount = (value: unknown): value is number => isInteger(value) && value >= 1;
  const isDepth = (value: unknown): value is number => isCount(value) && value <= 1000;
  const isNumber = (value: unknown): value is number => Number.isFinite(value);
  const isBoolean = (value: unknown): value is boolean => typeof value === "boolean";
  const isString = (value: unknown): value is string => typeof value === "string";
  return {
    integer: (key, fallback) => read(key, fallback, "a whole number", isInteger),
    integers: (key, fallback) => [read(key, fallback, "a whole number or a list of them", isIntegers)].flat(),
    count: (key, fallback) => read(key, fallback, "a whole number of at least 1", isCount),
    layers: (key, fallback) => read(key, fallback, "a whole number from 1 to 1000", isDepth),
    float: (key, fallback) => read(key, fallback, "a number", isNumber),
    boolean: (key, fallback) => read(key, fallback, "true or false", isBoolean),
    string: (key, fallback) => read(key, fallback, "text", isString),
  };
}
