import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { writeTinyChat, writeTinyRun } from "../../test/support/tiny-run.js";
import { ConfigError, DataError } from "../errors.js";
import { greedy } from "../models/generate.js";
import { loadModel } from "../models/registry.js";
import { tensor } from "../tensor/create.js";
import { inference } from "../tensor/grad.js";
import { liveTensors } from "../tensor/scope.js";
import { type EngineOptions, generate, LocalEngine } from "./engine.js";
import { findSource } from "./model-source.js";
import { Prompts } from "./prompts.js";
import type { GenerationEvent, GenerationRequest } from "./request.js";

const root = mkdtempSync(join(tmpdir(), "nlora-engine-"));
const model = join(root, "tiny");
const run = join(root, "run");
const OPTIONS: EngineOptions = {
  dtype: "float32",
  device: "cpu",
  threads: null,
  limits: { maxRows: 8, maxTokens: 4096, maxWaiting: 100, maxPromptTokens: 512 },
};

let engine: LocalEngine;
let prompts: Prompts;
let before: number;
beforeAll(async () => {
  writeTinyChat(model);
  writeTinyRun(run, model);
  before = liveTensors();
  engine = LocalEngine.open(await findSource(run), OPTIONS);
  prompts = new Prompts(model, engine.info);
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

let count = 0;
const request = (text: string, changes: Partial<GenerationRequest> = {}): GenerationRequest => ({
  id: String(count++),
  state: "2-second",
  prompt: prompts.encode(text),
  choices: 1,
  maxNewTokens: 12,
  sampling: { temperature: 1, topK: null, topP: 0.95 },
  seed: 5,
  stops: [],
  logprobs: null,
  ...changes,
});

async function collect(one: GenerationRequest, signal?: AbortSignal): Promise<GenerationEvent[]> {
  const events: GenerationEvent[] = [];
  for await (const { event } of generate(engine, [one], signal)) events.push(event);
  return events.filter(({ type }) => type !== "start");
}

const textOf = (events: readonly GenerationEvent[]): string =>
  events.map((event) => (event.type === "text" ? event.text : "")).join("");

describe("an engine", () => {
  it("answers many requests at once with what it answers one at a time", async () => {
    const list = ["One day", "Yesterday I saw a house", "é — ü", "x"].flatMap((text, index) => [
      { text, changes: { seed: index } },
      { text, changes: { sampling: null, state: "tiny" } },
      { text, changes: { seed: index, choices: 2, stops: ["e", " the"] } },
    ]);
    const oneByOne: string[] = [];
    for (const { text, changes } of list)
      oneByOne.push(JSON.stringify(sorted(await collect(request(text, changes)))));
    const together = await Promise.all(list.map(({ text, changes }) => collect(request(text, changes))));
    expect(together.map((events) => JSON.stringify(sorted(events)))).toEqual(oneByOne);
    expect(new Set(oneByOne).size).toBeGreaterThan(6);
  });

  it("writes the text of the tokens that greedy decoding gives", async () => {
    const plain = loadModel(model, "float32");
    const ids = prompts.encode("The quick brown fox");
    const [expected] = inference(() =>
      greedy(
        plain.startDecoding({
          inputIds: tensor(ids, [1, ids.length], "int64"),
          attentionMask: tensor(
            ids.map(() => 1),
            [1, ids.length],
            "bool",
          ),
        }),
        { endIds: plain.endIds, maxNewTokens: 30 },
      ),
    );
    plain.dispose();
    const events = await collect(
      request("The quick brown fox", { state: "tiny", sampling: null, maxNewTokens: 30 }),
    );
    expect(textOf(events)).toBe(prompts.tokenizer.decode(expected!));
    expect(events.at(-1)).toMatchObject({ type: "end", tokens: expected!.length });
  });

  it("calls a request off when its reader leaves or aborts, and goes on with the others", async () => {
    const long = { sampling: null, maxNewTokens: 200, state: "tiny" };
    const other = collect(request("Another one", { sampling: null }));
    for await (const _ of generate(engine, [request("A long story", long)])) break;
    const abort = new AbortController();
    const aborted = collect(request("A long story", long), abort.signal);
    setImmediate(() => abort.abort());
    await aborted;
    await other;
    // What was called off leaves with the next step; then nothing is left to do.
    await collect(request("And one more", { maxNewTokens: 1 }));
    expect(engine.load).toEqual({ waiting: 0, running: 0 });
  });

  it("says why a request cannot be run", async () => {
    const events = await collect(request("x", { state: "none" }));
    expect(events).toEqual([
      {
        type: "failed",
        error: expect.objectContaining({ code: "config", message: "there is no model none" }),
      },
    ]);
  });

  it("releases everything when it is closed, also in the middle of a request", async () => {
    let heard = 0;
    engine.submit(request("Never ends", { maxNewTokens: 200 }), () => heard++);
    await new Promise((resolve) => setTimeout(resolve, 20));
    await engine.close();
    expect(heard).toBeGreaterThan(0);
    expect(liveTensors()).toBe(before);
  });
});

describe("prompts", () => {
  it("of a decoder-only model begin with its beginning token, conversations with the template's", () => {
    const { tokenizer } = prompts;
    expect(prompts.encode("Hello")[0]).toBe(tokenizer.bosId);
    const chat = prompts.encodeChat([{ role: "user", content: "Hello" }]);
    expect(chat.filter((id) => id === tokenizer.bosId)).toHaveLength(1);
    expect(tokenizer.decode(chat)).toBe("user: Hello\nassistant:");
    expect(prompts.contextLength).toBe(256);
  });

  it("of an encoder-decoder end with its end token, and are no conversations", async () => {
    const { folder } = await findSource("builtin");
    const t5 = new Prompts(folder, { family: "seq2seq" });
    expect(t5.encode("Hello").at(-1)).toBe(t5.tokenizer.eosId);
    expect(t5.contextLength).toBe(null);
    expect(() => t5.encodeChat([])).toThrow("this model is an encoder-decoder");
  });

  it("need a chat template for conversations, and messages that it takes", () => {
    const folder = join(root, "without");
    writeTinyChat(folder, false);
    expect(() => new Prompts(folder, { family: "causal" }).encodeChat([])).toThrow(ConfigError);
    expect(() => prompts.encodeChat([{ role: "robot", content: "x" }])).toThrow(DataError);
  });
});

/** Events by choice, in their order. */
function sorted(events: readonly GenerationEvent[]): unknown[] {
  return [0, 1].map((choice) => {
    const own = events.filter((event) => "choice" in event && event.choice === choice);
    return { text: textOf(own), end: own.at(-1) };
  });
}
