/** Answers in the words of OpenAI's API, whole and in pieces. */
import type { TokenReport } from "../inference/request.js";
import type { PlacedEvent, WholeAnswer } from "./answers.js";

/** How one endpoint says things. */
export interface Format {
  /** What ids of its answers begin with. */
  readonly prefix: string;
  readonly object: string;
  readonly pieceObject: string;
  choice(answer: WholeAnswer, index: number): object;
  /** What a stream says of a choice before its text. */
  readonly opening: object | null;
  piece(event: Extract<PlacedEvent, { type: "text" }>, offset: number): object;
  ending(event: Extract<PlacedEvent, { type: "end" }>): object;
}

type Placed = TokenReport & { readonly offset: number };

const completionLogprobs = (tokens: readonly Placed[]) =>
  tokens.length === 0
    ? null
    : {
        tokens: tokens.map(({ text }) => text),
        token_logprobs: tokens.map(({ logprob }) => logprob),
        top_logprobs: tokens.map(({ top }) =>
          Object.fromEntries(top.map(({ text, logprob }) => [text, logprob])),
        ),
        text_offset: tokens.map(({ offset }) => offset),
      };

export const COMPLETION: Format = {
  prefix: "cmpl",
  object: "text_completion",
  pieceObject: "text_completion",
  choice: ({ text, tokens, reason }, index) => ({
    index,
    text,
    logprobs: completionLogprobs(tokens),
    finish_reason: reason,
  }),
  opening: null,
  piece: ({ index, text, token }, offset) => ({
    index,
    text,
    logprobs: completionLogprobs(token ? [{ ...token, offset }] : []),
    finish_reason: null,
  }),
  ending: ({ index, reason }) => ({ index, text: "", logprobs: null, finish_reason: reason }),
};

/** A token's bytes; null where it holds a part of a character, whose bytes its text does not tell. */
const bytesOf = (text: string) => (text.includes("\ufffd") ? null : [...Buffer.from(text, "utf8")]);

const chatLogprobs = (tokens: readonly TokenReport[]) =>
  tokens.length === 0
    ? null
    : {
        content: tokens.map(({ text, logprob, top }) => ({
          token: text,
          logprob,
          bytes: bytesOf(text),
          top_logprobs: top.map((each) => ({
            token: each.text,
            logprob: each.logprob,
            bytes: bytesOf(each.text),
          })),
        })),
        refusal: null,
      };

export const CHAT: Format = {
  prefix: "chatcmpl",
  object: "chat.completion",
  pieceObject: "chat.completion.chunk",
  choice: ({ text, tokens, reason }, index) => ({
    index,
    message: { role: "assistant", content: text, refusal: null },
    logprobs: chatLogprobs(tokens),
    finish_reason: reason,
  }),
  opening: { delta: { role: "assistant", content: "" }, logprobs: null, finish_reason: null },
  piece: ({ index, text, token }) => ({
    index,
    delta: { content: text },
    logprobs: chatLogprobs(token ? [token] : []),
    finish_reason: null,
  }),
  ending: ({ index, reason }) => ({ index, delta: {}, logprobs: null, finish_reason: reason }),
};

export const usageOf = (promptTokens: number, completionTokens: number) => ({
  prompt_tokens: promptTokens,
  completion_tokens: completionTokens,
  total_tokens: promptTokens + completionTokens,
});
