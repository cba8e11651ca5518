/** This project as a benchmark's subject: T5 of a given shape with random weights, LoRA, N-LoRA's penalty, AdamW. */
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { padBatch } from "../data/batches.js";
import type { EncodedExample } from "../data/encode.js";
import { trainStep } from "../learn/learn.js";
import type { ActiveMethod } from "../methods/method.js";
import { createMethod, methodSchema } from "../methods/registry.js";
import { greedy } from "../models/generate.js";
import type { T5 } from "../models/t5.js";
import { trainingContext } from "../nn/context.js";
import { AdamW } from "../nn/optim.js";
import { Rng } from "../random.js";
import { tensor } from "../tensor/create.js";
import { inference, manualSeed, setThreads } from "../tensor/grad.js";
import { guarded } from "../tensor/native.js";
import type { Answer, Command, Setup } from "./protocol.js";
import { randomT5 } from "./random-t5.js";

class Subject {
  readonly #model: T5;
  readonly #method: ActiveMethod;
  readonly #optimizer: AdamW;
  readonly #rng: Rng;

  constructor(readonly setup: Setup) {
    const { model: shape, dtype, dropout, rank, alpha, seed } = setup;
    setThreads(setup.threads);
    manualSeed(seed);
    this.#rng = new Rng(seed);
    this.#model = randomT5(shape, dtype, dropout);
    this.#method = createMethod({
      model: this.#model,
      tasks: [],
      startFrom: [],
      reference: null,
      lora: { rank, alpha, dropout, targetModules: null, previousAdapters: "stacked", seqDelta: "snapshot" },
      options: methodSchema.parse({
        name: "n-lora",
        penalty: { kind: setup.penalty ? "delta-w" : "none" },
        lambda: 0.1,
        lambdaUnit: "raw",
      }),
    });
    const parameters = this.#method.beforeTask({
      name: "bench",
      index: 0,
      rng: this.#rng.fork("adapter"),
      rows: [],
      parts: [],
    });
    this.#optimizer = new AdamW(parameters, { betas: [0.9, 0.999], eps: 1e-8, weightDecay: 0 });
  }

  #row(): EncodedExample {
    const ids = (length: number) =>
      Array.from({ length }, () => 2 + this.#rng.integer(this.setup.model.vocab - 2));
    const { source, target } = this.setup;
    return { source: ids(source), target: ids(target), sourceLength: source, targetLength: target };
  }

  #rows(): EncodedExample[] {
    return Array.from({ length: this.setup.batch }, () => this.#row());
  }

  train(steps: number): Answer {
    const context = trainingContext(this.#rng.fork("dropout"));
    const seconds: number[] = [];
    let loss = 0;
    for (let step = 0; step < steps; step++) {
      const shares = [{ rows: this.#rows(), weight: 1, term: null }];
      const update = { step: step + 1, learningRate: 1e-3 };
      const started = performance.now();
      const settings = { microBatchSize: null, clip: { norm: 1, scope: "total" as const } };
      loss = trainStep(
        this.#model,
        this.#method,
        this.#optimizer,
        shares,
        settings,
        update,
        context,
      ).taskLoss;
      seconds.push((performance.now() - started) / 1000);
    }
    return { seconds, loss };
  }

  evaluate(batches: number, maxNewTokens: number): Answer {
    const seconds: number[] = [];
    for (let batch = 0; batch < batches; batch++) {
      const rows = this.#rows();
      const started = performance.now();
      inference(() => {
        const { ids, mask, shape } = padBatch(
          rows.map((row) => row.source),
          0,
        );
        const inputs = {
          inputIds: tensor(ids, shape, "int32").toDtype("int64"),
          attentionMask: tensor(mask, shape, "bool"),
        };
        // Nothing ends them, so that every answer has its full length.
        return greedy(this.#model.startDecoding(inputs), { endIds: [], maxNewTokens }).length;
      });
      seconds.push((performance.now() - started) / 1000);
    }
    return { seconds };
  }
}

function peakBytes(): number {
  const line = readFileSync("/proc/self/status", "utf8").match(/^VmHWM:\s+(\d+) kB$/m);
  return line ? Number(line[1]) * 1024 : process.memoryUsage.rss();
}

let subject: Subject | undefined;

function answer(command: Command): Answer {
  switch (command.cmd) {
    case "setup":
      subject = new Subject(command);
      return { torch: guarded((engine) => engine.systemInfo().version) };
    case "train":
      return subject!.train(command.steps);
    case "evaluate":
      return subject!.evaluate(command.batches, command.maxNewTokens);
    case "memory":
      return { peakBytes: peakBytes() };
    case "quit":
      return {};
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line) as Command;
  let reply: Answer;
  try {
    reply = answer(command);
  } catch (error) {
    reply = { error: (error as Error).stack ?? String(error) };
  }
  process.stdout.write(`${JSON.stringify(reply)}\n`);
  if (command.cmd === "quit") process.exit(0);
}
