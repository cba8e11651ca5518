import { incrementalMethod } from "./incremental.js";
import { defineMethod } from "./method.js";
import { checkSparsity, sparsityMemory, sparsityPenalty } from "./penalties.js";
import { SteeredLambda } from "./steered-lambda.js";

export const nLora = defineMethod({
  name: "n-lora",
  create(setup) {
    const { options } = setup;
    const { penalty, lambda, lambdaUnit, target } = options;
    const steered = new SteeredLambda(options);
    return incrementalMethod(setup, {
      remembers: sparsityMemory(options),
      check: (modules) => checkSparsity(options, modules),
      penalties({ modules, index, scale }) {
        const sparsity = sparsityPenalty(modules, options, index, scale, steered.factor);
        return sparsity ? { sparsity } : {};
      },
      shaping: steered,
      penaltyRecord: { ...penalty, lambda, lambdaUnit, target },
    });
  },
});
