/**
 * N-LoRA whose updates also leave alone what the layers made of earlier tasks: A of the open adapter is kept orthogonal to
 * the principal directions of the inputs that each layer had on earlier tasks, so dW x = B A x is zero along them. Only
 * directions are remembered, no rows.
 */
import type { LanguageModel } from "../models/language-model.js";
import { number, whole } from "../settings.js";
import { ADAPTER_PER_TASK, incrementalMethod, type OpenModule, type Shaping } from "./incremental.js";
import { InputSpaces } from "./input-space.js";
import { defineMethod, type TaskContext } from "./method.js";
import { type Settings, sparsityOptions } from "./options.js";
import { Sparsity } from "./sparsity.js";

const options = {
  ...sparsityOptions,
  energy: number({ min: 0, max: 1 })
    .default(0.95)
    .describe("share of the energy of every earlier task's layer inputs that later updates leave unchanged"),
  probeRows: whole({ min: 1 }).default(200).describe("training rows of a task that its inputs are taken of"),
};

type Options = Settings<typeof options>;

class NullSpaceShaping implements Shaping {
  readonly #spaces = new InputSpaces();
  #modules: readonly OpenModule[] = [];
  #task: TaskContext | null = null;

  constructor(
    readonly model: LanguageModel,
    readonly options: Pick<Options, "energy" | "probeRows">,
    readonly sparsity: Shaping,
  ) {}

  open(modules: readonly OpenModule[], task: TaskContext): void {
    this.#modules = modules;
    this.#task = task;
    this.sparsity.open?.(modules, task);
    this.#project();
  }

  #project(): void {
    for (const { name, a } of this.#modules) this.#spaces.remove_(name, a);
  }

  afterUpdate(update: Parameters<NonNullable<Shaping["afterUpdate"]>>[0]): void {
    this.#project();
    this.sparsity.afterUpdate?.(update);
  }

  close(): void {
    const { energy, probeRows } = this.options;
    const { rng, rows } = this.#task!;
    const sample = rng.fork("inputs").shuffle(rows).slice(0, probeRows);
    const names = this.#modules.map(({ name }) => name);
    this.#spaces.add(this.model, names, sample, energy);
    this.sparsity.close?.();
  }

  /** `occupied`: the mean share of input directions that updates may not use. */
  measures(): Record<string, number> {
    const shares = this.#modules.map(({ name, inputs }) => this.#spaces.size(name) / inputs);
    const occupied = shares.reduce((sum, share) => sum + share, 0) / shares.length;
    return { ...this.sparsity.measures?.(), occupied };
  }

  state() {
    return this.#spaces.state();
  }

  restore(state: Parameters<NonNullable<Shaping["restore"]>>[0]): void {
    this.#spaces.restore(state);
  }

  dispose(): void {
    this.#spaces.dispose();
    this.sparsity.dispose?.();
  }
}

export const nullSpaceLora = defineMethod({
  name: "null-space-lora",
  title: "Null-Space-LoRA",
  ...ADAPTER_PER_TASK,
  keeps: "all adapters, and the directions of earlier tasks' layer inputs",
  options: options,
  create(setup) {
    const { energy, probeRows, ...options } = setup.options;
    const sparsity = new Sparsity(options);
    return incrementalMethod(setup, {
      remembers: sparsity.remembers,
      check: (modules) => sparsity.check(modules),
      penalties: (context) => sparsity.terms(context),
      shaping: new NullSpaceShaping(setup.model, { energy, probeRows }, sparsity.shaping),
      penaltyRecord: { ...sparsity.record, energy, probeRows },
    });
  },
});
