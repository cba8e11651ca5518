import { mkdtempSync, rmSync } from "node:fs";
import { request as httpRequest } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { writeTinyChat, writeTinyRun } from "../../test/support/tiny-run.js";
import { UsageError } from "../errors.js";
import { type Engine, LocalEngine } from "../inference/engine.js";
import { findSource } from "../inference/model-source.js";
import { Prompts } from "../inference/prompts.js";
import type { SchedulerLimits } from "../inference/scheduler.js";
import { type RunningServer, type ServerOptions, startServer } from "./server.js";

const root = mkdtempSync(join(tmpdir(), "nlora-serve-"));
const LIMITS: SchedulerLimits = { maxRows: 8, maxTokens: 4096, maxWaiting: 20, maxPromptTokens: 512 };
const TOKEN = "a-token-of-enough-letters";

/** An engine that remembers which requests came to an end. */
class Watched implements Engine {
  readonly ended: string[] = [];
  submitted = 0;
  constructor(readonly inner: LocalEngine) {}
  get info() {
    return this.inner.info;
  }
  get load() {
    return this.inner.load;
  }
  get failed() {
    return this.inner.failed;
  }
  submit: Engine["submit"] = (request, say) => {
    this.submitted++;
    return this.inner.submit(request, (event) => {
      if (event.type === "end") this.ended.push(request.id);
      say(event);
    });
  };
  close = () => this.inner.close();
}

interface Started {
  readonly server: RunningServer;
  readonly engine: Watched;
}
const open: RunningServer[] = [];

async function start(
  reference: string,
  changes: Partial<ServerOptions> = {},
  limits: Partial<SchedulerLimits> = {},
): Promise<Started> {
  const source = await findSource(reference);
  const engine = new Watched(
    LocalEngine.open(source, {
      dtype: "float32",
      device: "cpu",
      threads: null,
      limits: { ...LIMITS, ...limits },
    }),
  );
  const prompts = new Prompts(source.folder, engine.info);
  const server = await startServer({
    access: { host: "127.0.0.1", token: null },
    port: 0,
    engine,
    source,
    prompts,
    maxNewTokens: 300,
    maxBody: 20_000,
    ...changes,
  });
  open.push(server);
  return { server, engine };
}

let url: string;
let engine: Watched;
beforeAll(async () => {
  writeTinyChat(join(root, "tiny"));
  writeTinyRun(join(root, "run"), join(root, "tiny"));
  const started = await start(join(root, "run"));
  url = started.server.url;
  engine = started.engine;
});
afterAll(async () => {
  await Promise.all(open.map((server) => server.close(0)));
  rmSync(root, { recursive: true, force: true });
});

const JSON_TYPE = { "Content-Type": "application/json" };
const post = (path: string, body: unknown, init: RequestInit = {}, at = url): Promise<Response> =>
  fetch(`${at}${path}`, { method: "POST", headers: JSON_TYPE, body: JSON.stringify(body), ...init });

interface Completion {
  readonly object: string;
  readonly choices: readonly {
    readonly index: number;
    readonly text: string;
    readonly finish_reason: string;
    readonly logprobs: null | {
      readonly tokens: string[];
      readonly token_logprobs: number[];
      readonly top_logprobs: Record<string, number>[];
      readonly text_offset: number[];
    };
  }[];
  readonly usage: {
    readonly prompt_tokens: number;
    readonly completion_tokens: number;
    readonly total_tokens: number;
  };
}

const complete = async (body: object): Promise<Completion> => {
  const response = await post("/v1/completions", { model: "tiny", max_tokens: 12, ...body });
  expect(response.status).toBe(200);
  return (await response.json()) as Completion;
};
const textsOf = ({ choices }: Completion) => choices.map(({ text }) => text);

/** The data of a stream's events. */
async function eventsOf(response: Response): Promise<string[]> {
  expect(response.status).toBe(200);
  expect(response.headers.get("content-type")).toContain("text/event-stream");
  return (await response.text())
    .split("\n\n")
    .filter((event) => event !== "")
    .map((event) => event.replace(/^data: /, ""));
}

