/**
 * SeqLoRA: one adapter for the whole stream, trained further on every task. What counts as a task's update in the
 * metrics is the adapter after the task (`seqDelta: snapshot`) or its change during the task (`increment`, rank 2r).
 * Adapters that the stream starts from stay frozen beneath it.
 */
import { increment } from "../adapters/combine.js";
import type { AdapterDelta } from "../adapters/delta.js";
import { disposeDelta, keepDelta, Lora } from "../adapters/lora.js";
import type { Parameter } from "../nn/optim.js";
import { tidy } from "../tensor/scope.js";
import { defineMethod } from "./method.js";

export const seqLora = defineMethod({
  name: "seq-lora",
  create({ model, lora: options, startFrom }) {
    const lora = new Lora(model, options);
    for (const delta of startFrom) lora.addFrozen(delta);
    let parameters: readonly Parameter[] = [];
    const snapshots: AdapterDelta[] = [];
    const increments: AdapterDelta[] = [];

    const record = (snapshot: AdapterDelta): void => {
      if (options.seqDelta === "increment") {
        tidy(() => void increments.push(keepDelta(increment(snapshot, snapshots.at(-1)))));
      }
      snapshots.push(snapshot);
    };

    return {
      beforeTask(task) {
        if (parameters.length === 0) parameters = lora.open(task.rng);
        return parameters;
      },
      afterTask(task) {
        const snapshot = lora.snapshot(task.name);
        record(snapshot);
        return snapshot;
      },
      saves: { adapter: "cumulative", weights: null, state: false },
      restore(finished) {
        for (const task of finished) {
          record(keepDelta(task.adapter()));
        }
        parameters = lora.openWith(snapshots.at(-1)!);
      },
      deltas: options.seqDelta === "increment" ? increments : snapshots,
      penaltyRecord: { kind: "none" },
      dispose() {
        for (const delta of [...snapshots, ...increments]) disposeDelta(delta);
        lora.dispose();
      },
    };
  },
});
