/**
 * Colours of the figures, on light and on dark ground, after the palette of Okabe and Ito with its pale colours darkened
 * until they stand out from paper. Colour is never alone: series also differ in mark, dash and hatching.
 *
 * Shapes carry the light colours as attributes, for programs that know no style sheets; the style sheet puts custom
 * properties over them. A page that chooses its own theme sets `--figure-ink`, `--figure-0` and so on.
 */
import { type Attributes, type Content, element, type Markup, place } from "./markup.js";

const NAMES = ["ink", "quiet", "grid", "paper", "a", "b", "both"] as const;
type NamedColour = (typeof NAMES)[number];
/** A named colour, or that of the n-th series. */
export type Colour = NamedColour | number;

export interface Theme extends Readonly<Record<NamedColour, string>> {
  readonly series: readonly string[];
}

export const LIGHT: Theme = {
  ink: "#1b1b1b",
  quiet: "#595959",
  grid: "#e2e2e2",
  paper: "#ffffff",
  a: "#e69f00",
  b: "#0072b2",
  both: "#1b1b1b",
  series: ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#333333", "#b07c00", "#2f8fc4", "#6a4c93"],
};

export const DARK: Theme = {
  ink: "#e8e8e8",
  quiet: "#a8adb3",
  grid: "#33383f",
  paper: "#15181d",
  a: "#8a5a00",
  b: "#4aa3df",
  both: "#ffffff",
  series: ["#4aa3df", "#ff8f3a", "#22c197", "#e39ac2", "#d8d8d8", "#e6b422", "#8fd0f5", "#b9a3e3"],
};

/** The class of the root; a page must not use it for anything else. */
export const ROOT_CLASS = "nlora-figure";

const keysOf = ({ series, ...named }: Theme): [string, string][] => [
  ...NAMES.map((name): [string, string] => [name, named[name]]),
  ...series.map((colour, index): [string, string] => [String(index), colour]),
];

const declarations = (theme: Theme): string =>
  keysOf(theme)
    .map(([key, colour]) => `--nf-${key}:var(--figure-${key},${colour})`)
    .join(";");

/** Declarations that fix a theme for all figures inside an element, whatever the reader's system prefers. */
export const fixedTheme = (theme: Theme): string =>
  keysOf(theme)
    .map(([key, colour]) => `--figure-${key}:${colour}`)
    .join(";");

/** The style sheet of every figure; a page with many needs it once. */
export const FIGURE_STYLE = [
  `.${ROOT_CLASS}{${declarations(LIGHT)}}`,
  `@media (prefers-color-scheme:dark){.${ROOT_CLASS}{${declarations(DARK)}}}`,
  `@media print{.${ROOT_CLASS}{${declarations(LIGHT)}}}`,
  ...keysOf(LIGHT).map(([key]) => `.${ROOT_CLASS} .nf-${key}{color:var(--nf-${key})}`),
  `.${ROOT_CLASS} .nf-halo{stroke:var(--nf-paper)}`,
].join("\n");

/** Keeps a text readable over lines: paper around its letters. */
export const HALO: Attributes = {
  class: "nf-halo",
  stroke: LIGHT.paper,
  "stroke-width": 3,
  "stroke-linejoin": "round",
  "paint-order": "stroke",
};

const seriesColour = (index: number): number => index % LIGHT.series.length;

/** Attributes that set `currentColor`. */
export function coloured(colour: Colour): Attributes {
  if (typeof colour === "string") return { class: `nf-${colour}`, color: LIGHT[colour] };
  const index = seriesColour(colour);
  return { class: `nf-${index}`, color: LIGHT.series[index]! };
}

/** A group of which `currentColor` is the colour. */
export const group = (colour: Colour, attributes: Attributes, ...content: Content[]): Markup => {
  const { class: name, color } = coloured(colour);
  const own = attributes.class ? `${name} ${attributes.class}` : name!;
  return element("g", { ...attributes, class: own, color: color! }, ...content);
};

const DASHES = [null, "7 3", "2 3", "9 3 2 3", "14 4", "4 2 1 2 1 2", "1.5 2", "12 3 4 3"];

export const dash = (series: number): string | null => DASHES[series % DASHES.length]!;

