import { stripVTControlCharacters } from "node:util";
import { afterEach, expect, it, vi } from "vitest";
import { ConfigError, DataError, reported, UsageError } from "../errors.js";
import { errorText, exitCodeOf } from "./exit.js";

afterEach(() => {
  vi.unstubAllEnvs();
});

it("usage and configuration errors end with 2, other errors with 1", () => {
  expect(exitCodeOf(reported(new UsageError("x")))).toBe(2);
  expect(exitCodeOf(reported(new ConfigError("x")))).toBe(2);
  expect(exitCodeOf(reported(new DataError("x")))).toBe(1);
  expect(exitCodeOf(reported(new TypeError("x")))).toBe(1);
  expect(exitCodeOf({ message: "from the training process", code: "config" })).toBe(2);
});

it("an error is a line, a hint another, several problems a line each", () => {
  expect(stripVTControlCharacters(errorText(reported(new DataError("no rows", { hint: "add some" }))))).toBe(
    "error: no rows\nhint: add some\n",
  );
  expect(stripVTControlCharacters(errorText(reported(new ConfigError("one\ntwo"))))).toBe(
    "error: one\nerror: two\n",
  );
  expect(stripVTControlCharacters(errorText(reported(new TypeError("odd"))))).toBe(
    "error: odd\nhint: NLORA_DEBUG=1 shows where this happened\n",
  );
});

it("the stack is shown only with NLORA_DEBUG=1", () => {
  const error = reported(new DataError("no rows"));
  expect(errorText(error)).not.toContain("exit.test.ts");
  vi.stubEnv("NLORA_DEBUG", "1");
  expect(errorText(error)).toContain("exit.test.ts");
});
