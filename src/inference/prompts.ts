/** From what people send to token ids: plain prompts as training encodes them, and conversations by the model's template. */
import { join } from "node:path";
import { encodePrompt } from "../data/encode.js";
import { ConfigError } from "../errors.js";
import { type ChatMessage, ChatTemplate } from "../io/chat-template.js";
import { configReader } from "../io/config-reader.js";
import { readJsonObject } from "../io/json.js";
import { Tokenizer } from "../io/tokenizer/tokenizer.js";
import type { EngineInfo } from "./engine.js";

export class Prompts {
  readonly #template: ChatTemplate | null;
  readonly #family: EngineInfo["family"];
  readonly #positions: EngineInfo["positions"];
  readonly tokenizer: Tokenizer;
  /** Tokens of prompt and answer together that the model has positions for; null: any number. */
  readonly contextLength: number | null;

  constructor(
    readonly folder: string,
    { family, positions = {} }: Pick<EngineInfo, "family"> & Partial<Pick<EngineInfo, "positions">>,
  ) {
    this.#family = family;
    this.#positions = positions;
    this.tokenizer = Tokenizer.fromFolder(folder);
    this.#template = family === "causal" ? ChatTemplate.fromFolder(folder) : null;
    const file = join(folder, "config.json");
    const limit = configReader(readJsonObject(file), file).integer("max_position_embeddings", 0);
    // T5's positions are relative and have no end.
    this.contextLength = family === "causal" && limit > 0 ? limit : null;
  }

  /**
   * How many tokens may follow a prompt of this length: those wanted (null: `usual`, or what is left), if the model has
   * positions for them behind what the state has before it. Throws a ConfigError if it has not.
   */
  newTokens(state: string, promptLength: number, wanted: number | null, usual: number): number {
    const before = this.#positions[state] ?? 0;
    const left = (this.contextLength ?? Number.POSITIVE_INFINITY) - before - promptLength;
    const count = wanted ?? Math.max(1, Math.min(usual, left));
    if (count <= left) return count;
    throw new ConfigError(
      `the prompt has ${promptLength} tokens${before > 0 ? ` behind ${before} trained positions` : ""} and up to ${count} are to follow, the model takes ${this.contextLength} together`,
    );
  }

  /** The ids of a plain prompt. Throws a DataError for an empty one where the tokenizer has nothing to start it with. */
  encode(text: string): number[] {
    return this.#family === "causal" ? encodePrompt(this.tokenizer, text) : this.tokenizer.encode(text);
  }

  /** Why conversations are not possible with this model; null when they are. */
  get chatRefusal(): string | null {
    if (this.#family === "seq2seq") {
      return "this model is an encoder-decoder, which answers single prompts: conversations need a decoder-only model";
    }
    return this.#template === null
      ? "this model has no chat template (chat_template.jinja, or chat_template in tokenizer_config.json)"
      : null;
  }

  /** The ids of a conversation, up to where the assistant's next message begins. Throws a DataError for messages that the template refuses. */
  encodeChat(messages: readonly ChatMessage[]): number[] {
    const refusal = this.chatRefusal;
    if (refusal !== null) throw new ConfigError(refusal, { hint: "send a plain prompt instead" });
    return encodePrompt(this.tokenizer, this.#template!.render(messages, { addGenerationPrompt: true }));
  }
}
