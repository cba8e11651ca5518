/** One HTML file that needs nothing else: its style, its figures and its tables are inside, and it may run no script. */
import { createHash } from "node:crypto";
import { type DataTable, dataTables } from "../figures/data-table.js";
import { draw } from "../figures/draw.js";
import type { Figure } from "../figures/figure.js";
import { type Content, element, join, Markup } from "../figures/markup.js";
import { readable } from "../figures/scale.js";
import { FIGURE_STYLE } from "../figures/theme.js";

/** A figure's numbers beyond that are left to its CSV file. */
const DATA_ROWS = 300;
/** Columns of numbers that a page holds side by side. */
const COLUMNS = 6;

export const NOT_MEASURED = "not measured";

const STYLE = `${FIGURE_STYLE}
:root{color-scheme:light dark;--text:#1b1b1b;--soft:#595959;--line:#d5d5d5;--ground:#fff;--shade:#f4f5f7;--link:#0b5394}
@media (prefers-color-scheme:dark){:root{--text:#e8e8e8;--soft:#a8adb3;--line:#3a4048;--ground:#15181d;--shade:#1e2228;--link:#7cc0f0}}
@media print{:root{--text:#000;--soft:#444;--line:#bbb;--ground:#fff;--shade:#f4f4f4;--link:#000}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:64rem;padding:1.5rem 1rem 4rem;font:15px/1.5 system-ui,"Segoe UI","Liberation Sans",Arial,sans-serif;color:var(--text);background:var(--ground)}
h1{font-size:1.6rem;margin:0 0 .3rem}
h2{font-size:1.3rem;margin:2.5rem 0 .5rem;padding-top:.5rem;border-top:2px solid var(--line)}
h3{font-size:1.05rem;margin:1.6rem 0 .4rem}
p,ul{margin:.4rem 0}
a{color:var(--link)}
a:focus-visible,summary:focus-visible{outline:2px solid var(--link);outline-offset:2px}
.soft,caption{color:var(--soft)}
.status{display:inline-block;padding:0 .5rem;border:1px solid currentColor;border-radius:.6rem;font-size:.8em;font-weight:600;vertical-align:middle}
.warning{border-left:4px solid #b07c00;padding:.3rem .8rem;background:var(--shade)}
.scroll{overflow-x:auto}
table{border-collapse:collapse;min-width:min(100%,36rem);margin:.4rem 0;font-variant-numeric:tabular-nums;font-size:.93em}
caption{text-align:left;padding:.2rem 0}
th,td{padding:.2rem .6rem;border-bottom:1px solid var(--line);text-align:right;vertical-align:top;unicode-bidi:isolate;overflow-wrap:break-word}
tbody th{overflow-wrap:anywhere;min-width:9rem}
th:first-child,td:first-child,.words th,.words td{text-align:left}
thead th{border-bottom:2px solid var(--line)}
tbody th{font-weight:500}
td.missing{color:var(--soft);font-style:italic}
figure{margin:1rem 0}
figure svg{max-width:100%;height:auto;border:1px solid var(--line)}
details{margin:.3rem 0}
summary{cursor:pointer;color:var(--soft)}
pre{overflow-x:auto;background:var(--shade);padding:.6rem;font-size:.85em}
nav ul{columns:2;padding-left:1.2rem}
@media print{body{max-width:none;padding:0;font-size:10pt}
.scroll,pre{overflow:visible}
pre{white-space:pre-wrap}
h2,h3,caption{break-after:avoid}
section.run{break-before:page}
figure,tr,.status,.warning{break-inside:avoid}
thead{display:table-header-group}
nav,details.numbers{display:none}
a{text-decoration:none}
th,td{padding:.15rem .35rem}
tbody th{min-width:7rem}
.wide table{font-size:7.5pt}
.wide th,.wide td{padding:.1rem .25rem}}
@page{margin:15mm}`;

const POLICY = [
  "default-src 'none'",
  `style-src 'sha256-${createHash("sha256").update(STYLE).digest("base64")}'`,
  "base-uri 'none'",
  "form-action 'none'",
].join("; ");

