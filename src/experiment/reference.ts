/** Reads what a control needs of the run that it is compared with. */
import { existsSync } from "node:fs";
import { withScale } from "../adapters/combine.js";
import { ConfigError } from "../errors.js";
import { readPeft } from "../io/peft.js";
import { type ReferenceRun, sizesOf } from "../methods/reference.js";
import { RunFolder } from "../runs/run-folder.js";
import { tidy } from "../tensor/scope.js";
import type { Config } from "./config.js";
import { runName } from "./saved-task.js";

/**
 * The run that `method.reference` names, its updates under this run's alpha / rank; null where the method has none.
 * Throws a ConfigError for a run that is not finished, of another stream, or without one adapter per task.
 */
export function openReference(
  { method, lora }: Pick<Config, "method" | "lora">,
  tasks: readonly string[],
): ReferenceRun | null {
  if (!("reference" in method)) return null;
  const path = method.reference;
  const folder = new RunFolder(path);
  const refuse = (what: string): never => {
    throw new ConfigError(`method.reference: ${path} ${what}`, {
      hint: "Name the folder of a finished run of a method with one adapter per task, such as n-lora, on the same stream.",
    });
  };
  const record = folder.readRecord() ?? refuse("holds no run");
  if (record.status !== "done") refuse(`holds a run that is ${record.status}, expected a finished one`);
  if (record.tasks.join() !== tasks.join()) {
    refuse(`learned ${record.tasks.join(", ")}, expected ${tasks.join(", ")}`);
  }
  const scale = lora.alpha / lora.rank;
  return {
    name: runName(folder.readConfig()),
    tasks: tasks.map((name, index) => {
      const adapter = folder.taskFolder("adapters", { index, name });
      if (!existsSync(adapter)) refuse(`has no adapter of task ${name}`);
      return tidy(() => {
        const { delta, provenance } = readPeft(adapter);
        if (provenance?.holds !== "delta")
          refuse("keeps cumulative adapters, which are no updates of one task");
        return sizesOf(withScale(delta, scale));
      });
    }),
  };
}
