/** Gradient mode, seeds and threads of the engine. */
import { guarded } from "./native.js";
import { tidy } from "./scope.js";
import { Tensor } from "./tensor.js";

/** Runs `action` without recording a graph. */
export function noGrad<T>(action: () => T): T {
  const before = guarded((engine) => engine.setGradMode(false));
  try {
    return action();
  } finally {
    guarded((engine) => engine.setGradMode(before));
  }
}

/** `noGrad` and `tidy` in one. */
export const inference = <T>(action: () => T extends PromiseLike<unknown> ? never : T): T =>
  noGrad(() => tidy(action));

/** Whether operations are recorded now. */
export const isRecording = (): boolean => guarded((engine) => engine.gradMode());

/** Gradients of the sum of `outputs` with respect to `inputs`, without touching `.grad`; null where independent. */
export function gradients(
  outputs: readonly Tensor[],
  inputs: readonly Tensor[],
  options: { retainGraph?: boolean } = {},
): (Tensor | null)[] {
  return guarded((engine) =>
    engine
      .grad(
        outputs.map((t) => t.handle),
        inputs.map((t) => t.handle),
        options.retainGraph ?? false,
      )
      .map((handle) => (handle === null ? null : new Tensor(handle))),
  );
}

/** Seeds libtorch's own generator. */
export const manualSeed = (seed: number): void => guarded((engine) => engine.manualSeed(seed));

/** Threads inside one operator. */
export const setThreads = (count: number): void => guarded((engine) => engine.setThreads(count));
export const getThreads = (): number => guarded((engine) => engine.threads());
