/** The files of loggers, read by other means than those that wrote them. */
import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse } from "csv-parse/sync";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { runConfig, runEnd, runStart, START, taskEvents } from "../../test/support/run-events.js";
import { readEventFiles } from "../../test/support/tensorboard-reader.js";
import type { RunEvent } from "../learn/events.js";
import { crc32c } from "./crc32c.js";
import { type Loggers, openLoggers, type Target } from "./open.js";

const tasks = ["a", "b"];
let folder: string;
let warnings: string[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "nlora-log-"));
  warnings = [];
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function open(kind: "tensorboard" | "csv", earlier: readonly RunEvent[] = [], name = "run"): Loggers {
  const targets: Target[] = [{ kind }];
  return openLoggers(targets, { folder, name, config: runConfig, earlier }, (line) => warnings.push(line));
}

async function write(loggers: Loggers, events: readonly RunEvent[]): Promise<number> {
  events.forEach((event, k) => {
    loggers.hear(event, START + 1000 * k);
  });
  return loggers.close(null, START + 1000 * events.length);
}

const firstStart = [
  runStart(tasks),
  ...taskEvents(tasks, 0, 3),
  ...taskEvents(tasks, 1, 4, 2),
  runEnd("interrupted", 9),
];
const secondStart = [runStart(tasks, 1, 20), ...taskEvents(tasks, 1, 4), runEnd("done", 40)];

describe("CRC-32C", () => {
  it("has the published check values", () => {
    // RFC 3720, B.4, and the check value of the catalogues of CRCs
    expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa);
    expect(crc32c(new Uint8Array(32).fill(0xff))).toBe(0x62a8ab43);
    expect(crc32c(Uint8Array.from({ length: 32 }, (_, k) => k))).toBe(0x46dd794e);
    expect(crc32c(Buffer.from("123456789"))).toBe(0xe3069283);
  });
});

describe("TensorBoard", () => {
  const read = () => readEventFiles(join(folder, "tensorboard"));

  it("reads back the curves, steps and times of a run", async () => {
    expect(await write(open("tensorboard"), firstStart)).toBe(0);
    const { files, scalars } = read();
    expect(files).toHaveLength(1);
    expect(files[0]!.events[0]).toMatchObject({ version: "brain.Event:2", step: 0 });
    expect(scalars("train/task_loss").map(({ step, value }) => [step, value])).toEqual(
      [2, 1, 2 / 3, 2, 1].map((value, k) => [k + 1, Math.fround(value)]),
    );
    expect(scalars("task_loss/2-b").map(({ step }) => step)).toEqual([4, 5]);
    expect(scalars("accuracy/1-a")).toEqual([{ step: 3, value: 50, time: (START + 5000) / 1000 }]);
    expect(scalars("train/penalty/sparsity")[0]!.value).toBe(0.25);
  });

  it("has the run, its settings and the starts of tasks as texts", async () => {
    await write(open("tensorboard"), firstStart);
    const { texts } = read();
    expect(texts("run")).toEqual(["n-lora on builtin, seed 42: 1-a, 2-b"]);
    expect(texts("config")[0]).toMatch(/^ {4}name: run$/m);
    expect(texts("task").map((text) => text.split(":")[0])).toEqual(["1-a", "2-b"]);
  });

  it("goes on in a second file when the run is resumed, and the reader forgets what began anew", async () => {
    await write(open("tensorboard"), firstStart);
    const before = readdirSync(join(folder, "tensorboard")).map((name) => ({
      name,
      bytes: readFileSync(join(folder, "tensorboard", name)),
    }));
    await write(open("tensorboard", firstStart), secondStart);
    for (const { name, bytes } of before) {
      expect(readFileSync(join(folder, "tensorboard", name)).equals(bytes)).toBe(true);
    }
    const { files, scalars } = read();
    expect(files).toHaveLength(2);
    expect(files[1]!.events.filter(({ restarted }) => restarted).map(({ step }) => step)).toEqual([4]);
    expect(scalars("train/task_loss").map(({ step }) => step)).toEqual([1, 2, 3, 4, 5, 6, 7]);
    // Measured after the first task, which stays.
    expect(scalars("accuracy/1-a").map(({ step }) => step)).toEqual([3, 7]);
  });

  it("reads back any names, texts and numbers", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.string({ unit: "grapheme", minLength: 1 }),
        fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e30, max: 1e30 }),
        fc.integer({ min: 1, max: 300 }),
        async (name, value, steps) => {
          rmSync(join(folder, "tensorboard"), { recursive: true, force: true });
          const [start, step] = taskEvents([name], 0, steps);
          const odd = { ...step!, taskLoss: value, step: steps } as RunEvent;
          await write(open("tensorboard"), [runStart([name]), start!, odd]);
          const { scalars, texts } = read();
          expect(scalars(`task_loss/1-${name}`)).toMatchObject([{ step: steps, value: Math.fround(value) }]);
          expect(texts("task")[0]!.startsWith(`1-${name}: `)).toBe(true);
        },
      ),
      { numRuns: 25 },
    );
  });

  it("notices a bit that changed (the reader's own test)", async () => {
    await write(open("tensorboard"), firstStart);
    const path = join(folder, "tensorboard", readdirSync(join(folder, "tensorboard"))[0]!);
    const bytes = readFileSync(path);
    bytes[200]! ^= 4;
    writeFileSync(path, bytes);
    expect(read).toThrow(/checksum|length/);
  });
});

