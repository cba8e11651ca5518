/** SeqFT: all weights of the model trained on task after task, with nothing against forgetting. */
import { BACKBONE, openBackbone } from "./backbone.js";
import { defineMethod } from "./method.js";
import { withBackbone } from "./options.js";
import { sequentialMethod } from "./sequential.js";

export const seqFt = defineMethod({
  name: "seq-ft",
  title: "SeqFT",
  trains: BACKBONE,
  keeps: "the model",
  options: withBackbone,
  create(setup) {
    const { backbone, sparsity } = setup.options;
    return sequentialMethod(openBackbone(setup, backbone, sparsity), { penaltyRecord: { kind: "none" } });
  },
});
