/** O-LoRA + N-LoRA (the paper's Table 4): both penalties on the same new adapter. */
import { incrementalMethod } from "./incremental.js";
import { defineMethod } from "./method.js";
import { checkSparsity, orthogonalityPenalties, sparsityPenalty } from "./penalties.js";

export const oLoraNLora = defineMethod({
  name: "o-lora-n-lora",
  create(setup) {
    const { options } = setup;
    const { penalty, lambda, lambdaUnit, lambda1, lambda2, orth } = options;
    return incrementalMethod(setup, {
      usesPreviousA: true,
      check: (modules) => checkSparsity(options, modules),
      penalties({ modules, index, scale }) {
        const sparsity = sparsityPenalty(modules, options, index, scale);
        return { ...orthogonalityPenalties(modules, options, index), ...(sparsity ? { sparsity } : {}) };
      },
      penaltyRecord: { ...penalty, lambda, lambdaUnit, lambda1, lambda2, orth },
    });
  },
});
