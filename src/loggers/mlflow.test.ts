import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { MlflowServer } from "../../test/support/mlflow-server.js";
import { runConfig, runEnd, runStart, START, taskEvents } from "../../test/support/run-events.js";
import { UsageError } from "../errors.js";
import type { RunEvent } from "../learn/events.js";
import { MlflowLogger, type MlflowPatience } from "./mlflow.js";
import { MlflowClient, serverAddress } from "./mlflow-client.js";
import { cut, flatSettings, mlflowKey } from "./mlflow-names.js";
import { Loggers, loggerTarget } from "./open.js";
import { curvesOf, RunPoints } from "./points.js";

const tasks = ["a", "b"];
const whole = [runStart(tasks), ...taskEvents(tasks, 0, 3), ...taskEvents(tasks, 1, 4), runEnd("done", 30)];

let server: MlflowServer;
let folder: string;
let warnings: string[];
beforeEach(async () => {
  server = await MlflowServer.start();
  folder = mkdtempSync(join(tmpdir(), "nlora-mlflow-"));
  warnings = [];
});
afterEach(async () => {
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
});

const quick: Partial<MlflowPatience> = {
  timeout: 20_000,
  wait: 5,
  longestWait: 40,
  gather: 1,
  atEnd: 60_000,
};

function open(
  patience: Partial<MlflowPatience> = {},
  environment: NodeJS.ProcessEnv = {},
  earlier: readonly RunEvent[] = [],
  address = server.address,
): Loggers {
  const warn = (line: string) => warnings.push(line);
  const run = { folder, name: "my run", config: runConfig, earlier };
  const logger = new MlflowLogger(address, run, warn, { patience: { ...quick, ...patience }, environment });
  return new Loggers([logger], new RunPoints(earlier), warn);
}

function hear(loggers: Loggers, events: readonly RunEvent[]): void {
  events.forEach((event, k) => {
    loggers.hear(event, START + 1000 * k);
  });
}

async function write(loggers: Loggers, events: readonly RunEvent[]): Promise<number> {
  hear(loggers, events);
  return loggers.close(null, START + 1_000_000);
}

const everyPoint = (events: readonly RunEvent[]) => {
  const points = new RunPoints();
  return events
    .flatMap((event) => points.of(event))
    .flatMap((point) => curvesOf(point).map((key) => ({ key, point })));
};

/** What the server has of a run, against what the run said. */
function expectWhole(run = server.runs[0]!): void {
  const expected = everyPoint(whole).map(({ key, point }) => `${key} ${point.step} ${point.value}`);
  expect(run.metrics.map(({ key, step, value }) => `${key} ${step} ${value}`).sort()).toEqual(
    expected.sort(),
  );
  expect(run.status).toBe("FINISHED");
  expect(run.params.get("training.batchSize")).toBe(String(runConfig.training.batchSize));
  expect(run.params.size).toBe(flatSettings(runConfig).length);
  expect(run.tags.get("nlora.tasks")).toBe("a, b");
}

