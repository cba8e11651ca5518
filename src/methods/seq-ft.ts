/** SeqFT: all weights of the model trained on task after task, with nothing against forgetting. */
import { openBackbone } from "./backbone.js";
import { defineMethod } from "./method.js";
import { sequentialMethod } from "./sequential.js";

export const seqFt = defineMethod({
  name: "seq-ft",
  create(setup) {
    const { backbone, sparsity } = setup.options;
    return sequentialMethod(openBackbone(setup, backbone, sparsity), { penaltyRecord: { kind: "none" } });
  },
});
