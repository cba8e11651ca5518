import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import { packageRoot } from "../tensor/native.js";
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

  it("of a dead process is taken over by one of several that try at the same moment", async () => {
    const rounds = 100;
    for (let round = 0; round < rounds; round++) {
      writeFileSync(join(root, `race-${round}`), round % 2 === 0 ? "" : "999999999 1");
    }
    // They live until all have tried, so that whoever won a round still holds it.
    const begin = Date.now() + 1500;
    const program = `
      const { RunLock } = await import(${JSON.stringify(pathToFileURL(join(packageRoot, "dist/runs/run-lock.js")).href)});
      const won = [];
      for (let round = 0; round < ${rounds}; round++) {
        while (Date.now() < ${begin} + 10 * round);
        try {
          RunLock.take(${JSON.stringify(join(root, "race-"))} + round);
          won.push(round);
        } catch {}
      }
      console.log(JSON.stringify(won));
      process.stdin.on("data", () => process.exit());`;
    const children = [1, 2].map(() =>
      spawn(process.execPath, ["--input-type=module", "-e", program], { stdio: ["pipe", "pipe", "inherit"] }),
    );
    const won = await Promise.all(
      children.map(async ({ stdout }) => JSON.parse(String((await once(stdout, "data"))[0])) as number[]),
    );
    for (const { stdin } of children) stdin.write("\n");
    expect(won.flat().sort((a, b) => a - b)).toEqual(Array.from({ length: rounds }, (_, round) => round));
  }, 30_000);

  it("is taken over where its file says nothing", () => {
    const file = join(root, "empty");
    writeFileSync(file, "");
    RunLock.take(file)[Symbol.dispose]();
  });
});
