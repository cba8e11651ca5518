/** One measurement of memory and loading, in a process of its own. Arguments: what, folder, more; answers one JSON line. */
import { closeSync, openSync, readFileSync, readSync } from "node:fs";
import { join } from "node:path";
import { trainStep } from "../learn/learn.js";
import { createMethod, methodSchema } from "../methods/registry.js";
import { greedy } from "../models/generate.js";
import { loadModel } from "../models/registry.js";
import { trainingContext } from "../nn/context.js";
import { AdamW } from "../nn/optim.js";
import { Rng } from "../random.js";
import { tensor } from "../tensor/create.js";
import type { DType } from "../tensor/dtype.js";
import { inference } from "../tensor/grad.js";
import { writeRandomCheckpoint } from "./random-checkpoint.js";

/** Bytes: resident now (anonymous, and of mapped files), and the most so far. */
export interface Resident {
  readonly anonymous: number;
  readonly file: number;
  readonly peak: number;
}

export interface OpenAnswer {
  readonly before: Resident;
  readonly after: Resident;
  readonly openSeconds: number;
  readonly tokenSeconds: number;
}

export interface ReadAnswer {
  readonly bytes: number;
  readonly seconds: number;
}

export interface TrainAnswer {
  readonly loaded: Resident;
  readonly after: Resident;
  readonly stepSeconds: readonly number[];
  readonly losses: readonly number[];
}

function resident(): Resident {
  const status = readFileSync("/proc/self/status", "utf8");
  const bytes = (name: string) => Number(status.match(new RegExp(`^${name}:\\s+(\\d+) kB$`, "m"))![1]) * 1024;
  return { anonymous: bytes("RssAnon"), file: bytes("RssFile") + bytes("RssShmem"), peak: bytes("VmHWM") };
}

/** From nothing to the first token of an answer to a prompt of 16. */
function open(folder: string, dtype: DType): OpenAnswer {
  inference(() => tensor([1], [1]).add(1).item());
  const before = resident();
  const started = performance.now();
  const model = loadModel(folder, dtype);
  const opened = performance.now();
  inference(() => {
    const ids = Array.from({ length: 16 }, (_, i) => 3 + 7 * i);
    const batch = {
      inputIds: tensor(ids, [1, ids.length], "int64"),
      attentionMask: tensor(new Uint8Array(ids.length).fill(1), [1, ids.length], "bool"),
    };
    return greedy(model.startDecoding(batch), { endIds: [], maxNewTokens: 1 }).length;
  });
  const answered = performance.now();
  const seconds = { openSeconds: (opened - started) / 1000, tokenSeconds: (answered - started) / 1000 };
  return { before, after: resident(), ...seconds };
}

/** The file's bytes, read through one buffer. */
function read(folder: string): ReadAnswer {
  const buffer = new Uint8Array(2 ** 20);
  const started = performance.now();
  const file = openSync(join(folder, "model.safetensors"), "r");
  let bytes = 0;
  for (let count = 1; count > 0; bytes += count) count = readSync(file, buffer);
  closeSync(file);
  return { bytes, seconds: (performance.now() - started) / 1000 };
}

/** LoRA of rank 8 on the usual layers, N-LoRA's penalty, AdamW; rows of `tokens` tokens, 8 of them the answer. */
function train(folder: string, tokens: number, checkpointing: boolean): TrainAnswer {
  const model = loadModel(folder, "bfloat16");
  const rng = new Rng(1);
  const method = createMethod({
    model,
    tasks: [],
    startFrom: [],
    reference: null,
    lora: {
      rank: 8,
      alpha: 32,
      dropout: 0.1,
      targetModules: null,
      previousAdapters: "stacked",
      seqDelta: "snapshot",
    },
    options: methodSchema.parse({ name: "n-lora", lambda: 0.1, lambdaUnit: "raw" }),
  });
  const parameters = method.beforeTask({
    name: "bench",
    index: 0,
    rng: rng.fork("adapter"),
    rows: [],
    parts: [],
  });
  using optimizer = new AdamW(parameters, { betas: [0.9, 0.999], eps: 1e-8, weightDecay: 0 });
  const loaded = resident();
  const context = trainingContext(rng.fork("dropout"), checkpointing);
  const settings = { microBatchSize: null, clip: { norm: 1, scope: "total" as const } };
  const ids = (length: number) => Array.from({ length }, () => 3 + rng.integer(model.vocabularySize - 3));
  const stepSeconds: number[] = [];
  const losses: number[] = [];
  for (let step = 1; step <= 3; step++) {
    const [source, target] = [ids(tokens - 8), ids(8)];
    const rows = [{ source, target, sourceLength: source.length, targetLength: target.length }];
    const shares = [{ rows, weight: 1, term: null }];
    const update = { step, learningRate: 1e-3 };
    const started = performance.now();
    losses.push(trainStep(model, method, optimizer, shares, settings, update, context).taskLoss);
    stepSeconds.push((performance.now() - started) / 1000);
  }
  return { loaded, after: resident(), stepSeconds, losses };
}

function answer([what, folder, ...more]: readonly string[]): unknown {
  switch (what) {
    case "write":
      writeRandomCheckpoint(folder!, JSON.parse(more[0]!) as Record<string, unknown>, more[1] as DType);
      return {};
    case "open":
      return open(folder!, more[0] as DType);
    case "read":
      return read(folder!);
    case "train":
      return train(folder!, Number(more[0]), more[1] === "checkpointing");
    default:
      throw new Error(`nothing is measured under the name ${what}`);
  }
}

console.log(JSON.stringify(answer(process.argv.slice(2))));
