/** What a dataset's card (README.md) says in its YAML head: which files make a split, and the names of integer classes. */
import { parse } from "yaml";
import { z } from "zod";
import { DataError } from "../errors.js";
import { excerpt, reasonOf } from "./records/record.js";

export interface CardSubset {
  readonly name: string;
  readonly isDefault: boolean;
  /** Patterns of the files of each split; `*` stays within a folder, `**` does not. */
  readonly splits: ReadonlyMap<string, readonly string[]>;
}

export interface DatasetCard {
  readonly subsets: readonly CardSubset[];
  /** The names of integer classes by column, of a subset or, where there is but one list, of all. */
  classNames(subset: string): ReadonlyMap<string, readonly string[]>;
}

const listOf = <Item extends z.ZodType>(item: Item) =>
  z.union([z.array(item), item.transform((value) => [value])]);
const paths = listOf(z.string());

const head = z.object({
  configs: z
    .array(
      z.object({
        config_name: z.string().default("default"),
        default: z.boolean().default(false),
        data_files: z
          .union([paths, listOf(z.object({ split: z.string().default("train"), path: paths }))])
          .optional(),
      }),
    )
    .optional(),
  dataset_info: listOf(
    z.object({
      config_name: z.string().default("default"),
      features: z.array(z.object({ name: z.string(), dtype: z.unknown() })).optional(),
    }),
  ).optional(),
});

const classLabel = z.object({
  class_label: z.object({ names: z.union([z.array(z.string()), z.record(z.string(), z.coerce.string())]) }),
});

/** The card in the text of a README. Without a YAML head it says nothing. Throws a DataError if the head is malformed. */
export function readCard(text: string, where: string): DatasetCard {
  const yaml = /^\uFEFF?---\r?\n([\s\S]*?)\r?\n---\s*(?:\r?\n|$)/.exec(text)?.[1] ?? "";
  let parsed: z.infer<typeof head>;
  try {
    parsed = head.parse(parse(yaml) ?? {});
  } catch (cause) {
    throw new DataError(
      `${where}: the head of the dataset's card cannot be read: ${excerpt(reasonOf(cause))}`,
      {
        hint: "name the data files themselves in train and test",
        cause,
      },
    );
  }
  const subsets = (parsed.configs ?? []).flatMap((config): CardSubset[] => {
    if (config.data_files === undefined) return [];
    const splits = new Map<string, string[]>();
    for (const entry of config.data_files) {
      const { split, path } = typeof entry === "string" ? { split: "train", path: [entry] } : entry;
      splits.set(split, [...(splits.get(split) ?? []), ...path]);
    }
    return [{ name: config.config_name, isDefault: config.default, splits }];
  });
  const infos = parsed.dataset_info ?? [];
  return {
    subsets,
    classNames(subset) {
      const info =
        infos.find((each) => each.config_name === subset) ?? (infos.length === 1 ? infos[0] : undefined);
      const found = new Map<string, readonly string[]>();
      for (const { name, dtype } of info?.features ?? []) {
        const label = classLabel.safeParse(dtype);
        if (label.success) found.set(name, namesOf(label.data.class_label.names));
      }
      return found;
    },
  };
}

/** Class names, also where the card maps their numbers to them. */
function namesOf(names: readonly string[] | Readonly<Record<string, string>>): string[] {
  if (Array.isArray(names)) return [...names];
  return Object.entries(names)
    .sort(([a], [b]) => Number(a) - Number(b))
    .map(([, name]) => name);
}