describe("GET", () => {
  it("/v1/models lists the base model and the state after each task", async () => {
    const list = (await (await fetch(`${url}/v1/models`)).json()) as {
      object: string;
      data: { id: string }[];
    };
    expect(list.object).toBe("list");
    expect(list.data.map(({ id }) => id)).toEqual(["tiny", "1-first", "2-second", "3-third"]);
    expect(await (await fetch(`${url}/v1/models/2-second`)).json()).toMatchObject({
      id: "2-second",
      object: "model",
    });
    expect((await fetch(`${url}/v1/models/9-none`)).status).toBe(404);
  });

  it("/health says how much there is to do", async () => {
    expect(await (await fetch(`${url}/health`)).json()).toEqual({ status: "ok", waiting: 0, running: 0 });
  });

  it("of anything else is not found, in the API's shape", async () => {
    const response = await fetch(`${url}/v1/embeddings`);
    expect(response.status).toBe(404);
    expect(await response.json()).toMatchObject({ error: { type: "not_found_error", param: null } });
    expect(response.headers.get("access-control-allow-origin")).toBe(null);
  });
});

describe("POST /v1/completions", () => {
  it("answers by greedy decoding at temperature 0, and counts tokens", async () => {
    const first = await complete({ prompt: "The sea", temperature: 0 });
    expect(first).toMatchObject({ object: "text_completion", model: "tiny" });
    expect(textsOf(await complete({ prompt: "The sea", temperature: 0, seed: 9 }))).toEqual(textsOf(first));
    const { prompt_tokens, completion_tokens, total_tokens } = first.usage;
    expect(prompt_tokens).toBe(
      new Prompts(join(root, "tiny"), { family: "causal" }).encode("The sea").length,
    );
    expect(completion_tokens).toBeLessThanOrEqual(12);
    expect(total_tokens).toBe(prompt_tokens + completion_tokens);
    const adapted = await complete({ prompt: "The sea", temperature: 0, model: "3-third" });
    expect(textsOf(adapted)).not.toEqual(textsOf(first));
  });

  it("answers several prompts, texts or token ids, with several choices each", async () => {
    const prompts = ["One", "Another one"];
    const both = await complete({ prompt: prompts, n: 2, seed: 4 });
    expect(both.choices.map(({ index }) => index)).toEqual([0, 1, 2, 3]);
    expect(new Set(textsOf(both)).size).toBe(4);
    const encoder = new Prompts(join(root, "tiny"), { family: "causal" });
    const ids = prompts.map((prompt) => encoder.encode(prompt));
    expect(textsOf(await complete({ prompt: ids, n: 2, seed: 4 }))).toEqual(textsOf(both));
    expect(textsOf(await complete({ prompt: ids[0], n: 2, seed: 4 }))).toEqual(textsOf(both).slice(0, 2));
  });

  it("draws the same under one seed, and ends at stop texts without them", async () => {
    const body = { prompt: "Once", max_tokens: 40, temperature: 1.2, top_p: 0.9, seed: 11 };
    const [whole] = (await complete(body)).choices;
    expect((await complete(body)).choices).toEqual([whole]);
    const middle = whole!.text.slice(10, 12);
    const [cut] = (await complete({ ...body, stop: [middle] })).choices;
    expect(cut!.finish_reason).toBe("stop");
    expect(cut!.text).toBe(whole!.text.slice(0, whole!.text.indexOf(middle)));
  });

  it("reports log probabilities, their offsets and the likeliest tokens", async () => {
    const { choices } = await complete({ prompt: "The sea", temperature: 0, logprobs: 2, max_tokens: 5 });
    const { tokens, token_logprobs, top_logprobs, text_offset } = choices[0]!.logprobs!;
    expect([token_logprobs.length, top_logprobs.length, text_offset.length]).toEqual(
      tokens.map(() => tokens.length).slice(0, 3),
    );
    expect(text_offset[0]).toBe(0);
    for (const [index, logprob] of token_logprobs.entries()) {
      expect(Math.max(...Object.values(top_logprobs[index]!))).toBeCloseTo(logprob, 6);
    }
  });

  it("streams what it would have answered at once", async () => {
    for (const body of [
      { prompt: "é ☃ The sea", temperature: 0, max_tokens: 40 },
      { prompt: ["One", "Two"], n: 2, seed: 5, temperature: 1.5, max_tokens: 30, stop: ["a", "the"] },
    ]) {
      const whole = await complete(body);
      const streaming = { model: "tiny", ...body, stream: true, stream_options: { include_usage: true } };
      const events = await eventsOf(await post("/v1/completions", streaming));
      expect(events.at(-1)).toBe("[DONE]");
      const pieces = events.slice(0, -1).map((event) => JSON.parse(event) as Completion);
      expect(pieces.at(-1)).toMatchObject({ choices: [], usage: whole.usage });
      for (const { index, text, finish_reason } of whole.choices) {
        const own = pieces.flatMap(({ choices }) => choices.filter((choice) => choice.index === index));
        expect(own.map((choice) => choice.text).join("")).toBe(text);
        expect(own.at(-1)!.finish_reason).toBe(finish_reason);
        for (const choice of own) expect(choice.text).not.toMatch(/\p{Surrogate}/u);
      }
    }
  });

  it("gives concurrent requests what each gets alone", async () => {
    const bodies = Array.from({ length: 12 }, (_, i) => ({
      model: ["tiny", "1-first", "3-third"][i % 3],
      prompt: `Number ${i} of the list${" and so on".repeat(i % 4)}`,
      temperature: i % 2 === 0 ? 0 : 0.9,
      seed: i,
      max_tokens: 5 + i,
    }));
    const alone: string[][] = [];
    for (const body of bodies) alone.push(textsOf(await complete(body)));
    const together = await Promise.all(bodies.map((body) => complete(body)));
    expect(together.map(textsOf)).toEqual(alone);
  });
});

