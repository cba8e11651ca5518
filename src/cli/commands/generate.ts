/** `nlora generate`: answers of a model to one prompt, to the prompts of a file, or in a conversation. */
import { messagesOf } from "../../data/chat.js";
import { openTables } from "../../data/records/open.js";
import { type DataRecord, valueAt } from "../../data/records/record.js";
import { DataError, UsageError } from "../../errors.js";
import type { Prompts } from "../../inference/prompts.js";
import type { ChatMessage } from "../../io/chat-template.js";
import { chat } from "../chat.js";
import { EXIT, type ExitCode } from "../exit.js";
import {
  type Answered,
  answer,
  type GenerateOptions,
  openSession,
  requestOf,
  type Session,
  tokensFor,
} from "../generate-session.js";

/** Something to be answered: its ids, and how the output names it. */
interface Question {
  readonly ids: readonly number[];
  readonly shown: { readonly prompt: string } | { readonly messages: readonly ChatMessage[] };
}

export async function generate(
  model: string,
  prompt: string | undefined,
  options: GenerateOptions,
): Promise<ExitCode> {
  checkUsage(prompt, options);
  const session = await openSession(model, options);
  try {
    if (options.file !== undefined) await answerFile(options.file, session);
    else if (prompt !== undefined) await answerOne(prompt, session);
    else await chat(session);
    return EXIT.done;
  } finally {
    await session.engine.close();
  }
}

function checkUsage(prompt: string | undefined, options: GenerateOptions): void {
  if (prompt !== undefined && options.file !== undefined) {
    throw new UsageError("a prompt and --file exclude each other");
  }
  if (options.beams === undefined) {
    if (options.lengthPenalty !== undefined || options.earlyStopping) {
      throw new UsageError("--length-penalty and --early-stopping belong to beam search: add --beams");
    }
    return;
  }
  if (options.temperature > 0 || options.topK !== undefined || options.topP !== undefined || options.stop) {
    throw new UsageError("--beams excludes sampling (--temperature, --top-k, --top-p) and --stop");
  }
  if (prompt === undefined && options.file === undefined) {
    throw new UsageError("--beams needs a prompt or --file, a conversation is answered token by token");
  }
}

async function answerOne(prompt: string, session: Session): Promise<void> {
  const { options, prompts } = session;
  const { system, json } = options;
  if (system !== undefined && !options.chat)
    throw new UsageError("--system belongs to conversations: add --chat");
  const messages = [
    ...(system === undefined ? [] : [{ role: "system", content: system }]),
    { role: "user", content: prompt },
  ];
  const question: Question = options.chat
    ? { ids: prompts.encodeChat(messages), shown: { messages } }
    : { ids: prompts.encode(prompt), shown: { prompt } };
  if (options.beams !== undefined) {
    const [best] = answerByBeams([question], session);
    process.stdout.write(json ? lineOf(question, best!, session) : `${best!.text}\n`);
    return;
  }
  const answered = await answer(session, requestOf(session, question.ids, 0), (text) => {
    if (!json) process.stdout.write(text);
  });
  process.stdout.write(json ? lineOf(question, answered, session) : "\n");
}

function answerByBeams(questions: readonly Question[], session: Session): Answered[] {
  const { engine, source, prompts, options } = session;
  const { beams = 1, lengthPenalty = 1, earlyStopping = false, maxNewTokens = null } = options;
  const counts = questions.map(({ ids }) => tokensFor(session, ids, maxNewTokens));
  const answers: Answered[] = [];
  // Prompts near the end of the model's context have less room than others.
  for (const count of new Set(counts)) {
    const rows = [...counts.keys()].filter((row) => counts[row] === count);
    const found = engine.searchBeams(
      source.preferred,
      rows.map((row) => questions[row]!.ids),
      { beams, lengthPenalty, earlyStopping, maxNewTokens: count },
    );
    for (const [i, row] of rows.entries()) {
      const { ids } = found[i]![0]!;
      const reason = engine.isEnd(ids.at(-1)!) ? "stop" : "length";
      answers[row] = { text: prompts.tokenizer.decode(ids), reason, tokens: ids.length };
    }
  }
  return answers;
}

const lineOf = ({ ids, shown }: Question, { text, reason, tokens }: Answered, session: Session): string =>
  `${JSON.stringify({
    model: session.source.preferred,
    ...shown,
    text,
    finish_reason: reason,
    usage: { prompt_tokens: ids.length, completion_tokens: tokens, total_tokens: ids.length + tokens },
    ...(session.options.temperature > 0 && { seed: session.seed }),
  })}\n`;

/** One JSON object a line, in the order of the file. */
async function answerFile(file: string, session: Session): Promise<void> {
  const questions: Question[] = [];
  for await (const record of recordsOf(file)) questions.push(questionOf(record, session.prompts));
  if (questions.length === 0) throw new DataError(`${file}: the file has no prompts`);
  const say = (done: number) => process.stderr.write(`${done} of ${questions.length} answered\n`);
  if (session.options.beams !== undefined) {
    const { batch } = session.options;
    for (let start = 0; start < questions.length; start += batch) {
      const some = questions.slice(start, start + batch);
      for (const [i, best] of answerByBeams(some, session).entries()) {
        process.stdout.write(lineOf(some[i]!, best, session));
      }
      say(Math.min(start + batch, questions.length));
    }
    return;
  }
  const requests = questions.map(({ ids }, index) => requestOf(session, ids, index));
  const answers = requests.map((request) => answer(session, request, () => {}));
  // Awaited one after the other; the first that fails ends the command.
  for (const each of answers) each.catch(() => {});
  for (const [index, each] of answers.entries()) {
    process.stdout.write(lineOf(questions[index]!, await each, session));
    if ((index + 1) % 100 === 0 || index + 1 === questions.length) say(index + 1);
  }
}

/** Rows of a data file; of a .txt file every line that is not blank, as `prompt`. */
async function* recordsOf(file: string): AsyncGenerator<DataRecord> {
  if (/\.txt$/i.test(file)) {
    const { readText } = await import("../../data/records/text.js");
    for (const [index, line] of readText(file).split(/\r?\n/).entries()) {
      if (line.trim() !== "") yield { fields: { prompt: line }, where: `${file}, line ${index + 1}` };
    }
    return;
  }
  for (const table of await openTables([file])) for await (const batch of table.batches()) yield* batch;
}

const PROMPT_COLUMNS = ["prompt", "input", "question", "text", "sentence"];
const CHAT_COLUMNS = ["messages", "conversations"];

function questionOf({ fields, where }: DataRecord, prompts: Prompts): Question {
  for (const column of CHAT_COLUMNS) {
    const value = valueAt(fields, column);
    if (value === undefined) continue;
    const messages = messagesOf(value, where);
    return { ids: prompts.encodeChat(messages), shown: { messages } };
  }
  for (const column of PROMPT_COLUMNS) {
    const prompt = valueAt(fields, column);
    if (typeof prompt === "string") return { ids: prompts.encode(prompt), shown: { prompt } };
  }
  throw new DataError(
    `${where}: expected text under one of ${PROMPT_COLUMNS.join(", ")}, or ${CHAT_COLUMNS.join(" or ")}, found ${Object.keys(fields).join(", ") || "nothing"}`,
  );
}
