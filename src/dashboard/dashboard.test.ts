import { appendFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { request as httpRequest } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  accuracyEvent,
  startEvent,
  stepEvent,
  type TestDashboard,
  TOKEN,
  taskEvent,
  testDashboard,
  writeFinishedRun,
  writeRun,
} from "../../test/support/dashboard.js";
import type { RunEvent } from "../learn/events.js";
import type { RunFolder } from "../runs/run-folder.js";
import { RunCatalog } from "./catalog.js";
import type { Curves, PredictionPage, RunDetail, RunList, RunUpdate } from "./pages/wire.js";
import { RunControl } from "./run-control.js";
import { startDashboard } from "./server.js";

const root = mkdtempSync(join(tmpdir(), "nlora-dashboard-"));
const runs = join(root, "runs");
const HOSTILE = "<img src=x onerror=alert(1)>";
let dashboard: TestDashboard;
let damaged: RunFolder;
let goingOn: RunFolder;
let id = "";

beforeAll(async () => {
  mkdirSync(runs);
  const finished = writeFinishedRun(join(runs, "study", "row", "finished"));
  finished.savePredictions(
    1,
    "first",
    Array.from({ length: 120 }, (_, row) => ({
      row,
      input: `question ${row}: what is it? ${row === 7 ? HOSTILE : ""}`,
      target: "Yes",
      prediction: row % 3 === 0 ? "yes" : "no",
      correct: row % 3 === 0,
    })),
  );
  mkdirSync(join(root, "elsewhere"));
  writeFinishedRun(join(root, "elsewhere", "private"));
  symlinkSync(join(root, "elsewhere"), join(runs, "link"));
  const hostile = writeFinishedRun(join(runs, "hostile"), ["../../../secret", HOSTILE]);
  mkdirSync(join(hostile.path, "predictions", "1-.."), { recursive: true });
  damaged = writeFinishedRun(join(runs, "damaged"));
  goingOn = writeRun(join(runs, "going-on"), [
    startEvent(["first"]),
    taskEvent("first", 0, 9),
    stepEvent("first", 0, 1),
  ]);
  writeLongRun(join(runs, "long"));
  dashboard = testDashboard(runs);
  id = await idOf("study/row/finished");
});
afterAll(() => {
  dashboard.close();
  rmSync(root, { recursive: true, force: true });
});

/** Four tasks of 50,000 steps, one of which stands out. */
function writeLongRun(path: string): void {
  const tasks = ["a", "b", "c", "d"];
  const folder = writeRun(path, [startEvent(tasks)]);
  for (const [index, task] of tasks.entries()) {
    const steps = Array.from({ length: 50_000 }, (_, k) =>
      JSON.stringify(stepEvent(task, index, k + 1, k === 31_234 ? 99 : 1 + Math.sin(k))),
    );
    const start = JSON.stringify(taskEvent(task, index, 50_000));
    appendFileSync(folder.journalFile, `${start}\n${steps.join("\n")}\n`);
  }
}

async function json<Answer>(path: string, init?: Parameters<TestDashboard["ask"]>[1]): Promise<Answer> {
  const response = await dashboard.ask(path, init);
  expect(response.status, path).toBeLessThan(300);
  return (await response.json()) as Answer;
}
async function idOf(name: string): Promise<string> {
  const { runs: listed } = await json<RunList>("/api/runs");
  const found = listed.find((run) => run.name === name);
  if (!found) throw new Error(`${name} is not among ${listed.map((run) => run.name).join(", ")}`);
  return found.id;
}
const post = (body: object = {}) => ({ method: "POST", body: JSON.stringify(body) });

