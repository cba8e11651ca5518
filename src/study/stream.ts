/**
 * A long stream point by point: what was measured after each task behind which all tasks so far were tested. Read from a run's
 * folder, finished or not; what a finished run amounts to is kept there, as adapters do not change any more.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { readAdapters } from "../analysis/sources.js";
import { writeFileAtomic } from "../io/files.js";
import { AccuracyMatrix, averageAccuracy, forgettingRate } from "../metrics/accuracy.js";
import { type Along, alongStream } from "../metrics/along.js";
import type { RunRecord } from "../runs/record.js";
import { RunFolder } from "../runs/run-folder.js";
import { tidy } from "../tensor/scope.js";
import type { RunStream, StreamPoint } from "./stream-text.js";

/** The points of a run; null where it has not finished a task or keeps no adapters. */
export function streamOf(path: string): Pick<RunStream, "status" | "points"> | null {
  const folder = new RunFolder(path);
  const record = folder.readRecord();
  if (!record || !existsSync(join(folder.path, "adapters"))) return null;
  const kept = join(folder.path, "stream.json");
  if (record.status === "done" && existsSync(kept)) {
    return { status: "done", points: JSON.parse(readFileSync(kept, "utf8")) as StreamPoint[] };
  }
  const tested = testedAfter(record);
  if (tested.length === 0) return { status: record.status, points: [] };
  const along = tidy(() =>
    alongStream(
      readAdapters([folder.path])
        .slice(record.startFrom.length)
        .map(({ delta }) => delta),
    ),
  );
  const points = tested.map((tasks, k) => pointOf(record, tasks, tested[k - 1] ?? 0, along[tasks - 1]!));
  if (record.status === "done") writeFileAtomic(kept, [`${JSON.stringify(points)}\n`]);
  return { status: record.status, points };
}

/** Numbers of tasks after which all of them were tested, and whose end is recorded. */
function testedAfter({ tasks, accuracy, deltaNorms }: RunRecord): number[] {
  return tasks.flatMap((_, last) =>
    deltaNorms[last] !== null && tasks.slice(0, last + 1).every((_, task) => accuracy[task]?.[last] != null)
      ? [last + 1]
      : [],
  );
}

function pointOf(record: RunRecord, tasks: number, before: number, along: Along): StreamPoint {
  const matrix = new AccuracyMatrix(record.tasks.slice(0, tasks));
  for (let task = 0; task < tasks; task++) {
    for (let after = task; after < tasks; after++) {
      const value = record.accuracy[task]![after];
      if (value != null) matrix.set(task, after, value);
    }
  }
  const learned = record.tasks.slice(before, tasks).map((_, k) => matrix.get(before + k, before + k));
  const known = learned.filter((value) => value !== null);
  return {
    tasks,
    averageAccuracy: averageAccuracy(matrix)!,
    forgettingRate: forgettingRate(matrix).value,
    learningAccuracy:
      known.length < learned.length ? null : known.reduce((sum, value) => sum + value, 0) / known.length,
    keptBytes: record.keptBytes[tasks - 1] ?? null,
    ...along,
  };
}