const size = 4;
/** Marks around the origin. Nine, so that colour and mark together repeat after 72 series. */
const MARKS: readonly { readonly path: string; readonly filled: boolean }[] = [
  {
    path: `M${-size} 0a${size} ${size} 0 1 0 ${2 * size} 0a${size} ${size} 0 1 0 ${-2 * size} 0z`,
    filled: true,
  },
  { path: "M-3.5 -3.5h7v7h-7z", filled: true },
  { path: "M0 -5l4.6 8.4h-9.2z", filled: true },
  { path: "M0 -5l5 5l-5 5l-5 -5z", filled: false },
  { path: "M-4 -4l8 8m0 -8l-8 8", filled: false },
  { path: "M0 5l4.6 -8.4h-9.2z", filled: true },
  { path: "M-3.5 -3.5h7v7h-7z", filled: false },
  { path: "M0 -5v10m-5 -5h10", filled: false },
  {
    path: `M${-size} 0a${size} ${size} 0 1 0 ${2 * size} 0a${size} ${size} 0 1 0 ${-2 * size} 0z`,
    filled: false,
  },
];

/** The mark of a series at a place, inside a group of its colour. Open marks have paper inside. */
export function mark(
  series: number,
  x: number,
  y: number,
  attributes: Attributes,
  ...content: Content[]
): Markup {
  const { path, filled } = MARKS[series % MARKS.length]!;
  const closed = path.endsWith("z");
  return element(
    "path",
    {
      class: closed && !filled ? "mark open" : "mark",
      transform: `translate(${place(x)} ${place(y)})`,
      d: path,
      fill: filled ? "currentColor" : "none",
      stroke: "currentColor",
      "stroke-width": filled ? 1 : 1.8,
      ...attributes,
    },
    ...content,
  );
}

/** Stripes in the colour of the paper over the bars of a series; the first series has none. */
const HATCHES: readonly (string | null)[] = [
  null,
  "M-2 2L2 -2M0 8L8 0M6 10L10 6",
  "M-2 6L2 10M0 0L8 8M6 -2L10 2",
  "M0 4H8",
  "M4 0V8",
  "M-2 2L2 -2M0 8L8 0M6 10L10 6M-2 6L2 10M0 0L8 8M6 -2L10 2",
  "M0 4H8M4 0V8",
  "M2.6 4h2.8",
];

const hatchId = (prefix: string, series: number): string => `${prefix}-hatch-${series % HATCHES.length}`;

/** The patterns that `count` series need, for the `defs` of a figure. */
export function hatchPatterns(prefix: string, count: number): Markup[] {
  return HATCHES.slice(0, count).flatMap((path, index) =>
    path === null
      ? []
      : [
          element(
            "pattern",
            { id: hatchId(prefix, index), patternUnits: "userSpaceOnUse", width: 8, height: 8 },
            group(
              "paper",
              {},
              element("path", { d: path, stroke: "currentColor", "stroke-width": 1.6, fill: "none" }),
            ),
          ),
        ],
  );
}

/** What fills the second layer of a bar of the series; null for plain bars. */
export const hatchFill = (prefix: string, series: number): string | null =>
  HATCHES[series % HATCHES.length] === null ? null : `url(#${hatchId(prefix, series)})`;

/** A pale and a strong blue and what lies between, ever darker: what values of a heat map look like, from 0 to 1. */
const RAMP = [
  [247, 251, 255],
  [198, 219, 239],
  [107, 174, 214],
  [33, 113, 181],
  [8, 48, 107],
] as const;

export function rampColour(share: number): string {
  const at = Math.min(1, Math.max(0, share)) * (RAMP.length - 1);
  const below = Math.min(RAMP.length - 2, Math.floor(at));
  const mix = at - below;
  const channels = RAMP[below]!.map((from, k) => Math.round(from + (RAMP[below + 1]![k]! - from) * mix));
  return `#${channels.map((channel) => channel.toString(16).padStart(2, "0")).join("")}`;
}

/** Relative luminance of a colour written #rrggbb (WCAG 2). */
export function luminance(colour: string): number {
  const [red, green, blue] = [1, 3, 5].map((at) => {
    const share = Number.parseInt(colour.slice(at, at + 2), 16) / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  }) as [number, number, number];
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

/** Contrast of two colours (WCAG 2), from 1 to 21. */
export function contrast(one: string, other: string): number {
  const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b) as [number, number];
  return (light + 0.05) / (dark + 0.05);
}

/** Black or white, whichever is easier to read on a colour. */
export const textOn = (colour: string): string =>
  contrast(colour, "#ffffff") >= contrast(colour, "#111111") ? "#ffffff" : "#111111";
