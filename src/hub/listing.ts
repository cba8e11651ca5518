/** What the hub says of a repository at a revision: its commit, and the files there with sizes and hashes. */
import { z } from "zod";
import { HubError } from "../errors.js";
import type { HubClient } from "./http.js";
import { isSafePath, type Repository } from "./reference.js";

export interface HubFile {
  /** Path inside the repository. */
  readonly path: string;
  readonly size: number;
  /** SHA-256 of the content for large files (LFS); git's SHA-1 of the blob for the others. Also the blob's name. */
  readonly hash: string;
  readonly algorithm: "sha256" | "git-sha1";
  /** Git's name of what git itself holds: the file, or the note that stands for a large one. */
  readonly gitId: string;
}

export interface Listing {
  /** 40 hexadecimal digits. */
  readonly commit: string;
  readonly files: readonly HubFile[];
}

const size = z.int().min(0);
const sha1 = z.string().regex(/^[0-9a-f]{40}$/);
const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const answer = z.object({
  sha: sha1,
  siblings: z.array(
    z.object({
      rfilename: z.string(),
      size,
      blobId: sha1,
      lfs: z.object({ sha256, size }).nullish(),
    }),
  ),
});

/** The largest answer that is read: some 500,000 files. */
const MAX_BYTES = 200_000_000;

/**
 * Asks the hub; `advice` is for when it cannot be reached. Throws HubError when it refuses or answers with something
 * else.
 */
export async function listFiles(client: HubClient, repository: Repository, advice: string): Promise<Listing> {
  const { kind, id, revision } = repository;
  const url = `${client.settings.endpoint}/api/${kind}s/${id}/revision/${encodeURIComponent(revision)}?blobs=true`;
  const what = `${id}: the list of files`;
  const ask = async () => (await client.get(url, repository)).bytes(MAX_BYTES, what);
  const bytes = await client.persist(what, ask, advice);
  return parseListing(bytes, id);
}

/** Reads the answer of `/api/models/{id}/revision/{revision}?blobs=true`. Throws HubError. */
export function parseListing(bytes: Uint8Array, id: string): Listing {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw unexpected(id, (cause as Error).message, cause);
  }
  const parsed = answer.safeParse(value);
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!;
    throw unexpected(id, `${issue.path.join(".")}: ${issue.message}`, parsed.error);
  }
  const files = parsed.data.siblings.map(
    ({ rfilename, size, blobId, lfs }): HubFile =>
      lfs
        ? { path: rfilename, size: lfs.size, hash: lfs.sha256, algorithm: "sha256", gitId: blobId }
        : { path: rfilename, size, hash: blobId, algorithm: "git-sha1", gitId: blobId },
  );
  checkNames(files, id);
  return { commit: parsed.data.sha, files };
}

/** Throws HubError when a name would leave the folder, or occurs twice. */
export function checkNames(files: readonly { readonly path: string }[], id: string): void {
  const seen = new Set<string>();
  for (const { path } of files) {
    if (!isSafePath(path) || seen.has(path)) {
      const why = seen.has(path) ? "lists twice the file" : "lists a file outside its folder:";
      throw new HubError(
        `${id}: the hub ${why} ${JSON.stringify(path.slice(0, 200))}; nothing was downloaded`,
      );
    }
    seen.add(path);
  }
}

function unexpected(id: string, found: string, cause: unknown): HubError {
  return new HubError(`${id}: the hub's list of files is not what its API promises: ${found}`, {
    hint: "Is HF_ENDPOINT the address of a hub, and is nothing in between that answers in its place?",
    cause,
  });
}
