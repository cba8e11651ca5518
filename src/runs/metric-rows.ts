/** A run's metrics as people read them: a name with the paper's acronym, and its value in a record. */
import { duration, fixed, significant } from "../format.js";
import type { RunRecord } from "./record.js";

export type MetricRow = readonly [name: string, value: (record: RunRecord) => string];

export const METRIC_ROWS: readonly MetricRow[] = [
  ["AA (average accuracy, %)", (record) => fixed(record.averageAccuracy)],
  ["AA over pooled rows (%)", (record) => fixed(record.microAccuracy)],
  ["F.Ra (forgetting, points)", (record) => fixed(record.forgettingRate)],
  ["BWT (backward transfer, points)", (record) => fixed(record.backwardTransfer)],
  ["own-task accuracy (%)", (record) => fixed(record.ownTaskAccuracy)],
  ["out-of-label answers at the end (%)", (record) => fixed(finalOutOfLabel(record))],
  ["OO (squared)", (record) => significant(record.orthogonalOverlap.squared)],
  ["OO (abs)", (record) => significant(record.orthogonalOverlap.abs)],
  ["AWOM (spectral)", (record) => significant(record.awom.spectral)],
  ["AWOM (Frobenius)", (record) => significant(record.awom.frobenius)],
  ["GSR (mean; small is sparse)", (record) => significant(record.gsr.mean)],
  ["GSR (pooled)", (record) => significant(record.gsr.pooled)],
  ["ACR (|dW| > 1e-3)", (record) => significant(record.acr.abs)],
  ["ACR (|dW| > 0.4 rms)", (record) => significant(record.acr.relRms)],
  ["ACR (dW not 0)", (record) => significant(record.acr.exact)],
  ["||dW||_F (mean over tasks)", (record) => significant(mean(record.deltaNorms))],
  ["training time", (record) => duration(record.timings.trainSeconds)],
  ["evaluation time", (record) => duration(record.timings.evaluationSeconds)],
];

/** Mean over tasks of the share of answers outside the label set after the last task, in percent. */
function finalOutOfLabel(record: RunRecord): number | null {
  const share = mean(record.outOfLabelRate.map((row) => row.at(-1) ?? null));
  return share === null ? null : 100 * share;
}

function mean(values: readonly (number | null)[]): number | null {
  const known = values.filter((value) => value !== null);
  if (known.length === 0 || known.length < values.length) return null;
  return known.reduce((sum, value) => sum + value, 0) / known.length;
}
