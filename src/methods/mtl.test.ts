import { expect, it } from "vitest";
import { methodOptions, tinyMethod, tinyModel, tinyTask } from "../../test/support/tiny.js";
import type { EncodedExample } from "../data/encode.js";
import { jointTask, taskContext } from "../learn/learn.js";
import { Rng } from "../random.js";
import type { StepPlan } from "./method.js";

const tasks = [tinyTask("alpha", 40, 5), tinyTask("beta", 10, 5), tinyTask("gamma", 12, 5)];
const nameOf = new Map(tasks.flatMap(({ name, train }) => train.map((row) => [row, name] as const)));

function planOf(values: object, epochs: number, batchSize = 8): StepPlan {
  const model = tinyModel();
  expect(methodOptions({ name: "mtl" })).toMatchObject({ mixing: "proportional" });
  const method = tinyMethod(model, { name: "mtl", ...values }, {}, [], tasks);
  const context = taskContext(jointTask(tasks), 2, new Rng(1));
  const plan = method.plan(context, { batchSize, epochs, rng: new Rng(2) });
  method.dispose();
  model.dispose();
  return plan;
}

const counted = (rows: readonly EncodedExample[]): Record<string, number> => {
  const counts: Record<string, number> = { alpha: 0, beta: 0, gamma: 0 };
  for (const row of rows) counts[nameOf.get(row)!]!++;
  return counts;
};

it("shows every row of every task once per epoch, mixed", () => {
  const { steps, stepsPerEpoch } = planOf({}, 2);
  const all = [...steps];
  expect(stepsPerEpoch).toBe(8);
  expect(all).toHaveLength(16);
  expect(all.every((shares) => shares.length === 1 && shares[0]!.weight === 1)).toBe(true);
  const rows = all.slice(0, 8).flatMap((shares) => shares[0]!.rows);
  expect(new Set(rows).size).toBe(62);
  expect(counted(rows)).toEqual({ alpha: 40, beta: 10, gamma: 12 });
  expect(counted(all[0]![0]!.rows).alpha).toBeLessThan(8);
});

it("takes a batch of every task per step when mixed equally, small tasks again and again", () => {
  const { steps, stepsPerEpoch } = planOf({ mixing: "equal" }, 2);
  const all = [...steps];
  expect(stepsPerEpoch).toBe(5);
  expect(all).toHaveLength(10);
  for (const shares of all) {
    expect(shares.map(({ rows }) => nameOf.get(rows[0]!))).toEqual(["alpha", "beta", "gamma"]);
    expect(
      shares.every(
        ({ rows, weight }) => weight === 1 && new Set(rows.map((row) => nameOf.get(row))).size === 1,
      ),
    ).toBe(true);
  }
  const large = all.slice(0, 5).flatMap((shares) => shares[0]!.rows);
  expect(new Set(large).size).toBe(40);
});

it("draws tasks by the power 1/tau of their sizes when mixed by temperature", () => {
  const shares = (tau: number) => {
    const { steps } = planOf({ mixing: "temperature", tau }, 60);
    const counts = counted([...steps].flatMap(([share]) => share!.rows));
    const total = 60 * 8 * 8;
    expect(counts.alpha! + counts.beta! + counts.gamma!).toBe(total);
    return [counts.alpha! / total, counts.beta! / total, counts.gamma! / total];
  };
  const expected = (tau: number) => {
    const weights = [40, 10, 12].map((rows) => rows ** (1 / tau));
    const sum = weights.reduce((all, weight) => all + weight, 0);
    return weights.map((weight) => weight / sum);
  };
  for (const tau of [1, 2, 100]) {
    // Four standard deviations of a share of 3,840 draws are 0.032.
    for (const [index, share] of shares(tau).entries()) {
      expect(Math.abs(share - expected(tau)[index]!)).toBeLessThan(0.033);
    }
  }
});
