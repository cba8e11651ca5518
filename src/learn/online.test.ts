import { expect, test } from "vitest";
import { tinyMethod, tinyModel, tinySettings, tinyTask } from "../../test/support/tiny.js";
import { stackAdapters } from "../adapters/combine.js";
import type { AdapterDelta } from "../adapters/delta.js";
import { disposeDelta } from "../adapters/lora.js";
import { batchOf, promptsOf } from "../data/collate.js";
import { opensAdapters, STANDALONE_NAMES } from "../methods/registry.js";
import { greedy } from "../models/generate.js";
import { EVALUATION } from "../nn/context.js";
import { Rng } from "../random.js";
import { inference } from "../tensor/grad.js";
import { liveTensors, tidy } from "../tensor/scope.js";
import type { EncodedTask } from "./learn.js";
import { OnlineLearner, type OnlineSettings, scoreRows } from "./online.js";

const SETTINGS: OnlineSettings = {
  boundaries: "detected",
  onAlarm: "new-adapter",
  updates: 3,
  mixing: 0,
  // The tiny stream is short: less has to add up.
  detector: { delta: 0.005, threshold: 20, warmUp: 16, memory: 40 },
};

/** Two tasks that answer the same kind of rows with other tokens. */
const tasks = [tinyTask("alpha", 160, 5), tinyTask("beta", 160, 6)];

/** All elements of what adapters add to the layers together. */
const denseOf = (deltas: readonly AdapterDelta[]): number[] =>
  tidy(() => [...stackAdapters(deltas, "all").modules.values()].flatMap(({ a, b }) => b.matmul(a).toArray()));

/** Learns a stream; `numbers` are all values of the adapters that were finished, one list per adapter. */
function learnOnline(
  changes: Partial<OnlineSettings> = {},
  { method: values = { name: "inc-lora" }, stream = tasks, merged = false } = {} as {
    method?: Parameters<typeof tinyMethod>[1];
    stream?: readonly EncodedTask[];
    merged?: boolean;
  },
) {
  const before = liveTensors();
  const model = tinyModel();
  const method = tinyMethod(model, values, { previousAdapters: merged ? "merged" : "stacked" }, [], stream);
  const settings = { ...SETTINGS, ...changes };
  const learner = new OnlineLearner(model, method, stream, settings, tinySettings, new Rng(3));
  const events = stream.map((_, index) => {
    const own = [...learner.task(index)];
    const update = learner.update("task");
    const values = [...update.modules.values()].map(({ a, b }) => [...a.toArray(), ...b.toArray()]);
    const dense = denseOf([update]);
    disposeDelta(update);
    return { own, values, dense };
  });
  learner.finish();
  const deltas = method.deltas!;
  const numbers = deltas.map(({ modules }) =>
    [...modules.values()].map(({ a, b }) => [...a.toArray(), ...b.toArray()]),
  );
  const all = events.flatMap(({ own }) => own);
  const result = {
    numbers,
    updates: events.map(({ values }) => values),
    dense: { tasks: events.map(({ dense }) => dense), adapters: denseOf(deltas) },
    arrivals: all.filter((event) => event.type === "arrival"),
    alarms: all.filter((event) => event.type === "alarm"),
    steps: all.filter((event) => event.type === "step"),
    starts: all.filter((event) => event.type === "task-start"),
  };
  learner.dispose();
  method.dispose();
  model.dispose();
  expect(liveTensors()).toBe(before);
  return result;
}

test("a change of what is asked is found, dated to its row, told from one of the inputs, and opens an adapter", () => {
  const { alarms, numbers, arrivals } = learnOnline();
  expect(alarms).toHaveLength(1);
  expect(alarms[0]).toMatchObject({ since: 160, kind: "answers" });
  expect(alarms[0]!.row - 160).toBeLessThanOrEqual(40);
  expect(numbers).toHaveLength(2);
  expect(arrivals.at(-1)).toMatchObject({ seen: 320, adapter: 2 });
});

test("rows of other tokens are told from other answers", () => {
  const moved = tasks[1]!.train.map((row) => ({
    ...row,
    source: row.source.map((token) => (token > 2 ? 3 + (token % 8) : token)),
  }));
  const { alarms } = learnOnline({}, { stream: [tasks[0]!, { ...tasks[1]!, train: moved }] });
  expect(alarms[0]).toMatchObject({ since: 160, kind: "inputs" });
});

test("adapters begin where the settings say: at true starts, after so many rows, or once for all", () => {
  expect(learnOnline({ boundaries: "known" }).numbers).toHaveLength(2);
  expect(learnOnline({ boundaries: { every: 64 } }).numbers).toHaveLength(5);
  const one = learnOnline({ boundaries: "none" });
  expect(one.numbers).toHaveLength(1);
  expect(one.alarms.length).toBeGreaterThan(0);
});

