/** How far a download is. */

export interface HubProgress {
  /** `org/name`. */
  readonly repository: string;
  /** Files to fetch, and those that are complete. */
  readonly files: number;
  readonly filesDone: number;
  /** Bytes of these files, and those on disk. */
  readonly bytes: number;
  readonly bytesDone: number;
  /** Mean rate since the start; 0 before the first bytes. */
  readonly bytesPerSecond: number;
}

/** Reports are that far apart. */
const MILLISECONDS = 500;

/** Counts what arrives and reports it now and then. */
export class ProgressMeter {
  #files = 0;
  #filesDone = 0;
  #bytes = 0;
  #bytesDone = 0;
  #received = 0;
  readonly #started = performance.now();
  #reported = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly repository: string,
    private readonly report: (progress: HubProgress) => void,
  ) {}

  /** More files to fetch. */
  expect(files: readonly { readonly size: number }[]): void {
    this.#files += files.length;
    for (const { size } of files) this.#bytes += size;
    this.#tell();
  }

  /** Bytes that are on disk now; negative when they turned out to be useless. */
  stored(bytes: number): void {
    this.#bytesDone += bytes;
    this.#tell();
  }

  /** Bytes that came over the network. */
  received(bytes: number): void {
    this.#received += bytes;
    this.stored(bytes);
  }

  /** A file that somebody else has fetched. */
  skipped(bytes: number): void {
    this.stored(bytes);
    this.finished();
  }

  finished(): void {
    this.#filesDone++;
    this.#tell(this.#filesDone === this.#files);
  }

  #tell(always = false): void {
    const now = performance.now();
    if (!always && now - this.#reported < MILLISECONDS) return;
    this.#reported = now;
    const seconds = (now - this.#started) / 1000;
    this.report({
      repository: this.repository,
      files: this.#files,
      filesDone: this.#filesDone,
      bytes: this.#bytes,
      bytesDone: this.#bytesDone,
      bytesPerSecond: seconds > 0 ? this.#received / seconds : 0,
    });
  }
}
