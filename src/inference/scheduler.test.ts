import fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import { goldenFolder } from "../../test/support/golden.js";
import { BusyError, ConfigError } from "../errors.js";
import { liveTensors } from "../tensor/scope.js";
import type { ModelSource } from "./model-source.js";
import { ModelStates } from "./model-states.js";
import type { GenerationEvent, GenerationRequest } from "./request.js";
import { Scheduler, type SchedulerLimits } from "./scheduler.js";
import type { StreamDecoder } from "./text-stream.js";

const LIMITS: SchedulerLimits = { maxRows: 6, maxTokens: 600, maxWaiting: 50, maxPromptTokens: 64 };

/** Every token is a letter. */
const letters: StreamDecoder = {
  decode: (ids) => ids.map((id) => String.fromCharCode(97 + (id % 26))).join(""),
  isSpecial: () => false,
};

const request = (changes: Partial<GenerationRequest> = {}): GenerationRequest => ({
  id: "one",
  state: "base",
  prompt: [5, 6, 7],
  choices: 1,
  maxNewTokens: 6,
  sampling: null,
  seed: 1,
  stops: [],
  logprobs: null,
  ...changes,
});

const sourceOf = (model: string, adapter: string): ModelSource => ({
  folder: goldenFolder(model),
  states: [
    { id: "base", adapters: [] },
    { id: "adapted", adapters: [goldenFolder(adapter)] },
  ],
  preferred: "base",
  notes: [],
});

const MODELS = [
  ["t5-classic", sourceOf("t5-classic", "lora-peft")],
  ["llama3-gqa", sourceOf("llama3-gqa", "llama3-gqa/adapter")],
] as const;

/** Runs turns until nothing is left; `between` is called at every yield. */
function drain(scheduler: Scheduler, between: (turn: number) => void = () => {}): void {
  for (let count = 0; !scheduler.isIdle; ) for (const _ of scheduler.turn()) between(count++);
}

