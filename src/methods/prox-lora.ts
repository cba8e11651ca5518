/**
 * N-LoRA's aim with exact zeros: instead of an l1 penalty, whose gradient never reaches zero under AdamW, the rows of B and
 * the columns of A of the open adapter are shrunk after every update, and those that only jitter get to zero. Rows and
 * columns that earlier tasks use can be charged more (gamma), and the strength can be steered towards a density.
 */
import { supportDensity, usageOf } from "../adapters/usage.js";
import { shrinkRows_ } from "../nn/proximal.js";
import { at, group, number, perTask, whole } from "../settings.js";
import { inference } from "../tensor/grad.js";
import type { Tensor } from "../tensor/tensor.js";
import { ClosedLoop } from "./closed-loop.js";
import { ADAPTER_PER_TASK, incrementalMethod, type OpenModule, type Shaping } from "./incremental.js";
import { defineMethod, type Update } from "./method.js";
import { type Settings, steering } from "./options.js";

const options = {
  mu: perTask("number", { min: 0 })
    .default(1)
    .describe("strength on the rows of B; a row whose gradient is steady stays while mu < sqrt(rank)"),
  nu: perTask("number", { min: 0 }).default(1).describe("strength on the columns of A"),
  warmup: whole({ min: 0 }).default(50).describe("steps of a task before the first shrinking"),
  gamma: number({ min: 0 })
    .default(0)
    .describe(
      "the row and column that earlier tasks use most are shrunk 1 + gamma times as hard, others in proportion",
    ),
  target: group({
    density: number({ above: 0, below: 1 }).describe(
      "share of the elements of dW in rows and columns that are left",
    ),
    ...steering,
  })
    .nullable()
    .default(null)
    .describe("steer mu and nu together towards a density; null: they stay as given"),
};

type Options = Settings<typeof options>;

/** A module with the factors on mu and nu of each of its rows [outputs] and columns [inputs]; null: all are 1. */
interface Weighted extends OpenModule {
  readonly weights: { readonly rows: Tensor; readonly columns: Tensor } | null;
}

class ProximalShaping implements Shaping {
  #modules: Weighted[] = [];
  #index = 0;
  readonly #loop: ClosedLoop;

  constructor(readonly options: Options) {
    const { target } = options;
    this.#loop = new ClosedLoop(target && { ...target, value: target.density });
  }

  open(modules: readonly OpenModule[], { index }: { readonly index: number }): void {
    this.dispose();
    this.#index = index;
    this.#loop.restart();
    this.#modules = modules.map((module) => ({ ...module, weights: this.#weightsOf(module) }));
  }

  /** 1 + gamma * use, the most used row or column being used by 1. */
  #weightsOf({ earlier }: OpenModule): Weighted["weights"] {
    const { gamma } = this.options;
    if (gamma === 0 || earlier.length === 0) return null;
    return inference(() => {
      const { rows, columns } = usageOf(earlier);
      return { rows: rows.mul(gamma).add(1).keep(), columns: columns.mul(gamma).add(1).keep() };
    });
  }

  afterUpdate({ step, learningRate }: Update): void {
    const { mu, nu, warmup } = this.options;
    if (step <= warmup) return;
    const strength = learningRate * this.#loop.factor;
    for (const { a, b, weights } of this.#modules) {
      shrink(b, strength * at(mu, this.#index), weights?.rows);
      shrink(a.t(), strength * at(nu, this.#index), weights?.columns);
    }
    this.#loop.observe(step, () => supportDensity(this.#modules));
  }

  measures(): Record<string, number> {
    const strength = this.options.target ? { strength: this.#loop.factor } : {};
    return { density: supportDensity(this.#modules), ...strength };
  }

  dispose(): void {
    for (const { weights } of this.#modules) {
      weights?.rows.dispose();
      weights?.columns.dispose();
    }
    this.#modules = [];
  }
}

function shrink(matrix: Tensor, threshold: number, weights: Tensor | undefined): void {
  if (threshold > 0) inference(() => shrinkRows_(matrix, weights ? weights.mul(threshold) : threshold));
}

export const proxLora = defineMethod({
  name: "prox-lora",
  title: "Prox-LoRA",
  ...ADAPTER_PER_TASK,
  options: options,
  create(setup) {
    const { name: _, ...options } = setup.options;
    return incrementalMethod(setup, {
      shaping: new ProximalShaping(options),
      penaltyRecord: { kind: "rows-cols", ...options },
    });
  },
});
