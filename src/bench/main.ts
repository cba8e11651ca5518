/**
 * `npm run bench`: the same T5 trained and evaluated by this project and by plain eager PyTorch, step by step in turn, so
 * that a machine whose speed drifts changes both alike. Needs nothing but the engine; PyTorch takes part where a Python
 * with torch is found (NLORA_PYTHON, or python3), and a second engine built against that torch's libtorch compares the
 * two on the very same libtorch (NLORA_BENCH_ENGINE=path/to/nlora.node).
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { packageRoot } from "../tensor/native.js";
import { median } from "./apart.js";
import { measureDashboard } from "./dashboard.js";
import { measureInspection } from "./inspect.js";
import { measureMemory } from "./memory.js";
import { measureMethods } from "./methods.js";
import type { Answer, Command, Setup } from "./protocol.js";
import { SHAPES } from "./random-t5.js";
import { measureServing } from "./serve.js";
import { measureTokenizers } from "./tokenizers.js";

class Participant {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly trainSeconds: number[] = [];
  readonly evaluateSeconds: number[] = [];
  torch = "?";
  peakBytes = 0;

  constructor(
    readonly name: string,
    command: readonly string[],
    environment: Readonly<Record<string, string>>,
  ) {
    this.#child = spawn(command[0]!, command.slice(1), {
      stdio: ["pipe", "pipe", "inherit"],
      env: { ...process.env, ...environment },
    });
    this.#lines = createInterface({ input: this.#child.stdout! })[Symbol.asyncIterator]();
  }

  async ask(command: Command): Promise<Answer> {
    this.#child.stdin!.write(`${JSON.stringify(command)}\n`);
    const { value, done } = await this.#lines.next();
    if (done) throw new Error(`${this.name} ended while it was asked to ${command.cmd}`);
    const answer = JSON.parse(value) as Answer;
    if (answer.error) throw new Error(`${this.name}: ${answer.error}`);
    return answer;
  }
}

function option(name: string, fallback: string): string {
  const at = process.argv.indexOf(`--${name}`);
  return at > 0 ? (process.argv[at + 1] ?? fallback) : fallback;
}

function pythonWithTorch(): string | null {
  const candidates = [process.env.NLORA_PYTHON, "python3"].filter((name) => name !== undefined);
  const works = (python: string) =>
    spawnSync(python, ["-c", "import torch"], { stdio: "ignore" }).status === 0;
  return candidates.find(works) ?? null;
}

const part = option("part", "speed");
const rounds = Number(option("rounds", part === "memory" ? "2" : "12"));
const threads = Number(option("threads", "2"));
if (part === "memory") {
  measureMemory(threads, rounds);
  process.exit(0);
}
if (part === "tokenizers") {
  measureTokenizers(Number(option("rounds", "3")));
  process.exit(0);
}
if (part === "inspect") {
  measureInspection(threads, Number(option("rounds", "1")));
  process.exit(0);
}
if (part === "methods") {
  measureMethods(threads, Number(option("rounds", "8")));
  process.exit(0);
}
if (part === "serve") {
  await measureServing(threads, Number(option("rounds", "3")));
  process.exit(0);
}
if (part === "dashboard") {
  await measureDashboard(threads, Number(option("rounds", "6")));
  process.exit(0);
}
if (part !== "speed")
  throw new Error("--part: one of speed, memory, tokenizers, serve, inspect, methods, dashboard");
const shapeName = option("shape", "t5-small");
const shape = SHAPES[shapeName];
if (!shape) throw new Error(`--shape: one of ${Object.keys(SHAPES).join(", ")}`);
const python = pythonWithTorch();
const waiting = { OMP_NUM_THREADS: String(threads), GOMP_SPINCOUNT: process.env.GOMP_SPINCOUNT ?? "2000" };
const own = [process.execPath, join(packageRoot, "dist/bench/subject.js")];

const participants = (): Participant[] => {
  const list = [new Participant("nlora", own, waiting)];
  const engine = process.env.NLORA_BENCH_ENGINE;
  if (engine)
    list.push(new Participant("nlora on PyTorch's libtorch", own, { ...waiting, NLORA_ENGINE: engine }));
  if (python)
    list.push(new Participant("PyTorch eager", [python, join(packageRoot, "bench/peer_t5.py")], waiting));
  return list;
};

console.log(
  `T5 of ${shapeName}'s size, batch 8, source 128, target 8, dropout 0.1, LoRA r = 8 on q and v, N-LoRA penalty,`,
);
console.log(
  `AdamW, ${threads} threads; ${rounds} interleaved rounds, medians.${python ? "" : " No Python with torch was found."}\n`,
);

const baseline: Record<string, number> = {};
for (const dtype of ["float32", "bfloat16"] as const) {
  const setup: Setup = {
    cmd: "setup",
    model: shape,
    batch: 8,
    source: 128,
    target: 8,
    dtype,
    dropout: 0.1,
    rank: 8,
    alpha: 32,
    threads,
    seed: 1,
    penalty: true,
  };
  const all = participants();
  for (const each of all) each.torch = (await each.ask(setup)).torch ?? "?";
  for (const each of all) {
    await each.ask({ cmd: "train", steps: 3 });
    await each.ask({ cmd: "evaluate", batches: 1, maxNewTokens: 4 });
  }
  for (let round = 0; round < rounds; round++) {
    for (const each of all)
      each.trainSeconds.push(...((await each.ask({ cmd: "train", steps: 2 })).seconds ?? []));
    for (const each of all) {
      each.evaluateSeconds.push(
        ...((await each.ask({ cmd: "evaluate", batches: 1, maxNewTokens: 4 })).seconds ?? []),
      );
    }
  }
  for (const each of all) {
    each.peakBytes = (await each.ask({ cmd: "memory" })).peakBytes ?? 0;
    await each.ask({ cmd: "quit" });
  }
  const peer = all.find((each) => each.name === "PyTorch eager");
  if (peer) baseline[dtype] = median(peer.trainSeconds);
  console.log(`${dtype}`);
  console.log(
    "  participant                       libtorch        step ms  vs PyTorch  vs its fp32  evaluate ms  vs PyTorch  peak MiB",
  );
  for (const each of all) {
    const step = median(each.trainSeconds);
    const evaluate = median(each.evaluateSeconds);
    const ratio = (value: number | undefined) => (value === undefined ? "-" : value.toFixed(2)).padStart(10);
    console.log(
      `  ${each.name.padEnd(32)}  ${each.torch.padEnd(14)} ${(1000 * step).toFixed(1).padStart(8)}  ` +
        `${ratio(peer && median(peer.trainSeconds) / step)}  ${ratio(baseline.float32 && baseline.float32 / step)}   ` +
        `${(1000 * evaluate).toFixed(1).padStart(10)}  ${ratio(peer && median(peer.evaluateSeconds) / evaluate)}  ` +
        `${(each.peakBytes / 2 ** 20).toFixed(0).padStart(8)}`,
    );
  }
  console.log("");
}
