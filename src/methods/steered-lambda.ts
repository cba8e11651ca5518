/** N-LoRA's lambda in a closed loop: steered so that the open adapter's generalised sparsity rate reaches a target. */
import { deltaNorm } from "../adapters/usage.js";
import { deltaL1 } from "../nn/kernels.js";
import { inference } from "../tensor/grad.js";
import { ClosedLoop } from "./closed-loop.js";
import type { OpenModule, Shaping } from "./incremental.js";
import type { Update } from "./method.js";
import type { SparsityOptions } from "./options.js";

export class SteeredLambda implements Shaping {
  readonly #loop: ClosedLoop;
  readonly #isSteered: boolean;
  #modules: readonly OpenModule[] = [];

  constructor({ target }: Pick<SparsityOptions, "target">) {
    this.#isSteered = target !== null;
    this.#loop = new ClosedLoop(target && { ...target, value: target.gsr });
  }

  /** What lambda is multiplied by now. */
  get factor(): number {
    return this.#loop.factor;
  }

  open(modules: readonly OpenModule[]): void {
    this.#modules = modules;
    this.#loop.restart();
  }

  afterUpdate({ step }: Update): void {
    this.#loop.observe(step, () => pooledGsr(this.#modules));
  }

  measures(): Record<string, number> {
    return this.#isSteered ? { gsr: pooledGsr(this.#modules), strength: this.factor } : {};
  }
}

/** ||dW||_1 / (sqrt(N) ||dW||_F) of all modules as one vector; 1, as of the densest, for a zero update. */
function pooledGsr(modules: readonly OpenModule[]): number {
  const size = modules.reduce((total, { inputs, outputs }) => total + inputs * outputs, 0);
  const norm = Math.hypot(...modules.map(deltaNorm));
  if (norm === 0) return 1;
  return inference(() => {
    const l1 = deltaL1(
      modules.map(({ a }) => a),
      modules.map(({ b }) => b),
      modules.map(() => 1),
    );
    return l1.item() / (Math.sqrt(size) * norm);
  });
}
