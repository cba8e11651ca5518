/**
 * The cache folder of the hub, in the layout that huggingface_hub reads and writes:
 * models--org--name/{blobs/<hash>, refs/<revision>, snapshots/<commit>/<file>, trees/<commit>.json}, a snapshot's files
 * being relative links to blobs.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, statSync, symlinkSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { z } from "zod";
import { HubError } from "../errors.js";
import { discard, fileError, temporaryName, writeFileAtomic } from "../io/files.js";
import { checkNames, type HubFile, type Listing } from "./listing.js";
import { isCommit, type Repository } from "./reference.js";

const tree = z.object({
  format_version: z.literal(1),
  files: z.record(
    z.string(),
    z.object({
      size: z.int().min(0),
      blob_id: z.string().regex(/^[0-9a-f]{40}$/),
      lfs_sha256: z
        .string()
        .regex(/^[0-9a-f]{64}$/)
        .optional(),
      lfs_size: z.int().min(0).optional(),
    }),
  ),
});

/** One repository's part of the cache. */
export class RepositoryCache {
  readonly folder: string;
  readonly #locks: string;
  readonly #repository: Repository;

  constructor(cache: string, repository: Repository) {
    const name = `${repository.kind}s--${repository.id.replace("/", "--")}`;
    this.folder = join(cache, name);
    this.#locks = join(cache, ".locks", name);
    this.#repository = repository;
  }

  blob(hash: string): string {
    return join(this.folder, "blobs", hash);
  }

  lock(hash: string): string {
    return join(this.#locks, `${hash}.nlora.lock`);
  }

  snapshot(commit: string): string {
    return join(this.folder, "snapshots", commit);
  }

  hasBlob({ hash, size }: HubFile): boolean {
    return sizeOf(this.blob(hash)) === size;
  }

  /** The commit that the revision stood for when it was last asked for; null: never. */
  commit(): string | null {
    const { revision } = this.#repository;
    if (isCommit(revision)) return revision;
    try {
      const commit = readFileSync(join(this.folder, "refs", revision), "utf8").trim();
      return isCommit(commit) ? commit : null;
    } catch {
      return null;
    }
  }

  /** Remembers the commit of the revision. */
  setCommit(commit: string): void {
    const { revision } = this.#repository;
    if (revision === commit || this.commit() === commit) return;
    writeFileAtomic(join(this.folder, "refs", revision), [commit], HubError);
  }

  /** The list of files of a commit as it was stored; null: not stored, or not readable. */
  listing(commit: string): Listing | null {
    let value: unknown;
    try {
      value = JSON.parse(readFileSync(this.#tree(commit), "utf8"));
    } catch {
      return null;
    }
    const parsed = tree.safeParse(value);
    if (!parsed.success) return null;
    const files = Object.entries(parsed.data.files).map(([path, entry]): HubFile => {
      const { size, blob_id, lfs_sha256, lfs_size } = entry;
      return lfs_sha256 === undefined
        ? { path, size, hash: blob_id, algorithm: "git-sha1", gitId: blob_id }
        : { path, size: lfs_size ?? size, hash: lfs_sha256, algorithm: "sha256", gitId: blob_id };
    });
    checkNames(files, this.#repository.id);
    return { commit, files };
  }

  /** Stores the list of files of a commit, which never changes. */
  setListing({ commit, files }: Listing): void {
    if (existsSync(this.#tree(commit))) return;
    const entries = files.map(({ path, size, hash, algorithm, gitId }) => {
      const large = algorithm === "sha256" ? { lfs_sha256: hash, lfs_size: size } : {};
      return [path, { size, blob_id: gitId, ...large }];
    });
    const content = JSON.stringify({ format_version: 1, files: Object.fromEntries(entries) }, null, 1);
    writeFileAtomic(this.#tree(commit), [content], HubError);
  }

  /** Puts a file whose blob is there into the snapshot. */
  link(commit: string, file: HubFile): void {
    if (this.hasFile(commit, file)) return;
    const link = join(this.snapshot(commit), file.path);
    const target = relative(dirname(link), this.blob(file.hash));
    const temporary = temporaryName(link);
    try {
      mkdirSync(dirname(link), { recursive: true });
      symlinkSync(target, temporary);
      renameSync(temporary, link);
    } catch (error) {
      discard(temporary);
      throw fileError(error, `cannot link ${link}`, HubError);
    }
  }

  /** Whether the snapshot has the file, whole. */
  hasFile(commit: string, { path, size }: HubFile): boolean {
    return sizeOf(join(this.snapshot(commit), path)) === size;
  }

  /** The files of a snapshot, without those whose blob is missing; their hashes are not known. */
  present(commit: string): HubFile[] {
    const folder = this.snapshot(commit);
    if (!existsSync(folder)) return [];
    return readdirSync(folder, { recursive: true }).flatMap((name) => {
      const path = String(name);
      const size = sizeOf(join(folder, path));
      return size === null ? [] : [{ path, size, hash: "", algorithm: "sha256", gitId: "" } as const];
    });
  }

  #tree(commit: string): string {
    return join(this.folder, "trees", `${commit}.json`);
  }
}

/** Size of a regular file, links followed; null when there is none. */
function sizeOf(path: string): number | null {
  const status = statSync(path, { throwIfNoEntry: false });
  return status?.isFile() ? status.size : null;
}
