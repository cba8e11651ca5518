/**
 * The runs below a folder. Whoever asks names a run by an id that was made here from the listing; no path comes from outside.
 * Links are not followed, and the folders inside of a run are not searched.
 */
import { createHash } from "node:crypto";
import { type Dirent, existsSync, readdirSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { RunFolder } from "../runs/run-folder.js";

export interface CatalogEntry {
  readonly id: string;
  /** The folder's path below the one that is listed, or its own name. */
  readonly name: string;
  readonly folder: RunFolder;
}

/** Studies keep runs some folders deep. */
const DEPTH = 6;
const MOST_FOLDERS = 20_000;
const FRESH_MILLISECONDS = 1000;

export class RunCatalog {
  readonly root: string;
  readonly #only: CatalogEntry | null;
  #entries = new Map<string, CatalogEntry>();
  #listedAt = Number.NEGATIVE_INFINITY;

  private constructor(root: string, only: CatalogEntry | null) {
    this.root = resolve(root);
    this.#only = only;
  }

  /** All runs below a folder, which need not be there yet. */
  static below(root: string): RunCatalog {
    return new RunCatalog(root, null);
  }

  /** One run alone. */
  static of(folder: RunFolder): RunCatalog {
    const name = relative(resolve(folder.path, ".."), folder.path) || "run";
    return new RunCatalog(folder.path, { id: idOf(name), name, folder });
  }

  /** Whether it is one run alone. */
  get only(): CatalogEntry | null {
    return this.#only;
  }

  /** The runs, by name; `fresh`: as they are now, not as they were up to a second ago. */
  list(fresh = false): readonly CatalogEntry[] {
    if (this.#only) return [this.#only];
    const now = performance.now();
    if (fresh || now - this.#listedAt > FRESH_MILLISECONDS) {
      this.#entries = new Map(this.#search().map((entry) => [entry.id, entry]));
      this.#listedAt = now;
    }
    return [...this.#entries.values()];
  }

  /** The run of an id, or undefined if none was listed under it. */
  get(id: string): CatalogEntry | undefined {
    const known = this.#entries.get(id);
    // A page asks for its run every second: the tree is searched only for one that is new, or gone.
    if (known && existsSync(known.folder.configFile)) return known;
    return this.list().find((entry) => entry.id === id);
  }

  /** The run in a folder. */
  of(folder: RunFolder): CatalogEntry | undefined {
    return this.list(true).find((entry) => entry.folder.path === folder.path);
  }

  #search(): CatalogEntry[] {
    const found: CatalogEntry[] = [];
    let seen = 0;
    const visit = (path: string, depth: number): void => {
      if (++seen > MOST_FOLDERS) return;
      const inside = entriesOf(path);
      if (inside.some((entry) => entry.isFile() && entry.name === "config.yaml") && path !== this.root) {
        const name = relative(this.root, path);
        const known = this.#entries.get(idOf(name));
        found.push(known ?? { id: idOf(name), name, folder: new RunFolder(path) });
        return;
      }
      if (depth === DEPTH) return;
      for (const entry of inside) {
        if (entry.isDirectory() && !entry.name.startsWith(".") && entry.name !== "node_modules") {
          visit(join(path, entry.name), depth + 1);
        }
      }
    };
    visit(this.root, 0);
    return found.sort((a, b) => (a.name < b.name ? -1 : 1));
  }
}

const idOf = (name: string): string => createHash("sha256").update(name).digest("hex").slice(0, 16);

/** What is in a folder; nothing where it cannot be read, as folders vanish and some are not ours. */
function entriesOf(path: string): Dirent[] {
  try {
    return readdirSync(path, { withFileTypes: true });
  } catch {
    return [];
  }
}
