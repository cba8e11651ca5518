/** Something that answers requests: the scheduler with a loop that drives it, here or in another process. */
import { setImmediate as turn } from "node:timers/promises";
import { CheckpointError, type ReportedError, reported } from "../errors.js";
import { Tokenizer } from "../io/tokenizer/tokenizer.js";
import type { Device, DType } from "../tensor/dtype.js";
import { defaultDtype } from "../tensor/engine-report.js";
import { setThreads } from "../tensor/grad.js";
import type { ModelSource } from "./model-source.js";
import { ModelStates } from "./model-states.js";
import type { GenerationEvent, GenerationRequest } from "./request.js";
import { Scheduler, type SchedulerLimits } from "./scheduler.js";

export interface EngineOptions {
  readonly dtype: DType | "auto";
  readonly device: Device;
  /** null: as many as the environment says. */
  readonly threads: number | null;
  readonly limits: SchedulerLimits;
}

export interface EngineInfo {
  readonly family: "seq2seq" | "causal";
  readonly dtype: DType;
  readonly parameters: number;
}

export interface Engine {
  readonly info: EngineInfo;
  /** Requests waiting, and answers being written. */
  readonly load: { readonly waiting: number; readonly running: number };
  /**
   * Asks; `say` hears every event until the last choice has ended or the request failed (with the code of a ConfigError
   * for one that cannot be run, of a BusyError when too many are waiting). Returns a function that calls it off.
   */
  submit(request: GenerationRequest, say: (event: GenerationEvent) => void): () => void;
  /** Resolves with the reason when the engine has ended by itself and answers no more. */
  readonly failed: Promise<ReportedError>;
  /** Ends what is under way and releases the model. */
  close(): Promise<void>;
}

/** The engine in this process: computing holds up everything else in it for the length of a step. */
export class LocalEngine implements Engine {
  readonly info: EngineInfo;
  /** Never: what fails here fails a request. */
  readonly failed = new Promise<ReportedError>(() => {});
  readonly #states: ModelStates;
  readonly #scheduler: Scheduler;
  #closed = false;
  #working: Promise<void> | null = null;

  private constructor(states: ModelStates, scheduler: Scheduler) {
    this.#states = states;
    this.#scheduler = scheduler;
    const { family, dtype, parameterCount } = states.model;
    this.info = { family, dtype, parameters: parameterCount };
  }

  /** Loads everything. Throws a CheckpointError for a model, adapter or tokenizer that does not fit. */
  static open(source: ModelSource, { dtype, device, threads, limits }: EngineOptions): LocalEngine {
    if (threads !== null) setThreads(threads);
    const tokenizer = Tokenizer.fromFolder(source.folder);
    const states = ModelStates.open(source, dtype === "auto" ? defaultDtype(device) : dtype, device);
    const { vocabularySize } = states.model;
    if (tokenizer.vocabSize > vocabularySize) {
      states.dispose();
      throw new CheckpointError(
        `the tokenizer of ${source.folder} has ${tokenizer.vocabSize} tokens, the model's embedding has ${vocabularySize} rows`,
        { hint: "use the tokenizer.json that belongs to this checkpoint" },
      );
    }
    return new LocalEngine(states, new Scheduler(states, tokenizer, limits));
  }

  get load(): Engine["load"] {
    return { waiting: this.#scheduler.waiting, running: this.#scheduler.running };
  }

  submit(request: GenerationRequest, say: (event: GenerationEvent) => void): () => void {
    try {
      this.#scheduler.submit(request, say);
    } catch (error) {
      say({ type: "failed", error: reported(error) });
      return () => {};
    }
    this.#working ??= this.#work();
    return () => this.#scheduler.cancel(request.id);
  }

  async #work(): Promise<void> {
    // Requests that come in together start together.
    await turn();
    while (!this.#closed && !this.#scheduler.isIdle) {
      for (const _ of this.#scheduler.turn()) {
        await turn();
        if (this.#closed) break;
      }
    }
    this.#working = null;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#working;
    this.#scheduler.dispose();
    this.#states.dispose();
  }
}

/** The events of one request, in order. Whoever stops reading, or aborts, calls the request off. */
export async function* generate(
  engine: Engine,
  request: GenerationRequest,
  signal?: AbortSignal,
): AsyncGenerator<GenerationEvent, void> {
  const events: GenerationEvent[] = [];
  let wake = () => {};
  const cancel = engine.submit(request, (event) => {
    events.push(event);
    wake();
  });
  const onAbort = () => wake();
  signal?.addEventListener("abort", onAbort);
  let open = request.choices;
  try {
    while (open > 0 && !signal?.aborted) {
      const event = events.shift();
      if (!event) {
        await new Promise<void>((resolve) => {
          wake = resolve;
          if (signal?.aborted) resolve();
        });
        continue;
      }
      if (event.type === "end") open--;
      if (event.type === "failed") open = 0;
      yield event;
    }
  } finally {
    signal?.removeEventListener("abort", onAbort);
    if (open > 0) cancel();
  }
}
