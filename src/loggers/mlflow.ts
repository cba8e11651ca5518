/**
 * MLflow: a run on a tracking server. What a run says goes into a queue and from there to the server when it answers: nothing
 * waits for it but the end, and that only for a while. What could not be sent is said then.
 */
import { randomUUID } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { writeFileAtomic } from "../io/files.js";
import type { RunEvent } from "../learn/events.js";
import type { Heard, LoggedRun, RunLogger, Warn } from "./logger.js";
import { authorization, MlflowClient, Passing, Refusal } from "./mlflow-client.js";
import { cut, flatSettings, mlflowKey, PARAM_BYTES, TAG_BYTES } from "./mlflow-names.js";
import { curvesOf, type Point } from "./points.js";

/** Of one request. */
export const BATCH = { metrics: 1000, params: 100, tags: 100 } as const;

export interface MlflowPatience {
  /** How long an answer may take, ms. */
  readonly timeout: number;
  /** The first wait after a failure, doubled up to `longestWait`, ms. */
  readonly wait: number;
  readonly longestWait: number;
  /** How long values are gathered before they are sent, ms. */
  readonly gather: number;
  /** How long the end of the run waits for what is left, ms. */
  readonly atEnd: number;
  /** Failures in a row after the run has ended, after which the rest is given up. */
  readonly triesAtEnd: number;
  /** Failures in a row after which nothing more is tried. */
  readonly tries: number;
  /** Values kept while the server does not take them; beyond, the oldest go. */
  readonly queue: number;
}

export const PATIENCE: MlflowPatience = {
  timeout: 30_000,
  wait: 1000,
  longestWait: 60_000,
  gather: 1000,
  atEnd: 15_000,
  triesAtEnd: 3,
  tries: Number.POSITIVE_INFINITY,
  queue: 50_000,
};

interface Metric {
  readonly key: string;
  readonly value: number;
  readonly timestamp: number;
  readonly step: number;
}
interface Word {
  readonly key: string;
  readonly value: string;
}
type Start = Extract<RunEvent, { type: "run-start" }>;

export interface MlflowOptions {
  readonly patience?: Partial<MlflowPatience>;
  readonly environment?: NodeJS.ProcessEnv;
  /** Whether the MLflow run is remembered in the run's folder, so that a resumed run goes on in it. */
  readonly remember?: boolean;
}

export class MlflowLogger implements RunLogger {
  readonly name: string;
  readonly #run: LoggedRun;
  readonly #warn: Warn;
  readonly #patience: MlflowPatience;
  readonly #client: MlflowClient;
  readonly #given = new AbortController();
  readonly #experiment: string;
  readonly #remember: boolean;
  /** Tells this start of the run apart on the server, so that a lost answer does not make a second run. */
  readonly #launch = randomUUID();
  #start: { readonly event: Start; readonly time: number } | null = null;
  #runId: string | null = null;
  #metrics: Metric[] = [];
  #params: Word[] = [];
  #tags: Word[] = [];
  #status: string | null = null;
  #endTime = 0;
  #made = 0;
  #dropped = 0;
  #closing = false;
  #refused: string | null = null;
  #failure: string | null = null;
  #hasWarned = false;
  #working: Promise<void> | null = null;
  #hurry = new AbortController();
  #room: (() => void)[] = [];

