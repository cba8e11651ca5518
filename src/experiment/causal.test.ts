/** Whole runs of a decoder-only model: a tiny LLaMA with grouped-query attention on the bundled stream. */
import { appendFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { writeTinyLlama } from "../../test/support/tiny-llama.js";
import { readPeft } from "../io/peft.js";
import { SafetensorsFile } from "../io/safetensors.js";
import type { RunEvent } from "../learn/events.js";
import type { RunRecord } from "../runs/record.js";
import { RunFolder } from "../runs/run-folder.js";
import { liveTensors, tidy } from "../tensor/scope.js";
import { type Config, resolveConfig } from "./config.js";
import { runExperiment } from "./run.js";

const root = mkdtempSync(join(tmpdir(), "nlora-causal-"));
const checkpoint = join(root, "tiny-llama");
beforeAll(() => writeTinyLlama(checkpoint));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const settings = {
  model: checkpoint,
  dtype: "float32",
  threads: 1,
  data: { kind: "synthetic", trainRows: 40, testRows: 5 },
  maxSourceLength: 160,
  truncate: "body",
  lora: { rank: 4 },
  method: { name: "n-lora", lambda: 0.01 },
  training: { epochs: 2, batchSize: 8, microBatchSize: 5, learningRate: 0.01 },
  evaluation: { tasks: "seen", batchSize: 5, maxNewTokens: 3, base: false },
};

interface Ended {
  readonly events: RunEvent[];
  readonly record: RunRecord | undefined;
  readonly folder: RunFolder;
}

/** Runs until the end, or until `stop` says so. */
async function run(
  name: string,
  config: Config,
  stop: (event: RunEvent) => boolean = () => false,
  resume = false,
): Promise<Ended> {
  const folder = resume
    ? RunFolder.resume(join(root, name), config)
    : RunFolder.create(join(root, name), config);
  const events: RunEvent[] = [];
  const running = runExperiment(config, folder, { resume, shouldStop: () => false });
  for (;;) {
    const next = await running.next();
    if (next.done) return { events, record: next.value, folder };
    events.push(next.value);
    if (stop(next.value)) {
      await running.return(undefined as never);
      return { events, record: undefined, folder };
    }
  }
}

const TASKS = ["diary", "scenes", "letters", "pictures"];
const adapterFile = ({ folder }: Ended, index: number) =>
  join(folder.taskFolder("adapters", { index, name: TASKS[index]! }), "adapter_model.safetensors");
const adaptersOf = (ended: Ended) => TASKS.map((_, index) => readFileSync(adapterFile(ended, index)));

describe("a run of a decoder-only model", () => {
  let whole: Ended;
  let leaked: number;
  beforeAll(async () => {
    const before = liveTensors();
    whole = await run("whole", resolveConfig(settings));
    leaked = liveTensors() - before;
  });

  it("learns every task, answers with its own words and leaks nothing", () => {
    for (const task of TASKS) {
      const steps = whole.events.filter((event) => event.type === "step" && event.task === task);
      const losses = steps.map((event) => (event.type === "step" ? event.taskLoss : Number.NaN));
      expect(losses).toHaveLength(10);
      expect(losses.at(-1)!).toBeLessThan(0.9 * losses[0]!);
    }
    const [first] = readFileSync(join(whole.folder.path, "predictions", "4-diary.jsonl"), "utf8").split("\n");
    expect(JSON.parse(first!)).toMatchObject({ row: 0, input: expect.stringMatching(/\nAnswer:$/) });
    expect(leaked).toBe(0);
  });

  it("measures the updates of layers with fewer outputs than inputs", () => {
    const { orthogonalOverlap, awom, gsr, acr, deltaNorms, penalty } = whole.record!;
    const measured = [orthogonalOverlap, awom, gsr, acr].flatMap((each) => Object.values(each));
    expect([...measured, ...deltaNorms].every((value) => Number.isFinite(value))).toBe(true);
    expect(penalty).toMatchObject({ kind: "delta-w" });
  });

  it("saves adapters under PEFT's names for decoders", () => {
    const file = SafetensorsFile.open(adapterFile(whole, 0));
    const names = ["q_proj", "v_proj"].flatMap((target) =>
      [0, 1].flatMap((layer) =>
        ["A", "B"].map(
          (factor) => `base_model.model.model.layers.${layer}.self_attn.${target}.lora_${factor}.weight`,
        ),
      ),
    );
    expect([...file.names].sort()).toEqual(names.sort());
    expect(file.info("base_model.model.model.layers.0.self_attn.v_proj.lora_B.weight").shape).toEqual([
      16, 4,
    ]);
    tidy(() => {
      const { config } = readPeft(whole.folder.taskFolder("adapters", { index: 0, name: "diary" }));
      expect(config).toMatchObject({ taskType: "CAUSAL_LM", targetModules: ["q_proj", "v_proj"] });
    });
  });

  it("goes on after a stop as if it had not stopped", async () => {
    const config = resolveConfig(settings);
    const isSecond = (event: RunEvent) =>
      event.type === "step" && event.task === "letters" && event.step === 3;
    const stopped = await run("stopped", config, isSecond);
    expect(stopped.record).toBeUndefined();
    // The journal, which the launcher writes, is what tells where to go on.
    for (const event of stopped.events)
      appendFileSync(stopped.folder.journalFile, `${JSON.stringify(event)}\n`);
    const resumed = await run("stopped", config, undefined, true);
    expect(resumed.events[0]).toMatchObject({ type: "run-start", resumedAt: 2 });
    expect(adaptersOf(resumed)).toEqual(adaptersOf(whole));
  });

  it("trains the very same adapters with activation checkpointing", async () => {
    const training = { ...settings.training, checkpointing: true };
    const saving = await run("checkpointing", resolveConfig({ ...settings, training }));
    expect(adaptersOf(saving)).toEqual(adaptersOf(whole));
  });

  it("refuses the released code's penalty, saying which layer and why", async () => {
    const method = { name: "n-lora", penalty: { kind: "released-code" } };
    const refused = run("refused", resolveConfig({ ...settings, method }));
    await expect(refused).rejects.toThrowError(
      /released-code .*needs as many outputs as inputs; model\.layers\.0\.self_attn\.v_proj has 32 inputs and 16 outputs/,
    );
  });
});
