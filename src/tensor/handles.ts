/** Lists of tensors as lists of handles. */
import type { Handle } from "./native.js";

interface HasHandle {
  readonly handle: Handle;
}

export const handles = (tensors: readonly HasHandle[]): Handle[] => tensors.map((tensor) => tensor.handle);

export const optionalHandles = (tensors: readonly (HasHandle | null)[]): (Handle | null)[] =>
  tensors.map((tensor) => tensor?.handle ?? null);
