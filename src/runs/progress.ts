/** Where a run stands, from its events, and how long it will still take. No input or output. */
import type { HubProgress, RunEvent, StepEvent } from "../learn/events.js";

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
  #step: StepEvent | undefined;
  #answering: { task: string; done: number; rows: number } | undefined;
  #pacedAt: number | undefined;
  /** Steps since the pace was last taken. */
  #unpaced = 0;
  #stepsSinceStart = 0;
  #evaluatedAtStart = 0;
  #secondsPerStep: number | undefined;
  #evaluated = { rows: 0, seconds: 0 };
  #answeredRows = 0;
  #memory = 0;
  #download: HubProgress | undefined;

  /** `evaluates`: the config's evaluation.tasks, for the time left. */
  constructor(evaluates: "all" | "seen" = "all") {
    this.#evaluates = evaluates;
  }

  /** Takes note of an event that arrived at `now` (seconds on any steady clock); several may arrive together. */
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
        this.#index = -1;
        this.#answering = undefined;
        this.#stepsSinceStart = 0;
        this.#evaluatedAtStart = this.#evaluated.seconds;
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
        this.#pacedAt = now;
        this.#unpaced = 0;
        break;
      case "step": {
        const done = Math.max(0, event.step - (this.#step?.step ?? 0));
        this.#unpaced += done;
        this.#stepsSinceStart += done;
        this.#takePace(now);
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

  /** Steps that arrived together share the time since the last that arrived before them. */
  #takePace(now: number): void {
    if (this.#pacedAt !== undefined && now > this.#pacedAt && this.#unpaced > 0) {
      const seconds = (now - this.#pacedAt) / this.#unpaced;
      const weight = 1 - (1 - NEWEST) ** this.#unpaced;
      this.#secondsPerStep =
        this.#secondsPerStep === undefined
          ? seconds
          : this.#secondsPerStep + weight * (seconds - this.#secondsPerStep);
    } else if (this.#pacedAt !== undefined) return;
    this.#pacedAt = now;
    this.#unpaced = 0;
  }

  /** Says that the events so far were read after the fact, `elapsed` seconds after the run's (last) start. */
  caughtUp(elapsed: number, now: number): void {
    const training = elapsed - (this.#evaluated.seconds - this.#evaluatedAtStart);
    this.#secondsPerStep =
      this.#stepsSinceStart > 0 && training > 0 ? training / this.#stepsSinceStart : undefined;
    this.#pacedAt = now;
    this.#unpaced = 0;
  }

  get method(): string {
    return this.#method;
  }
  get tasks(): readonly string[] {
    return this.#tasks;
  }
  /** Of the task that is trained or was trained last, from 0; -1 before the first. */
  get index(): number {
    return this.#index;
  }
  /** Steps of that task. */
  get steps(): number {
    return this.#steps;
  }
  /** Its last one. */
  get step(): StepEvent | undefined {
    return this.#step;
  }
  /** The task whose test rows are answered now. */
  get answering(): { readonly task: string; readonly done: number; readonly rows: number } | undefined {
    return this.#answering;
  }
  /** Resident bytes of the training process; 0 where it is not known. */
  get memory(): number {
    return this.#memory;
  }
  get download(): HubProgress | undefined {
    return this.#download;
  }

  /** Share of the run's current activity that is done, in [0, 1]. */
  get share(): number {
    if (this.#download) return this.#download.bytesDone / Math.max(1, this.#download.bytes);
    if (this.#answering) return this.#answering.done / Math.max(1, this.#answering.rows);
    return this.#steps === 0 ? 0 : Math.min(1, (this.#step?.step ?? 0) / this.#steps);
  }

  /** Seconds until the run ends if steps and answers keep their pace; null before the first step. */
  secondsLeft(): number | null {
    if (this.#secondsPerStep === undefined || this.#index < 0) return null;
    const rowsOf = (task: string) => this.#rows.get(task) ?? { train: 0, test: 0 };
    let steps = Math.max(0, this.#steps - (this.#step?.step ?? 0));
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
