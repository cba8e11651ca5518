/** Datasets that a configuration names: found on this machine, and the files of their splits picked. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type DatasetCard, readCard } from "../data/dataset-card.js";
import type { FileTask } from "../data/files.js";
import { filesIn } from "../data/records/open.js";
import { splitFiles, testSplit } from "../data/splits.js";
import { DataError } from "../errors.js";

export interface DatasetRequest {
  /** The folder of a dataset. */
  readonly dataset: string;
  readonly subset: string | null;
  /** Names of splits or files. */
  readonly train: readonly string[];
  /** Null: test, or validation where there is no test. */
  readonly test: readonly string[] | null;
}

/** The files of a dataset's splits, and the class names in its card. Throws a DataError. */
export async function findDataset(
  request: DatasetRequest,
): Promise<Pick<FileTask, "train" | "classNames"> & { readonly test: readonly string[] }> {
  const { dataset, subset } = request;
  const folder = datasetFolder(dataset);
  const files = filesIn(folder);
  // Files named one by one need no card, which may be what is wrong with a dataset.
  const isPlain = [...request.train, ...(request.test ?? [""])].every((name) => files.includes(name));
  const card: DatasetCard | null =
    !isPlain && files.includes("README.md")
      ? readCard(readFileSync(join(folder, "README.md"), "utf8"), dataset)
      : null;
  const test = request.test ?? [testSplit(dataset, files, card, subset)];
  const pick = (split: readonly string[]) => splitFiles(dataset, files, card, { subset, split });
  const chosen = pick(request.train);
  const absolute = (names: readonly string[]) => names.map((file) => join(folder, file));
  return {
    train: absolute(chosen.files),
    test: absolute(pick(test).files),
    ...(card && { classNames: card.classNames(chosen.subset) }),
  };
}

function datasetFolder(dataset: string): string {
  if (existsSync(dataset)) return dataset;
  throw new DataError(`dataset folder ${dataset} does not exist`, {
    hint: "dataset takes a folder on this machine, laid out as on the hub",
  });
}
