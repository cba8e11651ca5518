import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { RunLock } from "./run-lock.js";

const root = mkdtempSync(join(tmpdir(), "nlora-lock-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

describe("the lock of a run folder", () => {
  it("is refused while the process that has it lives, and free once it is given back", () => {
    const file = join(root, "own");
    const lock = RunLock.take(file);
    expect(() => RunLock.take(file)).toThrow(`another process, ${process.pid}, is training this run`);
    lock[Symbol.dispose]();
    expect(existsSync(file)).toBe(false);
    RunLock.take(file)[Symbol.dispose]();
  });

  it("is taken over from a process that died with it", async () => {
    const file = join(root, "dead");
    const child = spawn(process.execPath, ["-e", ""]);
    await once(child, "exit");
    writeFileSync(file, `${child.pid} 12345`);
    const lock = RunLock.take(file);
    expect(readFileSync(file, "utf8")).toMatch(new RegExp(`^${process.pid} `));
    lock[Symbol.dispose]();
  });

  it.runIf(existsSync("/proc/self/stat"))(
    "is taken over where the dead one's number was given to another process",
    () => {
      const file = join(root, "reused");
      writeFileSync(file, `${process.pid} 1`);
      RunLock.take(file)[Symbol.dispose]();
    },
  );

  it("is taken over where its file says nothing", () => {
    const file = join(root, "empty");
    writeFileSync(file, "");
    RunLock.take(file)[Symbol.dispose]();
  });
});
