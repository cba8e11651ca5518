/** What the engine is made of and what the processor can do: for `nlora doctor`, records and the default dtype. */
import { existsSync, readFileSync } from "node:fs";
import { availableParallelism, cpus } from "node:os";
import { dirname, join } from "node:path";
import { ConfigError } from "../errors.js";
import type { Device, DType } from "./dtype.js";
import { enginePath, guarded, hasOperator } from "./native.js";

export interface EngineReport {
  readonly libtorch: string;
  /** LIBTORCH, python or system: where libtorch was found at build time. */
  readonly origin: string;
  readonly libtorchPath: string;
  readonly compiler: string;
  readonly buildFlags: readonly string[];
  readonly blas: string;
  readonly threads: number;
  readonly cores: number;
  readonly processor: string;
  readonly vectorExtensions: readonly string[];
  /** The compute dtype that `dtype: auto` stands for on this processor. */
  readonly defaultDtype: DType;
  readonly cudaDevices: number;
  readonly distributedBackends: readonly string[];
  readonly fusedKernels: boolean;
}

const EXTENSIONS = ["avx2", "avx512f", "avx512_bf16", "amx_bf16"];

/** The vector extensions that matter here, as Linux names them; empty where Linux does not tell. */
export function vectorExtensions(): string[] {
  if (!existsSync("/proc/cpuinfo")) return [];
  const flags =
    readFileSync("/proc/cpuinfo", "utf8")
      .match(/^flags\s*:(.*)$/m)?.[1]
      ?.split(/\s+/) ?? [];
  return EXTENSIONS.filter((name) => flags.includes(name));
}

/** Throws a ConfigError unless the engine can compute on the device. */
export function checkDevice(device: Device): void {
  if (device === "cpu") return;
  const { cudaDevices, version } = guarded((engine) => engine.systemInfo());
  if (cudaDevices > 0) return;
  throw new ConfigError(
    `device: expected cpu, found ${device}; the engine (libtorch ${version}) sees no CUDA device`,
    {
      hint: "set device: cpu, or build the engine against a libtorch with CUDA (set LIBTORCH); nlora doctor shows what it sees",
    },
  );
}

/**
 * What `dtype: auto` stands for: bfloat16 on CUDA and where the processor multiplies it natively, float32 elsewhere
 * (there bfloat16 is emulated and slower).
 */
export function defaultDtype(device: Device = "cpu"): DType {
  if (device !== "cpu") return "bfloat16";
  const extensions = vectorExtensions();
  return extensions.includes("amx_bf16") || extensions.includes("avx512_bf16") ? "bfloat16" : "float32";
}

interface BuildInfo {
  readonly libtorch: {
    readonly origin: string;
    readonly lib: string;
    readonly version: string;
    readonly gloo: boolean;
    readonly blas: string | null;
  };
  readonly compiler: string;
  readonly flags: readonly string[];
}

export function engineReport(): EngineReport {
  const info = guarded((engine) => engine.systemInfo());
  const file = join(dirname(enginePath()), "build.json");
  const build = existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as BuildInfo) : null;
  const linear = info.mkl ? "MKL" : (info.config.match(/BLAS_INFO=(\w+)/)?.[1] ?? "unknown");
  return {
    libtorch: info.version,
    origin: build?.libtorch.origin ?? "unknown",
    libtorchPath: build?.libtorch.lib ?? "unknown",
    compiler: build?.compiler ?? "unknown",
    buildFlags: build?.flags ?? [],
    blas: build?.libtorch.blas ? `${linear} (${build.libtorch.blas})` : linear,
    threads: info.threads,
    cores: availableParallelism(),
    processor: cpus()[0]?.model ?? "unknown",
    vectorExtensions: vectorExtensions(),
    defaultDtype: defaultDtype(),
    cudaDevices: info.cudaDevices,
    distributedBackends: build?.libtorch.gloo
      ? [info.glooHeaders ? "gloo" : "gloo (headers not installed)"]
      : [],
    fusedKernels: hasOperator("nlora::lora_linear"),
  };
}
