/** The command line of `nlora inspect`. */
import { type Command, Option } from "commander";
import type { ExitCode } from "./exit.js";

const INSPECT_HELP = `
Adapters may differ in rank, scale and modules (a module that one lacks counts as an update of zero), not in the sizes of a
module. Readings: abs |dW| > 1e-3, relRms |dW| > 0.4 rms(dW), relMax |dW| > 0.01 max |dW|, energy the largest elements with
99 % of ||dW||^2, exact dW not 0; relMax and energy take longer. Definitions: docs/inspect.md.

Examples:
  nlora inspect runs/20260131-174502-run-n-lora-s42
  nlora inspect adapters/one adapters/two --modules --scaled
  nlora inspect runs/support --map model.layers.0.self_attn.q_proj --pair 1,3 --json > inspection.json`;

export function addInspectCommand(root: Command, finish: (code: ExitCode) => void): void {
  root
    .command("inspect")
    .description(
      "measure adapters alone and against each other: sizes and ranks, OO, AWOM, GSR, collisions, subspaces, occupied share",
    )
    .argument(
      "<run|adapter...>",
      "run folders, or PEFT adapter folders in the order of training; the last one is the newest task's",
    )
    .option("--layers", "a line per layer as well")
    .option("--modules", "a line per module as well")
    .option("--scaled", "measure alpha / rank * B A, what a model adds, instead of B A")
    .addOption(
      new Option(
        "--readings <list>",
        "what counts as not zero: any of abs, relRms, relMax, energy, exact",
      ).default("abs,relRms,exact"),
    )
    .option("--no-elements", "leave out what takes a look at every element: GSR, densities, collisions")
    .option(
      "--map <module>",
      "which elements of a module two adapters change; may be repeated",
      (module: string, earlier: readonly string[] = []) => [...earlier, module],
    )
    .option("--pair <a,b>", "the two adapters of a map, by number or name (default: the first two)")
    .addOption(new Option("--map-reading <reading>", "what counts as not zero in a map").default("relRms"))
    .option("--json", "one JSON object on stdout, with every layer and module")
    .addHelpText("after", INSPECT_HELP)
    .action(async (paths, options) =>
      finish(await (await import("./commands/inspect.js")).inspect(paths, options)),
    );
}
