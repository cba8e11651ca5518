// Builds the native engine into build/engine/, once per combination of sources, libtorch and compiler.
// Needs a C++ compiler and libtorch; on Debian and Ubuntu it installs both when it may (root, or sudo without password).
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { availableParallelism } from "node:os";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { DEBIAN_PACKAGES, findLibtorch } from "./libtorch.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
// NLORA_BUILD names another output folder, for a second engine beside the usual one (the benchmark compares two).
const output = process.env.NLORA_BUILD ?? join(root, "build", "engine");
const compiler = process.env.CXX ?? "g++";

const say = (text) => process.stderr.write(`[engine] ${text}\n`);
const fail = (text) => {
  process.stderr.write(`error: ${text}\n`);
  process.exit(1);
};
const works = (command, args) => spawnSync(command, args, { stdio: "ignore" }).status === 0;

function isDebianLike() {
  if (!existsSync("/etc/os-release")) return false;
  const text = readFileSync("/etc/os-release", "utf8");
  return /^(ID|ID_LIKE)=.*(debian|ubuntu)/m.test(text) && works("apt-get", ["--version"]);
}

/** Installs Debian packages, or explains which ones are missing. */
function installPackages(packages) {
  const command = `apt-get install -y ${packages.join(" ")}`;
  if (!isDebianLike()) {
    fail(
      `the engine needs libtorch (>= 1.13, with its headers) and a C++17 compiler, and found ${packages.join(", ")} missing. ` +
        "Install a C++ compiler, and either `pip install torch` or unpack a libtorch and set LIBTORCH to its folder.",
    );
  }
  const prefix = process.getuid?.() === 0 ? [] : works("sudo", ["-n", "true"]) ? ["sudo", "-n"] : null;
  if (prefix === null) fail(`the engine needs these packages; run: sudo ${command}`);
  say(`installing ${packages.join(", ")}`);
  const environment = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  const apt = (args) => {
    const [program, ...rest] = [...prefix, "apt-get", ...args];
    return spawnSync(program, rest, { env: environment, encoding: "utf8", maxBuffer: 1 << 28 });
  };
  apt(["update", "-q"]);
  const result = apt(["install", "-y", "-q", "--no-install-recommends", ...packages]);
  if (result.status !== 0)
    fail(`installing packages failed; run yourself: ${command}\n${(result.stderr ?? "").slice(-2000)}`);
}

function prepare() {
  const missing = [];
  if (!works(compiler, ["--version"])) missing.push("g++");
  let torch;
  try {
    torch = findLibtorch();
  } catch (error) {
    fail(error.message);
  }
  if (!torch) missing.push(...DEBIAN_PACKAGES);
  // The reference BLAS that libtorch-dev alone pulls in is many times slower than OpenBLAS.
  else if (
    torch.origin === "system" &&
    torch.blas &&
    !/openblas|mkl|blis/i.test(torch.blas) &&
    isDebianLike()
  ) {
    missing.push("libopenblas0-pthread");
  }
  if (missing.length > 0) {
    installPackages(missing);
    torch = findLibtorch();
    if (!torch) fail("libtorch was installed but cannot be found; set LIBTORCH to its folder.");
  }
  const [major, minor] = torch.version.split(".").map(Number);
  if (major < 1 || (major === 1 && minor < 13)) {
    fail(
      `libtorch ${torch.version} (${torch.root}) is too old; the engine needs 1.13 or newer. ` +
        "Install a newer one with `pip install torch`, or unpack a libtorch and set LIBTORCH to its folder.",
    );
  }
  return torch;
}

function sources(folder, extension) {
  return readdirSync(folder, { recursive: true })
    .map(String)
    .filter((name) => name.endsWith(extension))
    .sort()
    .map((name) => join(folder, name));
}

/** A source file and the headers of ours that it names, directly or through one another. */
function withHeaders(file, found = new Set()) {
  if (found.has(file) || !existsSync(file)) return found;
  found.add(file);
  for (const [, name] of readFileSync(file, "utf8").matchAll(/^#.*"(.+\.h)"/gm))
    withHeaders(join(dirname(file), name), found);
  return found;
}

function run(command, args) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] });
    let text = "";
    child.stdout.on("data", (chunk) => (text += chunk));
    child.stderr.on("data", (chunk) => (text += chunk));
    child.on("error", (error) => resolve({ status: 1, text: String(error) }));
    child.on("close", (status) => resolve({ status, text }));
  });
}

