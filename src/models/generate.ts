/** Greedy decoding with a key/value cache, for any model that can take one step. Finished rows leave the batch. */
import { tensor } from "../tensor/create.js";
import type { Device } from "../tensor/dtype.js";
import { tidy } from "../tensor/scope.js";
import type { Tensor } from "../tensor/tensor.js";

export interface GreedySteps {
  readonly rows: number;
  readonly startId: number;
  readonly eosId: number;
  readonly maxNewTokens: number;
  /** Where the steps compute. */
  readonly device: Device;
  /** Tensors with one row per sequence that every step reads (mask, encoder keys and values). */
  readonly fixed: readonly Tensor[];
  /**
   * One step: ids [rows, 1] at a position (0 for the start token), the fixed tensors, and the caches of the step
   * before (none at the first). Returns logits [rows, vocabulary] and the grown caches, one row per sequence each.
   */
  step(
    ids: Tensor,
    position: number,
    fixed: readonly Tensor[],
    caches: readonly Tensor[],
  ): { logits: Tensor; caches: Tensor[] };
}

/** New token ids per row, the end token included where it was reached. Call inside `inference`. */
export function greedy({ rows, startId, eosId, maxNewTokens, device, fixed, step }: GreedySteps): number[][] {
  const answers: number[][] = Array.from({ length: rows }, () => []);
  let active = answers.map((_, row) => row);
  let ids = active.map(() => startId);
  let state: { fixed: readonly Tensor[]; caches: readonly Tensor[] } = { fixed, caches: [] };
  for (let position = 0; position < maxNewTokens && active.length > 0; position++) {
    const { next, caches } = tidy(() => {
      const input = tensor(ids, [ids.length, 1], "int64", device);
      const result = step(input, position, state.fixed, state.caches);
      return { next: result.logits.argmax(-1), caches: result.caches };
    });
    for (const cache of state.caches) cache.dispose();
    const tokens = next.toArray();
    next.dispose();
    const going: number[] = [];
    for (const [i, token] of tokens.entries()) {
      answers[active[i]!]!.push(token);
      if (token !== eosId) going.push(i);
    }
    if (going.length < active.length && going.length > 0) {
      const keep = tensor(going, [going.length], "int64", device);
      const narrowed = state.fixed.map((each) => each.indexSelect(0, keep));
      for (const each of state.fixed) if (!fixed.includes(each)) each.dispose();
      state = { fixed: narrowed, caches: caches.map((each) => each.indexSelect(0, keep)) };
      for (const cache of caches) cache.dispose();
      keep.dispose();
    } else {
      state = { fixed: state.fixed, caches };
    }
    active = going.map((i) => active[i]!);
    ids = going.map((i) => tokens[i]!);
  }
  return answers;
}
