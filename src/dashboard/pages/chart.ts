/** A chart over the steps of runs: uPlot for drawing, a legend of our own, drawn again when the theme changes. */
import { significant } from "../../format.js";
import { type Columns, labelOf } from "./curves.js";
import { button, element, setText } from "./dom.js";
import uPlot from "./uplot.js";

export interface Mark {
  /** Where a task begins. */
  readonly place: number;
  readonly name: string;
}

export interface ChartData {
  readonly names: readonly string[];
  readonly columns: Columns;
  readonly marks: readonly Mark[];
  /** Places at the chart's left and right end. */
  readonly range: readonly [number, number];
}

export interface ChartOptions {
  readonly title: string;
  readonly xLabel?: string;
  /** Charts of one group show one cursor. */
  readonly group?: string;
  readonly height: number;
  /** Few values: each has a dot. */
  readonly isDotted?: boolean;
  readonly isLogarithmic?: () => boolean;
  /** A stretch was chosen with the pointer. */
  readonly onSelect?: (from: number, to: number) => void;
  readonly onWhole?: () => void;
}

const HUES = 8;
const MOST_NAMES = 12;
/** Distances of the marks at the lower axis: steps and tasks are whole. */
const WHOLE = Array.from({ length: 10 }, (_, power) => [1, 2, 5].map((digit) => digit * 10 ** power)).flat();
const DASHES: readonly (readonly number[])[] = [
  [],
  [8, 3],
  [2, 3],
  [9, 3, 2, 3],
  [14, 4],
  [4, 2],
  [1.5, 2],
  [12, 3, 4, 3],
];

export class LiveChart {
  readonly root: HTMLElement;
  readonly #options: ChartOptions;
  readonly #canvas = element("div", { class: "canvas" });
  readonly #legend = element("ul", { class: "legend" });
  #plot: uPlot | null = null;
  #data: ChartData | null = null;
  #hidden = new Set<string>();
  #isLogarithmic = false;
  #values: HTMLElement[] = [];

  constructor(options: ChartOptions) {
    this.#options = options;
    this.#canvas.setAttribute("role", "img");
    this.root = element(
      "figure",
      { class: "chart" },
      element("figcaption", {}, options.title),
      this.#legend,
      this.#canvas,
    );
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#rebuild());
    new ResizeObserver(() => {
      const width = this.#canvas.clientWidth;
      if (this.#plot && width > 0 && width !== this.#plot.width) {
        this.#plot.setSize({ width, height: options.height });
      }
    }).observe(this.#canvas);
  }

  show(data: ChartData): void {
    const before = this.#data;
    this.#data = data;
    const isLogarithmic = this.#options.isLogarithmic?.() ?? false;
    const sameShape =
      before?.names.join("\n") === data.names.join("\n") && isLogarithmic === this.#isLogarithmic;
    this.#isLogarithmic = isLogarithmic;
    if (!this.#plot || !sameShape) this.#rebuild();
    else {
      this.#plot.batch(() => {
        this.#plot!.setData(data.columns, false);
        this.#plot!.setScale("x", { min: data.range[0], max: data.range[1] });
      });
    }
    this.#canvas.setAttribute("aria-label", this.#description(data));
  }

