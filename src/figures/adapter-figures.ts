/** The figures of adapters themselves: nuclear norms by module (the paper's Figure 3) and collisions (Figure 2). */
import type { Chart, CollisionMap } from "./figure.js";
import { readable } from "./scale.js";

/** The updates of one adapter, module by module. */
export interface NuclearNorms {
  readonly name: string;
  /** In the order of `modules`; null where it does not have the module. */
  readonly norms: readonly (number | null)[];
}

/** Figure 3: the nuclear norm of every module's update, and each adapter's mean. */
export function nuclearNorms(modules: readonly string[], adapters: readonly NuclearNorms[]): Chart {
  const known = adapters.map(({ norms }) => norms.filter((norm) => norm !== null));
  const positive = known.flat().filter((norm) => norm > 0);
  const isWide = positive.length > 0 && Math.max(...positive) / Math.min(...positive) > 30;
  return {
    kind: "chart",
    id: "nuclear-norms",
    title: "Nuclear norm of every module's update",
    description: `One mark per module, ${modules.length} in all, for each of ${adapters.length} adapters; dashed: the mean.`,
    x: { label: "module", categories: modules.map(shortModule) },
    y: { label: "‖ΔW‖∗, sum of singular values", ...(isWide ? { scale: "log" as const } : { min: 0 }) },
    lines: modules.length > 1,
    series: adapters.map(({ name, norms }) => ({ name, points: norms.map((y, x) => ({ x, y })) })),
    references: adapters.flatMap(({ name }, series) => {
      const value = meanOf(known[series]!);
      return value === null ? [] : [{ axis: "y" as const, value, label: `mean of ${name}`, series }];
    }),
    notes: [
      `Dashed: means, ${adapters.map(({ name }, k) => `${name} ${readable(meanOf(known[k]!))}`).join(", ")}. Without the LoRA scale. The norm measures size, it is no count of directions.`,
    ],
  };
}

const meanOf = (values: readonly number[]): number | null =>
  values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length;

/** encoder.block.3.layer.0.SelfAttention.q as enc 3 q; what tells nothing apart is left out. */
export function shortModule(path: string): string {
  const parts = path.split(".");
  const layer = parts.find((part) => /^\d+$/.test(part));
  const stack = parts.find((part) => part === "encoder" || part === "decoder")?.slice(0, 3);
  const cross = /EncDecAttention/.test(path) ? "cross" : null;
  return [stack, layer, cross, parts.at(-1)].filter((part) => part != null).join(" ");
}

/** Figure 2: which places of a module two adapters use. */
export function collisionMap(
  map: Omit<CollisionMap, "kind" | "id" | "title" | "description"> & { readonly module: string },
  reading: string,
): CollisionMap {
  return {
    ...map,
    kind: "collision-map",
    id: "collision-map",
    title: `Elements that ${map.a} and ${map.b} use: ${map.module}`,
    description: `The matrix ${map.module}, ${map.outputs} outputs by ${map.inputs} inputs: where the update of ${map.a}, of ${map.b}, and of both are not zero, by ${reading}.`,
    notes: [`Used: ${reading}. Strength of colour: share of a cell's elements.`],
  };
}

/** How much of a model is used: the share of elements that at least one of the first k adapters changes. */
export function occupiedShares(
  rows: readonly { readonly name: string; readonly occupied: readonly number[] }[],
  reading: string,
): Chart {
  const most = Math.max(0, ...rows.map(({ occupied }) => occupied.length));
  return {
    kind: "chart",
    id: "occupied",
    title: `Share of elements in use, by ${reading}`,
    description: `Share of the adapted layers' elements that at least one of the first k tasks changes, over k, for each of ${rows.length} runs.`,
    x: { label: "tasks", categories: Array.from({ length: most }, (_, k) => String(k + 1)) },
    y: { label: "share of elements in use", min: 0, max: 1 },
    lines: true,
    series: rows.map(({ name, occupied }) => ({ name, points: occupied.map((y, x) => ({ x, y })) })),
  };
}
