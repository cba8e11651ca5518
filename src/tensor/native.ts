/** The addon's functions, typed, and the one place that loads it: at the first tensor, not at an import. */
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { EngineError, TensorError } from "../errors.js";
import type { DType } from "./dtype.js";

/** A tensor's name on the other side: a whole number, valid until released. */
export type Handle = number;
/** A file mapped into memory; opaque. */
export type Mapping = { readonly mapping: unique symbol };

export interface SystemInfo {
  readonly version: string;
  readonly config: string;
  readonly parallel: string;
  readonly threads: number;
  readonly lapack: boolean;
  readonly mkl: boolean;
  readonly mkldnn: boolean;
  readonly cuda: boolean;
  readonly cudaDevices: number;
  readonly glooHeaders: boolean;
}

export interface Native {
  lookup(name: string, overload: string): number;
  call(operator: number, ...values: unknown[]): unknown;
  schemas(prefix: string): string[];
  backward(loss: Handle, retainGraph?: boolean, gradient?: Handle | null): void;
  grad(outputs: readonly Handle[], inputs: readonly Handle[], retainGraph?: boolean): (Handle | null)[];
  setRequiresGrad(tensor: Handle, flag: boolean): void;
  requiresGrad(tensor: Handle): boolean;
  gradient(tensor: Handle): Handle | null;
  setGradient(tensor: Handle, gradient: Handle | null): void;
  setGradMode(flag: boolean): boolean;
  gradMode(): boolean;
  manualSeed(seed: number): void;
  setThreads(count: number): void;
  threads(): number;
  fromBytes(data: ArrayBufferView | ArrayBuffer, dtype: DType, shape: readonly number[]): Handle;
  mapFile(path: string): Mapping;
  mappedTensor(mapping: Mapping, byteOffset: number, dtype: DType, shape: readonly number[]): Handle;
  releasePages(mapping: Mapping, begin: number, end: number): void;
  read(tensor: Handle): ArrayBuffer;
  readBytes(tensor: Handle): ArrayBuffer;
  item(tensor: Handle): number;
  shape(tensor: Handle): number[];
  dtype(tensor: Handle): DType;
  device(tensor: Handle): string;
  sameStorage(a: Handle, b: Handle): boolean;
  release(tensor: Handle): void;
  keep(tensor: Handle): void;
  beginScope(): void;
  endScope(survivors: readonly Handle[]): void;
  isLive(tensor: Handle): boolean;
  liveCount(): number;
  systemInfo(): SystemInfo;
}

/** The package's root, from `src/tensor` as well as from `dist/tensor`. */
export const packageRoot = join(dirname(fileURLToPath(import.meta.url)), "..", "..");

/** Where the build puts the addon; `NLORA_ENGINE` names another one. */
export function enginePath(): string {
  return process.env.NLORA_ENGINE ?? join(packageRoot, "build", "engine", "nlora.node");
}

let loaded: Native | undefined;

/** Loads the engine on first use. Throws `EngineError` when it was never built or does not load. */
export function native(): Native {
  if (loaded) return loaded;
  const path = enginePath();
  if (!existsSync(path)) {
    throw new EngineError(`The engine is not built: ${path} does not exist.`, { hint: "Run: npm run build" });
  }
  // Waiting OpenMP threads spin by default, which stalls a busy machine many times over. libgomp reads this once,
  // when it is loaded, that is, now.
  process.env.GOMP_SPINCOUNT ??= "2000";
  // The same for OpenBLAS's own pool, which yields in a loop: 2^10 cycles.
  process.env.OPENBLAS_THREAD_TIMEOUT ??= "10";
  try {
    loaded = createRequire(import.meta.url)(path) as Native;
  } catch (error) {
    throw new EngineError(`The engine does not load: ${(error as Error).message}`, {
      hint: "Was libtorch moved or updated? Run: npm run build",
      cause: error,
    });
  }
  return loaded;
}

/** Calls into the engine, turning its errors into `TensorError`. */
export function guarded<T>(action: (engine: Native) => T): T {
  const engine = native();
  try {
    return action(engine);
  } catch (error) {
    throw error instanceof Error && (error as NodeJS.ErrnoException).code === "ERR_NLORA_ENGINE"
      ? new TensorError(error.message.trim().replace(/\n[\s\S]*$/, ""), { cause: error })
      : error;
  }
}

/** Calls the operator with this id, arguments in the schema's order, tensors as handles. */
export function call(operator: number, ...values: unknown[]): unknown {
  const engine = native();
  try {
    return engine.call(operator, ...values);
  } catch (error) {
    throw new TensorError((error as Error).message.trim().replace(/\n[\s\S]*$/, ""), { cause: error });
  }
}

const ids = new Map<string, number>();

/** The id of an operator, e.g. `aten::add.Tensor`; looked up once. */
export function operatorId(name: string): number {
  let id = ids.get(name);
  if (id === undefined) {
    const dot = name.indexOf(".", name.indexOf("::"));
    id = guarded((engine) =>
      dot < 0 ? engine.lookup(name, "") : engine.lookup(name.slice(0, dot), name.slice(dot + 1)),
    );
    ids.set(name, id);
  }
  return id;
}

/** Whether this libtorch (or the engine's own kernels) has the operator. */
export function hasOperator(name: string): boolean {
  try {
    operatorId(name);
    return true;
  } catch {
    return false;
  }
}
