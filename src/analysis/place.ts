/** How a person points at one of several adapters. */
import { UsageError } from "../errors.js";

/** The place (from 0) of what was given: a name, or a number from 1. Throws a UsageError where there is none. */
export function placeOf(given: string, names: readonly string[]): number {
  const named = names.indexOf(given);
  const place = named >= 0 ? named : /^\d+$/.test(given) ? Number(given) - 1 : -1;
  if (place >= 0 && place < names.length) return place;
  const known = names.map((name, k) => `${k + 1} (${name})`).join(", ");
  throw new UsageError(`there is no adapter ${given}; there are ${known}`);
}
