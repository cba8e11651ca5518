/** A conversation on the terminal: a line is a message, the model's answer appears as it is written. */
import { createInterface, type Interface } from "node:readline";
import pc from "picocolors";
import { ConfigError } from "../errors.js";
import type { ChatMessage } from "../io/chat-template.js";
import { answer, requestOf, type Session } from "./generate-session.js";

const HELP = "/clear forgets the conversation, /exit or Ctrl+D ends it, Ctrl+C cuts an answer short";

/** Talks until the input ends. Answers go to stdout, everything else to stderr. */
export async function chat(session: Session): Promise<void> {
  const { prompts, options } = session;
  const refusal = prompts.chatRefusal;
  if (refusal !== null) throw new ConfigError(refusal, { hint: "pass a prompt, or --file" });
  const start: readonly ChatMessage[] =
    options.system === undefined ? [] : [{ role: "system", content: options.system }];
  let messages = start;
  process.stderr.write(`${session.source.preferred}; ${HELP}\n`);
  const lines = createInterface({ input: process.stdin, output: process.stderr, prompt: pc.bold("> ") });
  try {
    lines.prompt();
    let turn = 0;
    for await (const line of lines) {
      const text = line.trim();
      if (text === "/exit") break;
      if (text === "/clear") {
        messages = start;
        process.stderr.write("the conversation begins anew\n");
      } else if (text.startsWith("/")) process.stderr.write(`${HELP}\n`);
      else if (text !== "") {
        const asked = [...messages, { role: "user", content: text }];
        const reply = await speak(session, asked, turn++, lines);
        if (reply !== null) messages = [...asked, { role: "assistant", content: reply }];
      }
      lines.prompt();
    }
  } finally {
    lines.close();
  }
}

/** The answer, written as it comes; null when there is no room for one. */
async function speak(
  session: Session,
  messages: readonly ChatMessage[],
  turn: number,
  lines: Interface,
): Promise<string | null> {
  const abort = new AbortController();
  const interrupt = () => abort.abort();
  lines.on("SIGINT", interrupt);
  process.on("SIGINT", interrupt);
  try {
    const request = requestOf(session, session.prompts.encodeChat(messages), turn);
    const { text } = await answer(session, request, (piece) => process.stdout.write(piece), abort.signal);
    process.stdout.write("\n");
    return text.trim();
  } catch (error) {
    // Too long a conversation: what came before stays, and can be cleared.
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`${error.message}; /clear begins a new one\n`);
    return null;
  } finally {
    lines.off("SIGINT", interrupt);
    process.off("SIGINT", interrupt);
  }
}
