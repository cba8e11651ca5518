/** Conversations as examples: everything up to the last answer is the source, the last answer is the target. */
import { DataError } from "../errors.js";
import { describe, excerpt, oneLine } from "./records/record.js";
import type { PromptParts } from "./task.js";

export interface Message {
  readonly role: string;
  readonly content: string;
}

/** Renders messages as a model's chat template does, ready for its answer. */
export type RenderChat = (messages: readonly Message[]) => string;

/** ShareGPT's names of the roles. */
const ROLES: Readonly<Record<string, string>> = {
  human: "user",
  user: "user",
  gpt: "assistant",
  chatgpt: "assistant",
  bot: "assistant",
  assistant: "assistant",
  system: "system",
};

/** Whether a value looks like a conversation: a list of {role, content} or of {from, value}. */
export function isConversation(value: unknown): boolean {
  const first: unknown = Array.isArray(value) ? value[0] : undefined;
  if (typeof first !== "object" || first === null) return false;
  return ("role" in first && "content" in first) || ("from" in first && "value" in first);
}

/** The messages of a conversation, ShareGPT's roles under their usual names. Throws a DataError. */
export function messagesOf(value: unknown, where: string): Message[] {
  if (!Array.isArray(value)) {
    throw new DataError(`${where}: expected a list of messages, found ${describe(value)}`);
  }
  return value.map((entry: unknown, index) => {
    const place = `${where}, message ${index + 1}`;
    if (typeof entry !== "object" || entry === null) {
      throw new DataError(`${place}: expected an object, found ${describe(entry)}`);
    }
    const message = entry as Readonly<Record<string, unknown>>;
    const shareGpt = "from" in message;
    const role = shareGpt ? message.from : message.role;
    if (typeof role !== "string") {
      throw new DataError(
        `${place}: expected role and content, or from and value, found ${oneLine(Object.keys(message).join(", ")) || "nothing"}`,
      );
    }
    const known = shareGpt ? (Object.hasOwn(ROLES, role) ? ROLES[role] : undefined) : role;
    if (known === undefined) {
      throw new DataError(
        `${place}: unknown role "${excerpt(role)}"; expected one of ${Object.keys(ROLES).join(", ")}`,
      );
    }
    return { role: known, content: contentOf(shareGpt ? message.value : message.content, place) };
  });
}

function contentOf(content: unknown, place: string): string {
  if (typeof content === "string") return content;
  if (Array.isArray(content)) {
    return content
      .map((part: unknown) => {
        const text = (part as { text?: unknown } | null)?.text;
        if (typeof text === "string") return text;
        throw new DataError(`${place}: a part of the content is no text: ${excerpt(JSON.stringify(part))}`);
      })
      .join("");
  }
  throw new DataError(`${place}: expected the content to be text, found ${describe(content ?? null)}`);
}

export interface Turn {
  readonly parts: PromptParts;
  readonly answer: string;
  /** Messages after the last answer, which are not used. */
  readonly left: number;
}

/**
 * The last answer of a conversation and the rendered messages before it. The user's last message is the body, which a cut
 * may shorten. Null without an answer, or if the last answer is blank.
 */
export function lastTurn(messages: readonly Message[], render: RenderChat, where: string): Turn | null {
  const last = messages.findLastIndex(({ role }) => role === "assistant");
  const answer = messages[last]?.content.trim();
  if (!answer) return null;
  const before = messages.slice(0, last);
  if (before.length === 0) throw new DataError(`${where}: the conversation begins with its only answer`);
  let text: string;
  try {
    text = render(before);
  } catch (cause) {
    if (!(cause instanceof DataError)) throw cause;
    throw new DataError(`${where}: ${cause.message}`, {
      ...(cause.hint !== undefined && { hint: cause.hint }),
      cause,
    });
  }
  const body = before.at(-1)!.content.trim();
  const start = text.lastIndexOf(body);
  const parts =
    start < 0 || body === ""
      ? { head: "", body: text, suffix: "" }
      : { head: text.slice(0, start), body, suffix: text.slice(start + body.length) };
  return { parts, answer, left: messages.length - last - 1 };
}
