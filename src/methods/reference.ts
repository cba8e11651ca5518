/** What controls take over from another run: the sizes of its updates, task by task and layer by layer. */
import type { AdapterDelta } from "../adapters/delta.js";
import { deltaNorm, supportOf } from "../adapters/usage.js";
import { ConfigError } from "../errors.js";
import type { ModuleShape } from "./incremental.js";

export interface UpdateSize {
  /** ||dW||_F, without the LoRA scale. */
  readonly norm: number;
  /** How many rows of B and columns of A hold a non-zero. */
  readonly rows: number;
  readonly columns: number;
  readonly outputs: number;
  readonly inputs: number;
}

/** An earlier run of the same stream as a measure for another one. */
export interface ReferenceRun {
  /** For messages and the record: the run's name, method and seed. */
  readonly name: string;
  /** Per task of the stream: sizes by module. */
  readonly tasks: readonly ReadonlyMap<string, UpdateSize>[];
}

export function sizesOf({ modules }: AdapterDelta): Map<string, UpdateSize> {
  return new Map(
    [...modules].map(([name, pair]) => {
      const { rows, columns } = supportOf(pair);
      const shape = { outputs: pair.b.dim(0), inputs: pair.a.dim(1) };
      return [name, { norm: deltaNorm(pair), rows: rows.length, columns: columns.length, ...shape }];
    }),
  );
}

/** The reference that a control cannot do without. */
export function required(reference: ReferenceRun | null): ReferenceRun {
  if (reference) return reference;
  throw new ConfigError("method.reference: expected the folder of a finished run, found nothing");
}

/** Throws a ConfigError unless the reference has every module that is trained, in its size. */
export function checkModules({ name, tasks }: ReferenceRun, modules: readonly ModuleShape[]): void {
  for (const module of modules) {
    for (const sizes of tasks) {
      const size = sizes.get(module.name);
      if (size?.outputs === module.outputs && size.inputs === module.inputs) continue;
      const found = size ? `[${size.outputs}, ${size.inputs}]` : "nothing";
      throw new ConfigError(
        `method.reference: expected updates of ${module.name} [${module.outputs}, ${module.inputs}] in ${name}, found ${found}`,
        { hint: "Train the reference with the same model and the same lora.targetModules." },
      );
    }
  }
}

/** Throws a ConfigError for a reference without an exact zero: there would be nothing to match. */
export function checkSparse({ name, tasks }: ReferenceRun): void {
  const isDense = ({ rows, columns, outputs, inputs }: UpdateSize) => rows === outputs && columns === inputs;
  if (!tasks.every((sizes) => [...sizes.values()].every(isDense))) return;
  throw new ConfigError(`method.reference: no update of ${name} has a row or column of exact zeros`, {
    hint: "Name a run of a method that makes them, such as prox-lora.",
  });
}
