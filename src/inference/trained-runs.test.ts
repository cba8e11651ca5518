/** Runs whose memory is no adapter are asked like any other: with the prompts that they trained, or with their whole models. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { writeTinyChat } from "../../test/support/tiny-run.js";
import { TINY_NEW_TOKENS, trainTiny } from "../../test/support/tiny-training.js";
import type { Prediction } from "../learn/evaluate.js";
import { RunFolder } from "../runs/run-folder.js";
import { liveTensors } from "../tensor/scope.js";
import { type EngineOptions, LocalEngine } from "./engine.js";
import { findSource } from "./model-source.js";
import { Prompts } from "./prompts.js";

const root = mkdtempSync(join(tmpdir(), "nlora-trained-"));
const model = join(root, "tiny");
const OPTIONS: EngineOptions = {
  dtype: "float32",
  device: "cpu",
  threads: null,
  limits: { maxRows: 8, maxTokens: 1 << 16, maxWaiting: 100, maxPromptTokens: 2048 },
};
beforeAll(() => writeTinyChat(model));
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** What a state answers to the rows of a predictions file, and what the run had answered. */
async function answers(run: string, task: string | undefined, after: number, of: string) {
  const source = await findSource(run, { task });
  const rows = readFileSync(join(run, "predictions", `${after}-${of}.jsonl`), "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Prediction);
  const engine = LocalEngine.open(source, OPTIONS);
  try {
    const prompts = new Prompts(source.folder, engine.info);
    const beams = engine.searchBeams(
      source.preferred,
      rows.map(({ input }) => prompts.encode(input)),
      { beams: 1, maxNewTokens: TINY_NEW_TOKENS, lengthPenalty: 1 },
    );
    const asked = await Promise.all(
      rows.map(
        ({ input }, index) =>
          new Promise<string>((resolve, reject) => {
            let text = "";
            engine.submit(
              {
                id: String(index),
                state: source.preferred,
                prompt: prompts.encode(input),
                choices: 1,
                maxNewTokens: TINY_NEW_TOKENS,
                sampling: null,
                seed: 0,
                stops: [],
                logprobs: null,
              },
              (event) => {
                if (event.type === "text") text += event.text;
                if (event.type === "end") resolve(text.trim());
                if (event.type === "failed") reject(new Error(event.error.message));
              },
            );
          }),
      ),
    );
    const found = beams.map(([best]) =>
      prompts.tokenizer.decode(best!.ids, { skipSpecialTokens: true }).trim(),
    );
    return { source, asked, found, expected: rows.map(({ prediction }) => prediction) };
  } finally {
    await engine.close();
  }
}

describe.each(["l2p", "lfpt5", "prog-prompt", "seq-ft", "per-task-ft"])("a run of %s", (method) => {
  const keepsAll = method === "prog-prompt" || method === "per-task-ft";
  let run: string;
  let tasks: string[];
  beforeAll(async () => {
    run = await trainTiny(join(root, method), model, method);
    tasks = new RunFolder(run).readRecord()!.tasks as string[];
  });

  it("is answered by what it trained, as the run itself had answered", async () => {
    const before = liveTensors();
    const { asked, found, expected } = await answers(run, undefined, 2, tasks[1]!);
    expect(asked).toEqual(expected);
    expect(found).toEqual(expected);
    expect(liveTensors()).toBe(before);
    const base = await answers(run, "0", 2, tasks[1]!);
    expect(base.asked).not.toEqual(expected);
  });

  it("counts the positions of its prompts among those that the model has", async () => {
    const positions = { l2p: 15, lfpt5: 300, "prog-prompt": 20 }[method] ?? 0;
    const source = await findSource(run);
    const engine = LocalEngine.open(source, OPTIONS);
    const prompts = new Prompts(source.folder, engine.info);
    await engine.close();
    const [base, state] = [source.states[0].id, source.preferred];
    if (base !== state) expect(prompts.newTokens(base, 10, null, 1e6)).toBe(256 - 10);
    expect(engine.info.positions).toEqual(
      positions > 0 ? { ...engine.info.positions, [state]: positions } : {},
    );
    const asked = () => prompts.newTokens(state, 10, null, 1e6);
    if (positions < 256) expect(asked()).toBe(256 - positions - 10);
    else expect(asked).toThrow(/10 tokens behind 300 trained positions/);
  });

  it(keepsAll ? "is answered as each of its tasks" : "has its last state alone, and says so", async () => {
    if (!keepsAll) {
      await expect(findSource(run, { task: "1" })).rejects.toThrow(
        /after the last task alone|no model of task 1/,
      );
      return;
    }
    const { asked, expected } = await answers(run, tasks[0], 1, tasks[0]!);
    expect(asked).toEqual(expected);
  });
});
