/** `nlora inspect`: what PEFT adapter folders are like, alone and against each other. */
import { EXIT, type ExitCode } from "../exit.js";
import { inspectionTables } from "../tables.js";

export async function inspect(
  folders: readonly string[],
  options: { readonly json?: boolean },
): Promise<ExitCode> {
  // Loads the engine, so only when the command runs.
  const { inspectAdapters } = await import("../../metrics/inspect.js");
  const inspection = inspectAdapters(folders);
  process.stdout.write(
    options.json ? `${JSON.stringify(inspection, null, 2)}\n` : `${inspectionTables(inspection)}\n`,
  );
  return EXIT.done;
}