describe("an MLflow run", () => {
  it("gets settings, curves with steps and times, tags and its end", async () => {
    expect(await write(open(), whole)).toBe(0);
    expect(server.refusals).toEqual(["experiments/get-by-name: no experiment nlora"]);
    expect(server.runs).toHaveLength(1);
    expectWhole();
    const [run] = server.runs;
    expect(run).toMatchObject({ name: "my run", start: START, end: START + 1_000_000 });
    expect(run!.metrics.find(({ key }) => key === "accuracy/1-a")).toEqual({
      key: "accuracy/1-a",
      value: 50,
      step: 3,
      timestamp: START + 5000,
    });
    expect(run!.tags.get("mlflow.runName")).toBe("my run");
    expect(warnings).toEqual([]);
  });

  it("keeps to the limits of a batch whatever has gathered", async () => {
    const long = [runStart(["a"]), ...taskEvents(["a"], 0, 700), runEnd("done", 10)];
    expect(await write(open({ gather: 20 }), long)).toBe(0);
    expect(server.refusals).toHaveLength(1);
    expect(server.runs[0]!.metrics).toHaveLength(everyPoint(long).length);
    expect(server.requests.filter(({ path }) => path === "runs/log-batch").length).toBeGreaterThan(4);
  });

  it("goes into the experiment that the environment names, which may be there already", async () => {
    server.experiments.set("theirs", { id: "77", stage: "active" });
    expect(await write(open({}, { MLFLOW_EXPERIMENT_NAME: "theirs" }), whole)).toBe(0);
    expect(server.runs[0]!.experiment).toBe("77");
  });

  it.each([
    [{ MLFLOW_TRACKING_TOKEN: "secret" }, "Bearer secret"],
    [
      { MLFLOW_TRACKING_USERNAME: "me", MLFLOW_TRACKING_PASSWORD: "p:w" },
      `Basic ${Buffer.from("me:p:w").toString("base64")}`,
    ],
    [{}, undefined],
  ])("says who asks, as MLflow's own client does", async (environment, expected) => {
    await write(open({}, environment), whole);
    expect(new Set(server.requests.map(({ authorization }) => authorization))).toEqual(new Set([expected]));
  });

  it.each([
    ["interrupted", "KILLED"],
    ["failed", "FAILED"],
  ])("ends as the run did: %s", async (how, status) => {
    const failed: RunEvent = { type: "run-failed", time: "", message: "out of memory" };
    await write(open(), [...whole.slice(0, -1), how === "failed" ? failed : runEnd("interrupted", 9)]);
    expect(server.runs[0]!.status).toBe(status);
    expect(server.runs[0]!.tags.get("nlora.error")).toBe(how === "failed" ? "out of memory" : undefined);
  });

  it("is the same one when the run is resumed, and a new one where it is gone", async () => {
    const first = [runStart(tasks), ...taskEvents(tasks, 0, 3), runEnd("interrupted", 9)];
    const second = [runStart(tasks, 1, 20), ...taskEvents(tasks, 1, 4), runEnd("done", 30)];
    await write(open(), first);
    await write(open({}, {}, first), second);
    expect(server.runs).toHaveLength(1);
    expect(server.runs[0]!.status).toBe("FINISHED");
    expect(
      server.runs[0]!.metrics.filter(({ key }) => key === "train/task_loss").map(({ step }) => step),
    ).toEqual([1, 2, 3, 4, 5, 6, 7]);
    const memory = JSON.parse(readFileSync(join(folder, "mlflow.json"), "utf8"));
    writeFileSync(join(folder, "mlflow.json"), JSON.stringify({ ...memory, run_id: "f".repeat(32) }));
    await write(open({}, {}, first), second);
    expect(server.runs).toHaveLength(2);
  });
});