describe("POST /v1/chat/completions", () => {
  const ask = {
    model: "2-second",
    messages: [{ role: "user", content: "Hello" }],
    max_tokens: 10,
    temperature: 0,
  };
  interface Chat {
    readonly object: string;
    readonly choices: readonly {
      readonly message: { readonly role: string; readonly content: string };
      readonly delta: { readonly role?: string; readonly content?: string };
      readonly finish_reason: string | null;
      readonly logprobs: {
        readonly content: readonly { readonly token: string; readonly bytes: number[] | null }[];
      } | null;
    }[];
  }

  it("answers what a completion of the template's text answers", async () => {
    const answer = (await (await post("/v1/chat/completions", ask)).json()) as Chat;
    expect(answer).toMatchObject({
      object: "chat.completion",
      choices: [{ message: { role: "assistant" } }],
    });
    const same = await complete({ ...ask, messages: undefined, prompt: "user: Hello\nassistant:" });
    expect(answer.choices[0]!.message.content).toBe(textsOf(same)[0]);
    const parts = { ...ask, messages: [{ role: "user", content: [{ type: "text", text: "Hello" }] }] };
    const again = (await (await post("/v1/chat/completions", parts)).json()) as Chat;
    expect(again.choices).toEqual(answer.choices);
  });

  it("streams a first piece with the role, then text, then the reason of the end", async () => {
    const whole = (await (await post("/v1/chat/completions", ask)).json()) as Chat;
    const events = await eventsOf(
      await post("/v1/chat/completions", { ...ask, stream: true, logprobs: true, top_logprobs: 1 }),
    );
    expect(events.at(-1)).toBe("[DONE]");
    const pieces = events.slice(0, -1).map((event) => (JSON.parse(event) as Chat).choices[0]!);
    expect(pieces[0]!.delta).toEqual({ role: "assistant", content: "" });
    expect(pieces.map(({ delta }) => delta.content ?? "").join("")).toBe(whole.choices[0]!.message.content);
    expect(pieces.at(-1)).toMatchObject({ delta: {}, finish_reason: whole.choices[0]!.finish_reason });
    const tokens = pieces.flatMap(({ logprobs }) => logprobs?.content ?? []);
    expect(tokens.length).toBeGreaterThan(3);
    for (const { token, bytes } of tokens) if (bytes) expect(Buffer.from(bytes).toString()).toBe(token);
  });

  it("is refused for an encoder-decoder, whose prompts are completed", async () => {
    const t5 = await start("builtin");
    const refused = await post("/v1/chat/completions", { ...ask, model: "t5-mini" }, {}, t5.server.url);
    expect(refused.status).toBe(400);
    expect(await refused.json()).toMatchObject({
      error: { code: "chat_not_supported", message: expect.stringContaining("encoder-decoder") },
    });
    const body = {
      model: "t5-mini",
      prompt: "What is the topic of the text? A goal in the last minute",
      temperature: 0,
    };
    const answered = (await (await post("/v1/completions", body, {}, t5.server.url)).json()) as Completion;
    expect(answered.choices[0]).toMatchObject({ finish_reason: "stop" });
    expect(answered.choices[0]!.text.length).toBeGreaterThan(0);
  });
});

