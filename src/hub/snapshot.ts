/** A repository at one commit: the list of its files, and those of them that are needed in a folder of the cache. */
import { mkdirSync, statfsSync } from "node:fs";
import { HubError } from "../errors.js";
import { RepositoryCache } from "./cache.js";
import { diskFull, download } from "./download.js";
import { HubClient, type Patience } from "./http.js";
import { type HubFile, type Listing, listFiles } from "./listing.js";
import { withLock } from "./lock.js";
import { type HubProgress, ProgressMeter } from "./progress.js";
import { isCommit, type Repository } from "./reference.js";
import { hubSettings } from "./settings.js";

export interface HubOptions {
  /** Told how far it is, twice a second; not called when nothing has to be fetched. */
  readonly onProgress?: ((progress: HubProgress) => void) | undefined;
  /** Ends the download; what has arrived is kept. */
  readonly signal?: AbortSignal | undefined;
  /** Take what a branch last stood for, if the cache has it, without asking what it stands for now. */
  readonly preferCache?: boolean | undefined;
  /** Instead of the process's environment. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  readonly patience?: Partial<Patience>;
}

/** Files fetched at a time. */
const AT_ONCE = 4;

export class Snapshot {
  /** Whether the list is the repository's, or, offline, only what the cache happens to have. */
  readonly isListed: boolean;
  readonly #meter: ProgressMeter;

  private constructor(
    readonly repository: Repository,
    private readonly listing: Listing,
    private readonly cache: RepositoryCache,
    private readonly client: HubClient,
    options: HubOptions,
    isListed = true,
  ) {
    this.isListed = isListed;
    this.#meter = new ProgressMeter(repository.id, options.onProgress ?? (() => {}));
  }

  /**
   * Finds out which files there are. The hub is asked unless the cache knows: the list of a commit, and offline (or with
   * `preferCache`) that of the commit for which the revision last stood.
   * @throws HubError, and ConfigError for environment variables that make no sense
   */
  static async open(repository: Repository, options: HubOptions = {}): Promise<Snapshot> {
    const settings = hubSettings(options.environment);
    const cache = new RepositoryCache(settings.cache, repository);
    const client = new HubClient(settings, options.patience, options.signal);
    const known = cache.commit();
    if (known !== null && (settings.offline || options.preferCache || isCommit(repository.revision))) {
      const listing = cache.listing(known);
      if (listing !== null) return new Snapshot(repository, listing, cache, client, options);
      const present = { commit: known, files: cache.present(known) };
      if (settings.offline && present.files.length > 0) {
        return new Snapshot(repository, present, cache, client, options, false);
      }
    }
    if (settings.offline) throw notThere(repository, settings.cache, "it");
    const { endpoint } = settings;
    const advice =
      known === null
        ? `The hub's address is ${endpoint}; HF_ENDPOINT names another.`
        : `HF_HUB_OFFLINE=1 uses commit ${known.slice(0, 12)} from the cache.`;
    const listing = await listFiles(client, repository, advice);
    cache.setListing(listing);
    return new Snapshot(repository, listing, cache, client, options);
  }

  /** The folder that `fetch` fills. */
  get folder(): string {
    return this.cache.snapshot(this.listing.commit);
  }

  get commit(): string {
    return this.listing.commit;
  }

  get files(): readonly HubFile[] {
    return this.listing.files;
  }

  /** Brings files of the list into the folder, some at a time. Throws HubError. */
  async fetch(files: readonly HubFile[]): Promise<void> {
    const { commit } = this.listing;
    const absent = files.filter((file) => !this.cache.hasFile(commit, file));
    if (absent.length > 0) {
      if (this.client.settings.offline) throw this.notThere(absent[0]!.path);
      const missing = new Map(
        absent.filter((file) => !this.cache.hasBlob(file)).map((file) => [file.hash, file]),
      );
      await this.#download([...missing.values()]);
      for (const file of absent) this.cache.link(commit, file);
    }
    if (!this.client.settings.offline) this.cache.setCommit(commit);
  }

  /** The error for what offline cannot be had. */
  notThere(what: string, cause?: unknown): HubError {
    return notThere(this.repository, this.client.settings.cache, what, cause);
  }

  async #download(files: readonly HubFile[]): Promise<void> {
    if (files.length === 0) return;
    this.#meter.expect(files);
    checkSpace(this.cache.folder, files);
    const stop = new AbortController();
    const client = this.client.stoppable(stop.signal);
    const queue = files.values();
    const work = async (): Promise<void> => {
      try {
        for (const file of queue) await this.#downloadOne(file, client);
      } catch (error) {
        stop.abort(error);
      }
    };
    await Promise.all(Array.from({ length: Math.min(AT_ONCE, files.length) }, work));
    // The first failure is the reason of the others.
    stop.signal.throwIfAborted();
  }

  #downloadOne(file: HubFile, client: HubClient): Promise<void> {
    const { cache, repository, listing } = this;
    const meter = this.#meter;
    return withLock(cache.lock(file.hash), client.signal, async () => {
      // Another process may have fetched it meanwhile.
      if (cache.hasBlob(file)) meter.skipped(file.size);
      else
        await download({
          client,
          repository,
          commit: listing.commit,
          file,
          path: cache.blob(file.hash),
          meter,
        });
    });
  }
}

function checkSpace(folder: string, files: readonly HubFile[]): void {
  mkdirSync(folder, { recursive: true });
  const needed = files.reduce((sum, { size }) => sum + size, 0);
  const { bavail, bsize } = statfsSync(folder);
  if (bavail * bsize < needed) throw diskFull(folder, needed);
}

function notThere({ id, revision }: Repository, cache: string, what: string, cause?: unknown): HubError {
  return new HubError(
    `${id}@${revision}: ${what} is not in the cache ${cache}, and HF_HUB_OFFLINE forbids to fetch it`,
    { hint: "Unset HF_HUB_OFFLINE once, or set HF_HOME to the folder where it was downloaded.", cause },
  );
}
