/** From a request's body to what an engine is asked, for one prompt or several, and the events that come back. */
import { randomInt, randomUUID } from "node:crypto";
import { NloraError, reported } from "../errors.js";
import { type Engine, generate } from "../inference/engine.js";
import type { ModelSource } from "../inference/model-source.js";
import type { Prompts } from "../inference/prompts.js";
import type { FinishReason, GenerationEvent, GenerationRequest, TokenReport } from "../inference/request.js";
import { ApiError, apiErrorOf } from "./api-error.js";
import type { ChatBody, CompletionBody } from "./schemas.js";

/** What serves requests. */
export interface Service {
  readonly engine: Engine;
  readonly source: ModelSource;
  readonly prompts: Prompts;
  /** The most new tokens that one answer may have. */
  readonly maxNewTokens: number;
}

/** A request on its way through the engine: one generation per prompt. */
export interface Asked {
  readonly model: string;
  readonly requests: readonly GenerationRequest[];
  readonly promptTokens: number;
}

/** New tokens of a completion unless told otherwise, as OpenAI has it. */
const COMPLETION_TOKENS = 16;

/** What a completion asks. Throws an ApiError for what cannot be answered. */
export function askCompletion(service: Service, body: CompletionBody): Asked {
  const prompts = idsOf(body.prompt, service.prompts);
  return ask(service, body, prompts, body.max_tokens, COMPLETION_TOKENS, body.logprobs);
}

/** What a conversation asks. */
export function askChat(service: Service, body: ChatBody): Asked {
  const refusal = service.prompts.chatRefusal;
  if (refusal !== null)
    throw new ApiError(400, `${refusal}; use /v1/completions`, "model", "chat_not_supported");
  if (body.top_logprobs !== null && !body.logprobs) {
    throw new ApiError(400, "top_logprobs: expected logprobs to be true", "top_logprobs");
  }
  const ids = asRequested("messages", () => service.prompts.encodeChat(body.messages));
  const wanted = body.max_completion_tokens ?? body.max_tokens;
  const logprobs = body.logprobs ? (body.top_logprobs ?? 0) : null;
  return ask(service, body, [ids], wanted, service.maxNewTokens, logprobs);
}

function ask(
  { source, prompts, maxNewTokens }: Service,
  body: CompletionBody | ChatBody,
  lists: readonly (readonly number[])[],
  wanted: number | null,
  usual: number,
  logprobs: number | null,
): Asked {
  if (!source.states.some(({ id }) => id === body.model)) {
    const names = source.states.map(({ id }) => id).join(", ");
    throw new ApiError(
      404,
      `there is no model ${body.model}; there are ${names}`,
      "model",
      "model_not_found",
    );
  }
  if (wanted !== null && wanted > maxNewTokens) {
    throw new ApiError(400, `max_tokens: expected at most ${maxNewTokens}, found ${wanted}`, "max_tokens");
  }
  const { temperature, top_p: topP, top_k: topK, n, seed } = body;
  const stops = body.stop === null ? [] : [body.stop].flat().filter((stop) => stop !== "");
  const first = seed === null ? randomInt(2 ** 32) : seed >>> 0;
  const requests = lists.map(
    (prompt, index): GenerationRequest => ({
      id: randomUUID(),
      state: body.model,
      prompt,
      choices: n ?? 1,
      maxNewTokens: asRequested("max_tokens", () =>
        prompts.newTokens(body.model, prompt.length, wanted, Math.min(usual, maxNewTokens)),
      ),
      sampling: temperature === 0 ? null : { temperature: temperature ?? 1, topK, topP },
      seed: (first + index) % 2 ** 32,
      stops,
      logprobs,
    }),
  );
  const promptTokens = lists.reduce((sum, list) => sum + list.length, 0);
  return { model: body.model, requests, promptTokens };
}

/** Texts and lists of ids, one or several, as lists of ids. */
function idsOf(prompt: CompletionBody["prompt"], prompts: Prompts): (readonly number[])[] {
  const several = Array.isArray(prompt) && typeof prompt[0] !== "number" ? prompt : [prompt];
  return (several as (string | number[])[]).map((each) =>
    typeof each === "string" ? asRequested("prompt", () => prompts.encode(each)) : each,
  );
}

/** What the request's own words make impossible is said of the field that says them. */
function asRequested<T>(param: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    if (!(error instanceof NloraError)) throw error;
    const { status, message } = apiErrorOf(reported(error));
    throw new ApiError(status, message, param);
  }
}

/** An event with the place of its choice among those of all prompts. */
export type PlacedEvent = Exclude<GenerationEvent, { type: "failed" | "start" }> & { readonly index: number };

/**
 * The events of all prompts as they come. Waits until the engine has taken them all, and throws an ApiError if it does not or
 * if one fails later; the others are then called off.
 */
export async function answersOf(
  { engine }: Service,
  { requests }: Asked,
  signal: AbortSignal,
): Promise<AsyncGenerator<PlacedEvent, void>> {
  const events = generate(engine, requests, signal);
  const next = async () => {
    const { value } = await events.next();
    if (value?.event.type === "failed") {
      await events.return();
      throw apiErrorOf(value.event.error);
    }
    return value ?? null;
  };
  const early: NonNullable<Awaited<ReturnType<typeof next>>>[] = [];
  for (let started = 0; started < requests.length; ) {
    const value = await next();
    if (value === null) break;
    if (value.event.type === "start") started++;
    else early.push(value);
  }
  return (async function* () {
    try {
      for (
        let value = early.shift() ?? (await next());
        value !== null;
        value = early.shift() ?? (await next())
      ) {
        const { event, request } = value;
        if (event.type === "text" || event.type === "end") {
          yield { ...event, index: request * requests[request]!.choices + event.choice };
        }
      }
    } finally {
      await events.return();
    }
  })();
}

/** A finished answer. */
export interface WholeAnswer {
  readonly text: string;
  readonly tokens: readonly (TokenReport & { readonly offset: number })[];
  readonly reason: FinishReason;
}

/** All answers, in the order of their choices, and how many tokens they have. */
export async function collect(
  events: AsyncIterable<PlacedEvent>,
): Promise<{ readonly answers: readonly WholeAnswer[]; readonly completionTokens: number }> {
  const answers: { text: string; tokens: (TokenReport & { offset: number })[]; reason: FinishReason }[] = [];
  let completionTokens = 0;
  for await (const event of events) {
    answers[event.index] ??= { text: "", tokens: [], reason: "length" };
    const answer = answers[event.index]!;
    if (event.type === "end") {
      answer.reason = event.reason;
      completionTokens += event.tokens;
    } else {
      if (event.token) answer.tokens.push({ ...event.token, offset: answer.text.length });
      answer.text += event.text;
    }
  }
  return { answers, completionTokens };
}
