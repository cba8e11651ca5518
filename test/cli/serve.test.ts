/** `nlora serve`, as compiled, with its engine in a process of its own. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { packageRoot } from "../../src/tensor/native.js";
import { nlora } from "../support/command-line.js";
import { writeTinyChat, writeTinyRun } from "../support/tiny-run.js";

const root = mkdtempSync(join(tmpdir(), "nlora-serve-"));
beforeAll(() => {
  writeTinyChat(join(root, "tiny"));
  writeTinyRun(join(root, "run"), join(root, "tiny"));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

interface Serving {
  readonly child: ChildProcess;
  readonly url: string;
  /** Exit code and everything on stderr. */
  readonly ended: Promise<{ readonly code: number | null; readonly stderr: string }>;
}
const running: ChildProcess[] = [];
afterEach(() => {
  for (const child of running.splice(0)) child.kill("SIGKILL");
});

async function serve(...args: string[]): Promise<Serving> {
  const child = spawn(
    process.execPath,
    [join(packageRoot, "dist/cli/main.js"), "serve", ...args, "--port", "0", "--dtype", "float32"],
    {
      cwd: root,
      env: { ...process.env, OMP_NUM_THREADS: "1", NO_COLOR: "1" },
      stdio: ["ignore", "pipe", "pipe"],
    },
  );
  running.push(child);
  let stderr = "";
  const ended = new Promise<{ code: number | null; stderr: string }>((resolve) =>
    child.once("close", (code) => resolve({ code, stderr })),
  );
  const url = await new Promise<string>((resolve, reject) => {
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
      const found = / at (http:\/\/\S+)\n/.exec(stderr);
      if (found) resolve(found[1]!);
    });
    child.once("close", () => reject(new Error(stderr)));
  });
  return { child, url, ended };
}

const post = (url: string, body: object): Promise<Response> =>
  fetch(`${url}/v1/completions`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });

const LONG = { model: "3-third", prompt: "The old man", max_tokens: 200, temperature: 0 };

describe("nlora serve", () => {
  it("answers as nlora generate does, finishes what is under way when it is told to end, and ends", async () => {
    const { child, url, ended } = await serve("run");
    const answer = (await (await post(url, LONG)).json()) as { choices: { text: string }[] };
    const streaming = await post(url, { ...LONG, stream: true });
    child.kill("SIGTERM");
    const events = (await streaming.text()).split("\n\n").filter((event) => event !== "");
    expect(events.at(-1)).toBe("data: [DONE]");
    const text = events.slice(0, -1).map((event) => {
      const { choices } = JSON.parse(event.replace("data: ", "")) as { choices: { text: string }[] };
      return choices[0]!.text;
    });
    expect(text.join("")).toBe(answer.choices[0]!.text);
    const { code, stderr } = await ended;
    expect(code).toBe(0);
    expect(stderr).toBe(
      `tiny, 1-first, 2-second, 3-third in float32 at ${url}\nclosing after the requests under way; once more to close at once\n`,
    );
    const { stdout } = await nlora(root, [
      ...["generate", "run", LONG.prompt, "--max-new-tokens", String(LONG.max_tokens), "--dtype", "float32"],
    ]);
    expect(stdout).toBe(`${answer.choices[0]!.text}\n`);
  });

  it("ends with an error when its engine process dies, and its clients hear of it", async () => {
    const { child, url, ended } = await serve("tiny");
    const streaming = await post(url, { ...LONG, model: "tiny", n: 8, stream: true });
    const [engine] = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, "utf8").trim().split(" ");
    process.kill(Number(engine), "SIGKILL");
    expect(await streaming.text()).toContain('"code":"engine_unavailable"');
    const { code, stderr } = await ended;
    expect(code).toBe(1);
    expect(stderr).toContain("error: the engine process was killed by SIGKILL\nhint: ");
  });

  it("takes its token from a file, and refuses to be reached from elsewhere without one", async () => {
    const refused = await nlora(root, ["serve", "tiny", "--host", "0.0.0.0"]);
    expect([refused.status, refused.stderr]).toEqual([
      2,
      "error: --host 0.0.0.0 lets other machines in, which needs a token\nhint: set NLORA_TOKEN or --token-file, or listen on 127.0.0.1\n",
    ]);
    writeFileSync(join(root, "token"), "abcdefghijklmnopqrstuvwxyz\n");
    const { url } = await serve("tiny", "--token-file", "token");
    expect((await fetch(`${url}/v1/models`)).status).toBe(401);
    const headers = { Authorization: "Bearer abcdefghijklmnopqrstuvwxyz" };
    expect((await fetch(`${url}/v1/models`, { headers })).status).toBe(200);
  });

  it("says why a model cannot be opened, and ends", async () => {
    const { status, stderr } = await nlora(root, ["serve", "tiny", "--adapter", "run"]);
    expect(status).toBe(1);
    expect(stderr).toContain("it is not an adapter folder");
  });
});
