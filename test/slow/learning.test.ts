/** Minutes, not seconds: `npm run test:slow`. The bundled model on the bundled stream, as in the demo but smaller. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { resolveConfig } from "../../src/experiment/config.js";
import { runExperiment } from "../../src/experiment/run.js";
import type { RunRecord } from "../../src/runs/record.js";
import { RunFolder } from "../../src/runs/run-folder.js";

async function train(method: object): Promise<RunRecord> {
  const config = resolveConfig({
    data: { kind: "synthetic", trainRows: 640, testRows: 60 },
    method,
    maxSourceLength: 128,
    training: { epochs: 4, learningRate: 3e-3 },
    evaluation: { maxNewTokens: 6, base: false, tasks: "seen" },
  });
  const path = mkdtempSync(join(tmpdir(), "nlora-slow-"));
  const run = runExperiment(config, RunFolder.create(join(path, "run"), config), {
    resume: false,
    shouldStop: () => false,
  });
  let next = await run.next();
  while (!next.done) next = await run.next();
  rmSync(path, { recursive: true });
  return next.value;
}

it("N-LoRA learns the tasks, forgets less than SeqLoRA and collides far less than IncLoRA", async () => {
  const sparse = await train({ name: "n-lora", lambda: 0.02 });
  const incremental = await train({ name: "inc-lora" });
  const sequential = await train({ name: "seq-lora" });
  expect(sparse.ownTaskAccuracy).toBeGreaterThan(60);
  expect(sparse.averageAccuracy).toBeGreaterThan(sequential.averageAccuracy! + 10);
  expect(sparse.forgettingRate).toBeLessThan(sequential.forgettingRate!);
  expect(sparse.acr.abs).toBeLessThan(incremental.acr.abs! / 5);
  expect(sparse.gsr.mean).toBeLessThan(incremental.gsr.mean!);
});
