/**
 * Adapters that live on given rows and columns of their layers: B is zero outside the rows, A outside the columns, from the
 * start to the end of a task, because their gradients are. Tasks on disjoint rows or columns cannot collide.
 */
import { tensor } from "../tensor/create.js";
import type { Device } from "../tensor/dtype.js";
import { noGrad } from "../tensor/grad.js";
import { tidy } from "../tensor/scope.js";
import type { Tensor } from "../tensor/tensor.js";
import type { OpenModule, Shaping } from "./incremental.js";
import type { TaskContext } from "./method.js";

/** Sorted places below `size`; null: all of them. */
export type Places = readonly number[] | null;
export interface Region {
  readonly rows: Places;
  readonly columns: Places;
}

/** Which region each module gets, in the modules' order. */
export type Assign = (modules: readonly OpenModule[], task: TaskContext) => readonly Region[];

interface Masked extends OpenModule {
  /** 1 inside, 0 outside: [outputs, 1] for B, [1, inputs] for A; null: everything is inside. */
  readonly rows: Tensor | null;
  readonly columns: Tensor | null;
}

export class MaskShaping implements Shaping {
  #modules: Masked[] = [];

  constructor(readonly assign: Assign) {}

  open(modules: readonly OpenModule[], task: TaskContext): void {
    this.dispose();
    const regions = this.assign(modules, task);
    this.#modules = modules.map((module, m) => {
      const { rows, columns } = regions[m]!;
      const { device } = module.a;
      return {
        ...module,
        rows: mask(rows, module.outputs, device)?.reshape([module.outputs, 1]).keep() ?? null,
        columns: mask(columns, module.inputs, device)?.reshape([1, module.inputs]).keep() ?? null,
      };
    });
    noGrad(() => {
      for (const { a, columns } of this.#modules) if (columns) a.mul_(columns).add_(0); // no -0
    });
  }

  /** Moments of masked elements stay zero with their gradients, and so do the elements. */
  beforeUpdate(): void {
    tidy(() => {
      for (const { a, b, rows, columns } of this.#modules) {
        if (rows) b.grad?.mul_(rows);
        if (columns) a.grad?.mul_(columns);
      }
    });
  }

  dispose(): void {
    for (const { rows, columns } of this.#modules) {
      rows?.dispose();
      columns?.dispose();
    }
    this.#modules = [];
  }
}

function mask(places: Places, size: number, device: Device): Tensor | null {
  if (places === null) return null;
  const values = new Float32Array(size);
  for (const place of places) values[place] = 1;
  return tensor(values, [size], "float32", device);
}
