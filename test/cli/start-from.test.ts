/** Runs that start from adapters made elsewhere, as real processes. Needs `npm run build`. */
import { copyFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Checkpoint } from "../../src/io/checkpoint.js";
import { sha256 } from "../../src/io/files.js";
import { PEFT_FILES, readPeft, writePeft } from "../../src/io/peft.js";
import type { RunEvent } from "../../src/learn/events.js";
import { Rng } from "../../src/random.js";
import type { RunRecord } from "../../src/runs/record.js";
import { tensor } from "../../src/tensor/create.js";
import { packageRoot } from "../../src/tensor/native.js";
import { tidy } from "../../src/tensor/scope.js";
import { nlora, TASKS, tinyConfig, writeConfig, writeTasks } from "../support/command-line.js";

const root = mkdtempSync(join(tmpdir(), "nlora-start-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const names = Object.keys(TASKS);
const given = join(root, "given");
const recordOf = (run: string) =>
  JSON.parse(readFileSync(join(root, run, "record.json"), "utf8")) as RunRecord;
const weightsOf = (run: string) =>
  names.map((name, k) => readFileSync(join(root, run, "adapters", `${k + 1}-${name}`, PEFT_FILES.weights)));

/** An adapter for the bundled model with another rank, scale and other layers than the runs below. */
function writeGiven(): void {
  const { names: weights } = Checkpoint.open(join(packageRoot, "assets", "t5-mini"));
  const layers = weights.flatMap((name) => /^(.*\.(?:q|o))\.weight$/.exec(name)?.[1] ?? []);
  const rng = new Rng(3);
  tidy(() => {
    const random = (shape: [number, number]) =>
      tensor(
        Array.from({ length: shape[0] * shape[1] }, () => 0.1 * (rng.uniform() - 0.5)),
        shape,
      );
    const modules = layers.map((name) => [name, { a: random([3, 256]), b: random([256, 3]) }] as const);
    writePeft(
      given,
      { name: "given", scale: 5, modules: new Map(modules) },
      {
        dropout: 0,
        targetModules: ["q", "o"],
        taskType: null,
        base: { name: "somebody/else", revision: null },
      },
    );
  });
}

const train = (out: string, ...more: string[]) =>
  nlora(root, ["train", "start.yaml", "--out", out, "--json", ...more]);

beforeAll(async () => {
  writeTasks(root);
  writeGiven();
  const training = { batchSize: 8, epochs: 1, maxSteps: 2 };
  writeConfig(root, "start.yaml", {
    ...tinyConfig,
    startFrom: ["given"],
    method: { name: "o-lora" },
    training,
    evaluation: { maxNewTokens: 2, tasks: "seen", base: false },
  });
  const { status, stderr } = await train("first");
  expect(status, stderr).toBe(0);
});

describe("a run that starts from an adapter", () => {
  it("records it with its digests, keeps a copy, and says in its own adapters that they need it", () => {
    expect(recordOf("first").startFrom).toEqual([
      {
        name: "given",
        weights: sha256(join(given, PEFT_FILES.weights)),
        config: sha256(join(given, PEFT_FILES.config)),
        holds: null,
        rank: 3,
        scale: 5,
        modules: 24,
      },
    ]);
    expect(readdirSync(join(root, "first", "start"))).toEqual(["1-given"]);
    const second = tidy(() => readPeft(join(root, "first", "adapters", `2-${names[1]}`)).provenance!);
    expect(second).toMatchObject({ holds: "delta", needs: ["../../start/1-given", `../1-${names[0]}`] });
    const events = readFileSync(join(root, "first", "events.jsonl"), "utf8")
      .trim()
      .split("\n");
    const notes = events.map((line) => JSON.parse(line) as RunEvent).filter((event) => event.type === "note");
    expect(notes.map(({ message }) => message)).toContain(
      "the adapter given was trained on the base model somebody/else, this run uses t5-mini",
    );
  });

  it("goes on after an interruption as if there had been none, also when the adapter is gone", async () => {
    let sent = false;
    const stopped = await nlora(
      root,
      ["train", "start.yaml", "--out", "stopped", "--json"],
      (line, signal) => {
        if (sent || (JSON.parse(line) as RunEvent).type !== "task-end") return;
        sent = true;
        signal("SIGINT");
      },
    );
    expect(stopped.status).toBe(130);
    const other = mkdtempSync(join(root, "away-"));
    for (const file of Object.values(PEFT_FILES)) {
      copyFileSync(join(given, file), join(other, file));
      rmSync(join(given, file));
    }
    const resumed = await nlora(root, ["train", "--resume", "stopped", "--quiet"]);
    expect(resumed.status, resumed.stderr).toBe(0);
    expect(weightsOf("stopped")).toEqual(weightsOf("first"));
    const { timings: _, peakMemory: _m, ...record } = recordOf("stopped");
    const { timings: __, peakMemory: __m, ...expected } = recordOf("first");
    expect(record).toEqual(expected);
    for (const file of Object.values(PEFT_FILES)) copyFileSync(join(other, file), join(given, file));
  });

  it("fails in one line when its copy changed, when the folder is no adapter, and when it is named twice", async () => {
    const stopped = await nlora(
      root,
      ["train", "start.yaml", "--out", "changed", "--json"],
      (line, signal) => {
        if ((JSON.parse(line) as RunEvent).type === "task-start") signal("SIGINT");
      },
    );
    expect(stopped.status).toBe(130);
    const copy = join(root, "changed", "start", "1-given", PEFT_FILES.config);
    copyFileSync(join(root, "first", "adapters", `1-${names[0]}`, PEFT_FILES.config), copy);
    const resumed = await nlora(root, ["train", "--resume", "changed", "--quiet"]);
    expect(resumed.status).toBe(1);
    expect(resumed.stderr).toMatch(
      /^error: cannot resume: .*start\/1-given changed since the run started: its config/m,
    );

    const none = await train("none", "--set", "startFrom=[nowhere]");
    expect(none.stderr).toMatch(/^error: adapter folder .*nowhere does not exist$/m);
    expect(existsSync(join(root, "none", "start"))).toBe(false);
    const twice = await train("twice", "--set", "startFrom=[given, ./given]");
    expect(twice.status).toBe(2);
    expect(twice.stderr).toMatch(/startFrom.*the adapter .*given is in the list twice/);
  });
});
