/** Ctrl+C as a user presses it: a signal to the whole process group of the command line. */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as wait } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, expect, it } from "vitest";
import type { RunEvent } from "../../src/learn/events.js";
import { readJournal } from "../../src/runs/journal.js";
import { RunFolder } from "../../src/runs/run-folder.js";

const script = fileURLToPath(new URL("../fixtures/fake-cli.mjs", import.meta.url));
const root = mkdtempSync(join(tmpdir(), "nlora-signals-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** Signals the process group of the command line, or only its leader. */
type Signal = (name: NodeJS.Signals, to?: "group" | "leader") => void;

/** Runs the fake experiment `name`; `when` may send a signal after an event. */
async function run(name: string, when: (event: RunEvent, signal: Signal) => Promise<void>) {
  const path = join(root, name);
  const child = spawn(process.execPath, [script, name, path], {
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  const closed = new Promise<number | null>((resolve) => child.once("close", resolve));
  const signal: Signal = (name, to = "group") =>
    process.kill(to === "group" ? -child.pid! : child.pid!, name);
  for await (const line of createInterface({ input: child.stdout })) {
    void when(JSON.parse(line) as RunEvent, signal);
  }
  return { code: await closed, stderr, folder: new RunFolder(path) };
}

it("once: the step is finished, the record written, and the exit code is 130", async () => {
  const { code, stderr, folder } = await run("slow", async (event, signal) => {
    if (event.type === "step" && event.index === 1 && event.step === 1) signal("SIGINT");
  });
  expect(code).toBe(130);
  expect(stderr).toBe("stopping after this step; once more to stop at once\n");
  const events = readJournal(folder.journalFile);
  expect(events.at(-1)).toMatchObject({ type: "run-end", status: "interrupted" });
  expect(events.filter((event) => event.type === "step" && event.index === 1).length).toBeLessThan(5);
  expect(folder.readRecord()).toMatchObject({ status: "interrupted", deltaNorms: [2, null] });
});

it("twice: a process that does not come to the end of its step is ended at once", async () => {
  const started = performance.now();
  const { code, folder } = await run("stuck", async (event, signal) => {
    if (event.type !== "step" || event.index !== 1 || event.step !== 2) return;
    await wait(200);
    signal("SIGINT");
    await wait(800);
    signal("SIGINT");
  });
  expect(code).toBe(130);
  expect(performance.now() - started).toBeLessThan(30_000);
  expect(folder.readRecord()).toMatchObject({ status: "interrupted", deltaNorms: [2, null] });
});

it("while the training process does not listen yet: it ends by the signal, and the run is interrupted, not failed", async () => {
  const { code, stderr, folder } = await run("deaf", async (event, signal) => {
    if (event.type !== "step" || event.index !== 1 || event.step !== 2) return;
    await wait(200);
    signal("SIGINT");
  });
  expect(stderr).not.toContain("was killed by");
  expect(code).toBe(130);
  expect(folder.readRecord()).toMatchObject({ status: "interrupted", deltaNorms: [2, null] });
});

it("a command line that is killed: the training process notices and writes its record after the step", async () => {
  const { code, folder } = await run("slow-orphan", async (event, signal) => {
    if (event.type === "step" && event.index === 1 && event.step === 1) signal("SIGKILL", "leader");
  });
  expect(code).toBeNull();
  for (let tries = 0; folder.readRecord()?.status === "running" && tries < 100; tries++) await wait(100);
  expect(folder.readRecord()).toMatchObject({ status: "interrupted", deltaNorms: [2, null] });
});
