/**
 * Control: IncLoRA whose updates are no larger than those of another run, layer by layer and task by task:
 * dW <- dW min(1, c / ||dW||_F) on B, c the norm there. If it does as well as that run, its merit was size, not sparsity.
 */
import { deltaNorm } from "../adapters/usage.js";
import { choice } from "../settings.js";
import { noGrad } from "../tensor/grad.js";
import { ADAPTER_PER_TASK, incrementalMethod, type OpenModule, type Shaping } from "./incremental.js";
import { defineMethod } from "./method.js";
import { referenceOption } from "./options.js";
import { checkModules, required } from "./reference.js";

export const normMatchedLora = defineMethod({
  name: "norm-matched-lora",
  title: "IncLoRA, norms matched",
  ...ADAPTER_PER_TASK,
  options: {
    reference: referenceOption,
    when: choice(["step", "task-end"])
      .default("step")
      .describe("updates are cut to the reference's size after every step, or once when the task is learned"),
  },
  create(setup) {
    const { when } = setup.options;
    const reference = required(setup.reference);
    let open: readonly (OpenModule & { readonly limit: number })[] = [];
    const project = (): void => {
      for (const { a, b, limit } of open) {
        const norm = deltaNorm({ a, b });
        if (norm > limit) noGrad(() => b.mul_(limit / norm));
      }
    };
    const shaping: Shaping = {
      open(modules, { index }) {
        open = modules.map((module) => ({
          ...module,
          limit: reference.tasks[index]!.get(module.name)!.norm,
        }));
      },
      ...(when === "step" ? { afterUpdate: project } : {}),
      close: project,
    };
    return incrementalMethod(setup, {
      check: (modules) => checkModules(reference, modules),
      shaping,
      penaltyRecord: { kind: "norm-matched", when, reference: reference.name },
    });
  },
});
