import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  breakOff,
  COMMIT,
  gitSha1,
  HubServer,
  large,
  redirect,
  refuse,
  reply,
  sha256,
  small,
} from "../../test/support/hub-server.js";
import { ConfigError, HubError } from "../errors.js";
import { Rng } from "../random.js";
import type { HubProgress } from "./progress.js";
import { openDataset, resolveDataset, resolveModel } from "./resolve.js";
import type { HubOptions } from "./snapshot.js";

const TOKEN = "hf_secret";
const bytes = (length: number, seed = 1): Buffer => {
  const rng = new Rng(seed);
  return Buffer.from(Array.from({ length }, () => rng.integer(256)));
};
const WEIGHTS = bytes(300_000);
const CONFIG = '{"model_type":"t5"}';
const MODEL = {
  "config.json": small(CONFIG),
  "tokenizer.json": large("{}"),
  "model.safetensors": large(WEIGHTS),
  "pytorch_model.bin": large("pickle"),
  "README.md": small("# Card"),
  "runs/May 1 12:00/events.out": small("log"),
};

let server: HubServer;
let home: string;
beforeEach(async () => {
  server = await HubServer.start();
  home = mkdtempSync(join(tmpdir(), "nlora-hub-"));
});
afterEach(async () => {
  await server.stop();
  rmSync(home, { recursive: true });
});

const options = (more: Record<string, string> = {}): HubOptions => ({
  environment: { HF_HOME: home, HF_ENDPOINT: server.endpoint, HF_TOKEN: TOKEN, ...more },
  patience: { tries: 3, milliseconds: 1, silence: 2000 },
});
const model = (name = "org/name", more: Record<string, string> = {}) => resolveModel(name, options(more));
const repository = () => join(home, "hub/models--org--name");
const blob = (hash: string) => join(repository(), "blobs", hash);
const leftovers = () =>
  readdirSync(join(repository(), "blobs")).filter((name) => name.includes("incomplete"));
const weightsIn = (folder: string) => readFileSync(join(folder, "model.safetensors")).equals(WEIGHTS);