  constructor(address: string, run: LoggedRun, warn: Warn, options: MlflowOptions = {}) {
    const environment = options.environment ?? process.env;
    this.name = `mlflow=${address}`;
    this.#run = run;
    this.#warn = warn;
    this.#patience = { ...PATIENCE, ...options.patience };
    this.#remember = options.remember ?? true;
    this.#experiment = environment.MLFLOW_EXPERIMENT_NAME || "nlora";
    this.#client = new MlflowClient(
      address,
      authorization(environment),
      this.#patience.timeout,
      this.#given.signal,
    );
  }

  hear({ event, points, time }: Heard): void {
    if (event.type === "run-start") this.#begin(event, time);
    if (event.type === "run-end") this.#status = event.status === "done" ? "FINISHED" : "KILLED";
    if (event.type === "run-failed") {
      this.#status = "FAILED";
      this.#tags.push({ key: "nlora.error", value: cut(event.message, TAG_BYTES) });
    }
    this.#add(points, time);
  }

  ready(): Promise<void> {
    if (this.#refused !== null || this.#metrics.length < this.#patience.queue / 2) return Promise.resolve();
    return new Promise((resolve) => {
      this.#room.push(resolve);
    });
  }

  async close(points: readonly Point[], time: number): Promise<string | null> {
    if (this.#start === null) return null;
    this.#endTime = time;
    this.#closing = true;
    this.#add(points, time);
    this.#hurry.abort();
    const late = setTimeout(() => this.#given.abort(), this.#patience.atEnd);
    while (this.#working) await this.#working;
    clearTimeout(late);
    return this.#loss();
  }

  #begin(event: Start, time: number): void {
    this.#start = { event, time };
    const { method, model, tasks, seed } = event;
    this.#params = flatSettings(this.#run.config).map(([key, value]) => ({
      key: mlflowKey(key),
      value: cut(value, PARAM_BYTES),
    }));
    this.#tags.push(
      { key: "nlora.method", value: method },
      { key: "nlora.model", value: cut(model, TAG_BYTES) },
      { key: "nlora.tasks", value: cut(tasks.join(", "), TAG_BYTES) },
      { key: "nlora.seed", value: String(seed) },
    );
    this.#wake();
  }

  #add(points: readonly Point[], time: number): void {
    if (this.#start === null) return;
    for (const point of points) {
      for (const curve of curvesOf(point)) {
        this.#made++;
        const { value, step } = point;
        this.#metrics.push({ key: mlflowKey(curve), value, timestamp: Math.round(time), step });
      }
    }
    const surplus = this.#metrics.length - this.#patience.queue;
    if (surplus > 0) {
      this.#metrics.splice(0, surplus);
      this.#dropped += surplus;
    }
    this.#wake();
  }

  get #isIdle(): boolean {
    if (this.#refused !== null || this.#start === null) return true;
    const sent = this.#metrics.length + this.#params.length + this.#tags.length === 0;
    return sent && this.#runId !== null && !(this.#closing && this.#status !== null);
  }

  /** Starts sending, unless that is going on. */
  #wake(): void {
    if (this.#working || this.#isIdle) return;
    this.#working = this.#send().finally(() => {
      this.#working = null;
      // Something may have come between its last look and now.
      if (!this.#given.signal.aborted) this.#wake();
    });
  }

  async #send(): Promise<void> {
    // Failures of one endpoint in a row, and those of them after the run has ended.
    let [failures, lastTries, endpoint] = [0, 0, ""];
    await this.#wait(this.#patience.gather);
    while (!this.#isIdle && !this.#given.signal.aborted) {
      try {
        await this.#sendNext();
        [failures, lastTries, this.#failure] = [0, 0, null];
      } catch (error) {
        if (!(error instanceof Passing)) {
          this.#refuse(error instanceof Error ? error.message : String(error));
          break;
        }
        if (this.#given.signal.aborted) break;
        this.#failure = error.message;
        if (error.endpoint !== endpoint) [failures, lastTries, endpoint] = [0, 0, error.endpoint];
        if (failures + 1 >= this.#patience.tries) {
          this.#refuse(`${error.message}, tried ${failures + 1} times`);
          break;
        }
        if (this.#closing && ++lastTries >= this.#patience.triesAtEnd) {
          this.#given.abort();
          break;
        }
        this.#warnOnce(`${error.message}; the run goes on, and what it says is kept and sent later`);
        const wait = this.#patience.wait * 2 ** failures++;
        await this.#wait(Math.min(error.wait ?? wait, this.#patience.longestWait));
      } finally {
        if (this.#refused !== null || this.#metrics.length < this.#patience.queue / 2) {
          for (const resolve of this.#room.splice(0)) resolve();
        }
      }
    }
  }

  /** Waits, but at the end of the run not long. */
  async #wait(milliseconds: number): Promise<void> {
    const signal = this.#closing
      ? this.#given.signal
      : AbortSignal.any([this.#given.signal, this.#hurry.signal]);
    const most = this.#closing ? Math.min(milliseconds, this.#patience.wait * 2) : milliseconds;
    await pause(most, undefined, { signal }).catch((error: unknown) => {
      if (!signal.aborted) throw error;
    });
  }

  /** One request, of what is there. */
  async #sendNext(): Promise<void> {
    this.#runId ??= (await this.#goOn()) ?? (await this.#create());
    const metrics = this.#metrics.slice(0, BATCH.metrics - BATCH.params - BATCH.tags);
    const params = this.#params.slice(0, BATCH.params);
    const tags = this.#tags.slice(0, BATCH.tags);
    if (metrics.length + params.length + tags.length > 0) {
      const dropped = this.#dropped;
      await this.#client.post("runs/log-batch", { run_id: this.#runId, metrics, params, tags });
      // What was dropped meanwhile was the oldest, which is what was sent.
      const meanwhile = Math.min(this.#dropped - dropped, metrics.length);
      this.#dropped -= meanwhile;
      this.#metrics.splice(0, metrics.length - meanwhile);
      this.#params.splice(0, params.length);
      this.#tags.splice(0, tags.length);
    } else if (this.#closing && this.#status !== null) {
      await this.#client.post("runs/update", {
        run_id: this.#runId,
        status: this.#status,
        end_time: Math.round(this.#endTime),
      });
      this.#status = null;
    }
  }

  get #memoryFile(): string {
    return join(this.#run.folder, "mlflow.json");
  }

  /** The MLflow run of an earlier start, running again; null: there is none that could go on. */
  async #goOn(): Promise<string | null> {
    if (!this.#remember || this.#start!.event.resumedAt === 0 || !existsSync(this.#memoryFile)) return null;
    const memory = JSON.parse(readFileSync(this.#memoryFile, "utf8")) as Record<string, unknown>;
    if (memory.address !== this.#client.address || typeof memory.run_id !== "string") return null;
    try {
      await this.#client.post("runs/update", { run_id: memory.run_id, status: "RUNNING" });
      return memory.run_id;
    } catch (error) {
      if (error instanceof Refusal && error.code === "RESOURCE_DOES_NOT_EXIST") return null;
      throw error;
    }
  }

  async #create(): Promise<string> {
    const { event, time } = this.#start!;
    const experiment = await this.#experimentId();
    // A request whose answer was lost may have made it.
    const found = this.#failure === null ? null : await this.#find(experiment);
    const id =
      found ??
      runIdOf(
        (
          await this.#client.post("runs/create", {
            experiment_id: experiment,
            run_name: cut(this.#run.name, TAG_BYTES),
            start_time: Math.round(time),
            tags: [
              { key: "mlflow.runName", value: cut(this.#run.name, TAG_BYTES) },
              { key: "mlflow.source.name", value: "nlora" },
              { key: "nlora.launch", value: this.#launch },
              { key: "nlora.resumedAt", value: String(event.resumedAt) },
            ],
          })
        ).run,
      );
    if (id === null) throw new Refusal("the answer names no run: is this an MLflow tracking server?");
    if (this.#remember) {
      const memory = { address: this.#client.address, experiment_id: experiment, run_id: id };
      writeFileAtomic(this.#memoryFile, [`${JSON.stringify(memory, null, 2)}\n`]);
    }
    return id;
  }

  async #find(experiment: string): Promise<string | null> {
    const { runs } = await this.#client.post("runs/search", {
      experiment_ids: [experiment],
      filter: `tags.\`nlora.launch\` = '${this.#launch}'`,
      max_results: 1,
    });
    return Array.isArray(runs) ? runIdOf(runs[0]) : null;
  }

  /** The experiment's id; makes it where it is not there. */
  async #experimentId(): Promise<string> {
    const named = () =>
      this.#client.get("experiments/get-by-name", { experiment_name: this.#experiment }).then(
        ({ experiment }) => experiment,
        (error: unknown) => {
          if (error instanceof Refusal && error.code === "RESOURCE_DOES_NOT_EXIST") return null;
          throw error;
        },
      );
    const created = () =>
      this.#client.post("experiments/create", { name: this.#experiment }).catch((error: unknown) => {
        if (error instanceof Refusal && error.code === "RESOURCE_ALREADY_EXISTS") return named();
        throw error;
      });
    const experiment = (await named()) ?? (await created());
    const { experiment_id: id, lifecycle_stage: stage } = (experiment ?? {}) as Record<string, unknown>;
    if (stage === "deleted") {
      throw new Refusal(
        `the experiment ${this.#experiment} is deleted there; name another in MLFLOW_EXPERIMENT_NAME`,
      );
    }
    if (typeof id !== "string")
      throw new Refusal("the answer names no experiment: is this an MLflow tracking server?");
    return id;
  }

  #refuse(message: string): void {
    this.#refused = message;
    this.#warnOnce(`${message}; nothing more is sent, the run goes on`);
  }

  #warnOnce(what: string): void {
    if (this.#hasWarned) return;
    this.#hasWarned = true;
    this.#warn(`${this.name}: ${what}`);
  }

  /** What was not sent, and why. */
  #loss(): string | null {
    const lost = this.#dropped + this.#metrics.length;
    const parts = [
      ...(lost > 0 ? [`${lost} of ${this.#made} values`] : []),
      ...(this.#params.length > 0 ? [`${this.#params.length} settings`] : []),
      ...(this.#tags.length > 0 ? [`${this.#tags.length} tags`] : []),
      ...(this.#status !== null ? ["the end of the run"] : []),
    ];
    if (parts.length === 0) return null;
    const why = this.#refused ?? this.#failure ?? "there was no time left";
    return `${this.name}: ${parts.join(", ")} ${parts.length === 1 && lost === 1 ? "was" : "were"} not sent (${why})`;
  }
}

function runIdOf(run: unknown): string | null {
  const { info } = (run ?? {}) as { info?: { run_id?: unknown } };
  return typeof info?.run_id === "string" ? info.run_id : null;
}
