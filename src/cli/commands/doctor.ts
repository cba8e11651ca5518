/** `nlora doctor`: what the engine is made of and what this machine can do. */
import { reported } from "../../errors.js";
import { resolveConfig } from "../../experiment/config.js";
import { NONE } from "../../format.js";
import { workerEnvironment } from "../../runs/launch.js";
import type { EngineReport } from "../../tensor/engine-report.js";
import { EXIT, type ExitCode, errorText } from "../exit.js";
import { packageVersion } from "../version.js";

export async function doctor(options: { readonly json?: boolean }): Promise<ExitCode> {
  const program = {
    version: packageVersion(),
    node: process.version,
    platform: `${process.platform}-${process.arch}`,
  };
  try {
    // What a run would get. Loads the engine, so only when the command runs.
    Object.assign(process.env, workerEnvironment(resolveConfig({}), process.env));
    const { engineReport } = await import("../../tensor/engine-report.js");
    const engine = engineReport();
    process.stdout.write(
      options.json ? `${JSON.stringify({ ...program, engine }, null, 2)}\n` : doctorText(program, engine),
    );
    return EXIT.done;
  } catch (error) {
    const problem = reported(error);
    if (options.json) {
      const { message, hint } = problem;
      process.stdout.write(
        `${JSON.stringify({ ...program, engine: null, error: { message, hint } }, null, 2)}\n`,
      );
    } else
      process.stdout.write(
        facts([["nlora", `${program.version}, Node ${program.node}, ${program.platform}`]]),
      );
    process.stderr.write(errorText(problem));
    return EXIT.failed;
  }
}

function doctorText(
  program: { readonly version: string; readonly node: string; readonly platform: string },
  engine: EngineReport,
): string {
  const listed = (items: readonly string[]) => (items.length === 0 ? NONE : items.join(" "));
  return facts([
    ["nlora", `${program.version}, Node ${program.node}, ${program.platform}`],
    ["engine", `libtorch ${engine.libtorch}`],
    ["found by", `${engine.origin}: ${engine.libtorchPath}`],
    ["built with", `${engine.compiler} ${engine.buildFlags.join(" ")}`.trim()],
    ["fused kernels", engine.fusedKernels ? "yes" : "no"],
    ["BLAS", engine.blas],
    ["threads", `${engine.threads} of ${engine.cores} cores`],
    ["processor", engine.processor],
    ["vector extensions", listed(engine.vectorExtensions)],
    ["dtype: auto", engine.defaultDtype],
    ["CUDA devices", String(engine.cudaDevices)],
    ["distributed", listed(engine.distributedBackends)],
  ]);
}

function facts(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, value]) => `${name.padEnd(width)}  ${value}\n`).join("");
}