describe("a model from the hub", () => {
  it("lands in the cache's layout: blobs by hash, relative links, the branch's commit", async () => {
    server.add("models/org/name", MODEL);
    const folder = await model();
    expect(folder).toBe(join(repository(), "snapshots", COMMIT));
    expect(readdirSync(folder).sort()).toEqual(["config.json", "model.safetensors", "tokenizer.json"]);
    expect(readlinkSync(join(folder, "config.json"))).toBe(`../../blobs/${gitSha1(Buffer.from(CONFIG))}`);
    expect(readlinkSync(join(folder, "model.safetensors"))).toBe(`../../blobs/${sha256(WEIGHTS)}`);
    expect(weightsIn(folder)).toBe(true);
    expect(readFileSync(join(repository(), "refs/main"), "utf8")).toBe(COMMIT);
    expect(readdirSync(join(home, "hub/.locks/models--org--name"))).toEqual([]);
    expect(leftovers()).toEqual([]);
  });

  it("never sends the token to where the hub redirects to", async () => {
    server.add("models/org/name", MODEL);
    await model();
    const authorized = (place: string) =>
      server.seen.filter((each) => each.place === place).map(({ headers }) => headers.authorization);
    expect(authorized("list")).toEqual([`Bearer ${TOKEN}`]);
    expect(new Set(authorized("file"))).toEqual(new Set([`Bearer ${TOKEN}`]));
    expect(authorized("store")).toEqual([undefined, undefined]);
  });

  it("does not send the token to the hub again after a redirect has left it", async () => {
    server.add("models/org/name", MODEL);
    server.intercept = ({ place, url }, response) => {
      if (place !== "store") return false;
      return redirect(response, `${server.endpoint}/elsewhere${url}`);
    };
    await expect(model()).rejects.toThrow(HubError);
    const back = server.seen.filter(({ url }) => url.startsWith("/elsewhere"));
    expect(back.length).toBeGreaterThan(0);
    expect(back.every(({ headers }) => headers.authorization === undefined)).toBe(true);
  });

  it("follows a renamed repository on the hub itself, with the token", async () => {
    server.add("models/new-org/name", MODEL);
    server.intercept = ({ url }, response) => {
      if (!url.includes("/org/name")) return false;
      return redirect(response, url.replace("/org/name", "/new-org/name"), 307);
    };
    expect(weightsIn(await model())).toBe(true);
    const moved = server.seen.filter(({ url, place }) => place !== "store" && url.includes("new-org"));
    expect(moved.every(({ headers }) => headers.authorization === `Bearer ${TOKEN}`)).toBe(true);
  });

  it("takes a pinned commit that is complete from the cache, without a request", async () => {
    server.add("models/org/name", MODEL);
    const folder = await model();
    const before = server.seen.length;
    expect(await model(`org/name@${COMMIT}`)).toBe(folder);
    expect(server.seen.length).toBe(before);
    rmSync(join(repository(), "trees"), { recursive: true }); // As other programs leave it.
    expect(await model(`org/name@${COMMIT}`)).toBe(folder);
    expect(server.seen.slice(before).map(({ place }) => place)).toEqual(["list"]);
  });

  it("completes a pinned commit of which the cache has a part", async () => {
    server.add("models/org/name", MODEL);
    const folder = await model();
    rmSync(blob(sha256(WEIGHTS)));
    server.seen.length = 0;
    expect(await model(`org/name@${COMMIT}`)).toBe(folder);
    expect(server.asked("list")).toEqual([]);
    expect(server.asked("file")).toEqual([`/org/name/resolve/${COMMIT}/model.safetensors`]);
    expect(weightsIn(folder)).toBe(true);
  });

  it("asks for a branch anew and fetches only what has changed", async () => {
    server.add("models/org/name", MODEL);
    await model();
    const next = "f".repeat(40);
    server.commits.set("main", next);
    server.add("models/org/name", { ...MODEL, "config.json": small('{"model_type":"llama"}') });
    server.seen.length = 0;
    const folder = await model();
    expect(folder).toContain(next);
    expect(server.asked("file")).toEqual([`/org/name/resolve/${next}/config.json`]);
    expect(readFileSync(join(repository(), "refs/main"), "utf8")).toBe(next);
  });

  it("knows branches with slashes and tags", async () => {
    server.add("models/org/name", MODEL);
    server.commits.set("refs/pr/1", COMMIT);
    await model("org/name@refs/pr/1");
    expect(server.asked("list")).toEqual(["/api/models/org/name/revision/refs%2Fpr%2F1?blobs=true"]);
    expect(readFileSync(join(repository(), "refs/refs/pr/1"), "utf8")).toBe(COMMIT);
    await expect(model("org/name@v9")).rejects.toThrow("org/name has no revision v9");
  });

  it("fetches the shards that the index names, and no other safetensors", async () => {
    const index = JSON.stringify({ weight_map: { a: "model-1.safetensors", b: "model-2.safetensors" } });
    server.add("models/org/name", {
      "config.json": small(CONFIG),
      "model.safetensors.index.json": small(index),
      "model-1.safetensors": large(bytes(1000, 2)),
      "model-2.safetensors": large(bytes(2000, 3)),
      "consolidated.safetensors": large(WEIGHTS),
    });
    const folder = await model();
    expect(readdirSync(folder).sort()).toEqual([
      "config.json",
      "model-1.safetensors",
      "model-2.safetensors",
      "model.safetensors.index.json",
    ]);
    const other = JSON.stringify({ weight_map: { a: "../secret.safetensors" } });
    server.add("models/org/other", {
      "config.json": small(CONFIG),
      "model.safetensors.index.json": small(other),
    });
    await expect(model("org/other")).rejects.toThrow(
      "expected weight_map to name safetensors files beside it",
    );
  });

  it("fetches a PEFT adapter", async () => {
    server.add("models/org/name", {
      "adapter_config.json": small("{}"),
      "adapter_model.safetensors": large(bytes(10)),
      "README.md": small("card"),
    });
    expect(readdirSync(await model()).sort()).toEqual(["adapter_config.json", "adapter_model.safetensors"]);
  });

  it("refuses a repository of pickles, before anything is fetched", async () => {
    server.add("models/org/name", { "config.json": small(CONFIG), "pytorch_model.bin": large("x") });
    const error = await model().catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(HubError);
    expect((error as HubError).message).toBe(
      "org/name has only pickles: pytorch_model.bin; expected model.safetensors or model.safetensors.index.json",
    );
    expect((error as HubError).hint).toContain("Pickles can run code");
    expect(server.asked("file")).toEqual([]);
  });

  it("reports how far it is", async () => {
    server.add("models/org/name", MODEL);
    const reports: HubProgress[] = [];
    await resolveModel("org/name", { ...options(), onProgress: (report) => reports.push(report) });
    const total = WEIGHTS.length + CONFIG.length + 2;
    expect(reports.at(-1)).toMatchObject({
      repository: "org/name",
      files: 3,
      filesDone: 3,
      bytes: total,
      bytesDone: total,
    });
    const again: HubProgress[] = [];
    await resolveModel("org/name", { ...options(), onProgress: (report) => again.push(report) });
    expect(again).toEqual([]);
  });
});

