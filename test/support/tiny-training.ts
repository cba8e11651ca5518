/** Short trainings of tiny models, through the same program as any run. */
import { resolveConfig } from "../../src/experiment/config.js";
import { runExperiment } from "../../src/experiment/run.js";
import { Journal } from "../../src/runs/journal.js";
import { RunFolder } from "../../src/runs/run-folder.js";

export const TINY_NEW_TOKENS = 6;

/** Trains a model by a method on two generated tasks of 16 rows; the folder of the run. */
export async function trainTiny(path: string, model: string, method: string): Promise<string> {
  const config = resolveConfig({
    model,
    dtype: "float32",
    data: { kind: "synthetic", tasks: 2, stream: "long", trainRows: 16, testRows: 5 },
    method,
    training: { epochs: 2, batchSize: 8 },
    evaluation: { maxNewTokens: TINY_NEW_TOKENS, tasks: "all" },
  });
  const folder = RunFolder.create(path, config);
  using journal = new Journal(folder.journalFile);
  const run = runExperiment(config, folder, { resume: false, shouldStop: () => false });
  for (let next = await run.next(); ; next = await run.next()) {
    if (next.done) {
      folder.writeRecord(next.value);
      return folder.path;
    }
    journal.append(next.value);
  }
}