describe("a request that cannot be answered", () => {
  const fine = { model: "tiny", prompt: "x" };
  it.each<[string, unknown, number, string | null, string]>([
    ["no model", { prompt: "x" }, 400, "model", "model"],
    ["a model that is not there", { ...fine, model: "gpt" }, 404, "model", "there is no model gpt"],
    ["no prompt", { model: "tiny" }, 400, "prompt", "expected text, token ids"],
    ["an empty list of prompts", { ...fine, prompt: [] }, 400, "prompt", "expected text"],
    [
      "a token beyond the vocabulary",
      { ...fine, prompt: [1, 99_999] },
      400,
      null,
      "the prompt has the token 99999",
    ],
    ["a field that is not known", { ...fine, temprature: 1 }, 400, "temprature", "does not know the field"],
    ["a temperature beyond 2", { ...fine, temperature: 2.5 }, 400, "temperature", "temperature"],
    ["top_p of 0", { ...fine, top_p: 0 }, 400, "top_p", "top_p"],
    ["max_tokens of 0", { ...fine, max_tokens: 0 }, 400, "max_tokens", "max_tokens"],
    ["more tokens than allowed", { ...fine, max_tokens: 301 }, 400, "max_tokens", "at most 300"],
    [
      "more tokens than the model has positions for",
      { ...fine, max_tokens: 256 },
      400,
      "max_tokens",
      "takes 256 together",
    ],
    ["echo", { ...fine, echo: true }, 400, "echo", "not supported"],
    ["penalties", { ...fine, presence_penalty: 0.5 }, 400, "presence_penalty", "not supported"],
    ["five stop texts", { ...fine, stop: ["a", "b", "c", "d", "e"] }, 400, "stop", "stop"],
    ["more choices than are written at a time", { ...fine, n: 9 }, 400, null, "at most 8 are written"],
    ["stream_options without stream", { ...fine, stream_options: {} }, 400, "stream_options", "stream"],
    ["no object", [1, 2], 400, null, "the body"],
  ])("has %s: it says so", async (_, body, status, param, message) => {
    const response = await post("/v1/completions", body);
    const { error } = (await response.json()) as {
      error: { message: string; param: string | null; type: string };
    };
    expect([response.status, error.param]).toEqual([status, param]);
    expect(error.message).toContain(message);
    expect(error.type).toMatch(/_error$/);
  });

  it.each<[string, RequestInit, number, string]>([
    ["broken JSON", { body: "{" }, 400, "not valid JSON"],
    [
      "another type of body",
      { body: "{}", headers: { "Content-Type": "text/plain" } },
      415,
      "application/json",
    ],
    [
      "a body that is too large",
      { body: JSON.stringify({ ...fine, prompt: "x".repeat(30_000) }) },
      413,
      "20000 bytes",
    ],
  ])("has %s: it says so", async (_, init, status, message) => {
    const response = await post("/v1/completions", {}, init);
    expect(response.status).toBe(status);
    expect(((await response.json()) as { error: { message: string } }).error.message).toContain(message);
  });

  it.each<[string, unknown, string]>([
    ["messages that the template refuses", [{ role: "robot", content: "x" }], "unknown role robot"],
    ["pictures", [{ role: "user", content: [{ type: "image_url", image_url: {} }] }], "messages.0.content"],
    ["no messages", [], "messages"],
    ["nothing where they belong", undefined, "messages: is missing, expected array"],
    ["a message without its content", [{ role: "user" }], "messages.0.content: is missing"],
  ])("has %s: it says so", async (_, messages, message) => {
    const response = await post("/v1/chat/completions", { model: "tiny", messages });
    expect(response.status).toBe(400);
    expect(((await response.json()) as { error: { message: string } }).error.message).toContain(message);
  });

  it("comes when too many wait: it may try again", async () => {
    const small = await start(join(root, "tiny"), {}, { maxRows: 1, maxWaiting: 2 });
    const responses = await Promise.all(
      Array.from({ length: 8 }, () =>
        post("/v1/completions", { ...fine, max_tokens: 50, temperature: 0 }, {}, small.server.url),
      ),
    );
    const refused = responses.filter(({ status }) => status === 429);
    expect(refused.length).toBeGreaterThan(0);
    expect(refused.length).toBeLessThan(8);
    expect(refused[0]!.headers.get("retry-after")).toBe("1");
    expect(await refused[0]!.json()).toMatchObject({ error: { type: "rate_limit_error", code: "busy" } });
    for (const response of responses) if (response.status !== 429) expect(response.status).toBe(200);
  });
});

