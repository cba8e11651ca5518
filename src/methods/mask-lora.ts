/**
 * Collisions ruled out by construction: every task gets rows (and columns, if wanted) of each layer that no earlier task
 * uses, chosen by the gradient of the frozen weights or at random. Disjoint rows: ACR and AWOM are exactly 0; disjoint
 * columns: ACR and OO are.
 */
import { z } from "zod";
import { type Support, supportOf, usageOf } from "../adapters/usage.js";
import { batchOf } from "../data/collate.js";
import { ConfigError } from "../errors.js";
import type { LanguageModel } from "../models/language-model.js";
import { EVALUATION } from "../nn/context.js";
import { choice, whole } from "../settings.js";
import { inference } from "../tensor/grad.js";
import { tidy } from "../tensor/scope.js";
import type { Tensor } from "../tensor/tensor.js";
import { ADAPTER_PER_TASK, incrementalMethod, type OpenModule } from "./incremental.js";
import { MaskShaping, type Places, type Region } from "./masks.js";
import { defineMethod, type TaskContext } from "./method.js";
import type { Settings } from "./options.js";

const places = () =>
  z.union([whole({ min: 1 }), choice(["share", "all"])], {
    error: 'a whole number >= 1, "share" (an equal part for every task) or "all"',
  });

const options = {
  rows: places().default("share").describe("rows of every layer that a task may change"),
  columns: places().default("all").describe("columns of every layer that a task may change"),
  choice: choice(["gradient", "random"])
    .default("gradient")
    .describe("which free ones a task gets: those with the largest gradient of the frozen weights, or any"),
  probeRows: whole({ min: 1 }).default(256).describe("training rows that the gradient is taken of"),
  block: whole({ min: 1 })
    .default(1)
    .describe("rows and columns are given out in blocks of this many, as the size of an attention head"),
  whenFull: choice(["error", "share-least-used", "recycle"])
    .default("error")
    .describe(
      "a stream that needs more than there are is refused, later tasks share those used least, or all are given out anew",
    ),
};

type Options = Settings<typeof options>;
type Kind = "rows" | "columns";
const sizeOf = (module: { readonly outputs: number; readonly inputs: number }, kind: Kind): number =>
  kind === "rows" ? module.outputs : module.inputs;

/** How many places of one layer a task gets; null: all. A whole number of blocks. */
function countOf(options: Options, kind: Kind, size: number, tasks: number): number | null {
  const wanted = options[kind];
  if (wanted === "all") return null;
  if (wanted === "share") return Math.floor(size / options.block / tasks) * options.block;
  return Math.ceil(wanted / options.block) * options.block;
}

/** Blocks of places with what decides on them. */
interface Choice {
  readonly size: number;
  readonly block: number;
  readonly count: number;
  readonly taken: ReadonlySet<number>;
  /** Larger is better, per place. */
  readonly scores: readonly number[];
  /** Use by earlier tasks, per place; decides once nothing is free. */
  readonly usage: readonly number[];
}

/** The best free blocks, then, where they do not suffice, the least used of the others. Sorted places. */
export function choosePlaces({ size, block, count, taken, scores, usage }: Choice): number[] {
  const sum = (values: readonly number[], start: number): number =>
    values.slice(start, start + block).reduce((total, value) => total + value, 0);
  const isFree = (start: number): boolean =>
    !Array.from({ length: block }, (_, k) => start + k).some((place) => taken.has(place));
  const starts = Array.from({ length: Math.floor(size / block) }, (_, k) => k * block);
  const free = starts.filter(isFree).sort((a, b) => sum(scores, b) - sum(scores, a));
  const used = starts.filter((start) => !isFree(start)).sort((a, b) => sum(usage, a) - sum(usage, b));
  const chosen = [...free, ...used].slice(0, count / block).sort((a, b) => a - b);
  return chosen.flatMap((start) => Array.from({ length: block }, (_, k) => start + k));
}

/**
 * The places that are taken: those of all earlier tasks, or, where full layers are recycled, of the tasks since the last
 * time that what was left did not suffice for another `count`.
 */
export function takenPlaces(
  earlier: readonly (readonly number[])[],
  { size, block, count, recycle }: { size: number; block: number; count: number; recycle: boolean },
): Set<number> {
  const taken = new Set<number>();
  const freeIfFull = (): void => {
    const blocks = new Set([...taken].map((place) => Math.floor(place / block)));
    if (recycle && size - blocks.size * block < count) taken.clear();
  };
  for (const places of earlier) {
    freeIfFull();
    for (const place of places) taken.add(place);
  }
  freeIfFull();
  return taken;
}

