/**
 * LoRA (Hu et al. 2021) for a stream of tasks: one trainable adapter, the earlier ones frozen and either kept stacked
 * beside it or merged into the weights in float32. y = W x + s (B_prev A_prev + B A) drop(x), s = alpha / rank.
 */
import { CheckpointError, ConfigError } from "../errors.js";
import type { LanguageModel } from "../models/language-model.js";
import type { Linear, LowRankAddition } from "../nn/linear.js";
import type { Parameter } from "../nn/optim.js";
import type { Rng } from "../random.js";
import { tensor } from "../tensor/create.js";
import type { Device } from "../tensor/dtype.js";
import { cat, zeros } from "../tensor/functions.gen.js";
import { noGrad } from "../tensor/grad.js";
import { tidy } from "../tensor/scope.js";
import type { Tensor } from "../tensor/tensor.js";
import { withScale } from "./combine.js";
import type { AdapterDelta, LowRankDelta } from "./delta.js";

export interface LoraOptions {
  readonly rank: number;
  readonly alpha: number;
  readonly dropout: number;
  /** Last path components of the adapted layers, or whole paths; null: the model family's usual ones. */
  readonly targetModules: readonly string[] | null;
  readonly previousAdapters: "stacked" | "merged";
}

/** One adapted layer. */
export interface LoraModule {
  readonly name: string;
  readonly linear: Linear;
  /** The trainable pair; A [rank, inputs], B [outputs, rank]. */
  current: LowRankDelta | null;
  /** Frozen pairs stacked along the rank, or null while there are none. */
  previous: LowRankDelta | null;
  /** The layer's weight in float32, once adapters have been merged into it. */
  master: Tensor | null;
}

/** The linear layers that `targets` name, in the model's traversal order. Throws a ConfigError when one names none. */
export function targetLinears(model: LanguageModel, targets: readonly string[] | null): Linear[] {
  const wanted = targets ?? model.defaultTargets;
  const matches = (linear: Linear, target: string): boolean =>
    linear.name === target || linear.name.endsWith(`.${target}`);
  for (const target of wanted) {
    if (![...model.linears.values()].some((linear) => matches(linear, target))) {
      const names = [...new Set([...model.linears.keys()].map((name) => name.split(".").at(-1)))].sort();
      throw new ConfigError(
        `lora.targetModules: no linear layer of the model is named "${target}"; its layers are named ${names.join(", ")}.`,
      );
    }
  }
  return [...model.linears.values()].filter((linear) => wanted.some((target) => matches(linear, target)));
}

/**
 * Throws a CheckpointError unless every module of the adapter is a linear layer of the model and of its shape; one that
 * passes may leave layers out.
 */
export function checkFit(
  delta: AdapterDelta,
  linears: ReadonlyMap<string, Pick<Linear, "inputs" | "outputs">>,
): void {
  for (const [name, { a, b }] of delta.modules) {
    const layer = linears.get(name);
    if (!layer) {
      const names = [...new Set([...linears.keys()].map((each) => each.split(".").at(-1)))].sort();
      throw new CheckpointError(
        `adapter ${delta.name}: the model has no linear layer ${name}; its layers are named ${names.join(", ")}`,
        { hint: "Was the adapter trained on a model of this architecture and with as many layers?" },
      );
    }
    if (a.dim(1) !== layer.inputs || b.dim(0) !== layer.outputs) {
      throw new CheckpointError(
        `adapter ${delta.name}: ${name} has ${a.dim(1)} inputs and ${b.dim(0)} outputs there, ${layer.inputs} and ${layer.outputs} in the model`,
        { hint: "Was the adapter trained on a model of this size?" },
      );
    }
  }
}

const newModule = (linear: Linear): LoraModule => ({
  name: linear.name,
  linear,
  current: null,
  previous: null,
  master: null,
});

export class Lora {
  /** The trained layers. */
  readonly modules: readonly LoraModule[];
  readonly scale: number;
  readonly #model: LanguageModel;
  /** Layers that only frozen adapters change, as those of other target modules. */
  readonly #others = new Map<string, LoraModule>();

  constructor(
    model: LanguageModel,
    readonly options: LoraOptions,
  ) {
    this.scale = options.alpha / options.rank;
    this.#model = model;
    this.modules = targetLinears(model, options.targetModules).map(newModule);
  }

  /** Opens a fresh trainable pair in every module: A uniform on +-1/sqrt(inputs), B zero (so dW starts at zero). */
  open(rng: Rng): Parameter[] {
    if (this.modules.some((module) => module.current)) throw new Error("close the open adapter first");
    const parameters: Parameter[] = [];
    for (const module of this.modules) {
      const { inputs, outputs, weight } = module.linear;
      const bound = 1 / Math.sqrt(inputs);
      const own = rng.fork(module.name);
      const values = Float32Array.from(
        { length: this.options.rank * inputs },
        () => (2 * own.uniform() - 1) * bound,
      );
      const a = tensor(values, [this.options.rank, inputs], "float32", weight.device).keep();
      const b = zeros([outputs, this.options.rank], { device: weight.device }).keep();
      parameters.push(...this.#attach(module, { a, b }));
    }
    return parameters;
  }

  /** Throws a CheckpointError unless the adapter has every trained layer, as those of this stream have. */
  requireModules(delta: AdapterDelta): void {
    for (const { name } of this.modules) {
      if (delta.modules.has(name)) continue;
      throw new CheckpointError(`adapter ${delta.name} has no module ${name}, which this run trains`);
    }
  }

  /** Opens a trainable pair with given values (copied), as when a finished adapter is trained on. */
  openWith(delta: AdapterDelta): Parameter[] {
    this.requireModules(delta);
    return this.modules.flatMap((module) => {
      const given = delta.modules.get(module.name)!;
      return this.#attach(module, { a: given.a.clone().keep(), b: given.b.clone().keep() });
    });
  }

  #attach(module: LoraModule, pair: LowRankDelta): Parameter[] {
    pair.a.requiresGrad = true;
    pair.b.requiresGrad = true;
    module.current = pair;
    this.#refresh(module);
    return [
      { name: `${module.name}.lora_A.weight`, tensor: pair.a },
      { name: `${module.name}.lora_B.weight`, tensor: pair.b },
    ];
  }

