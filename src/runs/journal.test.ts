import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { RunError } from "../errors.js";
import type { RunEvent } from "../learn/events.js";
import { Journal, readJournal } from "./journal.js";

const root = mkdtempSync(join(tmpdir(), "nlora-journal-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const note = (message: string): RunEvent => ({ type: "note", level: "info", message });

it("keeps events in order, across openings and with newlines in their texts", () => {
  const path = join(root, "order.jsonl");
  for (const message of ["one", "two\nlines", "drei — ü"]) {
    using journal = new Journal(path);
    journal.append(note(message));
  }
  expect(readJournal(path)).toEqual([note("one"), note("two\nlines"), note("drei — ü")]);
});

it("shows an event to other readers at once", () => {
  const path = join(root, "live.jsonl");
  using journal = new Journal(path);
  journal.append(note("now"));
  expect(readJournal(path)).toEqual([note("now")]);
});

it("ignores a torn last line and drops it when writing goes on", () => {
  const path = join(root, "torn.jsonl");
  writeFileSync(path, `${JSON.stringify(note("whole"))}\n{"type":"note","mess`);
  expect(readJournal(path)).toEqual([note("whole")]);
  using journal = new Journal(path);
  journal.append(note("after"));
  expect(readJournal(path)).toEqual([note("whole"), note("after")]);
  expect(readFileSync(path, "utf8")).not.toContain("mess\n");
});

it("names the line that is not an event", () => {
  const path = join(root, "broken.jsonl");
  writeFileSync(path, `${JSON.stringify(note("whole"))}\n`);
  appendFileSync(path, "garbage\n{}\n");
  expect(() => readJournal(path)).toThrow(`${path}:2: this line is not an event: garbage`);
});

it("is empty where no run has written, and a RunError where it cannot be opened", () => {
  expect(readJournal(join(root, "none.jsonl"))).toEqual([]);
  expect(() => new Journal(join(root, "no-folder", "events.jsonl"))).toThrow(RunError);
});