/** The whole document. */
export function page(title: string, ...content: readonly Content[]): string {
  const head = element(
    "head",
    {},
    element("meta", { charset: "utf-8" }),
    element("meta", { "http-equiv": "Content-Security-Policy", content: POLICY }),
    element("meta", { name: "viewport", content: "width=device-width, initial-scale=1" }),
    element("meta", { name: "referrer", content: "no-referrer" }),
    element("title", {}, title),
    element("style", {}, new Markup(STYLE)),
  );
  return `<!doctype html>\n${element("html", { lang: "en" }, head, element("body", {}, ...content)).text}\n`;
}

export const heading = (level: 1 | 2 | 3, text: Content, id: string | null = null): Markup =>
  element(`h${level}`, { id }, text);

export const paragraph = (...content: readonly Content[]): Markup => element("p", {}, ...content);

/** A value of a table: text, a number that is formatted already, or null for what was not measured. */
export type Cell = Content;

const cell = (name: "td" | "th", value: Cell): Markup =>
  value === null
    ? element(name, { class: "missing" }, NOT_MEASURED)
    : element(name, name === "th" ? { scope: "row" } : {}, value);

/** A table with a header row; its first column names the rows. Many columns are told over several tables. */
export function table(
  caption: string | null,
  header: readonly string[],
  rows: readonly (readonly Cell[])[],
  options: { readonly words?: boolean; readonly columns?: number } = {},
): Markup {
  const { words = false, columns = Number.POSITIVE_INFINITY } = options;
  const parts = Math.max(1, Math.ceil((header.length - 1) / columns));
  const each = Math.ceil((header.length - 1) / parts);
  return new Markup(
    Array.from({ length: parts }, (_, part) => {
      const [from, to] = [1 + part * each, 1 + (part + 1) * each];
      const pick = <Value>(row: readonly Value[]) => [row[0]!, ...row.slice(from, to)];
      const one = element(
        "table",
        words ? { class: "words" } : {},
        caption === null ? null : element("caption", {}, caption),
        element(
          "thead",
          {},
          element(
            "tr",
            {},
            pick(header).map((name) => element("th", { scope: "col" }, name)),
          ),
        ),
        element(
          "tbody",
          {},
          rows.map((row) => {
            const [first, ...others] = pick(row);
            return element(
              "tr",
              {},
              cell("th", first!),
              others.map((value) => cell("td", value)),
            );
          }),
        ),
      );
      return element("div", { class: each > 10 ? "scroll wide" : "scroll" }, one).text;
    }).join("\n"),
  );
}

/** Metrics down, runs across. */
export const wideTable = (
  caption: string | null,
  header: readonly string[],
  rows: readonly (readonly Cell[])[],
): Markup => table(caption, header, rows, { columns: COLUMNS });

/** Names and what they stand for. */
export const facts = (rows: readonly (readonly [string, Content])[]): Markup =>
  table(null, ["setting", "value"], rows, { words: true });

export const list = (items: readonly Content[]): Markup =>
  element(
    "ul",
    {},
    items.map((item) => element("li", {}, item)),
  );

export const details = (summary: string, ...content: readonly Content[]): Markup =>
  element("details", {}, element("summary", {}, summary), ...content);

export const warning = (...content: readonly Content[]): Markup =>
  element("p", { class: "warning" }, ...content);

/** A figure with its exact numbers beside it. */
export function figureOf(figure: Figure): Markup {
  return element(
    "figure",
    { id: figure.id },
    new Markup(draw(figure, { styled: false })),
    element(
      "details",
      { class: "numbers" },
      element("summary", {}, "The numbers of this figure"),
      dataTables(figure).map(numbers),
    ),
  );
}

function numbers({ title, header, rows }: DataTable): Markup {
  const shown = rows.slice(0, DATA_ROWS);
  const rest = rows.length - shown.length;
  return new Markup(
    join([
      table(
        title,
        header,
        shown.map((row) => row.map((value) => (typeof value === "number" ? readable(value) : value))),
      ),
      rest > 0
        ? paragraph(
            `The first ${DATA_ROWS} of ${rows.length} rows; nlora report --figures DIR writes all of them as CSV.`,
          )
        : null,
    ]),
  );
}
