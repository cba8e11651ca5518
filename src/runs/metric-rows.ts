/** A run's metrics as people read them: a name with the paper's acronym, and its value in a record. */
import { duration, fixed, NONE, significant } from "../format.js";
import type { RunRecord } from "./record.js";

export interface Metric {
  readonly name: string;
  readonly value: (record: RunRecord) => number | null;
  readonly format: (value: number | null) => string;
}

const metric = (name: string, format: Metric["format"], value: Metric["value"]): Metric => ({
  name,
  value,
  format,
});
const time = (value: number | null): string => (value === null ? NONE : duration(value));

const METRICS: readonly Metric[] = [
  metric("AA (average accuracy, %)", fixed, (record) => record.averageAccuracy),
  metric("AA over pooled rows (%)", fixed, (record) => record.microAccuracy),
  metric("F.Ra (forgetting, points)", fixed, (record) => record.forgettingRate),
  metric("BWT (backward transfer, points)", fixed, (record) => record.backwardTransfer),
  metric("own-task accuracy (%)", fixed, (record) => record.ownTaskAccuracy),
  metric("out-of-label answers at the end (%)", fixed, finalOutOfLabel),
  metric("OO (squared)", significant, (record) => record.orthogonalOverlap.squared),
  metric("OO (abs)", significant, (record) => record.orthogonalOverlap.abs),
  metric("AWOM (spectral)", significant, (record) => record.awom.spectral),
  metric("AWOM (Frobenius)", significant, (record) => record.awom.frobenius),
  metric("GSR (mean; small is sparse)", significant, (record) => record.gsr.mean),
  metric("GSR (pooled)", significant, (record) => record.gsr.pooled),
  metric("ACR (|dW| > 1e-3)", significant, (record) => record.acr.abs),
  metric("ACR (|dW| > 0.4 rms)", significant, (record) => record.acr.relRms),
  metric("ACR (dW not 0)", significant, (record) => record.acr.exact),
  metric("||dW||_F (mean over tasks)", significant, (record) => mean(record.deltaNorms)),
  metric("training time", time, (record) => record.timings.trainSeconds),
  metric("evaluation time", time, (record) => record.timings.evaluationSeconds),
];

/** Of streams that do not say where a task ends. */
const ONLINE: readonly Metric[] = [
  metric("answered before it was trained on (%)", fixed, ({ online }) => online?.prequentialAccuracy ?? null),
  metric("adapters opened", significant, ({ online }) => online?.adapters ?? null),
  metric("changes found, of those there were (%)", fixed, ({ online }) =>
    online && online.changes > 0 ? (100 * online.changesFound) / online.changes : null,
  ),
  metric("rows from a change to its alarm (mean)", fixed, ({ online }) => online?.delay ?? null),
  metric("false alarms per 1,000 rows", fixed, ({ online }) => online?.falseAlarmsPer1000 ?? null),
  metric("rows to recovery (mean)", fixed, ({ online }) => online?.recovery ?? null),
];

/** The metrics that at least one of the records can have. */
export const metricsOf = (records: readonly RunRecord[]): readonly Metric[] => [
  ...METRICS,
  ...(records.some(({ online }) => online) ? ONLINE : []),
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
