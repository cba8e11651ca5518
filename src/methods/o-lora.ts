/**
 * O-LoRA (Wang et al. 2023): the A of a new adapter is pushed to be orthogonal to the A of earlier ones.
 * Loss of task t: L_task + lambda_1 * sum phi(A_i A_t^T) + lambda_2 * sum (||A_t||_F + ||B_t||_F); nothing at t = 1.
 */
import { ADAPTER_PER_TASK, incrementalMethod } from "./incremental.js";
import { defineMethod } from "./method.js";
import { orthogonalityOptions } from "./options.js";
import { orthogonalityMemory, orthogonalityPenalties } from "./penalties.js";

export const oLora = defineMethod({
  name: "o-lora",
  title: "O-LoRA",
  ...ADAPTER_PER_TASK,
  options: orthogonalityOptions,
  create(setup) {
    const { lambda1, lambda2, orth } = setup.options;
    return incrementalMethod(setup, {
      remembers: orthogonalityMemory(setup.options),
      penalties: ({ modules, index }) => orthogonalityPenalties(modules, setup.options, index),
      penaltyRecord: { kind: "orthogonality", lambda1, lambda2, orth },
    });
  },
});
