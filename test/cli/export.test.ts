/** Exports of runs as real processes, also interrupted and killed ones. Needs `npm run build`. */
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { stackAdapters } from "../../src/adapters/combine.js";
import type { AdapterDelta } from "../../src/adapters/delta.js";
import { exportAdapters } from "../../src/cli/commands/export.js";
import { type ExportOptions, exporting, findBase } from "../../src/export/export.js";
import { Checkpoint } from "../../src/io/checkpoint.js";
import { readPeft } from "../../src/io/peft.js";
import { packageRoot } from "../../src/tensor/native.js";
import { tidy } from "../../src/tensor/scope.js";
import { nlora, TASKS, tinyConfig, writeConfig, writeTasks } from "../support/command-line.js";
import { readGguf } from "../support/gguf.js";
import { expectClose } from "../support/golden.js";

const root = mkdtempSync(join(tmpdir(), "nlora-export-cli-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const names = Object.keys(TASKS);
const adapters = (run: string) => names.map((name, k) => join(root, run, "adapters", `${k + 1}-${name}`));
const deltaIn = (folder: string): AdapterDelta => readPeft(folder).delta;

/** Compares the updates of two adapters, module by module, as matrices. */
function expectSame(found: AdapterDelta, expected: AdapterDelta): void {
  expect([...found.modules.keys()].sort()).toEqual([...expected.modules.keys()].sort());
  for (const [module, { a, b }] of expected.modules) {
    const other = found.modules.get(module)!;
    expectClose(
      other.b.matmul(other.a).mul(found.scale).toArray(),
      b.matmul(a).mul(expected.scale).toArray(),
      1e-6,
      module,
    );
  }
}

beforeAll(async () => {
  writeTasks(root);
  const short = {
    ...tinyConfig,
    training: { batchSize: 8, epochs: 1, maxSteps: 1, learningRate: 0.01 },
    evaluation: { maxNewTokens: 1, tasks: "seen", base: false },
  };
  writeConfig(root, "n.yaml", short);
  const one = await nlora(root, ["train", "n.yaml", "--out", "n", "--quiet"]);
  expect(one.status, one.stderr).toBe(0);
  writeConfig(root, "seq.yaml", { ...short, method: { name: "seq-lora" }, startFrom: [adapters("n")[0]] });
  const two = await nlora(root, ["train", "seq.yaml", "--out", "seq", "--quiet"]);
  expect(two.status, two.stderr).toBe(0);
});

/** Exports in this process. */
function written(run: string, out: string, options: Partial<ExportOptions> = {}): string {
  const target = join(root, out);
  const steps = exporting([join(root, run)], { format: "peft", out: target, base: null, ...options });
  while (!steps.next().done);
  return target;
}

describe("the state of a run", () => {
  it("after a task is the sum of its adapters so far, as one PEFT folder", async () => {
    const args = ["export", "n", "--format", "peft", "--task", names[1]!, "--out", "n2", "--json"];
    const { status, stdout } = await nlora(root, args);
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      rank: 4,
      provenance: {
        holds: "cumulative",
        tasks: names.slice(0, 2),
        position: 2,
        run: "tiny-n-lora-s7",
        needs: [],
      },
    });
    tidy(() => {
      const [first, second] = adapters("n");
      expectSame(deltaIn(join(root, "n2")), stackAdapters([deltaIn(first!), deltaIn(second!)], "sum"));
      expect(readPeft(join(root, "n2")).config).toMatchObject({
        rank: 4,
        alpha: 8,
        taskType: "SEQ_2_SEQ_LM",
      });
    });
  });

  it("of SeqLoRA on an adapter is that adapter and its own last one; its delta is what the last task changed", () => {
    tidy(() => {
      const [, second, third] = adapters("seq").map(deltaIn);
      const start = deltaIn(adapters("n")[0]!);
      const whole = written("seq", "s3");
      expectSame(deltaIn(whole), stackAdapters([start, third!], "sum"));
      expect(readPeft(whole).provenance).toMatchObject({
        tasks: names,
        includes: [expect.stringMatching(/^1-colour sha256:[0-9a-f]{16}$/)],
      });
      const delta = written("seq", "s3d", { delta: true });
      expectSame(stackAdapters([second!, deltaIn(delta)], "sum"), third!);
      expect(readPeft(delta)).toMatchObject({
        config: { rank: 4 },
        provenance: { holds: "delta", tasks: [names[2]], needs: ["1-colour", "1-colour", "2-size"] },
      });
    });
  });

  it("is merged with its own base, compared, and written for llama.cpp", async () => {
    const merged = await nlora(root, ["merge", "builtin", "n", "--out", "merged", "--dtype", "float32"]);
    expect(merged.status, merged.stderr).toBe(0);
    expect(merged.stdout).toMatch(/^largest logit difference +\S+ on \d+ tokens of 8 prompts$/m);
    expect(merged.stdout).toMatch(/^lost to rounding +\S+ % of the updated weights/m);
    expect(Checkpoint.open(join(root, "merged")).names.length).toBe(89);
    const base = await findBase([join(root, "n")], null);
    expect(base).toBe(join(packageRoot, "assets", "t5-mini"));
    const gguf = written("n", "gguf", { format: "gguf-lora", task: "1", base });
    expect(readGguf(join(gguf, "adapter.gguf")).values).toMatchObject({
      "general.architecture": "t5",
      "adapter.lora.alpha": 4,
      "nlora.tasks": '["colour"]',
    });
  });

  it("is asked for wrongly in one line each, and nothing is written", async () => {
    const n = join(root, "n");
    const flags = { format: "peft", out: join(root, "wrong") };
    const fail = (paths: readonly string[], more: object) =>
      expect(exportAdapters(paths, { ...flags, ...more })).rejects;
    await fail([n], { task: "9" }).toThrow(
      /^--task: there is no task 9; finished are 1 \(colour\), 2 \(size\), 3 \(mood\)$/,
    );
    await fail([n], { format: "onnx" }).toThrow(
      /^--format: expected one of peft, hf, gguf-lora, found "onnx"/,
    );
    await fail([n, adapters("n")[0]!], {}).toThrow(/^expected one run folder or several adapter folders/);
    await fail([n], { format: "hf", base: "nowhere" }).toThrow(
      /^there is no folder nowhere, and it is no name on the hub/,
    );
    await fail([n], { maxShardSize: "5 parsecs" }).toThrow(/^--max-shard-size: expected a size like 5GB/);
    await fail([n], { tolerance: "much" }).toThrow(/^--tolerance: expected a number/);
    await fail([join(root, "empty")], {}).toThrow(/^adapter folder .*empty does not exist/);
    expect(existsSync(flags.out)).toBe(false);
  });
});

