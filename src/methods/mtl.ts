/** MTL: one model trained on the rows of all tasks at once. What continual learning is measured against, not a part of it. */
import { type BatchPlan, batchesPerEpoch } from "../data/batches.js";
import type { EncodedExample } from "../data/encode.js";
import { choice, number } from "../settings.js";
import { BACKBONE, openBackbone } from "./backbone.js";
import { defineMethod, ownRows, type StepPlan, type TaskContext, type TaskRows } from "./method.js";
import { withBackbone } from "./options.js";
import { sequentialMethod } from "./sequential.js";

export const mtl = defineMethod({
  name: "mtl",
  title: "MTL",
  trains: `${BACKBONE}, on all tasks at once`,
  keeps: "nothing",
  learns: "jointly",
  options: {
    ...withBackbone,
    mixing: choice(["proportional", "equal", "temperature"])
      .default("proportional")
      .describe(
        "rows of all tasks shuffled, a batch of each task per step (losses summed), or tasks drawn by n^(1/tau)",
      ),
    tau: number({ above: 0 }).default(2).describe("mixing temperature: 1 is proportional, large is uniform"),
  },
  create(setup) {
    const { backbone, sparsity, mixing, tau } = setup.options;
    const plans = { proportional: ownRows, equal, temperature: byTemperature(tau) };
    return sequentialMethod(openBackbone(setup, backbone, sparsity), {
      penaltyRecord: { kind: "none", mixing, ...(mixing === "temperature" && { tau }) },
      plan: plans[mixing],
    });
  },
});

/** A whole batch of every task per step, losses summed; an epoch is one of the largest task, smaller ones start again. */
function equal({ parts }: TaskContext, plan: BatchPlan): StepPlan {
  const stepsPerEpoch = Math.max(...parts.map(({ rows }) => batchesPerEpoch(rows.length, plan.batchSize)));
  return {
    stepsPerEpoch,
    steps: (function* () {
      const streams = parts.map((part) => endless(part, plan));
      for (let step = 0; step < stepsPerEpoch * plan.epochs; step++) {
        yield streams.map((stream) => ({ rows: stream.next().value, weight: 1, term: null }));
      }
    })(),
  };
}

/** Batches of a task, epoch after epoch without an end. */
function* endless(part: TaskRows, plan: BatchPlan): Generator<readonly EncodedExample[], never> {
  const rng = plan.rng.fork(part.name);
  for (let round = 1; ; round++) {
    const once = ownRows(part, { ...plan, epochs: 1, rng: rng.fork(`round ${round}`) });
    for (const [share] of once.steps) yield share!.rows;
  }
}

/** Every row of a batch is of a task drawn with p proportional to n^(1/tau); a task's rows come in turn, shuffled anew. */
function byTemperature(tau: number) {
  return ({ parts, rows }: TaskContext, plan: BatchPlan): StepPlan => {
    const stepsPerEpoch = batchesPerEpoch(rows.length, plan.batchSize);
    const weights = parts.map((part) => part.rows.length ** (1 / tau));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    return {
      stepsPerEpoch,
      steps: (function* () {
        const rng = plan.rng.fork("tasks");
        const streams = parts.map((part) => endless(part, { ...plan, batchSize: 1 }));
        const draw = (): EncodedExample => {
          let left = rng.uniform() * total;
          const chosen = weights.findIndex((weight) => {
            left -= weight;
            return left < 0;
          });
          return streams[Math.max(chosen, 0)]!.next().value[0]!;
        };
        for (let step = 0; step < stepsPerEpoch * plan.epochs; step++) {
          yield [{ rows: Array.from({ length: plan.batchSize }, draw), weight: 1, term: null }];
        }
      })(),
    };
  };
}
