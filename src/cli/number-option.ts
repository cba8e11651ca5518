/** Numbers on the command line. */
import { UsageError } from "../errors.js";

interface Range {
  readonly min?: number;
  readonly max?: number;
}

/** Reads an option's value as a whole number in a range. */
export const wholeNumber =
  (option: string, range: Range = {}) =>
  (text: string): number =>
    inRange(option, text, /^-?\d+$/.test(text) ? Number(text) : Number.NaN, "a whole number", range);

/** Reads an option's value as a number in a range. */
export const number =
  (option: string, range: Range = {}) =>
  (text: string): number =>
    inRange(option, text, text.trim() === "" ? Number.NaN : Number(text), "a number", range);

function inRange(
  option: string,
  text: string,
  value: number,
  what: string,
  { min = Number.NEGATIVE_INFINITY, max = Number.POSITIVE_INFINITY }: Range,
): number {
  if (Number.isFinite(value) && value >= min && value <= max) return value;
  const bounds = [
    ...(Number.isFinite(min) ? [`at least ${min}`] : []),
    ...(Number.isFinite(max) ? [`at most ${max}`] : []),
  ].join(" and ");
  throw new UsageError(`${option}: expected ${what}${bounds === "" ? "" : ` of ${bounds}`}, found "${text}"`);
}