describe("a connection that fails", () => {
  it("goes on where it broke, in the same call", async () => {
    server.add("models/org/name", MODEL);
    server.intercept = ({ place, url, count }, response) => {
      if (place !== "store" || !url.includes(sha256(WEIGHTS)) || count > 1) return false;
      return breakOff(WEIGHTS, 100_000, response);
    };
    expect(weightsIn(await model())).toBe(true);
    const ranges = server.seen
      .filter(({ place, url }) => place === "store" && url.includes(sha256(WEIGHTS)))
      .map(({ headers }) => headers.range);
    expect(ranges).toHaveLength(2);
    expect(Number(/^bytes=(\d+)-$/.exec(ranges[1]!)?.[1])).toBeGreaterThan(0);
  });

  it("goes on with what an earlier process has left, and hashes that too", async () => {
    server.add("models/org/name", MODEL);
    mkdirSync(join(repository(), "blobs"), { recursive: true });
    writeFileSync(`${blob(sha256(WEIGHTS))}.nlora.incomplete`, WEIGHTS.subarray(0, 123_456));
    expect(weightsIn(await model())).toBe(true);
    const { headers } = server.seen.find(
      ({ place, url }) => place === "store" && url.includes(sha256(WEIGHTS)),
    )!;
    expect(headers.range).toBe("bytes=123456-");
  });

  it("starts over when what was left is not the file's beginning, or longer than the file", async () => {
    server.add("models/org/name", MODEL);
    for (const rest of [bytes(1000, 9), Buffer.concat([WEIGHTS, WEIGHTS]), bytes(WEIGHTS.length, 9)]) {
      mkdirSync(join(repository(), "blobs"), { recursive: true });
      writeFileSync(`${blob(sha256(WEIGHTS))}.nlora.incomplete`, rest);
      expect(weightsIn(await model())).toBe(true);
      rmSync(repository(), { recursive: true });
    }
  });

  it.each([
    ["ignores the range and sends everything", 200],
    ["does not like the range", 416],
    ["sends another range", 206],
  ])("copes with a server that %s", async (_, status) => {
    server.add("models/org/name", MODEL);
    server.intercept = ({ place, url, headers: { range } }, response) => {
      if (place !== "store" || !url.includes(sha256(WEIGHTS)) || range === undefined) return false;
      const headers = { "content-range": `bytes 5-${WEIGHTS.length - 1}/${WEIGHTS.length}` };
      return reply(response, status, headers, status === 200 ? WEIGHTS : WEIGHTS.subarray(5));
    };
    mkdirSync(join(repository(), "blobs"), { recursive: true });
    writeFileSync(`${blob(sha256(WEIGHTS))}.nlora.incomplete`, WEIGHTS.subarray(0, 1000));
    expect(weightsIn(await model())).toBe(true);
  });

  it("does not take a body that is too short or too long for the file, whatever its status", async () => {
    server.add("models/org/name", MODEL);
    for (const wrong of [WEIGHTS.subarray(0, 1000), Buffer.concat([WEIGHTS, WEIGHTS])]) {
      server.intercept = ({ place, url }, response) => {
        if (place !== "store" || !url.includes(sha256(WEIGHTS))) return false;
        return reply(response, 200, { "content-length": wrong.length }, wrong);
      };
      await expect(model()).rejects.toThrow(/org\/name\/model.safetensors: .* \(tried \d+ times\)/);
      expect(existsSync(blob(sha256(WEIGHTS)))).toBe(false);
      expect(existsSync(join(repository(), "snapshots", COMMIT, "model.safetensors"))).toBe(false);
    }
    server.intercept = () => false;
    expect(weightsIn(await model())).toBe(true);
  });

  it("deletes a file with the wrong hash and fetches it once more", async () => {
    server.add("models/org/name", MODEL);
    const damaged = Buffer.from(WEIGHTS);
    damaged[7] = damaged[7]! ^ 1;
    let times = 1;
    server.intercept = ({ place, url, count }, response) => {
      if (place !== "store" || !url.includes(sha256(WEIGHTS)) || count > times) return false;
      return reply(response, 200, {}, damaged);
    };
    expect(weightsIn(await model())).toBe(true);

    rmSync(repository(), { recursive: true });
    times = Number.POSITIVE_INFINITY;
    await expect(model()).rejects.toThrow(
      `org/name/model.safetensors: the sha256 is ${sha256(damaged)}, expected ${sha256(WEIGHTS)}; fetched twice, and deleted`,
    );
    expect(readdirSync(join(repository(), "blobs"))).not.toContain(sha256(WEIGHTS));
    expect(leftovers()).toEqual([]);
  });

  it("checks small files by git's hash", async () => {
    server.add("models/org/name", MODEL);
    server.intercept = ({ url }, response) => {
      if (!url.endsWith("/config.json")) return false;
      return reply(response, 200, {}, '{"model_type":"t6"}');
    };
    // Again and again: however far the other files are when this one ends them, all of them do end.
    for (let round = 0; round < 25; round++) {
      await expect(model()).rejects.toThrow(/config.json: the git-sha1 is [0-9a-f]{40}, expected/);
      rmSync(repository(), { recursive: true });
    }
  });

  it("waits as long as a busy server asks, and tries again after 429, 500 and 503", async () => {
    server.add("models/org/name", MODEL);
    const statuses = [429, 503];
    const times: number[] = [];
    server.intercept = ({ place }, response) => {
      if (place !== "list") return false;
      times.push(performance.now());
      const status = statuses.shift();
      if (status === undefined) return false;
      return reply(response, status, status === 429 ? { "retry-after": "1" } : {});
    };
    expect(weightsIn(await model())).toBe(true);
    expect(times).toHaveLength(3);
    expect(times[1]! - times[0]!).toBeGreaterThanOrEqual(990);
  });

  it("gives up on a server that stays busy, asks for too long a wait, or goes silent", async () => {
    server.add("models/org/name", MODEL);
    server.intercept = (_, response) => refuse(response, 500, "", "oops");
    await expect(model()).rejects.toThrow("the hub answers 500 (tried 3 times)");
    server.intercept = (_, response) => reply(response, 429, { "retry-after": "86400" });
    await expect(model()).rejects.toThrow(
      "the hub answers 429; the server asks to wait 86400 s (tried 1 times)",
    );
    server.intercept = () => true;
    await expect(
      resolveModel("org/name", { ...options(), patience: { tries: 2, milliseconds: 1, silence: 50 } }),
    ).rejects.toThrow(/127\.0\.0\.1:\d+ has gone silent \(tried 2 times\)/);
  });

  it("says what to do when the hub cannot be reached", async () => {
    server.add("models/org/name", MODEL);
    await model();
    const closed = await HubServer.start();
    const { endpoint } = closed;
    await closed.stop();
    const failure = (name: string) =>
      model(name, { HF_ENDPOINT: endpoint }).catch((error: HubError) => error);
    const known = (await failure("org/name")) as HubError;
    expect(known.message).toMatch(
      /^org\/name: the list of files: the connection to .* failed: .*\(tried 3 times\)$/,
    );
    expect(known.hint).toBe(
      `Try again later. HF_HUB_OFFLINE=1 uses commit ${COMMIT.slice(0, 12)} from the cache.`,
    );
    expect(((await failure("org/unknown")) as HubError).hint).toContain(`The hub's address is ${endpoint}`);
  });

  it("ends when its caller says so, and keeps what has arrived", async () => {
    server.add("models/org/name", MODEL);
    const controller = new AbortController();
    server.intercept = ({ place, url }, response) => {
      if (place !== "store" || !url.includes(sha256(WEIGHTS))) return false;
      response.writeHead(200, { "content-length": WEIGHTS.length });
      response.write(WEIGHTS.subarray(0, 50_000), () => setTimeout(() => controller.abort(), 50));
      return true;
    };
    await expect(resolveModel("org/name", { ...options(), signal: controller.signal })).rejects.toThrow();
    expect(controller.signal.aborted).toBe(true);
    expect(leftovers()).toEqual([`${sha256(WEIGHTS)}.nlora.incomplete`]);
    expect(readdirSync(join(home, "hub/.locks/models--org--name"))).toEqual([]);
  });
});

