/** A run's state and its place, in words. */
import { element } from "./dom.js";
import type { RunDetail, RunStatus, RunSummary } from "./wire.js";

const WORDS: Readonly<Record<RunStatus, string>> = {
  starting: "starting",
  running: "running",
  done: "finished",
  interrupted: "stopped",
  failed: "failed",
};

/** A journal that says "running" and was not written for so long may be of a process that is gone. */
const SILENT_MILLISECONDS = 120_000;

export const isSilent = ({ status, isHere, isElsewhere, changedAt }: RunSummary): boolean =>
  (status === "running" || status === "starting") &&
  !isHere &&
  !isElsewhere &&
  Date.now() - changedAt > SILENT_MILLISECONDS;

export function statusText(run: RunSummary): string {
  if (run.damage !== null) return "unreadable";
  return isSilent(run) ? "silent" : WORDS[run.status];
}

export function badge(run: RunSummary): HTMLElement {
  const word = statusText(run);
  return element("span", { class: `badge ${word}` }, word);
}

/** What a run is doing, as a sentence without an end. */
export function activityOf({ status, progress, tasks }: RunDetail): string {
  if (status === "starting") return "starting";
  if (status !== "running") return WORDS[status];
  if (progress.download !== null) return `downloading ${progress.download}`;
  const task = tasks[progress.index];
  const where = task === undefined ? "base model" : `task ${progress.index + 1} of ${tasks.length}, ${task}`;
  if (progress.answering) {
    const { task: asked, done, rows } = progress.answering;
    return `${where}: answering ${asked}, ${done} of ${rows}`;
  }
  if (task === undefined) return "preparing";
  return `${where}: step ${progress.step} of ${progress.steps}`;
}

export const dateOf = (milliseconds: number): string =>
  milliseconds === 0
    ? ""
    : new Date(milliseconds).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
