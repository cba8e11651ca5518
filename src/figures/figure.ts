/** What a figure shows, as plain data. `draw` makes an SVG of it and `dataTable` a table, so both say the same. */
import type { CollisionMap as InspectedMap } from "../metrics/inspection.js";

interface Named {
  /** Short and of letters, digits and dashes; names its file and its parts. */
  readonly id: string;
  readonly title: string;
  /** What is to be seen, for those who do not see it. */
  readonly description: string;
  /** Small print below: readings, deviations, what was left out. */
  readonly notes?: readonly string[];
}

export interface Axis {
  /** With its unit: "accuracy, %". */
  readonly label: string;
  /** Ignored where there are categories. */
  readonly scale?: "linear" | "log";
  /** Values are places in this list. */
  readonly categories?: readonly string[];
  readonly min?: number;
  readonly max?: number;
}

export interface Point {
  readonly x: number;
  /** Null: not measured; a line has a gap there. */
  readonly y: number | null;
  /** Half the length of an error bar. */
  readonly deviation?: number | null;
  /** Printed beside the point. */
  readonly label?: string;
}

export interface Series {
  readonly name: string;
  readonly points: readonly Point[];
}

export interface Reference {
  readonly axis: "x" | "y";
  readonly value: number;
  readonly label: string;
  /** The series that it belongs to, whose colour it gets. */
  readonly series?: number;
}

/** A part of the x axis with a name, such as a task's steps. */
export interface Span {
  readonly from: number;
  readonly to: number;
  readonly label: string;
}

/** Series of points over x, joined by lines or not. */
export interface Chart extends Named {
  readonly kind: "chart";
  readonly x: Axis;
  readonly y: Axis;
  readonly series: readonly Series[];
  readonly lines: boolean;
  readonly references?: readonly Reference[];
  readonly spans?: readonly Span[];
}

export interface BarSeries {
  readonly name: string;
  /** One per category; null: not measured. */
  readonly values: readonly (number | null)[];
  readonly deviations?: readonly (number | null)[];
  /** What the paper reports, drawn as a mark beside the bar. */
  readonly published?: readonly (number | null)[];
}

export interface Bars extends Named {
  readonly kind: "bars";
  readonly x: { readonly label: string; readonly categories: readonly string[] };
  readonly y: Axis;
  readonly series: readonly BarSeries[];
  readonly references?: readonly Reference[];
}

/** A table of values as colours, with the values printed. */
export interface HeatMap extends Named {
  readonly kind: "heat-map";
  readonly rowLabel: string;
  readonly columnLabel: string;
  readonly rows: readonly string[];
  readonly columns: readonly string[];
  /** Row by row; null: not measured. */
  readonly values: readonly (readonly (number | null)[])[];
  /** What the palest and the strongest colour stand for. */
  readonly range: readonly [number, number];
  readonly unit: string;
}

/** How many of the elements in each cell of a grid over a matrix two updates use. */
export interface CollisionMap extends Named, Omit<InspectedMap, "module" | "reading" | "i" | "j"> {
  readonly kind: "collision-map";
}

/** Figures side by side under one title. */
export interface Panels extends Named {
  readonly kind: "panels";
  readonly columns: number;
  readonly panels: readonly Exclude<Figure, Panels>[];
}

export type Figure = Chart | Bars | HeatMap | CollisionMap | Panels;