  #description({ names, columns }: ChartData): string {
    const parts = names.map((name, index) => {
      const column = columns[index + 1] as readonly (number | null | undefined)[];
      const values = column.filter((value) => value != null);
      if (values.length === 0) return `${labelOf(name)}: nothing yet`;
      return `${labelOf(name)}: from ${significant(values[0])} to ${significant(values.at(-1))}`;
    });
    return `${this.#options.title}. ${parts.join("; ")}`;
  }

  #rebuild(): void {
    if (!this.#data) return;
    this.#plot?.destroy();
    this.#drawLegend(this.#data.names);
    const { names, columns, range } = this.#data;
    const style = getComputedStyle(document.documentElement);
    const colour = (name: string) => style.getPropertyValue(`--${name}`).trim();
    const axis = {
      stroke: colour("quiet"),
      grid: { stroke: colour("grid"), width: 1 },
      ticks: { show: false },
    };
    const { group, height, onSelect, onWhole } = this.#options;
    const wholeRun = () => {
      onWhole?.();
      return null;
    };
    this.#plot = new uPlot(
      {
        width: Math.max(200, this.#canvas.clientWidth),
        height,
        legend: { show: false },
        cursor: {
          drag: { x: onSelect !== undefined, y: false, setScale: false },
          ...(group !== undefined && { sync: { key: group, setSeries: false } }),
          points: { size: 6 },
          ...(onWhole && { bind: { dblclick: () => wholeRun } }),
        },
        scales: {
          x: { time: false, auto: false, min: range[0], max: range[1] },
          y: { distr: this.#isLogarithmic ? 3 : 1 },
        },
        axes: [
          {
            ...axis,
            // Steps and tasks are whole.
            incrs: WHOLE,
            values: (_: uPlot, splits: number[]) => splits.map(short),
            size: 34,
            ...(this.#options.xLabel && { label: this.#options.xLabel, labelSize: 18, size: 30 }),
          },
          {
            ...axis,
            size: 58,
            values: (_, splits) => splits.map((split) => (split === null ? "" : short(split))),
          },
        ],
        series: [
          {},
          ...names.map((name, index) => ({
            label: name,
            show: !this.#hidden.has(name),
            stroke: colour(`series-${index % HUES}`),
            width: 1.5,
            ...(index > 0 && { dash: [...DASHES[index % DASHES.length]!] }),
            points: { show: this.#options.isDotted === true, size: 7 },
            spanGaps: false,
          })),
        ],
        hooks: {
          drawAxes: [(plot) => this.#drawMarks(plot, colour("quiet"))],
          setCursor: [(plot) => this.#showValues(plot)],
          setSelect: [
            (plot) => {
              const { left, width } = plot.select;
              if (width < 4) return;
              onSelect?.(plot.posToVal(left, "x"), plot.posToVal(left + width, "x"));
              plot.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
            },
          ],
        },
      },
      columns,
      this.#canvas,
    );
  }

  /** Dotted lines where tasks begin, with their names while there is room. */
  #drawMarks(plot: uPlot, colour: string): void {
    const { ctx, bbox } = plot;
    const marks = this.#data?.marks ?? [];
    ctx.save();
    ctx.strokeStyle = colour;
    ctx.fillStyle = colour;
    ctx.globalAlpha = 0.75;
    ctx.setLineDash([2 * devicePixelRatio, 4 * devicePixelRatio]);
    ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
    ctx.textBaseline = "top";
    ctx.textAlign = "left";
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    for (const [index, { place, name }] of marks.entries()) {
      const x = Math.round(plot.valToPos(place, "x", true));
      const end =
        index + 1 < marks.length ? plot.valToPos(marks[index + 1]!.place, "x", true) : bbox.left + bbox.width;
      if (index > 0) {
        ctx.beginPath();
        ctx.moveTo(x, bbox.top);
        ctx.lineTo(x, bbox.top + bbox.height);
        ctx.stroke();
      }
      const left = Math.max(x, bbox.left) + 5 * devicePixelRatio;
      const room = Math.min(end, bbox.left + bbox.width) - left;
      if (marks.length <= MOST_NAMES && ctx.measureText(name).width < room)
        ctx.fillText(name, left, bbox.top + 3);
    }
    ctx.restore();
  }

  #drawLegend(names: readonly string[]): void {
    this.#values = names.map(() => element("span", { class: "value" }));
    this.#legend.replaceChildren(
      ...names.map((name, index) => {
        const entry = button("", () => this.#toggle(name, entry), {
          class: `entry hue-${index % HUES}`,
          "aria-pressed": String(!this.#hidden.has(name)),
        });
        entry.append(element("span", { class: "swatch" }), labelOf(name), " ", this.#values[index]!);
        return element("li", {}, entry);
      }),
    );
  }

  #toggle(name: string, entry: HTMLElement): void {
    const isShown = this.#hidden.delete(name);
    if (!isShown) this.#hidden.add(name);
    entry.setAttribute("aria-pressed", String(isShown));
    const index = this.#data?.names.indexOf(name) ?? -1;
    if (index >= 0) this.#plot?.setSeries(index + 1, { show: isShown });
  }

  #showValues(plot: uPlot): void {
    for (const [index, target] of this.#values.entries()) {
      const at = plot.cursor.idx;
      const value = at == null ? null : plot.data[index + 1]?.[at];
      setText(target, value == null ? "" : significant(value));
    }
  }
}

/** A number at an axis. */
function short(value: number): string {
  const size = Math.abs(value);
  if (size >= 1e4) return `${Number((value / 1e3).toPrecision(3))}k`;
  if (size > 0 && size < 1e-3) return value.toExponential(0);
  return String(Number(value.toPrecision(4)));
}
