/** One measurement of adapter analysis, in a process of its own. Arguments: what, threads, folders; answers one JSON line. */
import { readFileSync } from "node:fs";
import { inspectAdapters } from "../analysis/inspect.js";
import { readAdapters } from "../analysis/sources.js";
import { writePeft } from "../io/peft.js";
import { factorsOf } from "../metrics/low-rank.js";
import { collisionCounts, deltaStats } from "../metrics/tiles.js";
import { empty, randn } from "../tensor/functions.gen.js";
import { inference, manualSeed, setThreads } from "../tensor/grad.js";
import { tidy } from "../tensor/scope.js";
import { type InspectAnswer, type PassAnswer, SHAPE } from "./inspect-shape.js";

/** Adapters of LLaMA-7B's shape: q_proj and v_proj of 32 layers, trained-looking sizes. */
function write(folders: readonly string[]): object {
  const { layers, width, rank } = SHAPE;
  for (const [k, folder] of folders.entries()) {
    tidy(() => {
      manualSeed(k);
      const modules = Array.from({ length: 2 * layers }, (_, m) => {
        const name = `model.layers.${m >> 1}.self_attn.${m % 2 === 0 ? "q" : "v"}_proj`;
        const a = randn([rank, width]).mul_(width ** -0.5);
        return [name, { a, b: randn([width, rank]).mul_(0.02) }] as const;
      });
      const delta = { name: "random", scale: 2, modules: new Map(modules) };
      const targetModules = ["q_proj", "v_proj"];
      const base = { name: "random", revision: null };
      writePeft(folder, delta, { targetModules, dropout: 0, taskType: "CAUSAL_LM", base });
    });
  }
  return {};
}

function timed(action: () => unknown): [number, number] {
  const [before, started] = [process.cpuUsage(), performance.now()];
  action();
  const used = process.cpuUsage(before);
  return [(performance.now() - started) / 1000, (used.user + used.system) / 1e6];
}

function inspected(folders: readonly string[], elements: boolean): InspectAnswer {
  const [seconds, processorSeconds] = timed(() => inspectAdapters(folders, elements ? {} : { readings: [] }));
  const peak = readFileSync("/proc/self/status", "utf8").match(/^VmHWM:\s+(\d+) kB$/m);
  return { seconds, processorSeconds, peakBytes: Number(peak![1]) * 1024 };
}

/** Memory bandwidth and the passes over tiles of one module, measured in turn. */
function passes(folders: readonly string[]): PassAnswer {
  return inference(() => {
    const adapters = readAdapters(folders).map(({ delta }) => delta);
    const module = [...adapters[0]!.modules.keys()][0]!;
    const deltas = factorsOf(adapters, module, "float32", {});
    const limits = deltas.map(() => 1e-3);
    const large = empty([2 ** 26]).zero_();
    const other = empty([2 ** 26]).zero_();
    const bytes = 4 * large.size;
    return {
      bytes,
      read: timed(() => large.sum().item()),
      copy: timed(() => other.copy_(large)),
      elements: deltas.length * SHAPE.width ** 2,
      passes: {
        "sum of magnitudes and non-zeros": timed(() => deltas.map((delta) => deltaStats(delta, [0]))),
        "collisions of all pairs and growth of the union": timed(() => collisionCounts(deltas, limits)),
      },
    };
  });
}

const [what, threads, ...folders] = process.argv.slice(2);
setThreads(Number(threads));
const answers: Readonly<Record<string, () => object>> = {
  write: () => write(folders),
  algebra: () => inspected(folders, false),
  all: () => inspected(folders, true),
  passes: () => passes(folders),
};
process.stdout.write(JSON.stringify(answers[what!]!()));
