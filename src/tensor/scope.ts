/** Who frees what. libtorch memory is invisible to the garbage collector, so scopes free it, at once. */
import { TensorError } from "../errors.js";
import { guarded, type Handle } from "./native.js";
import { Tensor } from "./tensor.js";

/** Handles of the tensors in a result: a tensor, or arrays and plain objects of them. */
function handlesIn(value: unknown, found: Handle[] = []): Handle[] {
  if (value instanceof Tensor) found.push(value.handle);
  else if (Array.isArray(value)) for (const element of value) handlesIn(element, found);
  else if (value !== null && typeof value === "object" && Object.getPrototypeOf(value) === Object.prototype) {
    for (const element of Object.values(value)) handlesIn(element, found);
  }
  return found;
}

/**
 * Runs `action` and releases every tensor made inside it, except those in its result (a tensor, or arrays and plain
 * objects of tensors), which then belong to the enclosing scope, and those marked with `keep()`.
 * Synchronous only: an open scope must not see `await` or `yield`.
 */
export function tidy<T>(action: () => T extends PromiseLike<unknown> ? never : T): T {
  guarded((engine) => engine.beginScope());
  let survivors: Handle[] = [];
  try {
    const result: T = action();
    if (typeof (result as { then?: unknown } | null | undefined)?.then === "function") {
      throw new TensorError(
        "tidy: the action is asynchronous; open the scope inside it, around the part that computes",
      );
    }
    survivors = handlesIn(result);
    return result;
  } finally {
    guarded((engine) => engine.endScope(survivors));
  }
}

/** Number of tensors alive in this thread; the same before and after a step. */
export function liveTensors(): number {
  return guarded((engine) => engine.liveCount());
}
