import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { goldenFolder } from "../../test/support/golden.js";
import { randomAdapter, TINY_TASKS, writeTinyChat, writeTinyRun } from "../../test/support/tiny-run.js";
import { Lora } from "../adapters/lora.js";
import { CheckpointError, UsageError } from "../errors.js";
import { resolveConfig, writeConfig } from "../experiment/config.js";
import type { LanguageModel } from "../models/language-model.js";
import { loadModel } from "../models/registry.js";
import { runState } from "../runs/run-state.js";
import { tensor } from "../tensor/create.js";
import { inference } from "../tensor/grad.js";
import { liveTensors, tidy } from "../tensor/scope.js";
import { findSource } from "./model-source.js";
import { ModelStates } from "./model-states.js";

const root = mkdtempSync(join(tmpdir(), "nlora-source-"));
const model = join(root, "tiny");
const run = join(root, "run");
beforeAll(() => {
  writeTinyChat(model);
  writeTinyRun(run, model);
  writeTinyRun(join(root, "sequential"), model, "cumulative");
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

const adapter = (index: number, of = run) => join(of, "adapters", `${index + 1}-${TINY_TASKS[index]}`);

describe("the source that a reference names", () => {
  it("is a model alone", async () => {
    expect(await findSource(model)).toEqual({
      folder: model,
      states: [{ id: "tiny", adapters: [] }],
      preferred: "tiny",
      notes: [],
    });
    expect(await findSource("builtin")).toMatchObject({ states: [{ id: "t5-mini", adapters: [] }] });
  });

  it("is a run: the base model, and after each task all adapters that its own needs", async () => {
    const source = await findSource(run);
    expect(source.folder).toBe(model);
    expect(source.preferred).toBe("3-third");
    expect(source.states).toEqual([
      { id: "tiny", adapters: [] },
      { id: "1-first", adapters: [adapter(0)] },
      { id: "2-second", adapters: [adapter(0), adapter(1)] },
      { id: "3-third", adapters: [adapter(0), adapter(1), adapter(2)] },
    ]);
  });

  it("is of a method with one adapter for all the last adapter alone", async () => {
    const folder = join(root, "sequential");
    const { states } = await findSource(folder);
    expect(states[3]).toEqual({ id: "3-third", adapters: [adapter(2, folder)] });
  });

  it.each([
    ["2", "2-second"],
    ["second", "2-second"],
    ["0", "tiny"],
  ])("prefers task %s", async (task, preferred) => {
    expect((await findSource(run, { task })).preferred).toBe(preferred);
  });

  it("is a model with adapters that are named, and tells when one needs others", async () => {
    const both = await findSource(model, { adapters: [adapter(0), adapter(1)] });
    expect(both).toMatchObject({ preferred: "1-first+2-second", notes: [] });
    expect(both.states[1]!.adapters).toEqual([adapter(0), adapter(1)]);
    const part = await findSource(model, { adapters: [adapter(1)] });
    expect(part.notes).toEqual([expect.stringContaining(`also needs ${adapter(0)}`)]);
  });

  it("names what an adapter needs that was taken away from its run, and is content with one of that name", async () => {
    const alone = join(root, "alone", "2-second");
    cpSync(adapter(1), alone, { recursive: true });
    const part = await findSource(model, { adapters: [alone] });
    expect(part.notes).toEqual([expect.stringMatching(/also needs 1-first$/)]);
    expect((await findSource(model, { adapters: [adapter(0), alone] })).notes).toEqual([]);
  });

  it("is refused when it is not there or makes no sense", async () => {
    await expect(findSource(join(root, "nothing"))).rejects.toThrow(CheckpointError);
    await expect(findSource(run, { task: "9" })).rejects.toThrow(
      "there is no task 9; finished are 1 (first), 2 (second), 3 (third)",
    );
    await expect(findSource(model, { task: "1" })).rejects.toThrow(UsageError);
    await expect(findSource(run, { adapters: [adapter(0)] })).rejects.toThrow(UsageError);
    await expect(findSource(model, { adapters: [model] })).rejects.toThrow("it is not an adapter folder");
    const torn = join(root, "torn");
    mkdirSync(torn);
    cpSync(run, torn, { recursive: true });
    rmSync(adapter(0, torn), { recursive: true });
    await expect(findSource(torn)).rejects.toThrow(`there is no ${adapter(0, torn)}`);
  });
});

describe("the states of a model", () => {
  const logitsOf = (of: LanguageModel) =>
    inference(() => {
      const ids = [1, 40, 77, 300, 12];
      const decoding = of.startDecoding({
        inputIds: tensor(ids, [1, ids.length], "int64"),
        attentionMask: tensor(
          ids.map(() => 1),
          [1, ids.length],
          "bool",
        ),
      });
      const logits = decoding.logits.toArray();
      decoding.dispose();
      return logits;
    });

  it("compute what the frozen adapters of a stream compute, in any order of use", async () => {
    const before = liveTensors();
    const states = ModelStates.open(await findSource(run), "float32", "cpu");
    const found = new Map<string, number[]>();
    for (const id of ["3-third", "tiny", "1-first", "2-second"]) {
      states.use(id);
      found.set(id, logitsOf(states.model));
    }
    states.use("3-third");
    expect(logitsOf(states.model)).toEqual(found.get("3-third"));
    states.dispose();

    const plain = loadModel(model, "float32");
    const close = (id: string) => {
      const expected = logitsOf(plain);
      const worst = Math.max(...found.get(id)!.map((value, i) => Math.abs(value - expected[i]!)));
      expect(worst, id).toBeLessThan(1e-4);
    };
    close("tiny");
    const lora = new Lora(plain, {
      rank: 2,
      alpha: 4,
      dropout: 0,
      targetModules: null,
      previousAdapters: "stacked",
    });
    for (const [index, task] of TINY_TASKS.entries()) {
      tidy(() => lora.addFrozen(randomAdapter(task, 10 + index)));
      close(`${index + 1}-${task}`);
    }
    lora.dispose();
    plain.dispose();
    expect(liveTensors()).toBe(before);
  });

  it("are refused with adapters of another model, and nothing stays", async () => {
    const before = liveTensors();
    const source = await findSource(model, { adapters: [adapter(0), goldenFolder("lora-peft")] });
    expect(() => ModelStates.open(source, "float32", "cpu")).toThrow(CheckpointError);
    expect(liveTensors()).toBe(before);
  });
});

it("says of a run that has trained prompts that they are no adapters", () => {
  const folder = join(root, "prompts");
  cpSync(run, folder, { recursive: true });
  rmSync(join(folder, "adapters"), { recursive: true });
  writeFileSync(join(folder, "config.yaml"), writeConfig(resolveConfig({ model, method: "l2p" })));
  const find = () => runState(folder);
  expect(find).toThrow(/the method l2p keeps no adapters/);
  expect(find).toThrow(expect.objectContaining({ hint: expect.stringMatching(/soft prompts, in state\//) }));
});
