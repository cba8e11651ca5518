/**
 * SeqLoRA: one adapter for the whole stream, trained further on every task. What counts as a task's update in the
 * metrics is the adapter after the task (`seqDelta: snapshot`) or its change during the task (`increment`, rank 2r).
 * Adapters that the stream starts from stay frozen beneath it.
 */
import { increment } from "../adapters/combine.js";
import type { AdapterDelta } from "../adapters/delta.js";
import { disposeDelta, Lora } from "../adapters/lora.js";
import type { Parameter } from "../nn/optim.js";
import { defineMethod } from "./method.js";

export const seqLora = defineMethod({
  name: "seq-lora",
  title: "SeqLoRA",
  create({ model, lora: options, startFrom }) {
    const lora = new Lora(model, options);
    for (const delta of startFrom) lora.addFrozen(delta);
    let parameters: readonly Parameter[] = [];
    const snapshots: AdapterDelta[] = [];
    const increments: AdapterDelta[] = [];

    const record = (snapshot: AdapterDelta): void => {
      if (options.seqDelta === "increment") increments.push(increment(snapshot, snapshots.at(-1)));
      snapshots.push(snapshot);
    };

    return {
      beforeTask(task) {
        if (parameters.length === 0) parameters = lora.open(task.rng);
        return parameters;
      },
      penalties: () => ({}),
      afterTask(task) {
        const snapshot = lora.snapshot(task.name);
        record(snapshot);
        return snapshot;
      },
      savedAdapter: "cumulative",
      restore(finished) {
        for (const snapshot of finished) {
          for (const { a, b } of snapshot.modules.values()) {
            a.keep();
            b.keep();
          }
          record(snapshot);
        }
        const last = finished.at(-1);
        if (last) parameters = lora.openWith(last);
      },
      get deltas() {
        return options.seqDelta === "increment" ? increments : snapshots;
      },
      penaltyRecord: { kind: "none" },
      dispose() {
        for (const delta of [...snapshots, ...increments]) disposeDelta(delta);
        lora.dispose();
      },
    };
  },
});
