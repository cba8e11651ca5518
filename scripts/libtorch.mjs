// Finds libtorch: the LIBTORCH variable, then an importable Python torch, then the system's packages.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, realpathSync } from "node:fs";
import { join } from "node:path";

export const DEBIAN_PACKAGES = ["libtorch-dev", "libopenblas0-pthread"];

/**
 * @typedef {{ origin: "LIBTORCH" | "python" | "system", root: string, include: string[], lib: string, version: string,
 *   cuda: boolean, cxx11Abi: boolean, gloo: boolean, blas: string | null }} Libtorch
 */

function capture(command, args) {
  const result = spawnSync(command, args, { encoding: "utf8", maxBuffer: 1 << 28 });
  return result.status === 0 ? result.stdout : "";
}

function describe(origin, root, includeRoots, lib) {
  const include = includeRoots.find((folder) => existsSync(join(folder, "ATen/core/dispatch/Dispatcher.h")));
  if (!include || !existsSync(join(lib, "libtorch_cpu.so"))) return null;
  let version = "unknown";
  for (const name of ["torch/headeronly/version.h", "torch/csrc/api/include/torch/version.h"]) {
    const file = join(include, name);
    if (!existsSync(file)) continue;
    const text = readFileSync(file, "utf8");
    const part = (key) => text.match(new RegExp(`#define TORCH_VERSION_${key} (\\d+)`))?.[1];
    if (part("MAJOR")) version = `${part("MAJOR")}.${part("MINOR")}.${part("PATCH")}`;
  }
  // Wheels before 2.6 or so were built with the old string ABI; asking the library is the only sure way.
  const c10 = capture("nm", ["-DC", join(lib, "libc10.so")]);
  const cxx11Abi = c10 === "" || /c10::Error::Error\([^)]*__cxx11/.test(c10);
  const gloo = capture("nm", ["-DC", "--defined-only", join(lib, "libtorch_cpu.so")]).includes(
    "c10d::ProcessGroupGloo::",
  );
  const api = join(include, "torch/csrc/api/include");
  return {
    origin,
    root,
    include: existsSync(api) ? [include, api] : [include],
    lib,
    version,
    cuda: existsSync(join(lib, "libtorch_cuda.so")),
    cxx11Abi,
    gloo,
    blas: origin === "system" ? systemBlas() : null,
  };
}

/** The BLAS that a system libtorch ends up with, by following Debian's alternatives. */
export function systemBlas() {
  const line = capture("ldconfig", ["-p"])
    .split("\n")
    .find((entry) => entry.trim().startsWith("libblas.so.3 "));
  const path = line?.split("=> ")[1]?.trim();
  if (!path || !existsSync(path)) return null;
  return realpathSync(path);
}

/** @returns {Libtorch | null} */
export function findLibtorch() {
  const chosen = process.env.LIBTORCH;
  if (chosen) {
    const found = describe("LIBTORCH", chosen, [join(chosen, "include")], join(chosen, "lib"));
    if (!found) {
      throw new Error(
        `LIBTORCH=${chosen} holds no libtorch: expected include/ATen and lib/libtorch_cpu.so there.`,
      );
    }
    return found;
  }
  for (const python of ["python3", "python"]) {
    const probe =
      "import importlib.util as u; s=u.find_spec('torch'); print(s.submodule_search_locations[0] if s else '')";
    const root = capture(python, ["-c", probe]).trim();
    if (!root) continue;
    const found = describe("python", root, [join(root, "include")], join(root, "lib"));
    if (found) return found;
  }
  const libFolders = [
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib64",
    "/usr/lib",
    "/usr/local/lib",
  ];
  for (const lib of libFolders) {
    const found = describe("system", "/usr", ["/usr/include", "/usr/local/include"], lib);
    if (found) return found;
  }
  return null;
}
