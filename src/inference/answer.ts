/** One answer being written: chooses its tokens, turns them into text, and knows when it has ended. */
import { drawToken, logprobsOf } from "../models/sampling.js";
import { Rng } from "../random.js";
import type { GenerationEvent, GenerationRequest, TokenReport } from "./request.js";
import { type StreamDecoder, TextStream } from "./text-stream.js";

export class Answer {
  readonly #request: GenerationRequest;
  readonly #choice: number;
  readonly #decoder: StreamDecoder;
  readonly #say: (event: GenerationEvent) => void;
  readonly #rng: Rng;
  readonly #text: TextStream;
  #tokens = 0;
  /** Nobody waits for it any more: it says nothing and leaves the batch before the next step. */
  cancelled = false;

  constructor(
    request: GenerationRequest,
    choice: number,
    decoder: StreamDecoder,
    say: (event: GenerationEvent) => void,
  ) {
    this.#request = request;
    this.#choice = choice;
    this.#decoder = decoder;
    this.#say = (event) => {
      if (!this.cancelled) say(event);
    };
    this.#rng = new Rng(request.seed).fork(`choice ${choice}`);
    this.#text = new TextStream(decoder, request.stops);
  }

  /** Columns of a cache that it may come to fill. */
  get reserved(): number {
    return this.#request.prompt.length + this.#request.maxNewTokens;
  }

  /** Whether the likeliest token is all it needs of the scores. */
  get needsScores(): boolean {
    return this.#request.sampling !== null || this.#request.logprobs !== null;
  }

  /** The next token, out of the scores of all tokens. Throws a RunError when they are not finite. */
  choose(scores: Float32Array, likeliest: number): number {
    const { sampling } = this.#request;
    return sampling === null ? likeliest : drawToken(scores, sampling, this.#rng);
  }

  /** Goes on with a token, says what text is certain, and returns whether the answer goes on. */
  accept(token: number, scores: Float32Array | null, endIds: readonly number[]): boolean {
    this.#tokens++;
    const ends = endIds.includes(token);
    const text = ends ? "" : this.#text.push(token);
    const report = scores === null || ends ? undefined : this.#report(token, scores);
    this.#sayText(text, report);
    if (!ends && !this.#text.stopped && this.#tokens < this.#request.maxNewTokens) return true;
    this.#sayText(this.#text.finish());
    this.#say({
      type: "end",
      choice: this.#choice,
      reason: ends || this.#text.stopped ? "stop" : "length",
      tokens: this.#tokens,
    });
    return false;
  }

  #sayText(text: string, token?: TokenReport): void {
    if (text === "" && token === undefined) return;
    this.#say({ type: "text", choice: this.#choice, text, ...(token && { token }) });
  }

  #report(token: number, scores: Float32Array): TokenReport | undefined {
    const { logprobs } = this.#request;
    if (logprobs === null) return undefined;
    const { chosen, top } = logprobsOf(scores, token, logprobs);
    const textOf = (id: number) => this.#decoder.decode([id], { skipSpecialTokens: false });
    return {
      text: textOf(token),
      logprob: chosen,
      top: top.map(({ id, logprob }) => ({ text: textOf(id), logprob })),
    };
  }
}
