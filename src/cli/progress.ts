/** Where a run stands, from its events: what the terminal shows and how long it will still take. No input or output. */
import type { HubProgress, RunEvent } from "../learn/events.js";
import { bytes, count, duration, fixed } from "./format.js";

type Step = Extract<RunEvent, { type: "step" }>;

/** Weight of the newest step in the running mean of the seconds per step. */
const NEWEST = 0.1;

export class RunProgress {
  readonly #evaluates: "all" | "seen";
  #method = "";
  #tasks: readonly string[] = [];
  #rows = new Map<string, { train: number; test: number }>();
  #index = -1;
  #steps = 0;
  #taskRows = 0;
  #step: Step | undefined;
  #answering: { task: string; done: number; rows: number } | undefined;
  #lastStepAt: number | undefined;
  #secondsPerStep: number | undefined;
  #evaluated = { rows: 0, seconds: 0 };
  #answeredRows = 0;
  #memory = 0;
  #download: HubProgress | undefined;

  /** `evaluates`: the config's evaluation.tasks, for the time left. */
  constructor(evaluates: "all" | "seen" = "all") {
    this.#evaluates = evaluates;
  }

  /** Takes note of an event that arrived at `now` (seconds). */
  update(event: RunEvent, memory: number, now: number): void {
    if (memory > 0) this.#memory = memory;
    switch (event.type) {
      case "download":
        this.#download = event.filesDone < event.files ? event : undefined;
        break;
      case "run-start":
        this.#download = undefined;
        this.#method = event.method;
        this.#tasks = event.tasks;
        break;
      case "lengths":
        for (const { task, split, rows } of event.report) {
          const known = this.#rows.get(task) ?? { train: 0, test: 0 };
          this.#rows.set(task, { ...known, [split]: rows });
        }
        break;
      case "task-start":
        this.#index = event.index;
        this.#steps = event.steps;
        this.#taskRows = event.rows;
        this.#step = undefined;
        this.#answering = undefined;
        this.#answeredRows = 0;
        this.#lastStepAt = now;
        break;
      case "step": {
        const done = event.step - (this.#step?.step ?? 0);
        if (this.#lastStepAt !== undefined && done > 0) {
          const seconds = (now - this.#lastStepAt) / done;
          this.#secondsPerStep =
            this.#secondsPerStep === undefined
              ? seconds
              : this.#secondsPerStep + NEWEST * (seconds - this.#secondsPerStep);
        }
        this.#lastStepAt = now;
        this.#step = event;
        break;
      }
      case "evaluation-progress":
        this.#answering = { task: event.task, done: event.done, rows: event.rows };
        break;
      case "evaluation":
        this.#answering = undefined;
        this.#answeredRows += event.rows;
        this.#evaluated = {
          rows: this.#evaluated.rows + event.rows,
          seconds: this.#evaluated.seconds + event.seconds,
        };
        break;
    }
  }

  /** Share of the run's current activity that is done, in [0, 1]. */
  get share(): number {
    if (this.#download) return this.#download.bytesDone / Math.max(1, this.#download.bytes);
    if (this.#answering) return this.#answering.done / Math.max(1, this.#answering.rows);
    return this.#steps === 0 ? 0 : (this.#step?.step ?? 0) / this.#steps;
  }

  /** What is being done: `n-lora  task 2/4 amazon  step 120/1560`. */
  get activity(): string {
    if (this.#download) {
      const { repository, filesDone, files } = this.#download;
      return `downloading ${repository}  file ${filesDone + 1}/${files}`;
    }
    const task = this.#tasks[this.#index];
    const where = task === undefined ? "base model" : `task ${this.#index + 1}/${this.#tasks.length} ${task}`;
    if (this.#answering) {
      const { task: asked, done, rows } = this.#answering;
      return `${this.#method}  ${where}  answering ${asked} ${done}/${rows}`;
    }
    if (task === undefined) return this.#method === "" ? "starting" : `${this.#method}  preparing`;
    return `${this.#method}  ${where}  step ${this.#step?.step ?? 0}/${this.#steps}`;
  }

  /** How it goes: loss and its parts, speed, memory, time left; what is not known yet is left out. */
  figures(): string {
    if (this.#download) return downloadFigures(this.#download);
    const parts: string[] = [];
    if (this.#step) {
      const penalties = Object.entries(this.#step.penalties).map(
        ([name, value]) => ` + ${name} ${value.toFixed(4)}`,
      );
      parts.push(
        `loss ${this.#step.taskLoss?.toFixed(4)}${penalties.join("")}`,
        `${count(this.#step.tokensPerSecond)} tokens/s`,
      );
    }
    if (this.#memory > 0) parts.push(bytes(this.#memory));
    const left = this.secondsLeft();
    if (left !== null) parts.push(`about ${duration(left)} left`);
    return parts.join("  ");
  }

  /** Seconds until the run ends if steps and answers keep their pace; null before the first step. */
  secondsLeft(): number | null {
    if (this.#secondsPerStep === undefined || this.#index < 0) return null;
    const rowsOf = (task: string) => this.#rows.get(task) ?? { train: 0, test: 0 };
    let steps = this.#steps - (this.#step?.step ?? 0);
    let answers = -this.#answeredRows - (this.#answering?.done ?? 0);
    for (let index = this.#index; index < this.#tasks.length; index++) {
      if (index > this.#index) {
        steps += (this.#steps * rowsOf(this.#tasks[index]!).train) / Math.max(1, this.#taskRows);
      }
      const tested = this.#evaluates === "all" ? this.#tasks : this.#tasks.slice(0, index + 1);
      for (const task of tested) answers += rowsOf(task).test;
    }
    const pace = this.#evaluated.rows === 0 ? 0 : this.#evaluated.seconds / this.#evaluated.rows;
    return steps * this.#secondsPerStep + Math.max(0, answers) * pace;
  }
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
