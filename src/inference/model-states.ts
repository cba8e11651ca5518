/**
 * One model in several states: its weights once, and per state which low-rank additions are attached to its layers, or which
 * trained prompts stand before what it is asked.
 */
import { stackAdapters } from "../adapters/combine.js";
import type { AdapterDelta } from "../adapters/delta.js";
import { checkFit, disposeDelta, moveDelta } from "../adapters/lora.js";
import { ConfigError } from "../errors.js";
import { methodOfRun } from "../experiment/saved-task.js";
import { readPeft } from "../io/peft.js";
import type { ActiveMethod, Source } from "../methods/method.js";
import type { LanguageModel } from "../models/language-model.js";
import { prefixLength } from "../models/prefix.js";
import { loadModel } from "../models/registry.js";
import type { LowRankAddition } from "../nn/linear.js";
import type { Device, DType } from "../tensor/dtype.js";
import { inference } from "../tensor/grad.js";
import type { Tensor } from "../tensor/tensor.js";
import type { ModelSource, TrainedPrompts } from "./model-source.js";

/** By layer. */
type Additions = ReadonlyMap<string, LowRankAddition>;

interface State {
  readonly additions: Additions;
  readonly prompts: TrainedPrompts | null;
}

export class ModelStates {
  readonly #states: ReadonlyMap<string, State>;
  /** Of runs that trained prompts, by the run's folder. */
  readonly #methods: ReadonlyMap<string, ActiveMethod>;
  /** Layers that some state changes. */
  readonly #changed: ReadonlySet<string>;
  readonly #stacks: readonly Stack[];
  #current: string | null = null;
  /** What makes the prompts of the current state; null: it has none. */
  #asking: ActiveMethod | null = null;

  private constructor(
    readonly model: LanguageModel,
    states: ReadonlyMap<string, State>,
    stacks: readonly Stack[],
    methods: ReadonlyMap<string, ActiveMethod>,
  ) {
    this.#states = states;
    this.#stacks = stacks;
    this.#methods = methods;
    this.#changed = new Set([...states.values()].flatMap(({ additions }) => [...additions.keys()]));
  }

  /** Loads the model, its adapters and its prompts. Throws a CheckpointError for what does not fit. */
  static open(source: ModelSource, dtype: DType, device: Device): ModelStates {
    const model = loadModel(source.folder, dtype, device);
    const stacks: Stack[] = [];
    const methods = new Map<string, ActiveMethod>();
    try {
      // States that begin with the same adapters share them: the longest list is stacked, the others are its beginnings.
      const states = source.states
        .toSorted((a, b) => b.adapters.length - a.adapters.length)
        .map(({ id, adapters, prompts = null }): [string, State] => {
          if (prompts && !methods.has(prompts.run)) {
            methods.set(prompts.run, methodOfRun(prompts.run, prompts.finished, model));
          }
          if (adapters.length === 0) return [id, { additions: new Map(), prompts }];
          let stack = stacks.find(({ folders }) => adapters.every((folder, i) => folders[i] === folder));
          if (!stack) {
            stack = Stack.read(adapters, model, device);
            stacks.push(stack);
          }
          return [id, { additions: stack.beginning(adapters.length), prompts }];
        });
      return new ModelStates(model, new Map(states), stacks, methods);
    } catch (error) {
      for (const method of methods.values()) method.dispose();
      for (const stack of stacks) stack.dispose();
      model.dispose();
      throw error;
    }
  }

  has(id: string): boolean {
    return this.#states.has(id);
  }

  /** Makes the model the one in this state, until the next call. */
  use(id: string): void {
    if (id === this.#current) return;
    const state = this.#states.get(id);
    if (!state) throw new ConfigError(`there is no state ${id} among ${[...this.#states.keys()].join(", ")}`);
    for (const name of this.#changed) {
      const addition = state.additions.get(name);
      this.model.linears.get(name)!.additions = addition ? [addition] : [];
    }
    this.#asking = null;
    if (state.prompts) {
      const { run, finished, index } = state.prompts;
      this.#asking = this.#methods.get(run)!;
      this.#asking.activate({ name: finished[index]!, index });
    }
    this.#current = id;
  }

  /** What stands before the tokens of some rows in the state in use; null: nothing. Belongs to the open scope. */
  prefix(rows: readonly Source[]): Tensor | null {
    return this.#asking?.prefix(rows) ?? null;
  }

  /** How many positions stand before a row, by state; states without any are left out. */
  positions(): Record<string, number> {
    const found: Record<string, number> = {};
    for (const [id, { prompts }] of this.#states) {
      if (prompts === null) continue;
      this.use(id);
      found[id] = inference(() => prefixLength(this.prefix([{ source: [this.model.eosId] }])));
    }
    return found;
  }

  dispose(): void {
    for (const method of this.#methods.values()) method.dispose();
    for (const name of this.#changed) this.model.linears.get(name)!.additions = [];
    for (const stack of this.#stacks) stack.dispose();
    this.model.dispose();
  }
}

/** Adapters as one, each behind the ones before it along the rank. */
class Stack {
  readonly #whole: AdapterDelta;
  /** Ranks of the layers after the first one, the first two, ... adapters. */
  readonly #ranks: readonly ReadonlyMap<string, number>[];
  readonly #views: LowRankAddition[] = [];

  private constructor(
    readonly folders: readonly string[],
    whole: AdapterDelta,
    ranks: readonly ReadonlyMap<string, number>[],
  ) {
    this.#whole = whole;
    this.#ranks = ranks;
  }

  static read(folders: readonly string[], model: LanguageModel, device: Device): Stack {
    const ranks: ReadonlyMap<string, number>[] = [];
    const factors = inference(() => {
      const parts = folders.map((folder) => {
        const { delta, previous } = readPeft(folder);
        const whole = previous ? stackAdapters([previous, delta], delta.name) : delta;
        checkFit(whole, model.linears);
        return moveDelta(whole, device);
      });
      for (const part of parts) {
        const sums = new Map(ranks.at(-1));
        for (const [name, { a }] of part.modules) sums.set(name, (sums.get(name) ?? 0) + a.dim(0));
        ranks.push(sums);
      }
      const { scale, modules } = stackAdapters(parts, "stack");
      return { scale, modules: [...modules] };
    });
    for (const [, { a, b }] of factors.modules) {
      a.keep();
      b.keep();
    }
    return new Stack(
      folders,
      { name: "stack", scale: factors.scale, modules: new Map(factors.modules) },
      ranks,
    );
  }

  /** What the first `count` adapters add to each layer; views that this stack owns. */
  beginning(count: number): Additions {
    const { scale, modules } = this.#whole;
    return new Map(
      [...this.#ranks[count - 1]!].map(([name, rank]): [string, LowRankAddition] => {
        const { a, b } = modules.get(name)!;
        const view = { a: a.narrow(0, 0, rank).keep(), b: b.narrow(1, 0, rank).keep(), scale };
        this.#views.push(view);
        return [name, view];
      }),
    );
  }

  dispose(): void {
    for (const { a, b } of this.#views) {
      a.dispose();
      b.dispose();
    }
    disposeDelta(this.#whole);
  }
}
