/** The curves of a run: some charts over the same steps, zoomed together; what is zoomed into is asked for in detail. */
import { significant } from "../../format.js";
import { LiveChart } from "./chart.js";
import { columnsOf, joined, labelOf, lastOf, lengthOf, namesOf, pointsOf, summaries } from "./curves.js";
import { announce, button, element, row, setText, table } from "./dom.js";
import { ask } from "./server.js";
import type { Curves } from "./wire.js";

/** More points than that are asked for anew, thinned out. */
const MOST_POINTS = 2500;
const POINTS = 1200;

interface Panel {
  readonly chart: LiveChart;
  readonly names: (curves: Curves) => string[];
}

export class CurvePanels {
  readonly root: HTMLElement;
  readonly #id: string;
  readonly #panels: readonly Panel[];
  readonly #where = element("span", { class: "quiet", id: "range" });
  readonly #values = element("details", {}, element("summary", {}, "The same as a table"));
  readonly #logarithmic = element("input", { type: "checkbox", id: "logarithmic" });
  #whole: Curves = { tasks: [] };
  /** What is shown while zoomed in. */
  #detail: Curves | null = null;
  #range: { from: number; to: number } | null = null;
  #asked = 0;
  #isThinning = false;

  constructor(id: string) {
    this.#id = id;
    const zoom = {
      group: id,
      onSelect: (from: number, to: number) => this.#zoom(from, to),
      onWhole: () => this.#zoomOut(),
    };
    const isLogarithmic = () => this.#logarithmic.checked;
    const panel = (title: string, height: number, names: Panel["names"], more: object = {}): Panel => ({
      chart: new LiveChart({ title, height, ...zoom, ...more }),
      names,
    });
    this.#panels = [
      panel("Loss and penalties", 300, (curves) => ["taskLoss", ...namesOf(curves, "penalties")], {
        isLogarithmic,
        xLabel: "step of the run",
      }),
      panel("Gradient norm, before clipping", 170, () => ["gradNorm"], { isLogarithmic }),
      panel("Tokens per second", 170, () => ["tokensPerSecond"]),
      panel("Learning rate", 170, () => ["lr"]),
      panel("Measured of the adapter", 170, (curves) => namesOf(curves, "measures")),
    ];
    this.#logarithmic.addEventListener("change", () => this.#draw());
    const move = (share: number) => () => this.#move(share);
    this.root = element(
      "section",
      { class: "curves", "aria-label": "Curves" },
      element("h2", {}, "Training"),
      element(
        "div",
        { class: "bar", role: "group", "aria-label": "Which steps the curves show" },
        button("Whole run", () => this.#zoomOut()),
        button("Zoom in", () => this.#scale(0.5)),
        button("Zoom out", () => this.#scale(2)),
        button("←", move(-0.5), { "aria-label": "Earlier steps" }),
        button("→", move(0.5), { "aria-label": "Later steps" }),
        element("label", { for: "logarithmic" }, this.#logarithmic, " logarithmic"),
        this.#where,
      ),
      element("div", { class: "charts" }, ...this.#panels.map(({ chart }) => chart.root)),
      this.#values,
    );
    this.#values.addEventListener("toggle", () => this.#drawValues());
    this.root.hidden = true;
  }

  /** Shows a whole run's curves, or adds steps that are new; thins them out once they are many. */
  show(curves: Curves, isWhole: boolean): void {
    this.#whole = isWhole ? curves : joined(this.#whole, curves);
    if (isWhole) this.#detail = null;
    this.root.hidden = pointsOf(this.#whole) === 0;
    if (pointsOf(this.#whole) > MOST_POINTS) void this.#thin();
    this.#draw();
  }

  get #length(): number {
    return Math.max(2, lengthOf(this.#whole));
  }

  get #shown(): { from: number; to: number } {
    return this.#range ?? { from: 1, to: this.#length };
  }

  async #thin(): Promise<void> {
    if (this.#isThinning) return;
    this.#isThinning = true;
    try {
      const thinned = await ask<Curves>(`/api/runs/${this.#id}/history?points=${POINTS}`);
      // Unless steps came meanwhile that are not in there: then another time.
      if (lastOf(thinned) >= lastOf(this.#whole)) this.#whole = thinned;
    } finally {
      this.#isThinning = false;
    }
  }

  #zoom(from: number, to: number): void {
    const first = Math.max(1, Math.floor(from));
    const last = Math.min(this.#length, Math.ceil(to));
    if (last - first < 2) return;
    this.#range = first === 1 && last === this.#length ? null : { from: first, to: last };
    if (!this.#range) this.#detail = null;
    this.#draw();
    announce(this.#where.textContent ?? "");
    if (this.#range) void this.#askDetail();
  }

  #zoomOut(): void {
    this.#zoom(1, this.#length);
  }

  #scale(factor: number): void {
    const { from, to } = this.#shown;
    const middle = (from + to) / 2;
    const half = Math.max(2, ((to - from) / 2) * factor);
    this.#zoom(middle - half, middle + half);
  }

  #move(share: number): void {
    const { from, to } = this.#shown;
    const by = Math.max(1 - from, Math.min(this.#length - to, share * (to - from)));
    this.#zoom(from + by, to + by);
  }

  /** The chosen stretch in detail, with as much around it, so that moving on has something to show. */
  async #askDetail(): Promise<void> {
    const asked = ++this.#asked;
    const { from, to } = this.#shown;
    const around = to - from;
    const query = `points=${3 * POINTS}&from=${Math.max(1, Math.floor(from - around))}&to=${Math.ceil(to + around)}`;
    const detail = await ask<Curves>(`/api/runs/${this.#id}/history?${query}`);
    if (asked !== this.#asked || !this.#range) return;
    this.#detail = detail;
    this.#draw();
  }

  #draw(): void {
    const curves = this.#detail ?? this.#whole;
    const { from, to } = this.#shown;
    setText(this.#where, `steps ${from} to ${to} of ${this.#length}`);
    const marks = this.#whole.tasks.map(({ before, task }) => ({ place: before + 1, name: task }));
    for (const { chart, names } of this.#panels) {
      const shown = names(this.#whole);
      const isUsed = shown.length > 0;
      chart.root.hidden = !isUsed;
      if (!isUsed) continue;
      const columns = columnsOf(curves, shown, this.#logarithmic.checked);
      chart.show({ names: shown, columns, marks, range: [from, to] });
    }
    this.#drawValues();
  }

  #drawValues(): void {
    if (!this.#values.open) return;
    const names = [...new Set(this.#whole.tasks.flatMap(({ series }) => Object.keys(series)))];
    const number = (value: number | null) => element("td", { class: "number" }, significant(value));
    const [summary] = this.#values.children;
    this.#values.replaceChildren(
      summary!,
      table(
        "First, last, least and largest value of every curve, by task",
        ["Curve", "Task", "First", "Last", "Least", "Largest"],
        names.flatMap((name) =>
          summaries(this.#whole, name).map(({ task, first, last, least, most }) =>
            row(labelOf(name), [task, number(first), number(last), number(least), number(most)]),
          ),
        ),
      ),
    );
  }
}
