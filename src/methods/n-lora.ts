/**
 * N-LoRA (arXiv 2410.10179): every task's update is kept sparse, so that updates of different tasks rarely collide.
 * Loss of task t: L_task + lambda_t * sum over modules of ||dW_t||_1 (eqs. 3 and 4); earlier updates stay frozen.
 * `penalty.kind: released-code` is the r x r product that the released implementation penalises instead.
 */
import { incrementalMethod } from "./incremental.js";
import { defineMethod } from "./method.js";
import { checkSparsity, sparsityPenalty } from "./penalties.js";

export const nLora = defineMethod({
  name: "n-lora",
  create(setup) {
    const { options } = setup;
    const { penalty, lambda, lambdaUnit } = options;
    return incrementalMethod(setup, {
      check: (modules) => checkSparsity(options, modules),
      penalties({ modules, index, scale }) {
        const sparsity = sparsityPenalty(modules, options, index, scale);
        return sparsity ? { sparsity } : {};
      },
      penaltyRecord: { ...penalty, lambda, lambdaUnit },
    });
  },
});
