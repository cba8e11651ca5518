/** AdamW (Loshchilov & Hutter 2019) with clipping by the global gradient norm, over float32 parameters. */
import { RunError } from "../errors.js";
import { adamw_, gradNorm, zeros } from "../tensor/functions.gen.js";
import { noGrad } from "../tensor/grad.js";
import { tidy } from "../tensor/scope.js";
import type { Tensor } from "../tensor/tensor.js";

/** A tensor that is trained, with the name it has in files and messages. */
export interface Parameter {
  readonly name: string;
  readonly tensor: Tensor;
}

export interface AdamWOptions {
  readonly betas: readonly [number, number];
  readonly eps: number;
  readonly weightDecay: number;
}

/** Global l2 norm of all gradients; parameters without one count as zero. */
export function globalGradNorm(parameters: readonly Parameter[]): number {
  return tidy(() => {
    const gradients = parameters.map(({ tensor }) => tensor.grad).filter((grad) => grad !== null);
    return gradients.length === 0 ? 0 : gradNorm(gradients).item();
  });
}

/** The factor that brings a gradient of this norm down to `limit`; 1 when it is below, or when there is no limit. */
export const clipFactor = (norm: number, limit: number | null): number =>
  limit === null ? 1 : Math.min(1, limit / (norm + 1e-6));

export class AdamW {
  readonly #first: Tensor[];
  readonly #second: Tensor[];
  #step = 0;

  constructor(
    readonly parameters: readonly Parameter[],
    readonly options: AdamWOptions,
  ) {
    for (const { name, tensor } of parameters) {
      if (tensor.dtype !== "float32") {
        throw new RunError(`AdamW keeps its state in float32; the parameter ${name} is ${tensor.dtype}.`);
      }
    }
    this.#first = parameters.map(({ tensor }) => zeros(tensor.shape, { device: tensor.device }).keep());
    this.#second = parameters.map(({ tensor }) => zeros(tensor.shape, { device: tensor.device }).keep());
  }

  /** One update with every gradient multiplied by `gradientScale`. Parameters without a gradient stay as they are. */
  step(learningRate: number, gradientScale = 1): void {
    this.#step++;
    const { betas, eps, weightDecay } = this.options;
    tidy(() =>
      noGrad(() => {
        const gradients = this.parameters.map(({ tensor }) => tensor.grad);
        const moving = gradients.flatMap((gradient, i) => (gradient === null ? [] : [i]));
        if (moving.length === 0) return;
        adamw_(
          moving.map((i) => this.parameters[i]!.tensor),
          moving.map((i) => gradients[i]!),
          moving.map((i) => this.#first[i]!),
          moving.map((i) => this.#second[i]!),
          learningRate,
          betas[0],
          betas[1],
          eps,
          weightDecay,
          this.#step,
          gradientScale,
        );
      }),
    );
  }

  zeroGrad(): void {
    for (const { tensor } of this.parameters) tensor.grad = null;
  }

  [Symbol.dispose](): void {
    for (const tensor of [...this.#first, ...this.#second]) tensor.dispose();
  }
}
