/** What the ways of asking a model on the command line share: the opened model and one answer of it. */
import { randomInt } from "node:crypto";
import { ReportedFailure } from "../errors.js";
import type { LocalEngine } from "../inference/engine.js";
import { findSource, type ModelSource } from "../inference/model-source.js";
import { Prompts } from "../inference/prompts.js";
import type { FinishReason, GenerationRequest } from "../inference/request.js";
import { showingDownloads } from "./downloads.js";

/** Options that say which model computes, and where. */
export interface ModelOptions {
  readonly task?: string;
  readonly adapter?: readonly string[];
  readonly dtype: "auto" | "float32" | "bfloat16";
  readonly device: "cpu" | "cuda";
  readonly threads?: number;
}

export interface GenerateOptions extends ModelOptions {
  readonly file?: string;
  readonly chat?: boolean;
  readonly system?: string;
  readonly maxNewTokens?: number;
  readonly temperature: number;
  readonly topK?: number;
  readonly topP?: number;
  readonly seed?: number;
  readonly stop?: readonly string[];
  readonly beams?: number;
  readonly lengthPenalty?: number;
  readonly earlyStopping?: boolean;
  readonly batch: number;
  readonly json?: boolean;
}

export interface Session {
  readonly engine: LocalEngine;
  readonly source: ModelSource;
  readonly prompts: Prompts;
  readonly options: GenerateOptions;
  readonly seed: number;
}

export interface Answered {
  readonly text: string;
  readonly reason: FinishReason;
  readonly tokens: number;
}

/** New tokens unless told otherwise. */
const USUAL_TOKENS = 256;

/** Prompt tokens that are run at once. */
const PROMPT_TOKENS = 2048;

/** Finds and loads the model. The caller closes the engine. */
export async function openSession(model: string, options: GenerateOptions): Promise<Session> {
  const { task, adapter, dtype, device, threads = null, batch } = options;
  const source = await showingDownloads({}, (hub) => findSource(model, { task, adapters: adapter, hub }));
  for (const note of source.notes) process.stderr.write(`note: ${note}\n`);
  // Loads the engine, so only when the command runs.
  const { LocalEngine } = await import("../inference/engine.js");
  const most = Number.MAX_SAFE_INTEGER;
  const limits = { maxRows: batch, maxTokens: most, maxWaiting: most, maxPromptTokens: PROMPT_TOKENS };
  const engine = LocalEngine.open(source, { dtype, device, threads, limits });
  try {
    const prompts = new Prompts(source.folder, engine.info);
    return { engine, source, prompts, options, seed: options.seed ?? randomInt(2 ** 32) };
  } catch (error) {
    await engine.close();
    throw error;
  }
}

/** How many tokens may follow a prompt. */
export const tokensFor = (
  { prompts, source }: Pick<Session, "prompts" | "source">,
  ids: readonly number[],
  wanted: number | null,
): number => prompts.newTokens(source.preferred, ids.length, wanted, USUAL_TOKENS);

/** The request for an answer to some ids; those of one session have different `index`es. */
export function requestOf(session: Session, ids: readonly number[], index: number): GenerationRequest {
  const { source, options, seed } = session;
  const { temperature, topK = null, topP = null, maxNewTokens = null, stop = [] } = options;
  return {
    id: String(index),
    state: source.preferred,
    prompt: ids,
    choices: 1,
    maxNewTokens: tokensFor(session, ids, maxNewTokens),
    sampling: temperature === 0 ? null : { temperature, topK, topP },
    // Every prompt of a file has random numbers of its own.
    seed: (seed + index) % 2 ** 32,
    stops: stop,
    logprobs: null,
  };
}

/** The whole answer; `onText` hears its pieces. Throws when the engine refuses or fails; ends early when aborted. */
export async function answer(
  { engine }: Session,
  request: GenerationRequest,
  onText: (text: string) => void,
  signal?: AbortSignal,
): Promise<Answered> {
  const { generate } = await import("../inference/engine.js");
  let text = "";
  let end: Omit<Answered, "text"> = { reason: "length", tokens: 0 };
  for await (const { event } of generate(engine, [request], signal)) {
    if (event.type === "failed") throw new ReportedFailure(event.error);
    if (event.type === "text") {
      text += event.text;
      onText(event.text);
    } else if (event.type === "end") end = { reason: event.reason, tokens: event.tokens };
  }
  return { text, ...end };
}