describe("an export that does not come to its end", () => {
  /** Starts a merge and sends a signal as soon as its hidden folder is there and `ready` says so. */
  async function signalled(out: string, signal: NodeJS.Signals, wait: number): Promise<number | null> {
    const args = ["merge", "builtin", "n", "--out", out, "--dtype", "float32", "--max-shard-size", "2MB"];
    const child = spawn(process.execPath, [join(packageRoot, "dist/cli/main.js"), ...args], {
      cwd: root,
      env: { ...process.env, OMP_NUM_THREADS: "1" },
      stdio: "ignore",
    });
    const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
    while (child.exitCode === null && !hidden(out).some((name) => readdirSync(join(root, name)).length > 0)) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await new Promise((resolve) => setTimeout(resolve, wait));
    child.kill(signal);
    return ended;
  }
  const hidden = (out: string) => readdirSync(root).filter((name) => name.startsWith(`.${out}.`));

  it("because of Ctrl+C ends with 130 and leaves nothing", async () => {
    expect(await signalled("stopped", "SIGINT", 0)).toBe(130);
    expect(existsSync(join(root, "stopped"))).toBe(false);
    expect(hidden("stopped")).toEqual([]);
  });

  it("because it was killed leaves no folder under its name, and the next one cleans up", async () => {
    for (const wait of [0, 60]) {
      await signalled("killed", "SIGKILL", wait);
      expect(existsSync(join(root, "killed"))).toBe(false);
      expect(hidden("killed")).toHaveLength(1);
    }
    const { status, stderr } = await nlora(root, ["merge", "builtin", "n", "--out", "killed", "--no-probe"]);
    expect(status, stderr).toBe(0);
    expect(hidden("killed")).toEqual([]);
    expect(Checkpoint.open(join(root, "killed")).names.length).toBe(89);
  });
});
