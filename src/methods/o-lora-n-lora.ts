/** O-LoRA + N-LoRA (the paper's Table 4): both penalties on the same new adapter. */
import { ADAPTER_PER_TASK, incrementalMethod } from "./incremental.js";
import { defineMethod } from "./method.js";
import { orthogonalityOptions, sparsityOptions } from "./options.js";
import { orthogonalityMemory, orthogonalityPenalties } from "./penalties.js";
import { Sparsity } from "./sparsity.js";

export const oLoraNLora = defineMethod({
  name: "o-lora-n-lora",
  title: "O-LoRA + N-LoRA",
  ...ADAPTER_PER_TASK,
  options: { ...orthogonalityOptions, ...sparsityOptions },
  create(setup) {
    const { options } = setup;
    const { lambda1, lambda2, orth } = options;
    const sparsity = new Sparsity(options);
    return incrementalMethod(setup, {
      remembers: { ...orthogonalityMemory(options), ...sparsity.remembers },
      check: (modules) => sparsity.check(modules),
      penalties: (context) => ({
        ...orthogonalityPenalties(context.modules, options, context.index),
        ...sparsity.terms(context),
      }),
      shaping: sparsity.shaping,
      penaltyRecord: { ...sparsity.record, lambda1, lambda2, orth },
    });
  },
});
