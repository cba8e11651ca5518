import { expect, it } from "vitest";
import { UsageError } from "../errors.js";
import { number, wholeNumber } from "./number-option.js";

it("reads numbers within their range", () => {
  expect(wholeNumber("--n", { min: 1 })("12")).toBe(12);
  expect(number("--x", { max: 1 })("-0.5e-1")).toBe(-0.05);
});

it.each(["", "x", "1.5", "0", "11", "1e1", "Infinity"])("refuses %j as a whole number of 1 to 10", (text) => {
  expect(() => wholeNumber("--n", { min: 1, max: 10 })(text)).toThrow(UsageError);
});

it("says what it expected", () => {
  expect(() => number("--top-p", { min: 0, max: 1 })("2")).toThrow(
    '--top-p: expected a number of at least 0 and at most 1, found "2"',
  );
});
