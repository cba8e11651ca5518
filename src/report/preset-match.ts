/** Which of the paper's settings a run is an instance of, and in what it differs from the nearest. */
import { ORDERS } from "../data/orders.js";
import { type Config, resolveConfig } from "../experiment/config.js";
import { type PresetChoice, preset } from "../experiment/presets.js";
import { PAPER_ACCURACY } from "../study/paper.js";

export interface PresetMatch {
  readonly choice: Required<Pick<PresetChoice, "order" | "scale" | "protocol">>;
  /** Settings that are not the preset's; none: the run is the preset's. */
  readonly differences: readonly { readonly key: string; readonly here: unknown; readonly preset: unknown }[];
  /** What the paper reports for the method on the order: average accuracy, percent. */
  readonly paperAccuracy: number | null;
}

/** Settings that do not change what is measured, or only where it is computed. */
const FREE = [
  "seed",
  "name",
  "device",
  "dtype",
  "threads",
  "data.root",
  "data.order",
  "data.tasks",
  "lora.storage",
  "training.microBatchSize",
  "training.checkpointing",
  "training.lengthBuckets",
  "training.logEvery",
  "evaluation.batchSize",
  "evaluation.tasks",
  "evaluation.base",
  "evaluation.every",
];

export interface SettingDifference {
  readonly key: string;
  readonly left: unknown;
  readonly right: unknown;
}

/** Where two configurations say different things, but for what is free. */
export const settingDifferences = (left: object, right: object): SettingDifference[] =>
  differences(left, right, "");

function differences(left: unknown, right: unknown, key: string): SettingDifference[] {
  if (FREE.includes(key)) return [];
  if (isGroup(left) && isGroup(right)) {
    const inside = key === "" ? "" : `${key}.`;
    return [...new Set([...Object.keys(left), ...Object.keys(right)])].flatMap((name) =>
      differences(left[name], right[name], `${inside}${name}`),
    );
  }
  return JSON.stringify(left) === JSON.stringify(right) ? [] : [{ key, left, right }];
}

const isGroup = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** The orders that a stream is; two families share some. */
const ordersOf = (tasks: readonly string[]) =>
  ORDERS.filter(({ datasets }) => datasets.join() === tasks.join());

/** The name of the order that a stream is, if it is one; `model` tells which family's is meant. */
export function orderOf(tasks: readonly string[], model: string): string | null {
  const same = ordersOf(tasks);
  const family = /llama|mistral|qwen/i.test(model) ? "LLaMA" : "T5";
  return (same.find(({ models }) => models === family) ?? same[0])?.name ?? null;
}

/** The nearest preset of the run's order and method; null for other streams and for controls. */
export function presetMatch(config: Config, tasks: readonly string[]): PresetMatch | null {
  const { data } = config;
  if (data.kind !== "benchmark" || "reference" in config.method) return null;
  const method = config.method.name;
  // A checkpoint in a folder goes by the folder's name.
  const model = nameOf(config.model);
  const matches = ordersOf(tasks).flatMap(({ name: order }) =>
    (["paper", "mini"] as const).flatMap((scale) =>
      (["equal", "own"] as const).map((protocol): PresetMatch => {
        const other = resolveConfig(preset({ order, method, scale, protocol }), { data: data.root ?? "hub" });
        const here = nameOf(other.model) === model ? { ...config, model: other.model } : config;
        return {
          choice: { order, scale, protocol },
          differences: settingDifferences(here, other).map(({ key, left, right }) => ({
            key,
            here: left,
            preset: right,
          })),
          paperAccuracy: PAPER_ACCURACY[method]?.[order] ?? null,
        };
      }),
    ),
  );
  return matches.toSorted((one, other) => one.differences.length - other.differences.length)[0] ?? null;
}

const nameOf = (model: string): string => model.split("/").at(-1)!.split("@")[0]!;