describe("a hub that refuses", () => {
  const refused = async (status: number, code: string, message: string, more = {}) => {
    server.intercept = (_, response) => refuse(response, status, code, message);
    return (await model("org/name", more).catch((error: unknown) => error)) as HubError;
  };

  it("tells a gated model from one that is not there, and from a token that is not accepted", async () => {
    const gated = await refused(403, "GatedRepo", "Access to model org/name is restricted");
    expect(gated).toBeInstanceOf(HubError);
    expect(gated.message).toBe(
      "org/name is gated, and this token has no access: Access to model org/name is restricted",
    );
    expect(gated.hint).toContain(`Accept the terms on ${server.endpoint}/org/name, then set HF_TOKEN`);
    expect((await refused(401, "GatedRepo", "x", { HF_TOKEN: "" })).message).toContain("carries no token");

    expect((await refused(401, "", "Invalid credentials in Authorization header")).message).toBe(
      "org/name: the hub does not accept the token: Invalid credentials in Authorization header",
    );
    const missing = await refused(401, "RepoNotFound", "Repository not found", { HF_TOKEN: "" });
    expect(missing.message).toMatch(/^there is no public model org\/name on 127\.0\.0\.1:\d+$/);
    expect(missing.hint).toContain("HF_TOKEN");
    expect((await refused(404, "RepoNotFound", "x")).message).toContain("this token sees no model org/name");
    server.intercept = (_, response) => reply(response, 451, {}, '{"error":"not here\\n\\u001b[31mred"}');
    await expect(model()).rejects.toThrow("org/name: the hub answers 451: not here [31mred");
    for (const error of [gated, missing]) expect(`${error.message}${error.hint}`).not.toContain(TOKEN);
    expect(existsSync(join(home, "hub"))).toBe(false);
  });

  it.each(["../evil.json", "/etc/passwd", "a/../../b", "a\\b", "C:\\x", "a//b", "nul\0", "."])(
    "is not believed when it lists the file %j",
    async (name) => {
      server.add("models/org/name", { ...MODEL, [name]: small("x") });
      await expect(model()).rejects.toThrow(
        /^org\/name: the hub lists a file outside its folder: .*; nothing/,
      );
      expect(existsSync(join(home, "hub"))).toBe(false);
    },
  );

  it("is not believed when its list is no list", async () => {
    for (const body of ["<html>", "{}", "[]", '{"sha":"../../x","siblings":[]}', `{"sha":"${COMMIT}"}`]) {
      server.intercept = (_, response) => reply(response, 200, {}, body);
      await expect(model()).rejects.toThrow("the hub's list of files is not what its API promises");
    }
    const twice = { rfilename: "a", size: 1, blobId: COMMIT };
    server.intercept = (_, response) =>
      reply(response, 200, {}, JSON.stringify({ sha: COMMIT, siblings: [twice, twice] }));
    await expect(model()).rejects.toThrow('the hub lists twice the file "a"');
  });

  it("is not followed to plain http, to another scheme, or in circles", async () => {
    for (const location of [
      "http://example.org/x",
      "ftp://example.org",
      "file:///etc/passwd",
      "http://[bad",
    ]) {
      server.intercept = (_, response) => redirect(response, location);
      await expect(model()).rejects.toThrow(/redirects to .*, expected an https address/);
    }
    server.intercept = ({ url }, response) => redirect(response, url);
    await expect(model()).rejects.toThrow("more than 8 redirects");
  });

  it("is asked for nothing when the disk has no room", async () => {
    server.intercept = ({ place }, response) => {
      if (place !== "list") return false;
      const file = (rfilename: string) => ({
        rfilename,
        size: 1,
        blobId: COMMIT,
        lfs: { sha256: "0".repeat(64), size: 2 ** 52 },
      });
      const siblings = ["config.json", "model.safetensors"].map(file);
      return reply(response, 200, {}, JSON.stringify({ sha: COMMIT, siblings }));
    };
    await expect(model()).rejects.toThrow(/^no space left in .*: 4503599627370496 more bytes are needed$/);
    expect(server.asked("file")).toEqual([]);
  });

  it("says when the cache cannot be written", async () => {
    server.add("models/org/name", MODEL);
    writeFileSync(join(home, "file"), "");
    await expect(model("org/name", { HF_HUB_CACHE: join(home, "file/hub") })).rejects.toThrow(
      /^cannot write .*file\/hub.*(ENOTDIR|EEXIST)/,
    );
  });
});

