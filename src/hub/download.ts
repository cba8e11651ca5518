/** One file from the hub into the cache: resumed where it was left, hashed as it arrives, under its name only when whole. */
import { createHash, type Hash } from "node:crypto";
import { constants, mkdirSync, renameSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { dirname } from "node:path";
import { HubError } from "../errors.js";
import { discard, fileError, syncFolder } from "../io/files.js";
import { type Answer, type HubClient, Passing } from "./http.js";
import type { HubFile } from "./listing.js";
import type { ProgressMeter } from "./progress.js";
import type { Repository } from "./reference.js";

export interface Download {
  readonly client: HubClient;
  readonly repository: Repository;
  readonly commit: string;
  readonly file: HubFile;
  /** Where the file goes; it is written beside that. */
  readonly path: string;
  readonly meter: ProgressMeter;
}

/**
 * Fetches a file. What a failure or the end of the process interrupts is kept as `<path>.nlora.incomplete` and gone on
 * with the next time. A file with the wrong hash is deleted and fetched once more.
 * @throws HubError when the hub refuses, keeps failing, or sends twice what does not have the hash it announced
 */
export async function download({ client, repository, commit, file, path, meter }: Download): Promise<void> {
  const what = `${repository.id}/${file.path}`;
  const url = fileUrl(client.settings.endpoint, repository, commit, file);
  const partial = await PartialFile.open(`${path}.nlora.incomplete`, file, meter);
  try {
    for (let wrong = 1; ; wrong++) {
      await client.persist(what, (progressed) => receive(client, url, repository, partial, progressed));
      const found = partial.digest();
      if (found === file.hash) break;
      await partial.restart();
      if (wrong === 2) {
        partial.remove();
        throw new HubError(
          `${what}: the ${file.algorithm} is ${found}, expected ${file.hash}; fetched twice, and deleted`,
          { hint: "Something between here and the hub changes the file, or the repository is damaged." },
        );
      }
    }
    await partial.finish(path);
  } catch (error) {
    throw diskError(error, path, file.size - partial.done);
  } finally {
    await partial.close();
  }
  meter.finished();
}

function fileUrl(endpoint: string, { kind, id }: Repository, commit: string, { path }: HubFile): string {
  const name = path.split("/").map(encodeURIComponent).join("/");
  return `${endpoint}/${kind === "dataset" ? "datasets/" : ""}${id}/resolve/${commit}/${name}`;
}

/** One request for what is missing. Throws Passing when that does not complete the file. */
async function receive(
  client: HubClient,
  url: string,
  repository: Repository,
  partial: PartialFile,
  progressed: () => void,
): Promise<void> {
  if (partial.done === partial.size) return;
  // The hash of the whole decides whether the parts fit; If-Range would add nothing, because the address that the hub
  // redirects to has validators of its own.
  const range: Record<string, string> = partial.done > 0 ? { range: `bytes=${partial.done}-` } : {};
  const answer = await client.get(url, repository, range);
  if (!continues(answer, partial)) {
    await partial.restart();
    if (answer.status !== 200) {
      answer.drop();
      throw new Passing("the server does not go on where the file ended", null);
    }
  }
  for await (const piece of answer.pieces()) {
    if (partial.done + piece.length > partial.size) {
      await partial.restart();
      throw new Passing(`the server sends more than the ${partial.size} bytes of the file`, null);
    }
    if (await partial.append(piece)) progressed();
  }
  if (partial.done < partial.size) {
    throw new Passing(`the connection ended after ${partial.done} of ${partial.size} bytes`, null);
  }
}

/** Whether the answer's body begins where the partial file ends. */
function continues({ status, headers }: Answer, { done, size }: PartialFile): boolean {
  if (status === 206) return headers.get("content-range")?.trim() === `bytes ${done}-${size - 1}/${size}`;
  return status === 200 && done === 0;
}

/** A file on its way: its bytes so far, and their hash. */
class PartialFile {
  done = 0;
  readonly size: number;
  #hash: Hash;
  /** The most bytes that were ever there. */
  #most = 0;

  private constructor(
    private readonly path: string,
    private readonly handle: FileHandle,
    private readonly file: HubFile,
    private readonly meter: ProgressMeter,
  ) {
    this.size = file.size;
    this.#hash = newHash(file);
  }

  /** Opens what an earlier try has left, or an empty file. */
  static async open(path: string, file: HubFile, meter: ProgressMeter): Promise<PartialFile> {
    mkdirSync(dirname(path), { recursive: true });
    const partial = new PartialFile(path, await open(path, READ_WRITE_CREATE), file, meter);
    try {
      await partial.#resume();
    } catch (error) {
      await partial.close();
      throw error;
    }
    return partial;
  }

  async #resume(): Promise<void> {
    if ((await this.handle.stat()).size > this.size) return this.restart();
    const buffer = Buffer.allocUnsafe(1 << 20);
    for (;;) {
      const { bytesRead } = await this.handle.read(buffer, 0, buffer.length, this.done);
      if (bytesRead === 0) break;
      this.#hash.update(buffer.subarray(0, bytesRead));
      this.done += bytesRead;
    }
    this.meter.stored(this.done);
  }

  /** Writes the next bytes; whether the file has never been so long. */
  async append(piece: Uint8Array): Promise<boolean> {
    for (let written = 0; written < piece.length; ) {
      const { bytesWritten } = await this.handle.write(
        piece,
        written,
        piece.length - written,
        this.done + written,
      );
      written += bytesWritten;
    }
    this.#hash.update(piece);
    this.done += piece.length;
    this.meter.received(piece.length);
    const further = this.done > this.#most;
    if (further) this.#most = this.done;
    return further;
  }

  /** Starts over with nothing. */
  async restart(): Promise<void> {
    await this.handle.truncate(0);
    this.meter.stored(-this.done);
    this.done = 0;
    this.#hash = newHash(this.file);
  }

  /** Hash of the bytes; call it once the file is complete. */
  digest(): string {
    return this.#hash.copy().digest("hex");
  }

  /** Gives the complete file its name. */
  async finish(path: string): Promise<void> {
    await this.handle.sync();
    renameSync(this.path, path);
    syncFolder(dirname(path));
  }

  remove(): void {
    discard(this.path);
  }

  close(): Promise<void> {
    return this.handle.close();
  }
}

const READ_WRITE_CREATE = constants.O_RDWR | constants.O_CREAT;

/** SHA-256 of the content, or SHA-1 of git's blob: the word, the size, a zero byte, the content. */
function newHash({ algorithm, size }: HubFile): Hash {
  return algorithm === "sha256" ? createHash("sha256") : createHash("sha1").update(`blob ${size}\0`);
}

function diskError(error: unknown, path: string, missing: number): unknown {
  const full = ["ENOSPC", "EDQUOT"].includes((error as NodeJS.ErrnoException).code ?? "");
  if (!full) return fileError(error, `cannot write ${path}`, HubError);
  return diskFull(dirname(path), missing, error);
}

/** The error for a folder without room for `missing` bytes. */
export function diskFull(folder: string, missing: number, cause?: unknown): HubError {
  return new HubError(`no space left in ${folder}: ${missing} more bytes are needed`, {
    hint: "Free some space, or set HF_HOME to a folder on another disk; what has arrived is kept and gone on with.",
    cause,
  });
}
