/** One adapter out of several: what they add up to, and what lies between two. */
import { cat, zeros } from "../tensor/functions.gen.js";
import { tidy } from "../tensor/scope.js";
import type { AdapterDelta, LowRankDelta } from "./delta.js";

/** The update with the other sign. New factors belong to the open scope. */
export function negated(delta: AdapterDelta): AdapterDelta {
  const modules = [...delta.modules].map(([name, { a, b }]) => [name, { a, b: b.neg() }] as const);
  return { ...delta, modules: new Map(modules) };
}

/** The same update under another scale: b takes up the ratio. Factors are shared where nothing changes. */
export function withScale(delta: AdapterDelta, scale: number): AdapterDelta {
  const ratio = delta.scale / scale;
  if (ratio === 1) return delta;
  const modules = [...delta.modules].map(([name, { a, b }]) => [name, { a, b: b.mul(ratio) }] as const);
  return { ...delta, scale, modules: new Map(modules) };
}

/**
 * The sum of adapters as one: per module the A by rows and the B by columns, so that B A is the sum of their updates.
 * Ranks add up and the scale (alpha / rank) is the last one's. A module's rank is the sum over the adapters that have it.
 * Belongs to the open scope. Throws a RangeError when there are none.
 */
export function stackAdapters(deltas: readonly AdapterDelta[], name: string): AdapterDelta {
  const last = deltas.at(-1);
  if (!last) throw new RangeError("there are no adapters to stack");
  const parts = new Map<string, LowRankDelta[]>();
  const stacked = tidy(() => {
    for (const delta of deltas) {
      for (const [module, pair] of withScale(delta, last.scale).modules) {
        parts.set(module, [...(parts.get(module) ?? []), pair]);
      }
    }
    return [...parts].map(([module, pairs]): [string, { a: LowRankDelta["a"]; b: LowRankDelta["b"] }] => [
      module,
      {
        a: cat(pairs.map(({ a }) => a)),
        b: cat(
          pairs.map(({ b }) => b),
          1,
        ),
      },
    ]);
  });
  return { name, scale: last.scale, modules: new Map(stacked) };
}

/**
 * The adapters with the same modules, those of all of them: a module that one lacks, which it leaves as it is, becomes a
 * zero of rank 1. New factors belong to the open scope.
 */
export function withSameModules(deltas: readonly AdapterDelta[]): AdapterDelta[] {
  const shapes = new Map<string, LowRankDelta>();
  for (const { modules } of deltas) for (const [name, pair] of modules) shapes.set(name, pair);
  return deltas.map((delta) => {
    if (delta.modules.size === shapes.size) return delta;
    const pairs = [...shapes].map(([name, { a, b }]): [string, LowRankDelta] => [
      name,
      delta.modules.get(name) ?? {
        a: zeros([1, a.dim(1)], { device: a.device }),
        b: zeros([b.dim(0), 1], { device: b.device }),
      },
    ]);
    return { ...delta, modules: new Map(pairs) };
  });
}

/**
 * What an adapter gained since an earlier state of itself: dW_i - dW_{i-1} = [B_i, -B_{i-1}] [A_i; A_{i-1}], as copies
 * that belong to the open scope.
 */
export function increment(after: AdapterDelta, before: AdapterDelta | undefined): AdapterDelta {
  const modules = new Map<string, LowRankDelta>();
  for (const [name, { a, b }] of after.modules) {
    const old = before?.modules.get(name);
    const pair = tidy(() =>
      old ? { a: cat([a, old.a]), b: cat([b, old.b.neg()], 1) } : { a: a.clone(), b: b.clone() },
    );
    modules.set(name, pair);
  }
  return { ...after, modules };
}
