/**
 * Control: IncLoRA on as many rows and columns of each layer as another run's updates have, drawn at random for every task
 * and layer. If it does as well as that run, which rows and columns are left does not matter.
 */
import { ADAPTER_PER_TASK, incrementalMethod } from "./incremental.js";
import { MaskShaping } from "./masks.js";
import { defineMethod } from "./method.js";
import { referenceOption } from "./options.js";
import { checkModules, checkSparse, required } from "./reference.js";

export const randomSupportLora = defineMethod({
  name: "random-support-lora",
  title: "IncLoRA, random support",
  ...ADAPTER_PER_TASK,
  options: { reference: referenceOption },
  create(setup) {
    const reference = required(setup.reference);
    return incrementalMethod(setup, {
      check(modules) {
        checkModules(reference, modules);
        checkSparse(reference);
      },
      shaping: new MaskShaping((modules, { index, rng }) =>
        modules.map(({ name, outputs, inputs }) => {
          const { rows, columns } = reference.tasks[index]!.get(name)!;
          const draw = (kind: string, size: number, count: number): number[] => {
            const all = Array.from({ length: size }, (_, place) => place);
            return rng
              .fork(`${kind} of ${name}`)
              .shuffle(all)
              .slice(0, count)
              .sort((a, b) => a - b);
          };
          return { rows: draw("rows", outputs, rows), columns: draw("columns", inputs, columns) };
        }),
      ),
      penaltyRecord: { kind: "random-support", reference: reference.name },
    });
  },
});
