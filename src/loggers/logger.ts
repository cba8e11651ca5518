/** What a logger is: it hears a run's events where people watch it, never in the training process, and writes them elsewhere. */
import type { Config } from "../experiment/config.js";
import type { RunEvent } from "../learn/events.js";
import type { Point, RunPoints } from "./points.js";

export interface LoggedRun {
  /** The run's folder. */
  readonly folder: string;
  readonly name: string;
  readonly config: Config;
  /** Events of earlier starts, where the run is resumed. */
  readonly earlier: readonly RunEvent[];
}

/** An event with what is known of it. */
export interface Heard {
  readonly event: RunEvent;
  readonly points: readonly Point[];
  /** Milliseconds since 1970. */
  readonly time: number;
  /** Where the run stands after the event. */
  readonly progress: RunPoints;
}

export interface RunLogger {
  /** As people name it: `tensorboard`, `csv`, `mlflow=URL`. */
  readonly name: string;
  /** Never waits. A RunError ends this logger and nothing else. */
  hear(heard: Heard): void;
  /** Resolves when there is room for more; loggers without it always have. */
  ready?(): Promise<void>;
  /** Resolves when all is written or given up; returns what was lost, in a line, or null. `points`: of the whole run. */
  close(points: readonly Point[], time: number): Promise<string | null>;
}

/** Something that people should know, said while the run goes on. */
export type Warn = (line: string) => void;
