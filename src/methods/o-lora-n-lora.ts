/** O-LoRA + N-LoRA (the paper's Table 4): both penalties on the same new adapter. */
import { incrementalMethod } from "./incremental.js";
import { defineMethod } from "./method.js";
import {
  checkSparsity,
  orthogonalityMemory,
  orthogonalityPenalties,
  sparsityMemory,
  sparsityPenalty,
} from "./penalties.js";
import { SteeredLambda } from "./steered-lambda.js";

export const oLoraNLora = defineMethod({
  name: "o-lora-n-lora",
  create(setup) {
    const { options } = setup;
    const { penalty, lambda, lambdaUnit, target, lambda1, lambda2, orth } = options;
    const steered = new SteeredLambda(options);
    return incrementalMethod(setup, {
      remembers: { ...orthogonalityMemory(options), ...sparsityMemory(options) },
      check: (modules) => checkSparsity(options, modules),
      penalties({ modules, index, scale }) {
        const sparsity = sparsityPenalty(modules, options, index, scale, steered.factor);
        return { ...orthogonalityPenalties(modules, options, index), ...(sparsity ? { sparsity } : {}) };
      },
      shaping: steered,
      penaltyRecord: { ...penalty, lambda, lambdaUnit, target, lambda1, lambda2, orth },
    });
  },
});
