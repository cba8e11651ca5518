/** The runs of a catalogue as they stand: a line for each in the list, and views of those that are looked at. */
import type { RunRecord } from "../runs/record.js";
import type { CatalogEntry, RunCatalog } from "./catalog.js";
import type { RunSummary } from "./pages/wire.js";
import type { RunControl } from "./run-control.js";
import { changedAt, RunView, summaryOf } from "./run-view.js";

/** Views hold whole histories; those looked at last are kept. */
const MOST_VIEWS = 12;

export class Views {
  readonly #catalog: RunCatalog;
  readonly #control: RunControl;
  readonly #records = new Map<string, { written: number; record: RunRecord | null; damage: string | null }>();
  readonly #views = new Map<string, RunView>();

  constructor(catalog: RunCatalog, control: RunControl) {
    this.#catalog = catalog;
    this.#control = control;
  }

  /** All runs, the newest first. */
  list(): RunSummary[] {
    return this.#catalog
      .list()
      .map((entry) => {
        const { record, damage } = this.#recordOf(entry);
        return summaryOf(entry, record, this.#control.of(entry.folder), damage);
      })
      .sort((a, b) => b.startedAt - a.startedAt || (a.name < b.name ? -1 : 1));
  }

  /** A run by its id, up to date; undefined if there is none. */
  get(id: string): RunView | undefined {
    const entry = this.#catalog.get(id);
    if (!entry) {
      this.#views.delete(id);
      return undefined;
    }
    const view = this.#views.get(id) ?? new RunView(entry);
    // Kept in the order of their use.
    this.#views.delete(id);
    this.#views.set(id, view);
    const [oldest] = this.#views.keys();
    if (this.#views.size > MOST_VIEWS) this.#views.delete(oldest!);
    view.refresh();
    return view;
  }

  /** record.json, read again when it was written again. */
  #recordOf({ id, folder }: CatalogEntry) {
    const written = changedAt(folder.recordFile);
    const known = this.#records.get(id);
    if (known?.written === written) return known;
    let read: { written: number; record: RunRecord | null; damage: string | null };
    try {
      read = { written, record: folder.readRecord(), damage: null };
    } catch (error) {
      read = { written, record: null, damage: (error as Error).message };
    }
    this.#records.set(id, read);
    return read;
  }
}