describe("who may ask", () => {
  const routes = () =>
    dashboard.app.routes
      .filter(({ method }) => method !== "ALL")
      .map(({ method, path }) => ({
        method,
        path: path
          .replace(":id", id)
          .replace(":after", "2")
          .replace(":task", "0")
          .replace(":name", "accuracy.svg")
          .replace("*", "format.js"),
      }));

  it("refuses every route to those without the token, from other sites, under other names and in other words", async () => {
    expect(routes().length).toBeGreaterThan(15);
    for (const { method, path } of routes()) {
      const body = method === "POST" ? "{}" : undefined;
      const status = async (headers: Record<string, string | undefined>) =>
        (await dashboard.ask(path, { method, headers, ...(body && { body }) })).status;
      expect(await status({ cookie: undefined }), path).toBe(401);
      expect(await status({ cookie: `nlora-8600=${TOKEN}x` }), path).toBe(401);
      expect(await status({ cookie: `nlora-8601=${TOKEN}` }), path).toBe(401);
      expect(await status({ host: "evil.example:8600" }), path).toBe(403);
      expect(await status({ host: "127.0.0.1.evil.example:8600" }), path).toBe(403);
      expect(await status({ origin: "https://evil.example" }), path).toBe(403);
      expect(await status({ origin: "http://127.0.0.1:9999" }), path).toBe(403);
      expect(await status({ origin: "null" }), path).toBe(403);
      expect(await status({ "sec-fetch-site": "cross-site" }), path).toBe(403);
      expect(await status({ "sec-fetch-site": "same-site" }), path).toBe(403);
      if (method === "POST") {
        expect(await status({ origin: undefined }), path).toBe(403);
        expect(await status({ "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate" }), path).toBe(
          403,
        );
      }
    }
  });

  it("lets its own pages in, and says in every answer what they may do", async () => {
    for (const path of [
      "/",
      "/new",
      "/compare",
      `/runs/${id}`,
      "/api/runs",
      "/nothing",
      "/assets/format.js",
    ]) {
      const response = await dashboard.ask(path, { headers: { "sec-fetch-site": "same-origin" } });
      expect(response.status, path).toBe(path === "/nothing" ? 404 : 200);
      const policy = response.headers.get("content-security-policy")!;
      expect(policy).toContain("default-src 'none'");
      expect(policy).not.toContain("unsafe");
      expect(response.headers.get("x-content-type-options")).toBe("nosniff");
      expect(response.headers.get("access-control-allow-origin")).toBeNull();
    }
  });

  it("takes the token of the address for a cookie, once, and sends the browser on without it", async () => {
    const wrong = await dashboard.ask("/?token=wrong", { headers: { cookie: undefined } });
    expect(wrong.status).toBe(401);
    expect(wrong.headers.get("set-cookie")).toBeNull();
    const right = await dashboard.ask(`/?token=${TOKEN}`, { headers: { cookie: undefined } });
    expect([right.status, right.headers.get("location")]).toEqual([303, "/"]);
    expect(right.headers.get("set-cookie")).toMatch(/^nlora-8600=.*; Path=\/; HttpOnly; SameSite=Strict$/);
    // Elsewhere a token in the address counts for nothing.
    expect((await dashboard.ask(`/api/runs?token=${TOKEN}`, { headers: { cookie: undefined } })).status).toBe(
      401,
    );
  });

  it("takes no long bodies and none that a form of another site could send", async () => {
    const long = await dashboard.ask("/api/check", { method: "POST", body: "x".repeat(300_000) });
    expect(long.status).toBe(413);
    for (const type of ["text/plain", "application/x-www-form-urlencoded", undefined]) {
      const response = await dashboard.ask("/api/check", { ...post(), headers: { "content-type": type } });
      expect(response.status).toBe(415);
    }
    for (const body of ["[]", "null", "1", "{", '{"seed": 1}']) {
      expect((await dashboard.ask("/api/check", { method: "POST", body })).status).toBe(400);
    }
  });

  it("opens no file that is not in its own lists, however the path is written", async () => {
    writeFileSync(join(root, "secret.jsonl"), '{"input":"secret"}\n');
    const server = await startDashboard({
      host: "127.0.0.1",
      port: 0,
      catalog: RunCatalog.below(runs),
      control: new RunControl(),
    });
    const { hostname, port, searchParams } = new URL(server.address);
    const cookie = `nlora-${port}=${searchParams.get("token")}`;
    // As it stands, without a browser's or URL's tidying up.
    const raw = (path: string) =>
      new Promise<{ status: number; text: string }>((resolve, reject) => {
        const request = httpRequest({ hostname, port, path, headers: { cookie } }, (response) => {
          let text = "";
          response.setEncoding("utf8").on("data", (part: string) => {
            text += part;
          });
          response.on("end", () => resolve({ status: response.statusCode!, text }));
        });
        request.on("error", reject).end();
      });
    try {
      expect((await raw("/api/runs")).status).toBe(200);
      for (const path of [
        "/assets/../package.json",
        "/assets/..%2f..%2fpackage.json",
        "/assets/%2e%2e/%2e%2e/package.json",
        "/assets//etc/passwd",
        "/assets/",
        "/api/runs/..%2f..%2fsecret",
        "/api/runs/study%2frow%2ffinished",
        `/api/runs/${id}%00`,
        "/api/runs/__proto__",
        `/api/runs/${id}/predictions/2/..%2f..%2f..%2fsecret`,
        `/api/runs/${id}/predictions/..%2f..%2fsecret/0`,
        `/api/runs/${id}/predictions/2/99`,
        `/api/runs/${id}/predictions/99/0`,
        `/api/runs/${id}/predictions/-1/0`,
      ]) {
        const { status, text } = await raw(path);
        expect([path, status]).toEqual([path, 404]);
        expect(text).not.toMatch(/secret"|root:|"version"/);
      }
    } finally {
      await server.close();
    }
  });

  it("follows no links, and opens no answers that a record only claims", async () => {
    const { runs: listed } = await json<RunList>("/api/runs");
    expect(listed.map(({ name }) => name).filter((name) => /private|link/.test(name))).toEqual([]);
    const hostileId = await idOf("hostile");
    const detail = await json<RunDetail>(`/api/runs/${hostileId}`);
    expect(detail.tasks).toEqual(["../../../secret", HOSTILE]);
    expect((await dashboard.ask(`/api/runs/${hostileId}/predictions/1/0`)).status).toBe(404);
  });
});

describe("runs", () => {
  it("lists them by their folders, with what their records say", async () => {
    const { runs: listed } = await json<RunList>("/api/runs");
    expect(listed.find((run) => run.id === id)).toMatchObject({
      name: "study/row/finished",
      status: "done",
      isHere: false,
      tasks: ["first", "second"],
      tasksDone: 2,
      averageAccuracy: 55,
    });
  });

  it("shows one with its accuracies, its metrics as text, and which answers there are", async () => {
    const detail = await json<RunDetail>(`/api/runs/${id}`);
    expect(detail.accuracy).toEqual([
      [50, 50],
      [null, 60],
    ]);
    expect(detail.metrics).toContainEqual(["AA (average accuracy, %)", "55.00"]);
    expect(detail.predictions).toEqual(["1/0"]);
    expect(detail.loggedSteps).toBe(6);
  });

  it("draws its accuracies as figures that may bring a style sheet, and nothing else", async () => {
    for (const name of ["accuracy.svg", "matrix.svg"]) {
      const response = await dashboard.ask(`/api/runs/${id}/figures/${name}`);
      expect(response.headers.get("content-type")).toMatch(/^image\/svg\+xml/);
      expect(response.headers.get("content-security-policy")).toBe(
        "default-src 'none'; style-src 'unsafe-inline'; sandbox",
      );
      expect(await response.text()).toMatch(/^<svg /);
    }
    expect((await dashboard.ask(`/api/runs/${id}/figures/other.svg`)).status).toBe(404);
  });

  it("goes on showing the others when one is damaged", async () => {
    appendFileSync(damaged.journalFile, "not an event\n");
    const detail = await json<RunDetail>(`/api/runs/${await idOf("damaged")}`);
    expect(detail.damage).toMatch(/this line is not an event/);
    expect(detail.loggedSteps).toBe(6);
    writeFileSync(damaged.recordFile, "{");
    const { runs: listed } = await json<RunList>("/api/runs");
    expect(listed.find(({ name }) => name === "damaged")?.damage).toMatch(/cannot read/);
    expect(listed.find((run) => run.id === id)?.damage).toBeNull();
  });

  it("does not stop what no process of this machine trains, and goes on with nothing that is finished", async () => {
    const stop = await dashboard.ask(`/api/runs/${id}/stop`, post());
    expect([stop.status, await stop.text()]).toEqual([
      409,
      expect.stringContaining("no process of this machine"),
    ]);
    const resume = await dashboard.ask(`/api/runs/${id}/resume`, post());
    expect([resume.status, await resume.text()]).toEqual([409, expect.stringContaining("finished")]);
  });

  it("finds answers by a word and by being right, a page at a time", async () => {
    const page = (query: string) => json<PredictionPage>(`/api/runs/${id}/predictions/2/0?${query}`);
    expect(await page("")).toMatchObject({ found: 120, pages: 3, page: 0, right: 40, wrong: 80 });
    const wrong = await page("outcome=wrong&page=1");
    expect(wrong).toMatchObject({ found: 80, pages: 2, page: 1 });
    expect(wrong.rows).toHaveLength(30);
    expect(wrong.rows.some(({ correct }) => correct)).toBe(false);
    const [hostile] = (await page("search=ONERROR")).rows;
    expect(hostile).toMatchObject({ row: 7, input: `question 7: what is it? ${HOSTILE}` });
    expect(await page("search=no-such-word")).toMatchObject({ found: 0, rows: [], pages: 1 });
    expect(await page("page=999")).toMatchObject({ page: 2 });
    expect((await dashboard.ask(`/api/runs/${id}/predictions/2/0?outcome=maybe`)).status).toBe(400);
  });
});

/** Reads the messages of a run's stream. */
async function updatesOf(path: string) {
  const response = await dashboard.ask(path);
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  return {
    async next(): Promise<RunUpdate> {
      for (;;) {
        const end = text.indexOf("\n\n");
        if (end >= 0) {
          const message = text.slice(0, end);
          text = text.slice(end + 2);
          if (message.startsWith("data: ")) return JSON.parse(message.slice(6)) as RunUpdate;
          continue;
        }
        const { done, value } = await reader.read();
        if (done) throw new Error("the stream ended");
        text += value;
      }
    },
    end: () => reader.cancel(),
  };
}
const placesOf = (curves: Curves | null) =>
  curves?.tasks.flatMap(({ before, steps }) => steps.map((step) => before + step));

describe("a run that goes on", () => {
  it("is sent whole, then what is new, and whole again when a task is started again", async () => {
    const write = (events: readonly RunEvent[]) =>
      appendFileSync(goingOn.journalFile, events.map((event) => `${JSON.stringify(event)}\n`).join(""));
    const updates = await updatesOf(`/api/runs/${await idOf("going-on")}/events`);
    const first = await updates.next();
    expect(first).toMatchObject({
      isWhole: true,
      detail: { status: "running", progress: { step: 1, steps: 9 } },
    });
    expect(placesOf(first.curves)).toEqual([1]);
    write([stepEvent("first", 0, 2), stepEvent("first", 0, 3)]);
    const second = await updates.next();
    expect(second).toMatchObject({ isWhole: false, detail: { progress: { step: 3 } } });
    expect(placesOf(second.curves)).toEqual([2, 3]);
    write([accuracyEvent("first", 0, 0, 75)]);
    const third = await updates.next();
    expect(third).toMatchObject({ curves: null, detail: { accuracy: [[75]] } });
    write([startEvent(["first"]), taskEvent("first", 0, 9), stepEvent("first", 0, 1)]);
    const fourth = await updates.next();
    expect(fourth).toMatchObject({ isWhole: true, detail: { accuracy: [[null]] } });
    expect(placesOf(fourth.curves)).toEqual([1]);
    await updates.end();
  });

  it("of 200,000 steps is sent in at most 1,000 points, and a stretch of it in full detail", async () => {
    const longId = await idOf("long");
    const started = performance.now();
    const updates = await updatesOf(`/api/runs/${longId}/events`);
    const { curves, detail } = await updates.next();
    const milliseconds = performance.now() - started;
    await updates.end();
    console.log(`a journal of 200,000 steps: first message after ${milliseconds.toFixed(0)} ms`);
    expect(detail.loggedSteps).toBe(200_000);
    expect(placesOf(curves)!.length).toBeLessThanOrEqual(1000);
    expect(placesOf(curves)!.length).toBeGreaterThan(900);
    // The one step that stands out is not lost.
    for (const { series } of curves!.tasks) expect(Math.max(...(series.taskLoss as number[]))).toBe(99);
    const stretch = await json<Curves>(`/api/runs/${longId}/history?from=81200&to=81300`);
    expect(placesOf(stretch)).toEqual(Array.from({ length: 101 }, (_, k) => 81_200 + k));
    const asked = await json<Curves>(`/api/runs/${longId}/history?points=999999`);
    expect(placesOf(asked)!.length).toBeLessThanOrEqual(4000);
    expect((await dashboard.ask(`/api/runs/${longId}/history?from=-1`)).status).toBe(400);
  });
});
