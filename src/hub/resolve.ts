/** From what a user writes to a folder on this machine: the bundled model, a folder, or a repository of the hub. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { didYouMean } from "../did-you-mean.js";
import { CheckpointError, DataError, HubError } from "../errors.js";
import { packageRoot } from "../tensor/native.js";
import { parseReference, type Repository, type RepositoryKind } from "./reference.js";
import { datasetFiles, INDEX, modelSettings, modelWeights } from "./select.js";
import { type HubOptions, Snapshot } from "./snapshot.js";

/** The folder of the bundled base model. */
export const builtinModel = (): string => join(packageRoot, "assets", "t5-mini");

/**
 * The folder of a model: `builtin`, a folder on this machine, or `org/name`, `org/name@revision` on the hub, which is
 * fetched unless the cache has it. Also for PEFT adapters.
 * @throws CheckpointError when the reference is none of these, HubError when the hub does not give it
 */
export async function resolveModel(reference: string, options: HubOptions = {}): Promise<string> {
  if (reference === "builtin") return builtinModel();
  const found = locate(reference, "model");
  if ("folder" in found) return found.folder;
  return explained(found, async () => {
    const snapshot = await Snapshot.open(found.repository, options);
    try {
      await fetchModel(snapshot);
    } catch (error) {
      // What the cache happens to have says nothing about the repository.
      throw snapshot.isListed ? error : snapshot.notThere("the whole model", error);
    }
    return snapshot.folder;
  });
}

async function fetchModel(snapshot: Snapshot): Promise<void> {
  const { repository, files, folder } = snapshot;
  const settings = modelSettings(files, repository);
  if (!settings.some(({ path }) => path === INDEX)) {
    return snapshot.fetch([...settings, ...modelWeights(files, null, repository)]);
  }
  await snapshot.fetch(settings);
  await snapshot.fetch(modelWeights(files, readFileSync(join(folder, INDEX)), repository));
}

/** A dataset's files, before they are on this machine. */
export interface DatasetFolder {
  /** The commit on the hub; null for a folder on this machine. */
  readonly commit: string | null;
  /** All files, relative to the folder, sorted; hidden ones left out. */
  readonly files: readonly string[];
  /** Fetches some of them unless they are there; returns the folder. Throws HubError. */
  fetch(files: readonly string[]): Promise<string>;
}

/**
 * Opens a dataset: a folder on this machine, or `org/name`, `org/name@revision` on the hub.
 * @throws DataError when the reference is neither, HubError when the hub does not give it
 */
export async function openDataset(reference: string, options: HubOptions = {}): Promise<DatasetFolder> {
  const found = locate(reference, "dataset");
  if ("folder" in found) {
    const { folder } = found;
    return { commit: null, files: localFiles(folder), fetch: async () => folder };
  }
  const snapshot = await explained(found, () => Snapshot.open(found.repository, options));
  const byPath = new Map(snapshot.files.map((file) => [file.path, file]));
  return {
    commit: snapshot.commit,
    files: visible([...byPath.keys()]),
    fetch: async (files) => {
      await snapshot.fetch(files.map((path) => byPath.get(path)!));
      return snapshot.folder;
    },
  };
}

/** The folder with all tables of a dataset and its card; as `openDataset`. */
export async function resolveDataset(reference: string, options: HubOptions = {}): Promise<string> {
  const found = locate(reference, "dataset");
  if ("folder" in found) return found.folder;
  return explained(found, async () => {
    const snapshot = await Snapshot.open(found.repository, options);
    await snapshot.fetch(datasetFiles(snapshot.files, snapshot.repository));
    return snapshot.folder;
  });
}

const visible = (files: readonly string[]): string[] =>
  files.filter((file) => !file.split("/").some((part) => part.startsWith("."))).sort();

const localFiles = (folder: string): string[] =>
  visible(readdirSync(folder, { recursive: true }).map(String)).filter((file) =>
    statSync(join(folder, file)).isFile(),
  );

interface OnHub {
  readonly reference: string;
  readonly repository: Repository;
  /** A folder on this machine that may have been meant. */
  readonly near: string | undefined;
}

/** A folder, or a repository. Throws CheckpointError or DataError when the reference can be neither. */
function locate(reference: string, kind: RepositoryKind): { readonly folder: string } | OnHub {
  const ErrorKind = kind === "model" ? CheckpointError : DataError;
  const status = statSync(reference, { throwIfNoEntry: false });
  if (status?.isDirectory()) return { folder: reference };
  if (status !== undefined) {
    throw new ErrorKind(`${reference} is a file, expected the folder of a ${kind}`, {
      hint: `Name the folder that holds it: ${dirname(reference)}`,
    });
  }
  const near = nearFolder(reference);
  const repository = parseReference(reference, kind);
  if (repository !== null) return { reference, repository, near };
  const builtin = kind === "model" ? "builtin, " : "";
  const word = kind === "model" ? didYouMean(reference, ["builtin"]) : undefined;
  throw new ErrorKind(`there is no folder ${reference}, and it is no name on the hub`, {
    hint: `${meant(word ?? near)}A ${kind} is ${builtin}a folder on this machine, or org/name or org/name@revision on the hub.`,
  });
}

/** Adds to an error of the hub that a folder may have been meant. */
async function explained<T>({ reference, near }: OnHub, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    if (!(error instanceof HubError) || near === undefined) throw error;
    throw new HubError(`there is no folder ${reference}; as a name on the hub: ${error.message}`, {
      hint: `${meant(near)}${error.hint ?? ""}`.trim(),
      cause: error,
    });
  }
}

const meant = (word: string | undefined): string => (word === undefined ? "" : `Did you mean ${word}? `);

/** A folder beside the one that is not there, with a name like it. */
function nearFolder(path: string): string | undefined {
  const parent = dirname(path);
  if (parent === "." && !path.startsWith("./")) return undefined;
  try {
    const folders = readdirSync(parent, { withFileTypes: true }).filter((entry) => !entry.isFile());
    const near = didYouMean(
      basename(path),
      folders.map(({ name }) => name),
    );
    return near === undefined ? undefined : join(parent, near);
  } catch {
    return undefined; // No such folder either.
  }
}
