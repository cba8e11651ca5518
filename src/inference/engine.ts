/** Something that answers requests: the scheduler with a loop that drives it, here or in another process. */
import { setImmediate as turn } from "node:timers/promises";
import { promptsOf } from "../data/collate.js";
import { type ReportedError, reported } from "../errors.js";
import { checkVocabulary } from "../experiment/encoding.js";
import { Tokenizer } from "../io/tokenizer/tokenizer.js";
import { type Beam, type BeamOptions, beamSearch } from "../models/beam-search.js";
import type { Device, DType } from "../tensor/dtype.js";
import { checkDevice, defaultDtype } from "../tensor/engine-report.js";
import { inference, setThreads } from "../tensor/grad.js";
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
  /** Positions that a trained prompt takes before what is asked, by state; states without one are left out. */
  readonly positions: Readonly<Record<string, number>>;
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
    this.info = { family, dtype, parameters: parameterCount, positions: states.positions() };
  }

  /** Loads everything. Throws a CheckpointError for a model, adapter or tokenizer that does not fit. */
  static open(source: ModelSource, { dtype, device, threads, limits }: EngineOptions): LocalEngine {
    if (threads !== null) setThreads(threads);
    checkDevice(device);
    const tokenizer = Tokenizer.fromFolder(source.folder);
    const states = ModelStates.open(source, dtype === "auto" ? defaultDtype(device) : dtype, device);
    try {
      checkVocabulary(tokenizer, states.model, source.folder);
    } catch (error) {
      states.dispose();
      throw error;
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

  /** Answers by beam search, best first for each prompt; nothing else is computed meanwhile. */
  searchBeams(
    state: string,
    prompts: readonly (readonly number[])[],
    options: Omit<BeamOptions, "endIds">,
  ): Beam[][] {
    this.#states.use(state);
    const { model } = this.#states;
    const rows = prompts.map((prompt) => ({ source: [...prompt] }));
    const decoding = inference(() =>
      model.startDecoding({ ...promptsOf(rows, model), prefix: this.#states.prefix(rows) }),
    );
    return beamSearch(decoding, { ...options, endIds: model.endIds });
  }

  /** Whether a token ends an answer. */
  isEnd(token: number): boolean {
    return this.#states.model.endIds.includes(token);
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

/** An event and the place of its request in the list. */
export interface RequestEvent {
  readonly request: number;
  readonly event: GenerationEvent;
}

/**
 * The events of some requests as they come, until all have ended or one has failed; that is then the last event. Whoever
 * stops reading, or aborts, calls the requests off.
 */
export async function* generate(
  engine: Engine,
  requests: readonly GenerationRequest[],
  signal?: AbortSignal,
): AsyncGenerator<RequestEvent, void> {
  const events: RequestEvent[] = [];
  let wake = () => {};
  const onAbort = () => wake();
  signal?.addEventListener("abort", onAbort);
  const cancels = requests.map((each, request) =>
    engine.submit(each, (event) => {
      events.push({ request, event });
      wake();
    }),
  );
  let open = requests.reduce((sum, { choices }) => sum + choices, 0);
  try {
    while (open > 0 && !signal?.aborted) {
      const next = events.shift();
      if (!next) {
        await new Promise<void>((resolve) => {
          wake = resolve;
          if (signal?.aborted) resolve();
        });
        continue;
      }
      if (next.event.type === "end") open--;
      yield next;
      if (next.event.type === "failed") break;
    }
  } finally {
    signal?.removeEventListener("abort", onAbort);
    if (open > 0) for (const cancel of cancels) cancel();
  }
}