describe.each(MODELS)("a scheduler of %s", (_, source) => {
  const states = ModelStates.open(source, "float32", "cpu");
  afterAll(() => states.dispose());
  const scheduler = (limits: Partial<SchedulerLimits> = {}) =>
    new Scheduler(states, letters, { ...LIMITS, ...limits });

  function alone(one: GenerationRequest): GenerationEvent[] {
    const events: GenerationEvent[] = [];
    const own = scheduler();
    own.submit(one, (event) => events.push(event));
    drain(own);
    return events;
  }

  const requests = fc.record({
    state: fc.constantFrom("base", "adapted"),
    prompt: fc.array(fc.integer({ min: 3, max: 70 }), { minLength: 1, maxLength: 30 }),
    choices: fc.integer({ min: 1, max: 3 }),
    maxNewTokens: fc.integer({ min: 1, max: 12 }),
    sampling: fc.option(
      fc.record({
        temperature: fc.constantFrom(0.3, 1, 1.8),
        topK: fc.option(fc.integer({ min: 1, max: 20 })),
        topP: fc.option(fc.constantFrom(0.2, 0.9, 1)),
      }),
    ),
    seed: fc.nat(1000),
    stops: fc.array(fc.string({ unit: fc.constantFrom("a", "e", "k", "t"), minLength: 1, maxLength: 2 }), {
      maxLength: 2,
    }),
    /** At which yield it comes, and after how many of its own events nobody wants it any more. */
    at: fc.nat(8),
    cancelAfter: fc.option(fc.nat(4), { freq: 3 }),
  });

  it("gives every request what it would get alone, whatever runs beside it", () => {
    const before = liveTensors();
    fc.assert(
      fc.property(fc.array(requests, { minLength: 1, maxLength: 9 }), (list) => {
        const shared = scheduler();
        const found = list.map((): GenerationEvent[] => []);
        const submitDue = (turn: number) => {
          for (const [index, { at, cancelAfter, ...wanted }] of list.entries()) {
            const id = String(index);
            if (at !== turn) continue;
            shared.submit(request({ ...wanted, id }), (event) => {
              found[index]!.push(event);
              if (found[index]!.length === (cancelAfter ?? -1) + 1) shared.cancel(id);
            });
          }
        };
        for (let turn = 0; turn <= 8 || !shared.isIdle; ) {
          submitDue(turn++);
          for (const _ of shared.turn()) submitDue(turn++);
        }
        for (const [index, { at: _at, cancelAfter, ...wanted }] of list.entries()) {
          const expected = byChoice(alone(request({ ...wanted, id: "alone" })));
          if (cancelAfter === null) expect(byChoice(found[index]!)).toEqual(expected);
          else expect(found[index]!.length).toBeLessThanOrEqual(cancelAfter + 1);
        }
        expect(shared.running).toBe(0);
      }),
      { numRuns: 25 },
    );
    // Position biases that the model caches.
    expect(liveTensors() - before).toBeLessThan(60);
  });

  it("answers in another way after the adapter", () => {
    const texts = ["base", "adapted"].map((state) =>
      JSON.stringify(
        [30, 40, 50].map((first) => alone(request({ state, prompt: [first, 41, 9, 12], logprobs: 0 }))),
      ),
    );
    expect(texts[0]).not.toBe(texts[1]);
  });

  it("reports log probabilities of the tokens, the chosen one among the likeliest under greedy decoding", () => {
    const events = alone(request({ logprobs: 3, maxNewTokens: 4 }));
    const reports = events.flatMap((event) => (event.type === "text" && event.token ? [event.token] : []));
    expect(reports.length).toBeGreaterThan(0);
    for (const { text, logprob, top } of reports) {
      expect(top.length).toBe(3);
      expect(top[0]).toEqual({ text, logprob });
      expect(top[1]!.logprob).toBeLessThanOrEqual(logprob);
    }
  });

  it("writes no more answers at a time than allowed, in the order in which they came", () => {
    const own = scheduler({ maxRows: 2 });
    const ended: string[] = [];
    for (let i = 0; i < 5; i++) {
      own.submit(request({ id: String(i), prompt: [4 + i], maxNewTokens: 3 }), (event) => {
        if (event.type === "end") ended.push(String(i));
      });
    }
    let most = 0;
    drain(own, () => {
      most = Math.max(most, own.running);
    });
    expect(most).toBe(2);
    expect(ended).toEqual(["0", "1", "2", "3", "4"]);
  });

  it("lets nobody overtake a request that waits for room", () => {
    const own = scheduler({ maxTokens: 64 });
    const started: string[] = [];
    const submit = (id: string, prompt: number[], maxNewTokens: number) =>
      own.submit(request({ id, prompt, maxNewTokens }), ({ type }) => {
        if (type !== "start" && !started.includes(id)) started.push(id);
      });
    submit("first", [5, 6], 14);
    submit(
      "large",
      Array.from({ length: 40 }, () => 9),
      20,
    );
    submit("small", [7], 2);
    drain(own);
    expect(started).toEqual(["first", "large", "small"]);
  });

  it("refuses what can never run, and more than may wait", () => {
    const own = scheduler({ maxWaiting: 1 });
    const refuse = (changes: Partial<GenerationRequest>) => () => own.submit(request(changes), () => {});
    expect(refuse({ state: "other" })).toThrow("there is no model other");
    expect(refuse({ prompt: [] })).toThrow("the prompt is empty");
    expect(refuse({ prompt: [3, 5000] })).toThrow("the prompt has the token 5000");
    expect(refuse({ choices: 7 })).toThrow("at most 6 are written at a time");
    expect(refuse({ maxNewTokens: 900 })).toThrow(ConfigError);
    own.submit(request(), () => {});
    expect(refuse({ id: "two" })).toThrow(BusyError);
    own.dispose();
  });
});

/** Texts and ends of each choice; when one speaks relative to another depends on nothing that matters. */
function byChoice(events: readonly GenerationEvent[]) {
  const choices = new Map<number, { text: string; end: unknown }>();
  for (const event of events) {
    if (event.type === "start") continue;
    if (event.type === "failed") throw new Error(event.error.message);
    const choice = choices.get(event.choice) ?? { text: "", end: null };
    if (event.type === "text") choice.text += event.text;
    else choice.end = event;
    choices.set(event.choice, choice);
  }
  return choices;
}
