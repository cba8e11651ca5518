/** What is asked of a model and what it answers, piece by piece: plain values, since they cross to another process. */
import type { ReportedError } from "../errors.js";
import type { Sampling } from "../models/sampling.js";

export interface GenerationRequest {
  /** Unique among the requests of one engine. */
  readonly id: string;
  /** Which state of the model answers: one of the engine's. */
  readonly state: string;
  readonly prompt: readonly number[];
  /** Answers to the one prompt. */
  readonly choices: number;
  /** At least 1. */
  readonly maxNewTokens: number;
  /** null: always the likeliest token. */
  readonly sampling: Sampling | null;
  /** Of the random numbers; every choice has a stream of its own. */
  readonly seed: number;
  /** Texts that end an answer and are not part of it. */
  readonly stops: readonly string[];
  /** How many of the likeliest tokens to report with every token; null: report no probabilities. */
  readonly logprobs: number | null;
}

export interface TokenReport {
  /** The token's own text; U+FFFD where it is a part of a character. */
  readonly text: string;
  readonly logprob: number;
  readonly top: readonly { readonly text: string; readonly logprob: number }[];
}

/** Why an answer ended: an end token or a stop text, or the greatest number of tokens. */
export type FinishReason = "stop" | "length";

export type GenerationEvent =
  /** The request is taken: it runs or waits. */
  | { readonly type: "start" }
  /** Text that is certain; the next token's report when probabilities are asked for. */
  | { readonly type: "text"; readonly choice: number; readonly text: string; readonly token?: TokenReport }
  /** The answer is complete. `tokens`: how many the model wrote, the end token included. */
  | { readonly type: "end"; readonly choice: number; readonly reason: FinishReason; readonly tokens: number }
  /** Nothing more comes, for any choice. */
  | { readonly type: "failed"; readonly error: ReportedError };