describe("without a network", () => {
  it("uses what a branch last stood for", async () => {
    server.add("models/org/name", MODEL);
    const folder = await model();
    server.seen.length = 0;
    expect(await model("org/name", { HF_HUB_OFFLINE: "1" })).toBe(folder);
    expect(await model("org/name", { TRANSFORMERS_OFFLINE: "yes" })).toBe(folder);
    expect(server.seen).toEqual([]);
  });

  it("says what is missing", async () => {
    server.add("models/org/name", MODEL);
    const offline = () => model("org/name", { HF_HUB_OFFLINE: "1" });
    await expect(offline()).rejects.toThrow(
      /^org\/name@main: it is not in the cache .*, and HF_HUB_OFFLINE forbids to fetch it$/,
    );
    const folder = await model();
    const trees = join(repository(), "trees");
    renameSync(trees, `${trees}-away`); // As other programs leave it.
    expect(await offline()).toBe(folder);
    rmSync(blob(sha256(WEIGHTS)));
    await expect(offline()).rejects.toThrow("org/name@main: the whole model is not in the cache");
    renameSync(`${trees}-away`, trees);
    await expect(offline()).rejects.toThrow("org/name@main: model.safetensors is not in the cache");
    expect(server.asked("list")).toHaveLength(1);
  });
});

