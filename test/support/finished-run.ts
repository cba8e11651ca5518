/** A finished run of two tasks with figures made up, for what is computed of records. */
import type { RunRecord } from "../../src/runs/record.js";
import type { FinishedRun } from "../../src/study/summary.js";

export function finishedRun(
  label: string,
  order: string,
  seed: number,
  aa: number,
  figures: Partial<RunRecord> = {},
): FinishedRun {
  const record: RunRecord = {
    schema: "nlora-run/1",
    status: "done",
    method: label,
    model: "builtin",
    modelRevision: null,
    tasks: ["a", "b"],
    seed,
    startFrom: [],
    accuracy: [
      [80, 60],
      [null, 70],
    ],
    baseAccuracy: [null, null],
    averageAccuracy: aa,
    microAccuracy: aa,
    forgettingRate: 20,
    backwardTransfer: -20,
    ownTaskAccuracy: 75,
    deltaNorms: [1, 3],
    keptBytes: [100, 200],
    outOfLabelRate: [],
    penalty: {},
    engine: {},
    timings: { trainSeconds: 10, evaluationSeconds: 5, totalSeconds: 15 },
    orthogonalOverlap: { squared: 1, abs: 2 },
    awom: { spectral: 1, frobenius: 1 },
    gsr: { mean: 0.5, pooled: 0.5 },
    acr: { abs: 0.1, relRms: 0.1, exact: 1 },
    ...figures,
  };
  return { label, method: label, order, seed, record };
}
