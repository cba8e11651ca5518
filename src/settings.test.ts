import { describe, expect, it } from "vitest";
import { ConfigError } from "./errors.js";
import { at, choice, group, number, perTask, text, whole } from "./settings.js";

function message(
  schema: { safeParse(value: unknown): { error?: { issues: { message: string }[] } } },
  value: unknown,
) {
  return schema.safeParse(value).error?.issues[0]?.message;
}

describe("settings say what they expect", () => {
  it.each([
    [whole({ min: 1 }), 0, "a whole number >= 1"],
    [whole({ min: 1, max: 6 }), 2.5, "a whole number >= 1 and <= 6"],
    [number({ above: 0, below: 1 }), 1, "a number > 0 and < 1"],
    [number({ max: 3 }), "2", "a number <= 3"],
    [number(), Number.POSITIVE_INFINITY, "a number"],
    [choice(["a", "b"]), "c", "one of a, b"],
    [text("a folder"), "", "a folder"],
    [perTask("whole", { min: 1 }), [1, 0], "a whole number >= 1"],
    [perTask("whole", { min: 1 }), "many", "a whole number >= 1, or a list of them with one per task"],
    [group({ a: number(), b: number() }), 3, "a mapping with keys of a, b"],
  ])("%#", (schema, value, expected) => {
    expect(message(schema, value)).toBe(expected);
  });

  it("and accept what lies on the edge of a range", () => {
    expect(whole({ min: 1, max: 6 }).parse(6)).toBe(6);
    expect(number({ min: 0, below: 1 }).parse(0)).toBe(0);
    expect(perTask("number", { min: 0 }).parse([0, 1.5])).toEqual([0, 1.5]);
  });
});

it("a setting for each task is a list or one value for all", () => {
  expect([0, 1, 2].map((index) => at(0.4, index))).toEqual([0.4, 0.4, 0.4]);
  expect([0, 1].map((index) => at([1, 2], index))).toEqual([1, 2]);
  expect(() => at([1, 2], 2)).toThrow(ConfigError);
});
