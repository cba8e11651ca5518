/** Training steps of methods on one random T5, in a process of their own. Arguments: what, threads, rounds, cases as JSON. */
import { readFileSync } from "node:fs";
import type { AdapterDelta } from "../adapters/delta.js";
import { keepDelta } from "../adapters/lora.js";
import type { EncodedExample } from "../data/encode.js";
import { trainStep } from "../learn/learn.js";
import type { ActiveMethod, Share, TaskContext } from "../methods/method.js";
import { createMethod, methodSchema } from "../methods/registry.js";
import type { T5 } from "../models/t5.js";
import { trainingContext } from "../nn/context.js";
import type { LowRankAddition } from "../nn/linear.js";
import { AdamW } from "../nn/optim.js";
import { Rng } from "../random.js";
import { randn } from "../tensor/functions.gen.js";
import { manualSeed, setThreads } from "../tensor/grad.js";
import { tidy } from "../tensor/scope.js";
import type { MethodCase, StepAnswer, StreamAnswer } from "./methods-cases.js";
import { randomT5, SHAPES } from "./random-t5.js";

const SHAPE = SHAPES["t5-small"]!;
const [RANK, BATCH, SOURCE, TARGET] = [8, 8, 128, 8];
const rng = new Rng(1);

function randomRows(count: number): EncodedExample[] {
  const ids = (length: number) => Array.from({ length }, () => 2 + rng.integer(SHAPE.vocab - 2));
  return Array.from({ length: count }, () => ({
    source: ids(SOURCE),
    target: ids(TARGET),
    sourceLength: SOURCE,
    targetLength: TARGET,
  }));
}

const rows = randomRows(4 * BATCH);

/** A method within one task, and the layers' additions while it is at work. */
class Stream {
  readonly #method: ActiveMethod;
  readonly #start: AdapterDelta[];
  readonly #context = trainingContext(rng.fork("dropout"));
  #additions: (readonly LowRankAddition[])[] = [];
  #optimizer: AdamW | undefined;
  #steps: Iterator<readonly Share[]> | undefined;
  #step = 0;
  #task: TaskContext;

  constructor(
    readonly model: T5,
    { options, previousAdapters, earlier, tasks }: MethodCase,
  ) {
    this.#start = Array.from({ length: earlier }, (_, k) => randomAdapter(model, `earlier ${k + 1}`));
    this.#method = createMethod({
      model,
      tasks: Array.from({ length: tasks }, (_, k) => ({
        name: `task ${k + 1}`,
        labels: null,
        train: rows.map(() => ({ input: "", output: "" })),
      })),
      startFrom: this.#start,
      reference: null,
      lora: {
        rank: RANK,
        alpha: 4 * RANK,
        dropout: 0.1,
        targetModules: null,
        previousAdapters,
        seqDelta: "snapshot",
      },
      options: methodSchema.parse(options),
    });
    this.#task = this.#contextOf(0);
  }

  #contextOf(index: number): TaskContext {
    const own = { name: `task ${index + 1}`, rows };
    return { ...own, index, rng: rng.fork(own.name), parts: [own] };
  }

  begin(index: number): void {
    this.#task = this.#contextOf(index);
    const parameters = this.#method.beforeTask(this.#task);
    this.#optimizer = new AdamW(parameters, { betas: [0.9, 0.999], eps: 1e-8, weightDecay: 0 });
    const plan = { batchSize: BATCH, epochs: 1000, rng: rng.fork("batches"), bucket: "none" as const };
    this.#steps = this.#method.plan(this.#task, plan).steps[Symbol.iterator]();
    this.#step = 0;
    this.#remember();
  }

  /** Seconds, and seconds of all threads. */
  step(): [number, number] {
    for (const [k, linear] of [...this.model.linears.values()].entries()) {
      linear.additions = this.#additions[k]!;
    }
    const shares = this.#steps!.next().value as readonly Share[];
    const settings = { microBatchSize: null, clip: { norm: 1, scope: "total" as const } };
    const update = { step: ++this.#step, learningRate: 1e-3 };
    const [before, started] = [process.cpuUsage(), performance.now()];
    trainStep(this.model, this.#method, this.#optimizer!, shares, settings, update, this.#context);
    const used = process.cpuUsage(before);
    return [(performance.now() - started) / 1000, (used.user + used.system) / 1e6];
  }

  end(): void {
    this.#optimizer![Symbol.dispose]();
    this.#method.afterTask(this.#task);
  }

  #remember(): void {
    this.#additions = [...this.model.linears.values()].map(({ additions }) => additions);
  }
}

function randomAdapter(model: T5, name: string): AdapterDelta {
  const modules = [...model.linears].filter(([path]) => /\.(q|v)$/.test(path));
  return tidy(() =>
    keepDelta({
      name,
      scale: 4,
      modules: new Map(
        modules.map(([path, { inputs, outputs }]) => [
          path,
          { a: randn([RANK, inputs]).mul_(inputs ** -0.5), b: randn([outputs, RANK]).mul_(1e-3) },
        ]),
      ),
    }),
  );
}

const model = (): T5 => {
  manualSeed(1);
  return randomT5(SHAPE, "bfloat16", 0.1);
};

/** All cases alive on one model, their steps taken in turn: what disturbs the machine disturbs all alike. */
function steps(cases: readonly MethodCase[], rounds: number): StepAnswer[] {
  const shared = model();
  const streams = cases.map((each) => {
    const stream = new Stream(shared, each);
    for (let index = 0; index < each.task; index++) {
      stream.begin(index);
      stream.step();
      stream.end();
    }
    stream.begin(each.task);
    stream.step();
    return stream;
  });
  const timings = streams.map(() => [] as [number, number][]);
  for (let round = 0; round < rounds; round++) {
    for (const [k, stream] of streams.entries()) timings[k]!.push(stream.step());
  }
  return timings.map((all) => ({ steps: all }));
}

function resident(name: "RssAnon" | "VmHWM"): number {
  const line = readFileSync("/proc/self/status", "utf8").match(new RegExp(`^${name}:\\s+(\\d+) kB$`, "m"));
  return Number(line![1]) * 1024;
}

/** Memory of one case over its tasks. */
function stream(each: MethodCase, rounds: number): StreamAnswer {
  const whole = new Stream(model(), each);
  const residentBytes: number[] = [];
  for (let index = 0; index <= each.task; index++) {
    whole.begin(index);
    for (let step = 0; step < rounds; step++) whole.step();
    whole.end();
    residentBytes.push(resident("RssAnon"));
  }
  return { residentBytes, peakBytes: resident("VmHWM") };
}

const [what, threads, rounds, text] = process.argv.slice(2);
setThreads(Number(threads));
const cases = JSON.parse(text!) as readonly MethodCase[];
process.stdout.write(
  JSON.stringify(what === "steps" ? steps(cases, Number(rounds)) : stream(cases[0]!, Number(rounds))),
);
