import { describe, expect, it } from "vitest";
import { goldenFolder } from "../../test/support/golden.js";
import { learn, runTiny, tinyMethod, tinyTask } from "../../test/support/tiny.js";
import { batchOf } from "../data/collate.js";
import { taskContext } from "../learn/learn.js";
import { loadModel } from "../models/registry.js";
import { EVALUATION } from "../nn/context.js";
import { Rng } from "../random.js";
import { tensor } from "../tensor/create.js";
import { noGrad } from "../tensor/grad.js";
import { tidy } from "../tensor/scope.js";
import { softenedDivergence } from "./lwf.js";

const tasks = ["alpha", "beta"].map((name) => tinyTask(name, 16, 5));

it("is SeqFT bit for bit at lambda_o 0, and with an adapter SeqLoRA", () => {
  expect(runTiny({ name: "lwf", lambdaO: 0 }, tasks).learned).toBe(
    runTiny({ name: "seq-ft" }, tasks).learned,
  );
  const lora = runTiny({ name: "lwf", lambdaO: 0, backbone: "lora" }, tasks);
  expect(lora.learned).toBe(runTiny({ name: "seq-lora" }, tasks).learned);
  const held = runTiny({ name: "lwf" }, tasks);
  expect(held.learned).not.toBe(runTiny({ name: "seq-ft" }, tasks).learned);
  expect(held.steps.map(({ penalties }) => "distillation" in penalties)).toEqual([false, false, true, true]);
});

describe("the divergence", () => {
  it("is KL(teacher || student) of the softened distributions, the mean over positions", () => {
    tidy(() => {
      const teacher = [
        [1, 0, -2],
        [0, 0, 4],
      ];
      const student = [
        [0, 1, 1],
        [2, 0, 1],
      ];
      const soft = (row: number[], tau: number) => {
        const weights = row.map((value) => Math.exp(value / tau));
        const total = weights.reduce((sum, value) => sum + value, 0);
        return weights.map((value) => value / total);
      };
      for (const tau of [1, 2, 5]) {
        const rows = teacher.map((row, i) => {
          const [p, q] = [soft(row, tau), soft(student[i]!, tau)];
          return p.reduce((sum, value, j) => sum + value * Math.log(value / q[j]!), 0);
        });
        const expected = (rows[0]! + rows[1]!) / 2;
        const found = softenedDivergence(tensor(teacher.flat(), [2, 3]), tensor(student.flat(), [2, 3]), tau);
        expect(found.item()).toBeCloseTo(expected, 5);
      }
    });
  });

  it("is zero between equals and moves the student alone", () => {
    tidy(() => {
      const [teacher, student] = [
        [1, 2, 3],
        [3, 1, 0],
      ].map((row) => {
        const made = tensor(row, [1, 3]);
        made.requiresGrad = true;
        return made;
      });
      expect(softenedDivergence(teacher!, teacher!, 2).item()).toBeCloseTo(0, 6);
      softenedDivergence(teacher!, student!, 2).backward();
      expect(teacher!.grad).toBeNull();
      expect(student!.grad!.abs().sum().item()).toBeGreaterThan(0);
    });
  });
});

describe.each([
  ["all weights", "t5-classic", "full"],
  ["an adapter", "t5-classic", "lora"],
  ["all weights of a decoder", "llama3-gqa", "full"],
  ["an adapter of a decoder", "llama3-gqa", "lora"],
] as const)("the teacher of %s", (_, fixture, backbone) => {
  it("is the model before the task, without dropout, and stays so", () => {
    const model = loadModel(goldenFolder(fixture), "float32");
    const method = tinyMethod(model, { name: "lwf", backbone }, {}, [], tasks);
    learn(model, method, tasks.slice(0, 1));
    const parameters = method.beforeTask(taskContext(tasks[1]!, 1, new Rng(1)));
    const term = (): number =>
      tidy(() => {
        const share = { rows: tasks[1]!.train, weight: 1, term: null };
        const batch = batchOf(share.rows, model);
        const output = model.forward(batch, EVALUATION);
        return method.losses({ share, batch, output }).distillation!.item();
      });
    expect(Math.abs(term())).toBeLessThan(1e-6);
    noGrad(() => {
      for (const each of parameters) each.tensor.mul_(1.05);
    });
    const apart = term();
    expect(apart).toBeGreaterThan(1e-5);
    expect(term()).toBe(apart);
    noGrad(() => {
      for (const each of parameters) each.tensor.mul_(1 / 1.05);
    });
    expect(Math.abs(term())).toBeLessThan(1e-6);
    method.dispose();
    model.dispose();
  });
});

it("scales the term by tau^2 only when told to", () => {
  const first = (values: object) =>
    runTiny({ name: "lwf", tau: 3, ...values }, tasks, {}, { dropout: 0 }).steps[2]!.penalties.distillation!;
  expect(first({ scaleByTau2: true })).toBeCloseTo(9 * first({}), 5);
});