describe("CSV", () => {
  const path = () => join(folder, "metrics.csv");
  const rows = () => parse(readFileSync(path(), "utf8"), { columns: true }) as Record<string, string>[];

  it("has a line per number under a header", async () => {
    await write(open("csv"), firstStart);
    expect(readFileSync(path(), "utf8").split("\n")[0]).toBe("run,time,step,tasks_trained,task,series,value");
    expect(rows()[0]).toEqual({
      run: "run",
      time: new Date(START + 2000).toISOString(),
      step: "1",
      tasks_trained: "0",
      task: "1-a",
      series: "train/task_loss",
      value: "2",
    });
  });

  it("keeps the lines of finished tasks when the run is resumed, and each number once", async () => {
    await write(open("csv"), firstStart);
    const before = rows().filter(({ step }) => Number(step) <= 3);
    appendFileSync(path(), '"torn');
    await write(open("csv", firstStart), secondStart);
    const after = rows();
    expect(after.slice(0, before.length)).toEqual(before);
    expect(
      after.filter(({ series }) => series === "train/task_loss").map(({ step }) => Number(step)),
    ).toEqual([1, 2, 3, 4, 5, 6, 7]);
  });

  it("keeps hostile names in their cells, and starts no cell of a task as a formula", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(
          fc.string({ unit: "binary", minLength: 1 }),
          fc.constantFrom('a,b"c', '"', "line\nbreak\r\n", "=HYPERLINK(0)", "'; --", "\ufeffx", "\0"),
        ),
        async (name) => {
          rmSync(path(), { force: true });
          await write(open("csv", [], `run ${name}`), [runStart([name]), ...taskEvents([name], 0, 1)]);
          const written = rows();
          const own = written.filter(({ task }) => task !== "");
          expect(own.every(({ task }) => task === `1-${name}`)).toBe(true);
          expect(written.every(({ run }) => run === `run ${name}`)).toBe(true);
          expect(written.every((row) => Object.keys(row).length === 7)).toBe(true);
        },
      ),
      { numRuns: 20 },
    );
  });

  it("refuses a file of another making, and the run goes on", async () => {
    writeFileSync(path(), "epoch,loss\n1,2\n");
    expect(await write(open("csv"), firstStart)).toBe(1);
    expect(warnings).toEqual([
      expect.stringMatching(/^csv: .* has other columns than expected: epoch, loss; nothing more/),
    ]);
    expect(readFileSync(path(), "utf8")).toBe("epoch,loss\n1,2\n");
  });

  it("says once that its folder is gone, and the other loggers go on", async () => {
    const targets: Target[] = [{ kind: "csv" }, { kind: "tensorboard" }];
    const run = { folder, name: "run", config: runConfig, earlier: [] };
    const other = mkdtempSync(join(tmpdir(), "nlora-log-"));
    const places = { csv: join(folder, "gone.csv"), tensorboard: join(other, "tb") };
    const loggers = openLoggers(targets, run, (line) => warnings.push(line), { places });
    rmSync(folder, { recursive: true });
    writeFileSync(folder, "now a file");
    expect(await write(loggers, firstStart)).toBe(1);
    expect(warnings).toHaveLength(1);
    expect(readEventFiles(places.tensorboard).scalars("train/task_loss")).toHaveLength(5);
    rmSync(other, { recursive: true });
  });
});