describe("several downloads at once", () => {
  it("fetch every file once, and all get the folder", async () => {
    server.add("models/org/name", MODEL);
    server.intercept = ({ place }, response) => {
      if (place === "store") response.setHeader("connection", "close");
      return false;
    };
    const folders = await Promise.all([model(), model(), model()]);
    expect(new Set(folders).size).toBe(1);
    expect(weightsIn(folders[0]!)).toBe(true);
    expect(server.asked("file").sort()).toEqual(
      ["config.json", "model.safetensors", "tokenizer.json"].map(
        (name) => `/org/name/resolve/${COMMIT}/${name}`,
      ),
    );
  });

  it("are not more than four, and end together when one fails", async () => {
    const files = Object.fromEntries(
      Array.from({ length: 12 }, (_, index) => [`part-${index}.jsonl`, large(bytes(2000, index))]),
    );
    server.add("datasets/org/name", files);
    let open = 0;
    let most = 0;
    server.intercept = ({ place }, response) => {
      if (place !== "store") return false;
      most = Math.max(most, ++open);
      response.on("finish", () => open--);
      return false;
    };
    await resolveDataset("org/name", options());
    expect(most).toBeLessThanOrEqual(4);

    rmSync(join(home, "hub"), { recursive: true });
    server.intercept = ({ place, url }, response) => {
      if (place !== "file") return false;
      if (url.endsWith("part-2.jsonl")) return refuse(response, 403, "", "no");
      return !url.endsWith("part-0.jsonl"); // The others stay open.
    };
    await expect(resolveDataset("org/name", options())).rejects.toThrow("org/name is gated");
  });
});

