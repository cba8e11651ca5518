/**
 * N-LoRA (arXiv 2410.10179): every task's update is kept sparse, so that updates of different tasks rarely collide.
 * Loss of task t: L_task + lambda_t * sum over modules of ||dW_t||_1 (eqs. 3 and 4); earlier updates stay frozen.
 * `penalty.kind: released-code` is the r x r product that the released implementation penalises instead.
 */
import { ADAPTER_PER_TASK, incrementalMethod } from "./incremental.js";
import { defineMethod } from "./method.js";
import { sparsityOptions } from "./options.js";
import { Sparsity } from "./sparsity.js";

export const nLora = defineMethod({
  name: "n-lora",
  title: "N-LoRA",
  ...ADAPTER_PER_TASK,
  options: sparsityOptions,
  create(setup) {
    const sparsity = new Sparsity(setup.options);
    return incrementalMethod(setup, {
      remembers: sparsity.remembers,
      check: (modules) => sparsity.check(modules),
      penalties: (context) => sparsity.terms(context),
      shaping: sparsity.shaping,
      penaltyRecord: sparsity.record,
    });
  },
});