async function build() {
  const torch = prepare();
  const native = join(root, "native");
  const units = sources(native, ".cc");
  const compilerVersion = spawnSync(compiler, ["-dumpfullversion"], { encoding: "utf8" }).stdout.trim();
  const standard =
    Number(compilerVersion.split(".")[0]) >= 11 && !torch.version.startsWith("1.") ? "c++20" : "c++17";
  const headers = dirname(createRequire(import.meta.url).resolve("node-api-headers/package.json"));
  const common = [
    "-fPIC",
    `-std=${standard}`,
    `-D_GLIBCXX_USE_CXX11_ABI=${torch.cxx11Abi ? 1 : 0}`,
    "-DNAPI_VERSION=8",
    "-fopenmp",
    "-w",
    "-I",
    join(headers, "include"),
    // The compiler searches /usr/include by itself; naming it would break the order of the standard headers.
    ...torch.include.filter((folder) => folder !== "/usr/include").flatMap((folder) => ["-isystem", folder]),
  ];
  // Vector kernels may reorder float arithmetic, but must honour infinities; given at compile time only, since at link
  // time GCC would switch the whole process to flush-to-zero.
  const flagsOf = (unit) =>
    unit.includes("/kernels/")
      ? ["-O3", "-ffast-math", "-fno-finite-math-only", ...common]
      : ["-O2", ...common];
  // No -fopenmp here: the OpenMP runtime has to be the one that libtorch brings, not a second one.
  const link = [
    `-L${torch.lib}`,
    `-Wl,-rpath,${torch.lib}`,
    "-Wl,--no-as-needed",
    "-ltorch",
    "-ltorch_cpu",
    ...(torch.cuda ? ["-ltorch_cuda", "-lc10_cuda"] : []),
    "-lc10",
    "-Wl,--as-needed",
    "-ldl",
  ];
  // A hash of what an object, or the whole engine, is made of. Where the checkout lies makes no difference to what is built.
  const hashOf = (files, parts) => {
    const hash = createHash("sha256");
    for (const file of files) hash.update(relative(root, file)).update(readFileSync(file));
    return hash.update(JSON.stringify(parts).replaceAll(root, ".")).digest("hex");
  };
  const toolchain = [torch, compilerVersion, process.arch];
  const objects = units.map((unit) => {
    const name = relative(native, unit).replaceAll("/", "-").replace(/\.cc$/, "");
    const hash = hashOf([...withHeaders(unit)].sort(), [toolchain, flagsOf(unit)]).slice(0, 16);
    return { unit, name, hash, file: join(output, "objects", `${name}.${hash}.o`) };
  });
  const stamp = hashOf([], [toolchain, objects.map(({ hash }) => hash), link]);
  const infoFile = join(output, "build.json");
  const addon = join(output, "nlora.node");
  if (existsSync(addon) && existsSync(infoFile) && JSON.parse(readFileSync(infoFile, "utf8")).stamp === stamp)
    return;

  const started = Date.now();
  say(`building against libtorch ${torch.version} (${torch.origin}) with ${compiler} ${compilerVersion}`);
  // An object is named by the hash of its source, headers and flags; one that is there is up to date.
  const folder = join(output, "objects");
  mkdirSync(folder, { recursive: true });
  const queue = objects.filter(({ file }) => !existsSync(file));
  const worker = async () => {
    for (let next = queue.shift(); next; next = queue.shift()) {
      const partial = `${next.file}.${process.pid}`;
      const result = await run(compiler, ["-c", next.unit, "-o", partial, ...flagsOf(next.unit)]);
      if (result.status !== 0) {
        rmSync(partial, { force: true });
        fail(`compiling ${relative(root, next.unit)} failed:\n${result.text.slice(0, 6000)}`);
      }
      renameSync(partial, next.file);
    }
  };
  await Promise.all(Array.from({ length: Math.min(availableParallelism(), units.length) }, worker));
  const temporary = join(output, `nlora.${process.pid}.node`);
  const linked = await run(compiler, [
    "-shared",
    "-o",
    temporary,
    ...objects.map(({ file }) => file),
    ...link,
  ]);
  if (linked.status !== 0) fail(`linking the engine failed:\n${linked.text.slice(0, 6000)}`);
  renameSync(temporary, addon);
  const current = new Set(objects.map(({ file }) => file));
  for (const old of readdirSync(folder)) if (!current.has(join(folder, old))) rmSync(join(folder, old));
  const seconds = Math.round((Date.now() - started) / 1000);
  writeFileSync(
    infoFile,
    `${JSON.stringify({ stamp, libtorch: torch, compiler: `${compiler} ${compilerVersion}`, flags: flagsOf("/kernels/").filter((flag) => !/\/|^-I$|^-isystem$/.test(flag)), seconds }, null, 2)}\n`,
  );
  say(`built in ${seconds} s`);
}

await build();
