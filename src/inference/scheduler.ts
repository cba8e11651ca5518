/**
 * Continuous batching: answers of many requests are written together, one token each per step. New ones join between
 * two steps, finished ones leave. Answers of one state of the model are a batch; states take turns.
 */
import { SOURCE_MULTIPLE } from "../data/batches.js";
import { promptsOf } from "../data/collate.js";
import { BusyError, ConfigError, reported } from "../errors.js";
import type { Decoding } from "../models/decoding.js";
import { likeliestTokens, scoresOf } from "../models/generate.js";
import type { LanguageModel } from "../models/language-model.js";
import { inference } from "../tensor/grad.js";
import { Answer } from "./answer.js";
import type { ModelStates } from "./model-states.js";
import type { GenerationEvent, GenerationRequest } from "./request.js";
import type { StreamDecoder } from "./text-stream.js";

export interface SchedulerLimits {
  /** Answers that are written at a time. */
  readonly maxRows: number;
  /** Tokens that the answers being written may come to hold in memory, prompts and padding included. */
  readonly maxTokens: number;
  /** Requests that may wait. */
  readonly maxWaiting: number;
  /** Prompt tokens that are run between two steps, unless one prompt alone is longer. */
  readonly maxPromptTokens: number;
}

interface Job {
  readonly request: GenerationRequest;
  readonly answers: readonly Answer[];
  readonly say: (event: GenerationEvent) => void;
}

/** The answers of one state that are being written. */
interface Batch {
  readonly decoding: Decoding;
  readonly answers: readonly Answer[];
  /** The token that each answer goes on with; the decoding does not have it yet. */
  readonly tokens: readonly number[];
}

export class Scheduler {
  readonly #states: ModelStates;
  readonly #decoder: StreamDecoder;
  readonly #limits: SchedulerLimits;
  /** In the order in which they came. */
  #waiting: Job[] = [];
  readonly #jobs = new Map<string, Job>();
  readonly #batches = new Map<string, Batch>();

  constructor(states: ModelStates, decoder: StreamDecoder, limits: SchedulerLimits) {
    this.#states = states;
    this.#decoder = decoder;
    this.#limits = limits;
  }

