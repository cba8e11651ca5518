/** `nlora generate`, as compiled: one prompt, files, adapters and states of a run, conversations, wrong usage. */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { packageRoot } from "../../src/tensor/native.js";
import { nlora } from "../support/command-line.js";
import { writeTinyChat, writeTinyRun } from "../support/tiny-run.js";

const root = mkdtempSync(join(tmpdir(), "nlora-generate-"));
beforeAll(() => {
  writeTinyChat(join(root, "tiny"));
  writeTinyRun(join(root, "run"), join(root, "tiny"));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

const generate = (...args: string[]) => nlora(root, ["generate", ...args, "--dtype", "float32"]);
const SHORT = ["--max-new-tokens", "10"];

interface Line {
  readonly model: string;
  readonly prompt: string;
  readonly text: string;
  readonly finish_reason: string;
  readonly usage: Record<string, number>;
}
const linesOf = (stdout: string): Line[] =>
  stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Line);

describe("nlora generate", () => {
  it("answers a prompt as text, and with --json says what it is made of", async () => {
    const text = await generate("run", "The old man", "--task", "second", ...SHORT);
    const { stdout, stderr, status } = await generate(
      "run",
      "The old man",
      "--task",
      "2",
      "--json",
      ...SHORT,
    );
    expect([status, stderr]).toEqual([0, ""]);
    const [answer] = linesOf(stdout);
    expect(answer).toMatchObject({ model: "2-second", prompt: "The old man" });
    expect(answer!.text.length).toBeGreaterThan(0);
    expect(text.stdout).toBe(`${answer!.text}\n`);
    expect(answer!.usage.total_tokens).toBe(answer!.usage.prompt_tokens! + answer!.usage.completion_tokens!);
  });

  it("answers the prompts of a file in its order with what each gets alone", async () => {
    const prompts = ["One", "A rather longer prompt about the sea", "Three"];
    writeFileSync(
      join(root, "prompts.jsonl"),
      prompts.map((prompt) => `${JSON.stringify({ prompt })}\n`).join(""),
    );
    writeFileSync(join(root, "prompts.txt"), `${prompts.join("\n\n")}\n`);
    const sampled = ["--temperature", "0.9", "--top-p", "0.9", "--seed", "3", ...SHORT];
    const [all, asText, beams, alone] = await Promise.all([
      generate("run", "--file", "prompts.jsonl", "--batch", "2", ...sampled),
      generate("run", "--file", "prompts.txt", ...sampled),
      generate("run", "--file", "prompts.jsonl", "--batch", "2", "--beams", "3", ...SHORT),
      generate("run", prompts[0]!, "--json", ...sampled),
    ]);
    expect(linesOf(all.stdout).map(({ prompt }) => prompt)).toEqual(prompts);
    expect(asText.stdout).toBe(all.stdout);
    expect(alone.stdout).toBe(all.stdout.slice(0, all.stdout.indexOf("\n") + 1));
    expect(linesOf(beams.stdout)).toHaveLength(3);
    expect(all.stderr).toBe("3 of 3 answered\n");
  });

  it("adds adapters to a model: those of a run in order are its state", async () => {
    const adapters = ["1-first", "2-second"].flatMap((name) => ["--adapter", `run/adapters/${name}`]);
    const [state, byHand, base] = await Promise.all([
      generate("run", "Morning", "--task", "2", ...SHORT),
      generate("tiny", "Morning", ...adapters, ...SHORT),
      generate("tiny", "Morning", ...SHORT),
    ]);
    expect(byHand.stdout).toBe(state.stdout);
    expect(base.stdout).not.toBe(state.stdout);
    expect(byHand.stderr).toBe("");
    const part = await generate("tiny", "Morning", "--adapter", "run/adapters/2-second", ...SHORT);
    expect(part.stderr).toContain("note: ");
  });

  it("holds a conversation line by line, each answer knowing what was said before", async () => {
    const once = await generate("tiny", "Hello there", "--chat", ...SHORT);
    const child = spawn(
      process.execPath,
      [join(packageRoot, "dist/cli/main.js"), "generate", "tiny", "--dtype", "float32", ...SHORT],
      { cwd: root, env: { ...process.env, OMP_NUM_THREADS: "1", NO_COLOR: "1" } },
    );
    let stdout = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
    });
    child.stdin.end("Hello there\nAnd then\n/clear\nHello there\n");
    expect(await new Promise((resolve) => child.once("close", resolve))).toBe(0);
    const first = once.stdout;
    expect(stdout.startsWith(first)).toBe(true);
    expect(stdout.endsWith(first)).toBe(true);
    expect(stdout.length).toBeGreaterThan(2 * first.length);
  });

  it.each<[string, string[], string, number]>([
    ["a conversation with an encoder-decoder", ["builtin"], "this model is an encoder-decoder", 2],
    ["two sources of prompts", ["builtin", "x", "--file", "y"], "a prompt and --file exclude each other", 2],
    ["a prompt that is too long", ["tiny", "x".repeat(600)], "the model takes 256 together", 2],
    ["a model that is not there", ["nowhere", "x"], "nowhere", 1],
  ])("refuses %s", async (_, args, message, code) => {
    const { status, stderr, stdout } = await generate(...args);
    expect(stderr).toContain(message);
    expect([status, stdout]).toEqual([code, ""]);
  });
});
