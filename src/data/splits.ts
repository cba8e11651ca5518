/**
 * Which files of a dataset make a split. Datasets on the Hugging Face hub say it in their card, or by the names of their
 * files: `<subset>/<split>-00000-of-00002.parquet`, `<subset>/<split>/0000.parquet`, `<split>.jsonl`, `data/...`.
 */
import { basename, dirname } from "node:path/posix";
import { DataError } from "../errors.js";
import type { DatasetCard } from "./dataset-card.js";
import { extensionFormat } from "./records/open.js";

export interface SplitRequest {
  /** Null: the only one, or the default. */
  readonly subset: string | null;
  /** The name of a split, or of files. */
  readonly split: readonly string[];
}

export interface SplitFiles {
  readonly subset: string;
  readonly files: readonly string[];
}

interface Placed {
  readonly subset: string;
  readonly split: string;
  readonly file: string;
}

/**
 * The files of a split among `files` (relative to the dataset's root). `name` stands for the dataset in messages.
 * Throws a DataError that lists the subsets or splits there are.
 */
export function splitFiles(
  name: string,
  files: readonly string[],
  card: DatasetCard | null,
  { subset, split }: SplitRequest,
): SplitFiles {
  const named = split.filter((each) => files.includes(each));
  if (named.length === split.length) return { subset: subset ?? "default", files: named };
  const placed = card && card.subsets.length > 0 ? byCard(files, card) : byName(files);
  if (placed.length === 0) {
    throw new DataError(`${name}: the dataset has no data files that can be read`, {
      hint: "expected Parquet, JSON, JSON Lines or CSV; datasets made by a script have Parquet files at revision refs/convert/parquet",
    });
  }
  const chosen = chooseSubset(name, placed, card, subset);
  const own = placed.filter((each) => each.subset === chosen);
  const found = split.flatMap((wanted) => {
    const exact = own.filter((each) => each.split === wanted);
    const matching =
      exact.length > 0 ? exact : own.filter((each) => canonical(each.split) === canonical(wanted));
    if (matching.length > 0) return matching.map(({ file }) => file);
    const splits = [...new Set(own.map((each) => each.split))];
    throw new DataError(
      `${name}: there is no split "${wanted}"${chosen === "default" ? "" : ` of ${chosen}`}; splits: ${splits.join(", ")}`,
      {
        hint: "train and test name a split of the dataset, or files in it",
      },
    );
  });
  return { subset: chosen, files: found };
}

/** The split to test on where none is named: test, or else validation. */
export function testSplit(
  name: string,
  files: readonly string[],
  card: DatasetCard | null,
  subset: string | null,
): string {
  try {
    splitFiles(name, files, card, { subset, split: ["test"] });
    return "test";
  } catch (error) {
    if (!(error instanceof DataError)) throw error;
    return "validation";
  }
}

function chooseSubset(
  name: string,
  placed: readonly Placed[],
  card: DatasetCard | null,
  wanted: string | null,
): string {
  const subsets = [...new Set(placed.map((each) => each.subset))];
  if (wanted !== null) {
    if (subsets.includes(wanted)) return wanted;
    throw new DataError(`${name}: there is no subset "${wanted}"; subsets: ${subsets.join(", ")}`);
  }
  const marked = card?.subsets.find(({ isDefault }) => isDefault)?.name;
  const chosen = marked ?? (subsets.length === 1 ? subsets[0] : subsets.find((each) => each === "default"));
  if (chosen !== undefined) return chosen;
  throw new DataError(`${name}: the dataset has ${subsets.length} subsets (${subsets.join(", ")})`, {
    hint: "name one with subset",
  });
}

function byCard(files: readonly string[], card: DatasetCard): Placed[] {
  return card.subsets.flatMap(({ name: subset, splits }) =>
    [...splits].flatMap(([split, patterns]) =>
      files
        .filter((file) => patterns.some((pattern) => matches(file, pattern)))
        .map((file) => ({ subset, split, file })),
    ),
  );
}

function matches(file: string, pattern: string): boolean {
  const escaped = pattern.replace(/^\.\//, "").replace(/[.+^$()|[\]\\]/g, "\\$&");
  const expression = escaped.replace(
    /\*\*\/|\*\*|\*|\?|\{([^{}]*)\}/g,
    (glob, choices: string | undefined) => {
      if (glob === "**/") return "(?:.*/)?";
      if (glob === "**") return ".*";
      if (glob === "*") return "[^/]*";
      return glob === "?" ? "[^/]" : `(?:${choices?.split(",").join("|")})`;
    },
  );
  return new RegExp(`^${expression}$`).test(file);
}

/** The splits that the names of files tell. */
export function splitsByName(files: readonly string[]): string[] {
  return [...new Set(byName(files).map(({ split }) => canonical(split)))];
}

function byName(files: readonly string[]): Placed[] {
  return files
    .filter((file) => extensionFormat(file) !== undefined)
    .filter((file) => !/(^|\/)(dataset_infos?|state)\.json$/.test(file))
    .map((file) => ({ file, ...placeOf(file) }));
}

/** The subset and split that a file's name tells; `train` where it tells no split. */
function placeOf(file: string): { subset: string; split: string } {
  const stem = basename(file).replace(/\.[a-z]+(\.gz)?$/i, "");
  const folders = dirname(file)
    .split("/")
    .filter((folder) => folder !== "." && folder !== "data");
  const inFolder = folders.at(-1)?.replace(/^partial-/, "");
  // Of a numbered part everything before the number is the split's name, such as validation_matched.
  const part = /^(.+?)-\d{5}-of-\d{5}(?:-[0-9a-f]+)?$/.exec(stem)?.[1];
  const split = part?.includes("-") === false ? part : (keywordIn(part ?? stem) ?? part);
  if (split !== undefined) return { subset: folders.join("/") || "default", split };
  if (inFolder !== undefined && (/^\d+$/.test(stem) || keywordIn(inFolder) !== undefined)) {
    return { subset: folders.slice(0, -1).join("/") || "default", split: inFolder };
  }
  return { subset: folders.join("/") || "default", split: "train" };
}

const KEYWORDS: Readonly<Record<string, string>> = {
  train: "train",
  training: "train",
  validation: "validation",
  valid: "validation",
  val: "validation",
  dev: "validation",
  test: "test",
  testing: "test",
  eval: "test",
};

function canonical(split: string): string {
  return Object.hasOwn(KEYWORDS, split) ? KEYWORDS[split]! : split;
}

function keywordIn(stem: string): string | undefined {
  return stem
    .toLowerCase()
    .split(/[^a-z]+/)
    .find((part) => Object.hasOwn(KEYWORDS, part));
}
