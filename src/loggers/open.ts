/** The loggers that a command was asked for, as one. One that fails says so and ends; the others and the run go on. */
import { join } from "node:path";
import { didYouMean } from "../did-you-mean.js";
import { RunError, UsageError } from "../errors.js";
import type { RunEvent } from "../learn/events.js";
import type { RunRecord } from "../runs/record.js";
import { CsvLogger } from "./csv.js";
import type { LoggedRun, RunLogger, Warn } from "./logger.js";
import { MlflowLogger, type MlflowOptions } from "./mlflow.js";
import { serverAddress } from "./mlflow-client.js";
import { RunPoints } from "./points.js";
import { TensorBoardLogger } from "./tensorboard.js";

export type Target =
  | { readonly kind: "tensorboard" | "csv" }
  | { readonly kind: "mlflow"; readonly address: string };

/** `tensorboard`, `csv` or `mlflow=URL`; the URL may come from MLFLOW_TRACKING_URI. Throws a UsageError. */
export function loggerTarget(word: string, environment: NodeJS.ProcessEnv = process.env): Target {
  if (word === "tensorboard" || word === "csv") return { kind: word };
  const [kind, ...rest] = word.split("=");
  if (kind === "mlflow") {
    const address = rest.join("=") || environment.MLFLOW_TRACKING_URI || "";
    return { kind, address: serverAddress(address) };
  }
  const near = didYouMean(kind!, ["tensorboard", "csv", "mlflow"]);
  throw new UsageError(`there is no logger "${word}"; loggers: tensorboard, csv, mlflow=URL`, {
    ...(near && { hint: `did you mean ${near}?` }),
  });
}

export interface OpenOptions {
  /** Where TensorBoard's folder and the CSV file go; by default `tensorboard/` and `metrics.csv` in the run's folder. */
  readonly places?: { readonly tensorboard: string; readonly csv: string };
  readonly mlflow?: MlflowOptions;
}

/** Throws a RunError when a folder or file cannot be made. */
export function openLoggers(
  targets: readonly Target[],
  run: LoggedRun,
  warn: Warn,
  options: OpenOptions = {},
): Loggers {
  const places = options.places ?? placesIn(run.folder);
  const loggers = targets.map((target) => {
    if (target.kind === "mlflow") return new MlflowLogger(target.address, run, warn, options.mlflow);
    return target.kind === "csv"
      ? new CsvLogger(places.csv, run)
      : new TensorBoardLogger(places.tensorboard, run);
  });
  return new Loggers(loggers, new RunPoints(run.earlier), warn);
}

export const placesIn = (folder: string) => ({
  tensorboard: join(folder, "tensorboard"),
  csv: join(folder, "metrics.csv"),
});

export class Loggers {
  #loggers: readonly RunLogger[];
  readonly #points: RunPoints;
  readonly #warn: Warn;
  #failures = 0;

  constructor(loggers: readonly RunLogger[], points: RunPoints, warn: Warn) {
    this.#loggers = loggers;
    this.#points = points;
    this.#warn = warn;
  }

  /** `time` in ms since 1970. */
  hear(event: RunEvent, time: number): void {
    const points = this.#points.of(event);
    for (const logger of this.#loggers) {
      try {
        logger.hear({ event, points, time, progress: this.#points });
      } catch (error) {
        this.#drop(logger, error);
      }
    }
  }

  /** Resolves when all loggers have room for more: for events that come faster than a run makes them. */
  async ready(): Promise<void> {
    await Promise.all(this.#loggers.map((logger) => logger.ready?.()));
  }

  /** Waits for what is left to write, says what was lost, and returns how many loggers lost something. */
  async close(record: RunRecord | null, time: number): Promise<number> {
    const points = record?.status === "done" ? this.#points.ofRecord(record) : [];
    await Promise.all(
      this.#loggers.map(async (logger) => {
        try {
          const lost = await logger.close(points, time);
          if (lost === null) return;
          this.#failures++;
          this.#warn(lost);
        } catch (error) {
          this.#drop(logger, error);
        }
      }),
    );
    return this.#failures;
  }

  #drop(logger: RunLogger, error: unknown): void {
    if (!(error instanceof RunError)) throw error;
    this.#failures++;
    this.#loggers = this.#loggers.filter((each) => each !== logger);
    this.#warn(`${logger.name}: ${error.message}; nothing more is logged there, the run goes on`);
  }
}
