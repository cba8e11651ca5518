/** `nlora inspect`: what PEFT adapter folders are like, alone and against each other. */
import type { Inspection } from "../../metrics/inspection.js";
import { EXIT, type ExitCode } from "../exit.js";
import { inspectionTables } from "../tables.js";

// Loads the engine, so only when the command runs.
const inspectModule: string = "../../metrics/inspect.js";

export async function inspect(
  folders: readonly string[],
  options: { readonly json?: boolean },
): Promise<ExitCode> {
  const { inspectAdapters } = (await import(inspectModule)) as {
    inspectAdapters: (folders: readonly string[]) => Inspection;
  };
  const inspection = inspectAdapters(folders);
  process.stdout.write(
    options.json ? `${JSON.stringify(inspection, null, 2)}\n` : `${inspectionTables(inspection)}\n`,
  );
  return EXIT.done;
}
