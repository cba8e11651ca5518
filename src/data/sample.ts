/** Seeded, stratified choices of rows: caps and held-out parts keep the shares of the labels. */
import { DataError } from "../errors.js";
import type { Rng } from "../random.js";

/** The items of each group, groups and items in the order in which they came. */
export function groupBy<T>(items: readonly T[], groupOf: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const members = groups.get(groupOf(item));
    if (members) members.push(item);
    else groups.set(groupOf(item), [item]);
  }
  return groups;
}

/**
 * `count` of the items, in their original order, each group's share of them kept to within one row (largest remainder);
 * where `count` allows, every group keeps at least one. All items if there are no more than `count`.
 */
export function stratifiedSample<T>(
  items: readonly T[],
  groupOf: (item: T) => string,
  count: number,
  rng: Rng,
): T[] {
  if (count >= items.length) return [...items];
  const groups = groupBy([...items.keys()], (index) => groupOf(items[index]!));
  const sizes = [...groups.values()].map((members) => members.length);
  const quotas = allocate(sizes, count);
  const chosen = [...groups].flatMap(([name, members], group) =>
    rng.fork(name).shuffle(members).slice(0, quotas[group]),
  );
  return chosen.sort((a, b) => a - b).map((index) => items[index]!);
}

/** Splits `count` over groups in proportion to their sizes; one each first, if `count` suffices. */
function allocate(sizes: readonly number[], count: number): number[] {
  const total = sizes.reduce((sum, size) => sum + size, 0);
  const shares = sizes.map((size) => (size * count) / total);
  const least = count >= sizes.length ? 1 : 0;
  const quotas = shares.map((share) => Math.max(least, Math.floor(share)));
  const gaps = () => shares.map((share, group) => share - quotas[group]!);
  let left = count - quotas.reduce((sum, quota) => sum + quota, 0);
  for (; left > 0; left--) {
    const open = gaps();
    quotas[open.indexOf(Math.max(...open))]! += 1;
  }
  for (; left < 0; left++) {
    const open = gaps().map((gap, group) => (quotas[group]! > least ? gap : Number.POSITIVE_INFINITY));
    quotas[open.indexOf(Math.min(...open))]! -= 1;
  }
  return quotas;
}

/** How much of the training rows to set aside: a share between 0 and 1, or a number of rows. */
export type HoldOut = { readonly fraction: number } | { readonly rows: number };

/** Number of rows a hold-out takes from `available`; throws a DataError if that is none or all of them. */
export function holdOutRows(holdOut: HoldOut, available: number, task: string): number {
  const rows = "rows" in holdOut ? holdOut.rows : Math.round(holdOut.fraction * available);
  const asked = "rows" in holdOut ? `${holdOut.rows} rows` : `a share of ${holdOut.fraction}`;
  if (!Number.isInteger(rows) || rows < 1 || rows >= available) {
    throw new DataError(
      `${task}: cannot hold ${asked} out of ${available} training rows; at least one row must stay on each side`,
    );
  }
  return rows;
}
