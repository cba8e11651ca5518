/** Models and datasets from a hub on this machine, fetched by real processes. Needs `npm run build`. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { builtinModel } from "../../src/hub/resolve.js";
import type { HubProgress, RunEvent } from "../../src/learn/events.js";
import type { RunRecord } from "../../src/runs/record.js";
import { nlora, tinyConfig, writeConfig, writeTasks } from "../support/command-line.js";
import { COMMIT, HubServer, large, type StoredFile, send, sha256, small } from "../support/hub-server.js";

const root = mkdtempSync(join(tmpdir(), "nlora-cli-hub-"));
const MODEL = Object.fromEntries(
  readdirSync(builtinModel()).map((name): [string, StoredFile] => {
    const content = readFileSync(join(builtinModel(), name));
    return [name, { content, large: name.endsWith(".safetensors") || name === "tokenizer.json" }];
  }),
);
const WEIGHTS = MODEL["model.safetensors"]!.content;

let server: HubServer;
beforeAll(async () => {
  server = await HubServer.start();
  server.add("models/org/tiny", MODEL);
  server.add("datasets/org/data", {
    "train.jsonl": small('{"input":"a","output":"b"}\n'),
    "test.jsonl": large('{"input":"a","output":"c"}\n'),
  });
  process.env.HF_ENDPOINT = server.endpoint;
  process.env.HF_HOME = join(root, "home");
});
afterEach(() => {
  server.intercept = () => undefined;
  server.seen.length = 0;
});
afterAll(async () => {
  await server.stop();
  rmSync(root, { recursive: true });
});

const snapshots = join(root, "home/hub/models--org--tiny/snapshots");
const weightsRequests = () => server.asked("store").filter((url) => url.includes(sha256(WEIGHTS)));

it("a download that was killed is gone on with, and two at once fetch nothing twice", async () => {
  const half = WEIGHTS.length >> 1;
  server.intercept = ({ place, url, count }, response) => {
    if (place !== "store" || !url.includes(sha256(WEIGHTS)) || count > 1) return false;
    response.writeHead(200, { "content-length": WEIGHTS.length });
    let sent = 0;
    const pieces = setInterval(() => {
      if (response.destroyed || sent >= half) return clearInterval(pieces);
      response.write(WEIGHTS.subarray(sent, sent + 100_000));
      sent += 100_000;
    }, 20);
    return true;
  };
  const killed = await nlora(root, ["download", "org/tiny", "--json"], (line, signal) => {
    const { bytesDone } = JSON.parse(line) as HubProgress;
    if (bytesDone > 1_000_000) signal("SIGKILL");
  });
  expect(killed.status).toBeNull();
  expect(existsSync(join(snapshots, COMMIT, "model.safetensors"))).toBe(false);

  // The rest is sent only when both are under way: one that starts after the other has all has nothing to say.
  const lists = server.asked("list").length;
  server.intercept = ({ place, url, headers }, response) => {
    if (place !== "store" || !url.includes(sha256(WEIGHTS))) return false;
    const waiting = setInterval(() => {
      if (server.asked("list").length < lists + 2) return;
      clearInterval(waiting);
      setTimeout(() => send(WEIGHTS, { headers } as IncomingMessage, response), 500);
    }, 20);
    return true;
  };
  const both = await Promise.all([1, 2].map(() => nlora(root, ["download", "org/tiny"])));
  for (const { status, stdout, stderr } of both) {
    expect(stdout).toBe(`${join(snapshots, COMMIT)}\n`);
    expect(stderr).toMatch(/^(downloading org\/tiny .*\n)*downloaded org\/tiny: \d files?, \d+ MiB\n$/);
    expect(status).toBe(0);
  }
  expect(readFileSync(join(snapshots, COMMIT, "model.safetensors")).equals(WEIGHTS)).toBe(true);
  expect(weightsRequests()).toHaveLength(2);
  const last = server.seen.findLast(({ url }) => url.includes(sha256(WEIGHTS)))!;
  expect(Number(/^bytes=(\d+)-$/.exec(last.headers.range ?? "")?.[1])).toBeGreaterThan(500_000);
  expect(readdirSync(join(root, "home/hub/.locks/models--org--tiny"))).toEqual([]);
});

it("a dataset's folder is printed, and errors say what to do", async () => {
  const dataset = await nlora(root, ["download", "org/data", "--dataset", "--quiet"]);
  expect(dataset.stderr).toBe("");
  expect(readdirSync(dataset.stdout.trim()).sort()).toEqual(["test.jsonl", "train.jsonl"]);
  const missing = await nlora(root, ["download", "org/nothing"]);
  expect(missing.status).toBe(1);
  expect(missing.stderr).toMatch(
    /^error: there is no public model org\/nothing on 127\.0\.0\.1:\d+\nhint: Check the spelling on .*HF_TOKEN.*\n$/,
  );
});

it("a run records the commit of its model, and goes on with that one after the branch has moved", async () => {
  writeTasks(root);
  const config = { ...tinyConfig, model: "org/tiny", evaluation: { maxNewTokens: 2, base: false } };
  writeConfig(root, "hub.yaml", config);
  const events: RunEvent[] = [];
  const started = await nlora(root, ["train", "hub.yaml", "--out", "run", "--json"], (line, signal) => {
    const event = JSON.parse(line) as RunEvent;
    events.push(event);
    if (event.type === "task-end") signal("SIGINT");
  });
  expect(started.status).toBe(130);
  expect(events.find(({ type }) => type === "run-start")).toMatchObject({
    model: "org/tiny",
    modelRevision: COMMIT,
  });
  expect(events).toContainEqual({
    type: "note",
    level: "info",
    message: `model: org/tiny at commit ${COMMIT}`,
  });

  server.commits.set("main", "f".repeat(40));
  server.add("models/org/tiny", { ...MODEL, "config.json": small("{}") });
  const resumed = await nlora(root, ["train", "--resume", "run", "--quiet"]);
  expect(resumed.stderr).toBe("");
  expect(resumed.status).toBe(0);
  const record = JSON.parse(readFileSync(join(root, "run/record.json"), "utf8")) as RunRecord;
  expect(record).toMatchObject({ model: "org/tiny", modelRevision: COMMIT, status: "done" });
  for (const name of readdirSync(join(root, "run/adapters"))) {
    const text = readFileSync(join(root, "run/adapters", name, "adapter_config.json"), "utf8");
    expect(JSON.parse(text)).toMatchObject({ base_model_name_or_path: "org/tiny", revision: COMMIT });
  }
});

it("a dataset on the hub can be looked at without a config", async () => {
  const { stdout, stderr, status } = await nlora(root, ["data", "preview", "org/data", "--json"]);
  expect(stderr).toBe("");
  expect(status).toBe(0);
  expect(JSON.parse(stdout).tasks[0]).toMatchObject({ task: "data" });
});