/** Squared norms of the rows and columns of dL/dW of each layer, summed over batches of the rows. */
function gradientEnergies(
  model: LanguageModel,
  modules: readonly OpenModule[],
  rows: TaskContext["rows"],
): { rows: number[]; columns: number[] }[] {
  const energies = modules.map(({ outputs, inputs }) => ({
    rows: new Array<number>(outputs).fill(0),
    columns: new Array<number>(inputs).fill(0),
  }));
  const add = (total: number[], squares: Tensor): void => {
    for (const [k, square] of squares.toArray().entries()) total[k]! += square;
  };
  for (const { weight } of modules) weight.requiresGrad = true;
  try {
    for (let start = 0; start < rows.length; start += BATCH) {
      tidy(() => {
        const output = model.forward(batchOf(rows.slice(start, start + BATCH), model), EVALUATION);
        output.backward(output.loss);
        for (const [m, { weight }] of modules.entries()) {
          const squares = inference(() => weight.grad!.toDtype("float32").square());
          add(energies[m]!.rows, squares.sumDim([1]));
          add(energies[m]!.columns, squares.sumDim([0]));
        }
      });
      for (const { weight } of modules) weight.grad = null;
    }
  } finally {
    for (const { weight, a, b } of modules) {
      weight.requiresGrad = false;
      for (const each of [weight, a, b]) each.grad = null;
    }
  }
  return energies;
}

/** Rows computed at a time to find out where a task's gradient is. */
const BATCH = 8;

export const maskLora = defineMethod({
  name: "mask-lora",
  title: "Mask-LoRA",
  ...ADAPTER_PER_TASK,
  options: options,
  create(setup) {
    const { options, model, tasks } = setup;
    const { name: _, ...recorded } = options;

    const assign = (modules: readonly OpenModule[], task: TaskContext): Region[] => {
      const rng = task.rng.fork("regions");
      const sample = rng.fork("rows").shuffle(task.rows).slice(0, options.probeRows);
      const energies = options.choice === "gradient" ? gradientEnergies(model, modules, sample) : null;
      return modules.map((module, m) => {
        const supports: Support[] = module.earlier.map(supportOf);
        const usage = module.earlier.length === 0 ? null : usageOf(module.earlier);
        const places = (kind: Kind): Places => {
          const size = sizeOf(module, kind);
          const count = countOf(options, kind, size, tasks.length);
          if (count === null) return null;
          const random = rng.fork(`${kind} of ${module.name}`);
          return choosePlaces({
            size,
            block: options.block,
            count,
            taken: takenPlaces(
              supports.map((support) => support[kind]),
              { size, block: options.block, count, recycle: options.whenFull === "recycle" },
            ),
            scores: energies ? energies[m]![kind] : Array.from({ length: size }, () => random.uniform()),
            usage: usage?.[kind].toArray() ?? new Array<number>(size).fill(0),
          });
        };
        return { rows: places("rows"), columns: places("columns") };
      });
    };

    return incrementalMethod(setup, {
      check(modules) {
        for (const module of modules) {
          for (const kind of ["rows", "columns"] as const) {
            const size = sizeOf(module, kind);
            const count = countOf(options, kind, size, tasks.length);
            if (count === null) continue;
            checkCapacity({ options, kind, size, count, tasks: tasks.length, module });
          }
        }
      },
      shaping: new MaskShaping(assign),
      penaltyRecord: { kind: "masks", ...recorded },
    });
  },
});

interface Capacity {
  readonly options: Options;
  readonly kind: Kind;
  readonly size: number;
  readonly count: number;
  readonly tasks: number;
  readonly module: { readonly name: string; readonly earlier: OpenModule["earlier"] };
}

/** Throws a ConfigError where a stream needs more than a layer has. */
function checkCapacity({ options, kind, size, count, tasks, module }: Capacity): void {
  const { block, whenFull } = options;
  if (size % block !== 0) {
    throw new ConfigError(
      `method.block: ${module.name} has ${size} ${kind}, which are no whole number of blocks of ${block}`,
    );
  }
  const taken = new Set(
    module.earlier.flatMap((delta) => supportOf(delta)[kind]).map((place) => Math.floor(place / block)),
  );
  const free = size - taken.size * block;
  if (count > 0 && count <= size && (whenFull !== "error" || tasks * count <= free)) return;
  const started = taken.size > 0 ? `, ${size - free} of them used by the adapters in startFrom` : "";
  throw new ConfigError(
    `method.${kind}: ${tasks} tasks of ${count} ${kind} each do not fit into ${module.name}, which has ${size}${started}`,
    {
      hint: "Give each task fewer, use a smaller block, or set method.whenFull to share-least-used or recycle.",
    },
  );
}
