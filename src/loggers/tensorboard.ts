/** TensorBoard: a folder of event files, one for every start of the run, which TensorBoard reads as one run. */
import { closeSync, mkdirSync, openSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { RunError } from "../errors.js";
import { writeConfig } from "../experiment/config.js";
import { writeAll } from "../io/files.js";
import type { RunEvent } from "../learn/events.js";
import { frame, restartEvent, scalarEvent, textEvent, versionEvent } from "./event-file.js";
import type { Heard, LoggedRun, RunLogger } from "./logger.js";
import { curvesOf, type Point, taskLabel } from "./points.js";

export class TensorBoardLogger implements RunLogger {
  readonly name = "tensorboard";
  readonly #folder: string;
  readonly #run: LoggedRun;
  #file: { readonly path: string; readonly descriptor: number } | null = null;

  /** Makes the folder; the event file is made with the first event that goes into it. */
  constructor(folder: string, run: LoggedRun) {
    this.#folder = folder;
    this.#run = run;
    try {
      mkdirSync(folder, { recursive: true });
    } catch (error) {
      throw new RunError(`cannot make the folder ${folder}: ${(error as Error).message}`, { cause: error });
    }
  }

  hear({ event, points, time, progress }: Heard): void {
    if (event.type === "run-start") this.#start(event, time, progress.before(event.resumedAt));
    const { step } = progress;
    if (event.type === "task-start") {
      const { task, index, rows, steps, trainable } = event;
      this.#write(
        textEvent(
          time,
          step,
          "task",
          `${taskLabel(index, task)}: ${steps} steps, ${rows} rows, ${trainable} numbers trained`,
        ),
      );
    }
    if (event.type === "note") this.#write(textEvent(time, step, "notes", event.message));
    if (event.type === "run-failed") this.#write(textEvent(time, step, "notes", `failed: ${event.message}`));
    this.#writePoints(points, time);
  }

  async close(points: readonly Point[], time: number): Promise<null> {
    this.#writePoints(points, time);
    if (this.#file) closeSync(this.#file.descriptor);
    this.#file = null;
    return null;
  }

  #start(event: Extract<RunEvent, { type: "run-start" }>, time: number, step: number): void {
    // One file a start; what an earlier start wrote of the task that begins anew is forgotten by the reader.
    if (event.resumedAt > 0) this.#write(restartEvent(time, step + 1));
    const { method, model, seed, tasks } = event;
    const list = tasks.map((task, index) => taskLabel(index, task)).join(", ");
    this.#write(textEvent(time, step, "run", `${method} on ${model}, seed ${seed}: ${list}`));
    const config = writeConfig(this.#run.config).trimEnd().replaceAll(/^/gm, "    ");
    this.#write(textEvent(time, step, "config", config));
  }

  #writePoints(points: readonly Point[], time: number): void {
    const scalars = points.flatMap((point) => curvesOf(point).map((tag) => ({ tag, value: point.value })));
    // The points of an event have one step.
    if (scalars.length > 0) this.#write(scalarEvent(time, points[0]!.step, scalars));
  }

  #write(event: Buffer): void {
    this.#file ??= this.#create();
    try {
      writeAll(this.#file.descriptor, frame(event));
    } catch (error) {
      throw new RunError(`cannot write to ${this.#file.path}: ${(error as Error).message}`, { cause: error });
    }
  }

  /** A file of its own behind all earlier ones: readers take files in the order of their names. */
  #create(): { path: string; descriptor: number } {
    const seconds = Math.floor(Date.now() / 1000);
    for (let later = 0; ; later++) {
      const name = `events.out.tfevents.${seconds + later}.${hostname()}.${process.pid}`;
      const path = join(this.#folder, name);
      try {
        const descriptor = openSync(path, "wx");
        writeAll(descriptor, frame(versionEvent(Date.now())));
        return { path, descriptor };
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === "EEXIST") continue;
        throw new RunError(`cannot write ${path}: ${(error as Error).message}`, { cause: error });
      }
    }
  }
}