describe("access", () => {
  /** Asks with headers that `fetch` does not let one choose. */
  const statusWith = (at: string, headers: Record<string, string>): Promise<number> =>
    new Promise((resolve, reject) => {
      const asking = httpRequest(`${at}/v1/models`, { headers }, (response) => {
        response.resume();
        resolve(response.statusCode!);
      });
      asking.once("error", reject);
      asking.end();
    });

  it.each([
    ["localhost:1234", 200],
    ["127.0.0.1", 200],
    ["[::1]:80", 200],
    ["attacker.example", 403],
    ["localhost.attacker.example", 403],
    ["127.0.0.1.nip.io:8000", 403],
    ["localhost:80@attacker.example", 400],
  ])("to a local server under the name %s: %i", async (host, status) => {
    expect(await statusWith(url, { Host: host })).toBe(status);
  });

  it("is not for pages of other sites", async () => {
    expect(await statusWith(url, { Origin: "https://attacker.example" })).toBe(403);
    expect(await statusWith(url, { Origin: "null" })).toBe(403);
    expect(await statusWith(url, { Origin: "http://localhost:3000" })).toBe(200);
  });

  it("needs the token where there is one, except to see whether the server is well", async () => {
    const { server } = await start(join(root, "tiny"), { access: { host: "127.0.0.1", token: TOKEN } });
    for (const header of ["", "Bearer", "Bearer wrong", `Basic ${TOKEN}`, TOKEN, `Bearer ${TOKEN}x`]) {
      const response = await fetch(`${server.url}/v1/models`, { headers: { Authorization: header } });
      expect(response.status, header).toBe(401);
      expect(response.headers.get("www-authenticate")).toBe("Bearer");
    }
    const headers = { Authorization: `Bearer ${TOKEN}` };
    expect((await fetch(`${server.url}/v1/models`, { headers })).status).toBe(200);
    expect((await fetch(`${server.url}/health`)).status).toBe(200);
  });

  it("from other machines is refused without a token, or with a weak one", async () => {
    const listen = (host: string, token: string | null) =>
      start(join(root, "tiny"), { access: { host, token } });
    await expect(listen("0.0.0.0", null)).rejects.toThrow("lets other machines in, which needs a token");
    await expect(listen("0.0.0.0", "short")).rejects.toThrow(UsageError);
    const { server } = await listen("0.0.0.0", TOKEN);
    expect(await statusWith(server.url, { Host: "my.machine", Authorization: `Bearer ${TOKEN}` })).toBe(200);
    expect(await statusWith(server.url, { Host: "my.machine" })).toBe(401);
  });
});

describe("a client that goes away", () => {
  const idle = async () => {
    while (engine.load.running + engine.load.waiting > 0)
      await new Promise((resolve) => setTimeout(resolve, 5));
  };

  it.each([true, false])("takes its answers with it (streaming: %s)", async (stream) => {
    await idle();
    const { submitted, ended } = { submitted: engine.submitted, ended: engine.ended.length };
    const abort = new AbortController();
    const body = {
      model: "tiny",
      prompt: "A very long story",
      n: 4,
      max_tokens: 240,
      temperature: 1,
      stream,
    };
    const asking = post("/v1/completions", body, { signal: abort.signal });
    if (stream) await (await asking).body!.getReader().read();
    else while (engine.load.running === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    abort.abort();
    if (!stream) await expect(asking).rejects.toThrow();
    await idle();
    expect(engine.submitted).toBe(submitted + 1);
    expect(engine.ended.length - ended).toBeLessThan(4);
  });
});

describe("closing", () => {
  it("lets requests under way finish and takes no new ones", async () => {
    const { server } = await start(join(root, "tiny"));
    const streaming = await post(
      "/v1/completions",
      { model: "tiny", prompt: "x", max_tokens: 100, temperature: 0, stream: true },
      {},
      server.url,
    );
    const closing = server.close();
    await expect(fetch(`${server.url}/health`)).rejects.toThrow();
    expect((await eventsOf(streaming)).at(-1)).toBe("[DONE]");
    await closing;
  });

  it("is refused to a second server on one port", async () => {
    const port = Number(new URL(url).port);
    await expect(start(join(root, "tiny"), { port })).rejects.toThrow("cannot listen on 127.0.0.1");
  });
});