test("up to the first change, detected boundaries and known ones learn the same", () => {
  const [known, detected] = [learnOnline({ boundaries: "known" }), learnOnline()];
  expect(detected.updates[0]).toEqual(known.updates[0]);
  expect(known.numbers[0]).toEqual(known.updates[0]);
  expect(detected.numbers[0]).not.toEqual(known.numbers[0]);
});

test.each(["detected", "known", "none", { every: 72 }] as const)(
  "what the tasks have added is what the adapters add up to (%o)",
  (boundaries) => {
    const { tasks: parts, adapters } = learnOnline({ boundaries }).dense;
    const sum = adapters.map((_, i) => parts.reduce((total, part) => total + part[i]!, 0));
    const largest = Math.max(...adapters.map(Math.abs));
    expect(largest).toBeGreaterThan(0.01);
    for (const [i, value] of adapters.entries())
      expect(Math.abs(sum[i]! - value)).toBeLessThan(1e-5 * largest);
  },
);

test("a roll-back takes back what was learned after the change, and learns those rows again", () => {
  const forward = learnOnline();
  const back = learnOnline({ onAlarm: "roll-back" });
  // The change is at the end of the first task, and so is the closed adapter.
  expect(back.numbers[0]).toEqual(back.updates[0]);
  expect(forward.numbers[0]).not.toEqual(forward.updates[0]);
  const again = back.alarms[0]!.row - back.alarms[0]!.since - tinySettings.batchSize;
  expect(back.steps.length - forward.steps.length).toBe((again / tinySettings.batchSize) * SETTINGS.updates);
});

test("a batch is answered before it is trained on, in one pass through the stream", () => {
  const { arrivals, steps, starts } = learnOnline({ boundaries: "none" });
  expect(arrivals.map(({ seen }) => seen)).toEqual(Array.from({ length: 40 }, (_, k) => 8 * (k + 1)));
  expect(steps).toHaveLength(40 * SETTINGS.updates);
  expect(starts.map((event) => event.steps)).toEqual([60, 60]);
  const model = tinyModel();
  const order = new Rng(3).fork("rows").fork("alpha").shuffle(tasks[0]!.train);
  const untouched = scoreRows(model, order.slice(0, 8));
  expect(arrivals[0]!.loss).toBeCloseTo(untouched.reduce((sum, { loss }) => sum + loss, 0) / 8, 5);
  model.dispose();
});

test.each(["t5-classic", "llama3-gqa"])(
  "a row's loss is the model's own, and a row counts as right where greedy decoding gives its target (%s)",
  (name) => {
    const model = tinyModel(name);
    const rows = tasks[0]!.train.slice(0, 12);
    tidy(() => {
      const written = inference(() =>
        greedy(model.startDecoding(promptsOf(rows, model)), { endIds: model.endIds, maxNewTokens: 4 }),
      );
      // Half of the rows ask for what the model would write, to its end or as far as it was asked.
      const answers = written.map((ids) => (ids.length < 4 ? [...ids, model.eosId] : ids));
      const asked = rows.map((row, k) => (k % 2 === 0 ? { ...row, target: answers[k]! } : row));
      const scores = scoreRows(model, asked);
      for (const [k, row] of asked.entries()) {
        const { loss } = inference(() => model.forward(batchOf([row], model), EVALUATION));
        expect(scores[k]!.loss).toBeCloseTo(loss.item(), 4);
      }
      const right = asked.map(({ target }, k) => target.join(" ") === answers[k]!.join(" "));
      expect(right.filter(Boolean)).toHaveLength(6);
      expect(scores.map(({ correct }) => correct)).toEqual(right);
    });
    model.dispose();
  },
);

test("one seed gives one result, and rows that mix at a change give another", () => {
  expect(learnOnline().numbers).toEqual(learnOnline().numbers);
  const mixed = learnOnline({ mixing: 40 });
  expect(mixed.arrivals.at(-1)!.seen).toBe(320);
  expect(mixed.arrivals.filter(({ index }) => index === 0).at(-1)).toMatchObject({ seen: 180, start: 0 });
});

test.each(STANDALONE_NAMES.filter(opensAdapters))("%s learns a stream without boundaries", (name) => {
  const { numbers, steps } = learnOnline({}, { method: { name }, merged: name === "n-lora" });
  expect(numbers.length).toBeGreaterThan(0);
  expect(steps.every(({ taskLoss }) => Number.isFinite(taskLoss))).toBe(true);
});
