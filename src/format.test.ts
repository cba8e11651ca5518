import { expect, it } from "vitest";
import { bytes, count, duration, fixed, NONE, significant } from "./format.js";

it("numbers keep four significant digits whatever their size", () => {
  expect([0, 1, 12.3456, 0.0123456, 1234.56, 0.99996].map(significant)).toEqual([
    "0",
    "1.000",
    "12.35",
    "0.01235",
    "1235",
    "1.0000",
  ]);
  expect([0.000123, -2e7].map(significant)).toEqual(["1.23e-4", "-2.00e+7"]);
});

it("what is undefined is a dash", () => {
  expect([fixed(null), fixed(undefined), significant(null)]).toEqual([NONE, NONE, NONE]);
});

it("durations, sizes and counts have the unit that suits them", () => {
  expect([0.04, 9.94, 9.96, 59.6, 65, 3599.7, 7380].map(duration)).toEqual([
    "0.0 s",
    "9.9 s",
    "10 s",
    "1 min 00 s",
    "1 min 05 s",
    "1 h 00 min",
    "2 h 03 min",
  ]);
  expect([bytes(401_030), bytes(3 * 2 ** 20), bytes(1.5 * 2 ** 30)]).toEqual(["392 KiB", "3 MiB", "1.5 GiB"]);
  expect([count(950), count(1234), count(5.6e6)]).toEqual(["950", "1.2k", "5.6M"]);
});