  /** A copy of the trainable pair of every module, owned by the caller. */
  snapshot(name: string): AdapterDelta {
    const copy = (value: Tensor): Tensor => noGrad(() => value.detach().clone()).keep();
    return tidy(() => ({
      name,
      scale: this.scale,
      modules: new Map(
        this.modules.map((module) => {
          const { a, b } = this.#open(module);
          return [module.name, { a: copy(a), b: copy(b) }];
        }),
      ),
    }));
  }

  /** Freezes the trainable pair: stacks it onto the earlier ones, or adds it to the weights. */
  close(): void {
    for (const module of this.modules) {
      const { a, b } = this.#open(module);
      this.#freeze(module, a, b);
      a.dispose();
      b.dispose();
      module.current = null;
      this.#refresh(module);
    }
  }

  /** Releases the trainable pair, if there is one: the layers are as they were before it was opened. */
  discard(): void {
    for (const module of this.modules) {
      module.current?.a.dispose();
      module.current?.b.dispose();
      module.current = null;
      this.#refresh(module);
    }
  }

  /** Runs `action` with the pairs of a finished adapter in place of the open ones. */
  using<T>(delta: AdapterDelta, action: () => T): T {
    const open = this.modules.map((module) => module.current);
    const put = (pairs: readonly (LowRankDelta | null)[]): void => {
      for (const [index, module] of this.modules.entries()) {
        module.current = pairs[index]!;
        this.#refresh(module);
      }
    };
    put(this.modules.map(({ name }) => delta.modules.get(name)!));
    try {
      return action();
    } finally {
      put(open);
    }
  }

  /**
   * Adds a finished adapter as a frozen one, as when a run is resumed or starts from adapters of others: any rank and
   * scale, and any linear layers of the model. Throws a CheckpointError for one that does not fit, having changed nothing.
   */
  addFrozen(delta: AdapterDelta): void {
    checkFit(delta, this.#model.linears);
    tidy(() => {
      // One scale holds for all that is stacked.
      for (const [name, { a, b }] of withScale(delta, this.scale).modules) {
        let module = this.modules.find((each) => each.name === name) ?? this.#others.get(name);
        if (!module) {
          module = newModule(this.#model.linears.get(name)!);
          this.#others.set(name, module);
        }
        this.#freeze(module, a, b);
        this.#refresh(module);
      }
    });
  }

  #open(module: LoraModule): LowRankDelta {
    if (!module.current) throw new Error("no adapter is open");
    return module.current;
  }

  #freeze(module: LoraModule, a: Tensor, b: Tensor): void {
    noGrad(() =>
      tidy(() => {
        const { previous, linear } = module;
        if (this.options.previousAdapters === "merged") {
          module.master ??= linear.weight.toDtype("float32").clone().keep();
          module.master.add_(b.detach().matmul(a.detach()).mul(this.scale));
          linear.weight.copy_(module.master);
          return;
        }
        module.previous = {
          a: cat(previous ? [previous.a, a.detach()] : [a.detach()], 0).keep(),
          b: cat(previous ? [previous.b, b.detach()] : [b.detach()], 1).keep(),
        };
        previous?.a.dispose();
        previous?.b.dispose();
      }),
    );
  }

  #refresh(module: LoraModule): void {
    const additions: LowRankAddition[] = [];
    for (const pair of [module.previous, module.current])
      if (pair) additions.push({ ...pair, scale: this.scale });
    module.linear.additions = additions;
    module.linear.additionDropout = this.options.dropout;
  }

  /** The trainable pairs, module by module. */
  get current(): readonly (LowRankDelta & { readonly linear: Linear })[] {
    return this.modules.map((module) => ({ ...this.#open(module), linear: module.linear }));
  }

  dispose(): void {
    for (const module of [...this.modules, ...this.#others.values()]) {
      module.linear.additions = [];
      for (const pair of [module.previous, module.current]) {
        pair?.a.dispose();
        pair?.b.dispose();
      }
      module.master?.dispose();
    }
  }
}

/** An adapter with its factors on a device. Factors that are elsewhere are copied and released. */
export function moveDelta(delta: AdapterDelta, device: Device): AdapterDelta {
  const move = (factor: Tensor): Tensor => {
    if (factor.device === device) return factor;
    const moved = factor.toDevice(device, factor.dtype);
    factor.dispose();
    return moved;
  };
  const modules = [...delta.modules].map(([name, { a, b }]) => [name, { a: move(a), b: move(b) }] as const);
  return { ...delta, modules: new Map(modules) };
}

/** The adapter with its factors taken out of every scope; the caller owns them. */
export function keepDelta(delta: AdapterDelta): AdapterDelta {
  for (const { a, b } of delta.modules.values()) {
    a.keep();
    b.keep();
  }
  return delta;
}

/** Releases the factors of an adapter. */
export function disposeDelta(delta: AdapterDelta): void {
  for (const { a, b } of delta.modules.values()) {
    a.dispose();
    b.dispose();
  }
}