describe("a server in trouble", () => {
  it("that fails for a while gets everything in the end, and one warning is said", async () => {
    server.trouble = (_, count) => (count <= 2 ? { status: 503 } : null);
    expect(await write(open(), whole)).toBe(0);
    expectWhole();
    expect(warnings).toEqual([expect.stringMatching(/^mlflow=http.*: status 503; the run goes on/)]);
  });

  it("that breaks connections gets everything in the end", async () => {
    server.trouble = (_, count) => (count === 1 ? "reset" : null);
    expect(await write(open(), whole)).toBe(0);
    expectWhole();
  });

  it("that loses its answers gets one run and every number once", async () => {
    server.trouble = (_, count) => (count === 1 ? "hang after" : null);
    expect(await write(open({ timeout: 300 }), whole)).toBe(0);
    expect(server.runs).toHaveLength(1);
    expectWhole();
    expect(warnings[0]).toContain("no answer in 0.3 s");
  });

  it("that is slow holds up nobody who speaks, and gets everything", async () => {
    server.delay = 60;
    const loggers = open();
    const before = server.requests.length;
    hear(loggers, whole);
    // All was heard within one turn of the event loop: no request was waited for.
    expect(server.requests.length).toBe(before);
    expect(await loggers.close(null, START)).toBe(0);
    expectWhole();
  });

  it("that never answers is given up at the end, which says what was not sent", async () => {
    server.trouble = () => "hang";
    expect(await write(open({ timeout: 100, atEnd: 400 }), whole)).toBe(1);
    const values = everyPoint(whole).length;
    expect(warnings).toHaveLength(2);
    expect(warnings[1]).toContain(`${values} of ${values} values`);
    expect(warnings[1]).toMatch(/the end of the run were not sent \(no answer in 0.1 s\)$/);
  });

  it("that never answers ends a request in time, whatever the collector of memory does meanwhile", async () => {
    server.trouble = () => "hang";
    setFlagsFromString("--expose_gc");
    const collect = runInNewContext("gc") as () => void;
    const timer = setInterval(collect, 20);
    try {
      const client = new MlflowClient(server.address, null, 200, new AbortController().signal);
      const answer = client.get("experiments/get-by-name", { experiment_name: "a" }).catch(String);
      expect(await Promise.race([answer, pause(5000, "still waiting")])).toContain("no answer in 0.2 s");
    } finally {
      clearInterval(timer);
    }
  });

  it("that is not there is said once, and its values do not pile up", async () => {
    const { address } = server;
    await server.stop();
    const loggers = open({ queue: 20, atEnd: 50 }, {}, [], address);
    hear(loggers, whole);
    await vi.waitFor(() => expect(warnings).toHaveLength(1), 20_000);
    expect(await loggers.close(null, START)).toBe(1);
    const values = everyPoint(whole).length;
    expect(values).toBeGreaterThan(20);
    expect(warnings[0]).toContain("ECONNREFUSED");
    expect(warnings[1]).toContain(`${values} of ${values} values`);
    server = await MlflowServer.start();
  });

  it("that comes back gets what the queue still holds, the newest", async () => {
    server.trouble = () => ({ status: 500 });
    const loggers = open({ queue: 20 });
    hear(loggers, whole);
    await vi.waitFor(() => expect(warnings).toHaveLength(1), 20_000);
    server.trouble = () => null;
    expect(await loggers.close(null, START)).toBe(1);
    expect(server.runs[0]!.metrics).toHaveLength(20);
    expect(server.runs[0]!.metrics.map(({ step }) => step)).toContain(7);
    expect(server.runs[0]!.status).toBe("FINISHED");
    expect(warnings[1]).toContain(`${everyPoint(whole).length - 20} of`);
  });

  it.each([
    [
      401,
      '{"error_code": "PERMISSION_DENIED", "message": "who\\u001b[31m are\\nyou"}',
      /status 401 PERMISSION_DENIED: who \[31m are you/,
    ],
    [200, "<html>Welcome</html>", /no JSON object: is this an MLflow tracking server/],
    [302, "", /sends elsewhere/],
  ])("that refuses (%i) is asked once and no more", async (status, body, said) => {
    server.trouble = () => ({
      status,
      body,
      headers: status === 302 ? { location: "https://elsewhere" } : {},
    });
    expect(await write(open(), whole)).toBe(1);
    expect(server.requests).toHaveLength(1);
    expect(warnings[0]).toMatch(said);
    expect(warnings[0]).toContain("nothing more is sent, the run goes on");
  });

  it("that asks to wait is not asked before that, but for the end of the run", async () => {
    const times: number[] = [];
    server.trouble = (_, count) => {
      times.push(performance.now());
      return count === 1 ? { status: 429, headers: { "retry-after": "0.05" } } : null;
    };
    const loggers = open({ longestWait: 1000 });
    hear(loggers, whole);
    await vi.waitFor(() => expect(times.length).toBeGreaterThan(1), 20_000);
    // Timers may be a millisecond early.
    expect(times[1]! - times[0]!).toBeGreaterThanOrEqual(49);
    expect(await loggers.close(null, START)).toBe(0);
  });

  it("whose experiment is deleted is told of in the words of who can change it", async () => {
    server.experiments.set("nlora", { id: "1", stage: "deleted" });
    expect(await write(open(), whole)).toBe(1);
    expect(warnings[0]).toContain(
      "the experiment nlora is deleted there; name another in MLFLOW_EXPERIMENT_NAME",
    );
  });
});

describe("names and sizes", () => {
  it("are what the server takes, for any task", async () => {
    await fc.assert(
      fc.property(fc.string({ unit: "binary", minLength: 1, maxLength: 120 }), (name) => {
        const key = mlflowKey(`accuracy/1-${name}`);
        expect(key).toMatch(/^[/\p{L}\p{N}_.\- ]+$/u);
        expect(Buffer.byteLength(key)).toBeLessThanOrEqual(250);
        expect(key.split("/").every((part) => part !== "" && part !== "." && part !== "..")).toBe(true);
      }),
    );
    expect(mlflowKey("accuracy/1-a b.c")).toBe("accuracy/1-a b.c");
    expect(mlflowKey("accuracy/../x:y")).toBe("accuracy/__/x_y");
  });

  it("are cut between characters", () => {
    expect(cut("aé€x", 3)).toBe("aé");
    expect(cut("aé€x", 7)).toBe("aé€x");
  });

  it("flatten settings, lists as JSON", () => {
    expect(flatSettings({ a: { b: [1, 2], c: "x" }, d: null, e: {} })).toEqual([
      ["a.b", "[1,2]"],
      ["a.c", "x"],
      ["d", "null"],
      ["e", "{}"],
    ]);
  });

  it("of loggers and servers are checked before anything is trained", () => {
    expect(loggerTarget("mlflow=http://localhost:5000/")).toEqual({
      kind: "mlflow",
      address: "http://localhost:5000",
    });
    expect(loggerTarget("mlflow", { MLFLOW_TRACKING_URI: "https://a/b" })).toEqual({
      kind: "mlflow",
      address: "https://a/b",
    });
    expect(() => loggerTarget("tensorbord")).toThrow(/there is no logger "tensorbord"/);
    for (const word of ["", "localhost", "file:///x", "http://me:pw@host", "http://host/?a=1"]) {
      expect(() => serverAddress(word)).toThrow(UsageError);
    }
    expect(() => serverAddress("http://me:pw@host")).not.toThrow(/pw/);
  });
});
