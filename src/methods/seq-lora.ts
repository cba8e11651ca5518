/**
 * SeqLoRA: one adapter for the whole stream, trained further on every task. What counts as a task's update in the
 * metrics is the adapter after the task (`seqDelta: snapshot`) or its change during the task (`increment`, rank 2r).
 * Adapters that the stream starts from stay frozen beneath it.
 */
import { openBackbone } from "./backbone.js";
import { defineMethod } from "./method.js";
import { withSparsity } from "./options.js";
import { sequentialMethod } from "./sequential.js";

export const seqLora = defineMethod({
  name: "seq-lora",
  title: "SeqLoRA",
  trains: "one LoRA adapter",
  keeps: "that adapter",
  options: withSparsity,
  create: (setup) =>
    sequentialMethod(openBackbone(setup, "lora", setup.options.sparsity), {
      penaltyRecord: { kind: "none" },
    }),
});
