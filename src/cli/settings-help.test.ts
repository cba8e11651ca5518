import { expect, test } from "vitest";
import { settingsHelp } from "./settings-help.js";

const keys = settingsHelp()
  .split("\n")
  .map((line) => line.trim().split(/\s+/)[0]!);

test("groups that may be left out are listed with what is in them, after what they are for", () => {
  const start = keys.indexOf("online");
  expect(keys.slice(start, start + 3)).toEqual(["online", "online.boundaries", "online.onAlarm"]);
  for (const key of ["method.target.gsr", "method.target.density", "online.detector.threshold"]) {
    expect(keys).toContain(key);
  }
});

test("a setting that takes one of several forms is one line", () => {
  for (const key of ["method.memory", "online.boundaries", "data.holdOut"]) {
    expect(keys.filter((each) => each === key || each.startsWith(`${key}.`))).toEqual([key]);
  }
});
