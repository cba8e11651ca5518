/** A tensor of libtorch, by handle. Shapes are in elements; an operator's name and arguments are PyTorch's. */
import { TensorError } from "../errors.js";
import { type Device, type DType, type TypedArray, typedArray } from "./dtype.js";
import { TensorMethods } from "./methods.gen.js";
import { guarded, type Handle } from "./native.js";

export class Tensor extends TensorMethods {
  readonly handle: Handle;
  #shape: readonly number[] | undefined;
  #dtype: DType | undefined;

  /** Takes over a handle; made by operators, not by hand. */
  constructor(handle: Handle) {
    super();
    this.handle = handle;
  }

  protected one(result: unknown): Tensor {
    return new Tensor(result as Handle);
  }

  protected many(result: unknown): Tensor[] {
    return (result as Handle[]).map((handle) => new Tensor(handle));
  }

  get shape(): readonly number[] {
    this.#shape ??= guarded((engine) => engine.shape(this.handle));
    return this.#shape;
  }

  get dtype(): DType {
    this.#dtype ??= guarded((engine) => engine.dtype(this.handle));
    return this.#dtype;
  }

  get device(): Device {
    return guarded((engine) => engine.device(this.handle)) as Device;
  }

  /** Number of elements. */
  get size(): number {
    return this.shape.reduce((product, length) => product * length, 1);
  }

  /** Size of one dimension; negative counts from the end. */
  dim(index: number): number {
    const length = this.shape.at(index);
    if (length === undefined) {
      throw new TensorError(`dim: no dimension ${index} in a tensor of shape [${this.shape.join(", ")}]`);
    }
    return length;
  }

  /** The number in a tensor of one element. */
  item(): number {
    return guarded((engine) => engine.item(this.handle));
  }

  /** A copy of the elements in row-major order; 16-bit floats widened to float32. */
  toTypedArray(): TypedArray {
    return typedArray(
      this.dtype,
      guarded((engine) => engine.read(this.handle)),
    );
  }

  /** A copy of the elements as numbers, in row-major order. */
  toArray(): number[] {
    return Array.from(this.toTypedArray() as ArrayLike<number | bigint>, Number);
  }

  /** The elements' bytes as stored (bfloat16 stays two bytes). */
  toBytes(): Uint8Array {
    return new Uint8Array(guarded((engine) => engine.readBytes(this.handle)));
  }

  get requiresGrad(): boolean {
    return guarded((engine) => engine.requiresGrad(this.handle));
  }

  set requiresGrad(flag: boolean) {
    guarded((engine) => engine.setRequiresGrad(this.handle, flag));
  }

  /** The gradient that backward() has accumulated, or null. A new handle each time, owned by the open scope. */
  get grad(): Tensor | null {
    const handle = guarded((engine) => engine.gradient(this.handle));
    return handle === null ? null : new Tensor(handle);
  }

  set grad(value: Tensor | null) {
    guarded((engine) => engine.setGradient(this.handle, value?.handle ?? null));
  }

  /**
   * Accumulates d(this)/d(leaf) into every leaf that requires a gradient. This tensor has one element, or `gradient` is
   * the gradient of the loss with respect to it, of its shape.
   */
  backward({ retainGraph = false, gradient }: { retainGraph?: boolean; gradient?: Tensor } = {}): void {
    guarded((engine) => engine.backward(this.handle, retainGraph, gradient?.handle ?? null));
  }

  /** Survives every scope until disposed; for parameters, optimizer state and the like, which have an owner. */
  keep(): this {
    guarded((engine) => engine.keep(this.handle));
    return this;
  }

  /** Whether the tensor has not been released. */
  get isLive(): boolean {
    return guarded((engine) => engine.isLive(this.handle));
  }

  /** Releases the handle; harmless when already released. Memory goes with the last reference. */
  dispose(): void {
    guarded((engine) => engine.release(this.handle));
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /** True when both look at the same memory. */
  sharesMemoryWith(other: Tensor): boolean {
    return guarded((engine) => engine.sameStorage(this.handle, other.handle));
  }

  override toString(): string {
    return this.isLive ? `${this.dtype}[${this.shape.join(", ")}]` : "released tensor";
  }
}

/** Wraps results of the engine. */
export const wrap = {
  one: (result: unknown): Tensor => new Tensor(result as Handle),
  many: (result: unknown): Tensor[] => (result as Handle[]).map((handle) => new Tensor(handle)),
};
