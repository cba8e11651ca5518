/** Typed reading of untrusted JSON: every accessor knows where it is and says what it found there. */

import { CheckpointError } from "../../errors.js";

/** A JSON value together with the place it was read from, such as `tokenizer.json: model.vocab`. */
export class Field {
  constructor(
    readonly value: unknown,
    readonly where: string,
  ) {}

  /** Whether the value is absent or null. */
  get missing(): boolean {
    return this.value === undefined || this.value === null;
  }

  /** The member `key` of an object; a field with value `undefined` when the object has no such member. */
  get(key: string): Field {
    const members = this.object();
    return new Field(Object.hasOwn(members, key) ? members[key] : undefined, this.child(key));
  }

  object(): Record<string, unknown> {
    const { value } = this;
    if (typeof value !== "object" || value === null || Array.isArray(value)) throw this.wrong("an object");
    return value as Record<string, unknown>;
  }

  array(): readonly unknown[] {
    if (!Array.isArray(this.value)) throw this.wrong("an array");
    return this.value;
  }

  /** The elements of an array, each as a field. */
  items(): Field[] {
    return this.array().map((value, index) => new Field(value, `${this.where}[${index}]`));
  }

  string(fallback?: string): string {
    if (this.missing && fallback !== undefined) return fallback;
    if (typeof this.value !== "string") throw this.wrong("a string");
    return this.value;
  }

  boolean(fallback?: boolean): boolean {
    if (this.missing && fallback !== undefined) return fallback;
    if (typeof this.value !== "boolean") throw this.wrong("true or false");
    return this.value;
  }

  /** A whole number from 0 to 2^24 - 1: a token id or a count. */
  index(fallback?: number): number {
    if (this.missing && fallback !== undefined) return fallback;
    if (!isIndex(this.value)) throw this.wrong("a whole number from 0 to 16777215");
    return this.value;
  }

  /** One of the given strings. */
  oneOf<T extends string>(choices: readonly T[], fallback?: T): T {
    if (this.missing && fallback !== undefined) return fallback;
    const found = choices.find((choice) => choice === this.value);
    if (found === undefined) throw this.wrong(choices.map((choice) => `"${choice}"`).join(" or "));
    return found;
  }

  /** An error saying that this place does not hold what was expected. */
  wrong(expected: string): CheckpointError {
    return new CheckpointError(`${this.where} is ${shown(this.value)}; expected ${expected}`);
  }

  /** An error saying that the component named at this place is one this project does not implement. */
  unsupported(kind: string, supported: readonly string[]): CheckpointError {
    return new CheckpointError(`${this.where} is ${shown(this.value)}, which is not a supported ${kind}`, {
      hint: `Supported: ${supported.join(", ")}.`,
    });
  }

  private child(key: string): string {
    return this.where.endsWith(":") ? `${this.where} ${key}` : `${this.where}.${key}`;
  }
}

/** Whether `value` can be a token id here: a whole number from 0 to 2^24 - 1. */
export function isIndex(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value < 2 ** 24;
}

function shown(value: unknown): string {
  if (value === undefined) return "missing";
  const text = JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}