describe("a dataset from the hub", () => {
  const DATASET = {
    "README.md": small("---\n---"),
    "data/train-00000.parquet": large(bytes(500, 4)),
    "data/test.jsonl": small("{}\n"),
    "script.py": small("import os"),
    "image.png": large("png"),
  };

  it("is its tables and its card", async () => {
    server.add("datasets/org/name", DATASET);
    const folder = await resolveDataset("org/name", options());
    expect(folder).toBe(join(home, "hub/datasets--org--name/snapshots", COMMIT));
    expect(readlinkSync(join(folder, "data/train-00000.parquet"))).toBe(
      `../../../blobs/${sha256(bytes(500, 4))}`,
    );
    expect(readdirSync(folder, { recursive: true }).map(String).sort()).toEqual([
      "README.md",
      "data",
      "data/test.jsonl",
      "data/train-00000.parquet",
    ]);
    expect(await resolveDataset("org/name", options({ HF_HUB_OFFLINE: "1" }))).toBe(folder);
  });

  it("is fetched as far as it is needed", async () => {
    server.add("datasets/org/name", DATASET);
    const dataset = await openDataset("org/name", options());
    expect(dataset.files).toEqual([
      "README.md",
      "data/test.jsonl",
      "data/train-00000.parquet",
      "image.png",
      "script.py",
    ]);
    expect(server.asked("file")).toEqual([]);
    const folder = await dataset.fetch(["data/train-00000.parquet"]);
    expect(readdirSync(join(folder, "data"))).toEqual(["train-00000.parquet"]);
    await dataset.fetch(["data/train-00000.parquet", "README.md"]);
    expect(server.asked("file")).toHaveLength(2);

    const offline = await openDataset("org/name", options({ HF_HUB_OFFLINE: "1" }));
    expect(offline.files).toEqual(dataset.files);
    expect(await offline.fetch(["README.md"])).toBe(folder);
    await expect(offline.fetch(["data/test.jsonl"])).rejects.toThrow(
      /^org\/name@main: data\/test.jsonl is not in the cache/,
    );
  });

  it("may be a folder on this machine", async () => {
    writeFileSync(join(home, "a.jsonl"), "");
    writeFileSync(join(home, ".hidden"), "");
    const dataset = await openDataset(home, options());
    expect(dataset.files).toEqual(["a.jsonl"]);
    expect(await dataset.fetch(["a.jsonl"])).toBe(home);
    expect(await resolveDataset(home, options())).toBe(home);
  });

  it("can stay what it was, although its branch has moved", async () => {
    server.add("datasets/org/name", DATASET);
    const folder = await resolveDataset("org/name", options());
    server.commits.set("main", "f".repeat(40));
    server.seen.length = 0;
    expect(await resolveDataset("org/name", { ...options(), preferCache: true })).toBe(folder);
    expect(server.seen).toEqual([]);
    expect(await resolveDataset("org/name", options())).not.toBe(folder);
  });

  it("is not loaded by its script", async () => {
    server.add("datasets/org/name", { "name.py": small("x") });
    const error = (await resolveDataset("org/name", options()).catch(
      (reason: unknown) => reason,
    )) as HubError;
    expect(error.hint).toContain("org/name@refs/convert/parquet");
  });
});

describe("what a model may be called", () => {
  it("is builtin, a folder, or a name on the hub", async () => {
    expect(await resolveModel("builtin", options())).toMatch(/t5-mini$/);
    expect(await resolveModel(home, options())).toBe(home);
    expect(server.seen).toEqual([]);
  });

  it("is explained when it is none of these", async () => {
    const error = async (name: string) =>
      (await model(name).catch((reason: unknown) => reason)) as { message: string; hint: string };
    expect(await error("builtn")).toMatchObject({
      message: "there is no folder builtn, and it is no name on the hub",
      hint: "Did you mean builtin? A model is builtin, a folder on this machine, or org/name or org/name@revision on the hub.",
    });
    mkdirSync(join(home, "t5-mini"));
    expect((await error(join(home, "t5-mni"))).hint).toContain(`Did you mean ${join(home, "t5-mini")}?`);
    expect((await error("./org/name/deeper")).message).toContain("no folder ./org/name/deeper");
    for (const name of ["org/na--me", "org/..", "org/name@../x", "org/name@", "-org/name", "org/name.git"]) {
      expect((await error(name)).message).toContain("it is no name on the hub");
    }
    writeFileSync(join(home, "file"), "");
    expect((await error(join(home, "file"))).message).toContain("is a file, expected the folder of a model");
    expect(server.seen).toEqual([]);
  });
});

describe("the environment", () => {
  it("is refused where it makes no sense, without showing the token", async () => {
    for (const endpoint of [
      "http://hub.example.org",
      "hub.example.org",
      "https://user:pw@example.org",
      "ftp://x",
    ]) {
      await expect(model("org/name", { HF_ENDPOINT: endpoint })).rejects.toThrow(ConfigError);
    }
    const error = await model("org/name", { HF_TOKEN: "se cret" }).catch((reason: Error) => reason);
    expect(error).toBeInstanceOf(ConfigError);
    expect((error as Error).message).not.toContain("cret");
  });

  it("gives the token by a file as well, or not at all", async () => {
    server.add("models/org/name", MODEL);
    writeFileSync(join(home, "token"), "hf_from_file\n");
    await model("org/name", { HF_TOKEN: "" });
    expect(server.seen[0]!.headers.authorization).toBe("Bearer hf_from_file");
    await model("org/name", { HF_HUB_DISABLE_IMPLICIT_TOKEN: "1" });
    expect(server.seen.at(-1)!.headers.authorization).toBeUndefined();
    const cache = join(home, "elsewhere");
    expect(await model("org/name", { HF_HUB_CACHE: cache })).toContain(cache);
  });
});
