/** The routes of the server: OpenAI's completions, chat completions and models, and whether it is well. */
import { randomUUID } from "node:crypto";
import { type Context, Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { streamSSE } from "hono/streaming";
import { reported } from "../errors.js";
import { type Access, guard } from "./access.js";
import {
  type Asked,
  answersOf,
  askChat,
  askCompletion,
  collect,
  type PlacedEvent,
  type Service,
} from "./answers.js";
import { ApiError, apiErrorOf } from "./api-error.js";
import { CHAT, COMPLETION, type Format, usageOf } from "./formats.js";
import { chatSchema, completionSchema, parseBody } from "./schemas.js";

export interface AppOptions extends Service {
  readonly access: Access;
  /** Bytes that a request's body may have. */
  readonly maxBody: number;
  /** True once no new requests are taken. */
  readonly isClosing: () => boolean;
}

/** A comment after so much silence keeps proxies from ending a stream. */
const HEARTBEAT_MILLISECONDS = 15_000;

export function createApp(options: AppOptions): Hono {
  const { engine, source, access, maxBody, isClosing } = options;
  const started = Math.floor(Date.now() / 1000);
  const app = new Hono();
  const modelOf = (id: string) => ({ id, object: "model", created: started, owned_by: "nlora" });

  app.onError((error, context) => {
    const known = error instanceof ApiError ? error : apiErrorOf(reported(error));
    if (known.status === 500) process.stderr.write(`${error.stack ?? error.message}\n`);
    if (known.status === 429) context.header("Retry-After", "1");
    return context.json(known.body, known.status);
  });
  app.notFound((context) =>
    context.json(
      new ApiError(404, `${context.req.method} ${context.req.path} is not a part of this server`).body,
      404,
    ),
  );
  app.use(guard(access));
  app.use(async (context, next) => {
    if (isClosing()) {
      context.header("Connection", "close");
      throw new ApiError(503, "the server is closing", null, "closing");
    }
    await next();
  });
  app.use(
    bodyLimit({
      maxSize: maxBody,
      onError: () => {
        throw new ApiError(413, `the body has more than ${maxBody} bytes`);
      },
    }),
  );

  app.get("/health", (context) => context.json({ status: "ok", ...engine.load }));
  app.get("/v1/models", (context) =>
    context.json({ object: "list", data: source.states.map(({ id }) => modelOf(id)) }),
  );
  app.get("/v1/models/:id", (context) => {
    const id = context.req.param("id");
    if (source.states.some((state) => state.id === id)) return context.json(modelOf(id));
    throw new ApiError(404, `there is no model ${id}`, "model", "model_not_found");
  });
  app.post("/v1/completions", async (context) => {
    const body = parseBody(completionSchema, await jsonOf(context));
    return respond(context, options, askCompletion(options, body), body, COMPLETION);
  });
  app.post("/v1/chat/completions", async (context) => {
    const body = parseBody(chatSchema, await jsonOf(context));
    return respond(context, options, askChat(options, body), body, CHAT);
  });
  return app;
}

/** The body as JSON. The type is asked for, because a web page can send others without the browser asking first. */
async function jsonOf(context: Context): Promise<unknown> {
  if (!/^application\/json\b/i.test(context.req.header("content-type") ?? "")) {
    throw new ApiError(415, "expected the header Content-Type: application/json");
  }
  const text = await context.req.text();
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new ApiError(400, `the body is not valid JSON: ${(error as Error).message}`);
  }
}

interface Answering {
  readonly stream: boolean | null;
  readonly stream_options: { readonly include_usage: boolean | null } | null;
}

async function respond(
  context: Context,
  service: Service,
  asked: Asked,
  { stream, stream_options: streamOptions }: Answering,
  format: Format,
): Promise<Response> {
  if (streamOptions !== null && !stream) {
    throw new ApiError(400, "stream_options: expected stream to be true", "stream_options");
  }
  const answer = {
    id: `${format.prefix}-${randomUUID()}`,
    created: Math.floor(Date.now() / 1000),
    model: asked.model,
  };
  const abort = new AbortController();
  const events = await answersOf(service, asked, AbortSignal.any([context.req.raw.signal, abort.signal]));
  if (stream) {
    const head = { ...answer, object: format.pieceObject };
    return streamed(context, events, asked, head, format, streamOptions?.include_usage ?? false, abort);
  }
  const { answers, completionTokens } = await collect(events);
  return context.json({
    ...answer,
    object: format.object,
    choices: answers.map((each, index) => format.choice(each, index)),
    usage: usageOf(asked.promptTokens, completionTokens),
  });
}

/** Server-sent events: one piece of one choice each, then [DONE]. A failure is the last event. */
function streamed(
  context: Context,
  events: AsyncGenerator<PlacedEvent, void>,
  { requests, promptTokens }: Asked,
  head: object,
  { opening, piece, ending }: Format,
  includeUsage: boolean,
  abort: AbortController,
): Response {
  context.header("X-Accel-Buffering", "no");
  return streamSSE(context, async (stream) => {
    stream.onAbort(() => abort.abort());
    const heartbeat = setInterval(() => void stream.write(": waiting\n\n"), HEARTBEAT_MILLISECONDS);
    const usage = includeUsage ? { usage: null } : {};
    const send = (data: unknown) => stream.writeSSE({ data: JSON.stringify(data) });
    const sendChoice = (choice: object) => send({ ...head, choices: [choice], ...usage });
    const lengths: number[] = [];
    let completionTokens = 0;
    try {
      if (opening !== null) {
        const choices = requests.reduce((sum, request) => sum + request.choices, 0);
        for (let index = 0; index < choices; index++) await sendChoice({ index, ...opening });
      }
      for await (const event of events) {
        if (event.type === "end") {
          completionTokens += event.tokens;
          await sendChoice(ending(event));
          continue;
        }
        const offset = lengths[event.index] ?? 0;
        await sendChoice(piece(event, offset));
        lengths[event.index] = offset + event.text.length;
      }
      if (includeUsage) await send({ ...head, choices: [], usage: usageOf(promptTokens, completionTokens) });
      await stream.writeSSE({ data: "[DONE]" });
    } catch (error) {
      const known = error instanceof ApiError ? error : apiErrorOf(reported(error));
      await send(known.body);
    } finally {
      clearInterval(heartbeat);
    }
  });
}
