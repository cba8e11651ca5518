import fc from "fast-check";
import { expect, it } from "vitest";
import { stepEvent, taskEvent } from "../../test/support/dashboard.js";
import { History } from "../runs/history.js";
import { columnsOf, joined, lastOf, lengthOf, pointsOf, summaries } from "./pages/curves.js";
import type { Curves } from "./pages/wire.js";

/** As the page gets them: through JSON. */
const sent = (history: History, from = 1): Curves =>
  JSON.parse(JSON.stringify(history.read({ points: 10_000, range: { from, to: Number.POSITIVE_INFINITY } })));

it("joins a whole run and what came later to what the whole run is then", () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 4 }),
      fc.integer({ min: 0, max: 80 }),
      (lengths, cut) => {
        const events = lengths.flatMap((length, index) => [
          taskEvent(`t${index}`, index, length),
          ...Array.from({ length }, (_, k) => stepEvent(`t${index}`, index, k + 1)),
        ]);
        const history = new History();
        for (const event of events.slice(0, cut)) history.add(event);
        const before = sent(history);
        const last = history.lastStep;
        for (const event of events.slice(cut)) history.add(event);
        const whole = sent(history);
        expect(joined(before, sent(history, last + 1))).toEqual(whole);
        expect(lengthOf(whole)).toBe(pointsOf(whole));
        expect([lastOf(before), lastOf(whole)]).toEqual([last, history.lastStep]);
      },
    ),
  );
});

it("puts tasks one after another with a gap between them, and leaves out what a logarithm cannot show", () => {
  const history = new History();
  for (const event of [
    taskEvent("a", 0, 2),
    stepEvent("a", 0, 1, 4),
    stepEvent("a", 0, 2, 0),
    taskEvent("b", 1, 1),
  ]) {
    history.add(event);
  }
  history.add(stepEvent("b", 1, 1, 8));
  const curves = sent(history);
  expect(columnsOf(curves, ["taskLoss", "nothing"])).toEqual([
    [1, 2, 2.5, 3],
    [4, 0, null, 8],
    [null, null, null, null],
  ]);
  expect(columnsOf(curves, ["taskLoss"], true)[1]).toEqual([4, null, null, 8]);
  expect(summaries(curves, "taskLoss")).toEqual([
    { task: "a", first: 4, last: 0, least: 0, most: 4 },
    { task: "b", first: 8, last: 8, least: 8, most: 8 },
  ]);
});
