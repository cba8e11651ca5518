import { setTimeout as sleep } from "node:timers/promises";
import { expect, it } from "vitest";
import { reportsOf } from "./reports.js";

it("yields reports in their order and returns the result", async () => {
  const reports = reportsOf<number, string>(async (report) => {
    report(1);
    await sleep(1);
    report(2);
    report(3);
    return "done";
  });
  const seen: number[] = [];
  for (;;) {
    const next = await reports.next();
    if (next.done) {
      expect(next.value).toBe("done");
      break;
    }
    seen.push(next.value);
  }
  expect(seen).toEqual([1, 2, 3]);
});

it("throws what the work throws, after its reports", async () => {
  const reports = reportsOf<number, void>(async (report) => {
    report(1);
    throw new Error("broken");
  });
  expect(await reports.next()).toEqual({ done: false, value: 1 });
  await expect(reports.next()).rejects.toThrow("broken");
});

it("stops the work when it is ended early, and waits for that", async () => {
  let stopped = false;
  const reports = reportsOf<number, void>(async (report, signal) => {
    report(1);
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
    await sleep(5);
    stopped = true;
    signal.throwIfAborted();
  });
  await reports.next();
  await reports.return(undefined as never);
  expect(stopped).toBe(true);
});
