/** What penalties read of earlier tasks' updates, made anew from the adapters before every task, module by module. */
import type { LowRankDelta } from "../adapters/delta.js";
import { ElementCounts } from "../adapters/usage.js";
import { cat, linalgQr } from "../tensor/functions.gen.js";
import { inference } from "../tensor/grad.js";
import type { Tensor } from "../tensor/tensor.js";

export interface ModuleMemory {
  /** A of all earlier tasks stacked by rows, [sum of ranks, inputs]. */
  readonly previousA: Tensor | null;
  /** How many earlier updates use each element, uint8 [outputs, inputs]. */
  readonly uses: Tensor | null;
  /**
   * B_i R_i^T of all earlier tasks stacked by columns, [outputs, sum of ranks], where A_i^T = Q_i R_i is a thin QR: it has
   * the same products ||dW_i^T X||_F as the updates themselves.
   */
  readonly updates: Tensor | null;
}

/** Which of them are wanted; null stands for one that is not, or for no earlier task. */
export type MemoryUse = { readonly [Key in keyof ModuleMemory]?: boolean };

const NOTHING: ModuleMemory = { previousA: null, uses: null, updates: null };

export class Memory {
  #modules: ModuleMemory[] = [];

  constructor(readonly use: MemoryUse) {}

  refresh(modules: readonly { readonly earlier: readonly LowRankDelta[] }[]): void {
    this.dispose();
    this.#modules = modules.map(({ earlier }) => {
      if (earlier.length === 0) return NOTHING;
      const { previousA, uses, updates } = this.use;
      return {
        previousA: previousA ? cat(earlier.map(({ a }) => a)).keep() : null,
        uses: uses ? countsOf(earlier) : null,
        updates: updates ? cat(earlier.map(rootOf), 1).keep() : null,
      };
    });
  }

  of(module: number): ModuleMemory {
    return this.#modules[module]!;
  }

  dispose(): void {
    for (const { previousA, uses, updates } of this.#modules) {
      previousA?.dispose();
      uses?.dispose();
      updates?.dispose();
    }
    this.#modules = [];
  }
}

function countsOf(earlier: readonly LowRankDelta[]): Tensor {
  const counts = new ElementCounts(earlier[0]!);
  for (const delta of earlier) counts.add(delta);
  return counts.counts;
}

const rootOf = ({ a, b }: LowRankDelta): Tensor => inference(() => b.matmul(linalgQr(a.t())[1].t()));
