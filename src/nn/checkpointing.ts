/**
 * Activation checkpointing (Chen et al. 2016): the forward pass keeps what goes into each stage and nothing inside it; the
 * backward pass computes one stage at a time again, under the same dropout masks, and so gives the same gradients.
 */
import { isRecording, noGrad } from "../tensor/grad.js";
import { tidy } from "../tensor/scope.js";
import type { Tensor } from "../tensor/tensor.js";
import type { ForwardContext } from "./context.js";

/** A part of a model that maps one tensor to another. */
export interface Stage {
  forward(x: Tensor, context: ForwardContext): Tensor;
  /** Whether anything in it is being trained. */
  isTrained(): boolean;
}

export interface Checkpointed {
  /** What the last stage gave; with checkpointing cut off from the stages, its gradient is what `backward` starts from. */
  readonly output: Tensor;
  /** Tensors that `backward` needs; they belong to the open scope. */
  readonly held: readonly Tensor[];
  /** Adds to the gradients of everything trained in the stages. To be called once, when `output` has its gradient. */
  backward(): void;
}

/** Adds the gradients of a scalar to those of everything trained, in the stages that led to it as well. */
export function backwardThrough(objective: Tensor, stages: Pick<Checkpointed, "backward">): void {
  objective.backward();
  stages.backward();
}

/**
 * Runs `x` through the stages; `context` says whether they are checkpointed. Where they are not, `backward` does nothing;
 * where they are, it goes on into what made `x` if that is trained, and releases `x`.
 */
export function runStages(stages: readonly Stage[], x: Tensor, context: ForwardContext): Checkpointed {
  const first = x.requiresGrad ? 0 : stages.findIndex((stage) => stage.isTrained());
  if (!context.checkpointing || !isRecording() || first < 0) {
    const output = stages.reduce((value, stage) => tidy(() => stage.forward(value, context)), x);
    return { output, held: [], backward: () => undefined };
  }
  const inputs: Tensor[] = [];
  const seeds: number[][] = [];
  const output = noGrad(() =>
    stages.reduce((value, stage) => {
      inputs.push(value);
      const drawn: number[] = [];
      seeds.push(drawn);
      const recording: ForwardContext = {
        ...context,
        nextSeed() {
          const seed = context.nextSeed();
          drawn.push(seed);
          return seed;
        },
      };
      return tidy(() => stage.forward(value, recording));
    }, x),
  );
  output.requiresGrad = true;
  const backward = (): void => {
    let gradient = output.grad;
    for (let i = stages.length - 1; i >= first && gradient; i--) {
      const given = gradient;
      gradient = tidy(() => {
        const input = inputs[i]!.detach();
        input.requiresGrad = i > first || x.requiresGrad;
        const replayed = seeds[i]!.values();
        const result = stages[i]!.forward(input, { ...context, nextSeed: () => replayed.next().value! });
        result.backward({ gradient: given });
        return input.grad;
      });
      given.dispose();
      if (i > 0) inputs[i]!.dispose();
    }
    if (gradient && x.requiresGrad) x.backward({ gradient });
    gradient?.dispose();
    x.dispose();
  };
  return { output, held: [output, ...inputs], backward };
}
