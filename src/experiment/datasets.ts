/** Datasets that a configuration names: found here or on the hub, and the files of their splits picked. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type DatasetCard, readCard } from "../data/dataset-card.js";
import type { FileTask } from "../data/files.js";
import { splitFiles, testSplit } from "../data/splits.js";
import { openDataset } from "../hub/resolve.js";
import type { HubOptions } from "../hub/snapshot.js";

export interface DatasetRequest {
  /** A folder, or `org/name`, `org/name@revision` on the hub. */
  readonly dataset: string;
  readonly subset: string | null;
  /** Names of splits or files. */
  readonly train: readonly string[];
  /** Null: test, or validation where there is no test. */
  readonly test: readonly string[] | null;
}

export interface FoundDataset extends Pick<FileTask, "train" | "classNames"> {
  readonly test: readonly string[];
  /** The commit on the hub; null for a folder on this machine. */
  readonly commit: string | null;
}

/**
 * The files of a dataset's splits, fetched if they are on the hub, and the class names in its card. Throws a DataError,
 * or a HubError.
 */
export async function findDataset(request: DatasetRequest, hub: HubOptions = {}): Promise<FoundDataset> {
  const { dataset, subset } = request;
  const { commit, files, fetch } = await openDataset(dataset, hub);
  // Files named one by one need no card, which may be what is wrong with a dataset.
  const isPlain = [...request.train, ...(request.test ?? [""])].every((name) => files.includes(name));
  const card: DatasetCard | null =
    !isPlain && files.includes("README.md")
      ? readCard(readFileSync(join(await fetch(["README.md"]), "README.md"), "utf8"), dataset)
      : null;
  const test = request.test ?? [testSplit(dataset, files, card, subset)];
  const pick = (split: readonly string[]) => splitFiles(dataset, files, card, { subset, split });
  const chosen = pick(request.train);
  const held = pick(test);
  const folder = await fetch([...new Set([...chosen.files, ...held.files])]);
  const absolute = (names: readonly string[]) => names.map((file) => join(folder, file));
  return {
    commit,
    train: absolute(chosen.files),
    test: absolute(held.files),
    ...(card && { classNames: card.classNames(chosen.subset) }),
  };
}
