/** Where a run stands, as the terminal says it. No input or output. */

import { bytes, count, duration, fixed } from "../format.js";
import type { HubProgress, RunEvent } from "../learn/events.js";
import type { RunProgress } from "../runs/progress.js";

/** What is being done: `n-lora  task 2/4 amazon  step 120/1560`. */
export function activityOf(progress: RunProgress): string {
  const { download, answering, method, tasks, index, steps, step } = progress;
  if (download) {
    return `downloading ${download.repository}  file ${download.filesDone + 1}/${download.files}`;
  }
  const task = tasks[index];
  const where = task === undefined ? "base model" : `task ${index + 1}/${tasks.length} ${task}`;
  if (answering) {
    return `${method}  ${where}  answering ${answering.task} ${answering.done}/${answering.rows}`;
  }
  if (task === undefined) return method === "" ? "starting" : `${method}  preparing`;
  return `${method}  ${where}  step ${step?.step ?? 0}/${steps}`;
}

/** How it goes: loss and its parts, speed, memory, time left; what is not known yet is left out. */
export function figuresOf(progress: RunProgress): string {
  const { download, step, memory } = progress;
  if (download) return downloadFigures(download);
  const parts: string[] = [];
  if (step) {
    const penalties = Object.entries(step.penalties).map(([name, value]) => ` + ${name} ${value.toFixed(4)}`);
    parts.push(
      `loss ${step.taskLoss?.toFixed(4)}${penalties.join("")}`,
      `${count(step.tokensPerSecond)} tokens/s`,
    );
  }
  if (memory > 0) parts.push(bytes(memory));
  const left = progress.secondsLeft();
  if (left !== null) parts.push(`about ${duration(left)} left`);
  return parts.join("  ");
}

/** How a download goes: what is there of what is needed, its speed, the time left. */
function downloadFigures({ bytes: all, bytesDone, bytesPerSecond }: HubProgress): string {
  const parts = [`${bytes(bytesDone)} of ${bytes(all)}`];
  if (bytesPerSecond > 0) {
    parts.push(`${bytes(bytesPerSecond)}/s`, `about ${duration((all - bytesDone) / bytesPerSecond)} left`);
  }
  return parts.join("  ");
}

/** One line on a finished task: its time and what is known of every task after it. */
export function taskEndLine(
  event: Extract<RunEvent, { type: "task-end" }>,
  tasks: readonly string[],
  accuracies: ReadonlyMap<string, number>,
): string {
  const measured = [...accuracies].map(([task, accuracy]) => `${task} ${fixed(accuracy, 1)}`);
  const after = measured.length === 0 ? "" : `; accuracy: ${measured.join(", ")}`;
  return `task ${event.index + 1}/${tasks.length} ${event.task} trained in ${duration(event.seconds)}${after}`;
}

/** One line on a change that was found in a stream without boundaries. */
export function alarmLine({ row, since, kind }: Extract<RunEvent, { type: "alarm" }>): string {
  const what = { inputs: "other inputs", answers: "other answers to such inputs" };
  const found = kind === null ? "" : `: ${what[kind]}`;
  return `alarm at row ${row}, the losses have risen since row ${since}${found}`;
}