  get #model(): LanguageModel {
    return this.#states.model;
  }

  get isIdle(): boolean {
    return this.#waiting.length === 0 && this.#batches.size === 0;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  get running(): number {
    return [...this.#batches.values()].reduce((sum, { answers }) => sum + answers.length, 0);
  }

  /** Takes a request; `say` hears its events. Throws a ConfigError for one that can never run, a BusyError when too many wait. */
  submit(request: GenerationRequest, say: (event: GenerationEvent) => void): void {
    const { prompt, choices, maxNewTokens } = request;
    const { maxRows, maxTokens, maxWaiting } = this.#limits;
    const fail = (message: string): never => {
      throw new ConfigError(message);
    };
    if (!this.#states.has(request.state)) fail(`there is no model ${request.state}`);
    if (this.#jobs.has(request.id)) fail(`a request ${request.id} is under way already`);
    if (prompt.length === 0) fail("the prompt is empty");
    const wrong = prompt.find((id) => !(Number.isInteger(id) && id >= 0 && id < this.#model.vocabularySize));
    if (wrong !== undefined) {
      fail(
        `the prompt has the token ${wrong}, the model's vocabulary ends at ${this.#model.vocabularySize - 1}`,
      );
    }
    if (choices > maxRows)
      fail(`${choices} answers were asked for, at most ${maxRows} are written at a time`);
    if (cost(choices, prompt.length + maxNewTokens) > maxTokens) {
      fail(
        `${choices} answers of ${prompt.length} prompt tokens and up to ${maxNewTokens} new ones need more memory than for the ${maxTokens} tokens allowed`,
      );
    }
    if (this.#waiting.length >= maxWaiting) {
      throw new BusyError(`${this.#waiting.length} requests are waiting already`, {
        hint: "try again later",
      });
    }
    const answers = Array.from(
      { length: choices },
      (_, choice) => new Answer(request, choice, this.#decoder, say),
    );
    const job = { request, answers, say };
    this.#jobs.set(request.id, job);
    this.#waiting.push(job);
    say({ type: "start" });
  }

  /** Nothing more is said of the request. What it holds is released before the next step. */
  cancel(id: string): void {
    const job = this.#jobs.get(id);
    if (!job) return;
    for (const answer of job.answers) answer.cancelled = true;
    this.#waiting = this.#waiting.filter((each) => each !== job);
    this.#jobs.delete(id);
  }

  /**
   * Lets new requests in and writes one token of every answer. Yields after every piece of computing, so that the caller
   * can attend to other things; requests may come and go meanwhile.
   */
  *turn(): Generator<void, void, void> {
    for (const group of this.#admit()) {
      this.#run(group);
      yield;
    }
    for (const state of [...this.#batches.keys()]) {
      this.#step(state);
      yield;
    }
  }

  /** Takes what fits from the front of the queue, so that nobody is overtaken; grouped by state and by size. */
  #admit(): Job[][] {
    const rows = new Map<string, number>();
    const longest = new Map<string, number>();
    for (const [state, { answers }] of this.#batches) {
      rows.set(state, answers.length);
      longest.set(state, Math.max(...answers.map(({ reserved }) => reserved)));
    }
    const groups: Job[][] = [];
    while (this.#waiting.length > 0) {
      const job = this.#waiting[0]!;
      const { state, prompt } = job.request;
      const group = groups.find(([first]) => first!.request.state === state);
      rows.set(state, (rows.get(state) ?? 0) + job.answers.length);
      longest.set(state, Math.max(longest.get(state) ?? 0, job.answers[0]!.reserved));
      const total = [...rows.values()].reduce((sum, count) => sum + count, 0);
      const tokens = [...rows].reduce((sum, [each, count]) => sum + cost(count, longest.get(each)!), 0);
      if (total > this.#limits.maxRows || tokens > this.#limits.maxTokens) break;
      const width = Math.max(prompt.length, ...(group ?? []).map((other) => other.request.prompt.length));
      if (group && (group.length + 1) * width > this.#limits.maxPromptTokens) break;
      if (group) group.push(job);
      else groups.push([job]);
      this.#waiting.shift();
    }
    return groups;
  }

  /** Runs the prompts of requests of one state, writes their first tokens, and lets them join its batch. */
  #run(group: readonly Job[]): void {
    const jobs = group.filter((job) => this.#jobs.get(job.request.id) === job);
    if (jobs.length === 0) return;
    const state = jobs[0]!.request.state;
    const answers = jobs.flatMap((job) => job.answers);
    let decoding: Decoding | undefined;
    let started: Batch | null;
    try {
      this.#states.use(state);
      decoding = this.#start(jobs.map(({ request }) => request.prompt));
      decoding.select(jobs.flatMap((job, row) => job.answers.map(() => row)));
      started = this.#choose(decoding, answers);
    } catch (error) {
      decoding?.dispose();
      this.#fail(answers, error);
      return;
    }
    if (started !== null) this.#join(state, started);
  }

  #join(state: string, started: Batch): void {
    const batch = this.#batches.get(state) ?? null;
    const answers = [...(batch?.answers ?? []), ...started.answers];
    const tokens = [...(batch?.tokens ?? []), ...started.tokens];
    const decoding = batch?.decoding ?? started.decoding;
    try {
      if (batch) decoding.join(started.decoding);
      this.#batches.set(state, { decoding, answers, tokens });
    } catch (error) {
      this.#batches.delete(state);
      decoding.dispose();
      started.decoding.dispose();
      this.#fail(answers, error);
    }
  }

  #start(prompts: readonly (readonly number[])[]): Decoding {
    const rows = prompts.map((prompt) => ({ source: [...prompt] }));
    return inference(() =>
      this.#model.startDecoding({ ...promptsOf(rows, this.#model), prefix: this.#states.prefix(rows) }),
    );
  }

  /** One token more of every answer of a state. */
  #step(state: string): void {
    const { decoding, answers, tokens } = this.#batches.get(state)!;
    this.#batches.delete(state);
    try {
      const kept = answers.flatMap((answer, row) => (answer.cancelled ? [] : [row]));
      if (kept.length === 0) {
        decoding.dispose();
        return;
      }
      this.#states.use(state);
      decoding.select(kept);
      decoding.step(kept.map((row) => tokens[row]!));
      const going = this.#choose(
        decoding,
        kept.map((row) => answers[row]!),
      );
      if (going !== null) this.#batches.set(state, going);
    } catch (error) {
      decoding.dispose();
      this.#fail(answers, error);
    }
  }

  /** Chooses a token of every row; answers that end leave. null (and the decoding disposed) when none goes on. */
  #choose(decoding: Decoding, answers: readonly Answer[]): Batch | null {
    const likeliest = likeliestTokens(decoding.logits);
    const rows: number[] = [];
    const tokens: number[] = [];
    for (const [row, answer] of answers.entries()) {
      if (answer.cancelled) continue;
      try {
        const scores = answer.needsScores ? scoresOf(decoding.logits, row) : null;
        const token = scores === null ? likeliest[row]! : answer.choose(scores, likeliest[row]!);
        if (!answer.accept(token, scores, this.#model.endIds)) {
          this.#forget(answer);
          continue;
        }
        rows.push(row);
        tokens.push(token);
      } catch (error) {
        this.#fail([answer], error);
      }
    }
    if (rows.length === 0) {
      decoding.dispose();
      return null;
    }
    decoding.select(rows);
    return { decoding, answers: rows.map((row) => answers[row]!), tokens };
  }

  /** A request of which every answer has ended is over. */
  #forget(answer: Answer): void {
    answer.cancelled = true;
    for (const [id, job] of this.#jobs) {
      if (job.answers.includes(answer) && job.answers.every((each) => each.cancelled)) this.#jobs.delete(id);
    }
  }

  /** Ends the requests of these answers with an error. */
  #fail(answers: readonly Answer[], error: unknown): void {
    for (const job of [...this.#jobs.values()]) {
      if (!job.answers.some((answer) => answers.includes(answer))) continue;
      this.cancel(job.request.id);
      job.say({ type: "failed", error: reported(error) });
    }
  }

  /** Releases what the running answers hold; nothing more is said. */
  dispose(): void {
    for (const { decoding } of this.#batches.values()) decoding.dispose();
    this.#batches.clear();
    this.#jobs.clear();
    this.#waiting = [];
  }
}

/** Columns that answers of up to `length` tokens take beside each other: a batch is as wide as its longest. */
const cost = (answers: number, length: number): number =>
  answers * Math.ceil(length / SOURCE_MULTIPLE) * SOURCE_MULTIPLE;
