/** An SVG of a figure. The same description always gives the same text. */
import { barsBody } from "./bars.js";
import { chartBody } from "./chart.js";
import { collisionMapBody } from "./collision-map.js";
import type { Figure, Panels } from "./figure.js";
import { type Body, notesOf, shifted, titleOf } from "./frame.js";
import { heatMapBody } from "./heat-map.js";
import { element, Markup } from "./markup.js";
import { FIGURE_STYLE, group, ROOT_CLASS } from "./theme.js";

export interface DrawOptions {
  /** In pixels; the height follows. */
  readonly width?: number;
  readonly plotHeight?: number;
  /** Leave the style sheet out: the page has it (FIGURE_STYLE). */
  readonly styled?: boolean;
}

/** An SVG document, which may also stand inside an HTML page. */
export function draw(figure: Figure, options: DrawOptions = {}): string {
  const { width = 720, plotHeight = 260, styled = true } = options;
  const body = bodyOf(figure, width, plotHeight);
  const height = Math.ceil(body.height + 6);
  const id = `figure-${figure.id}`;
  return element(
    "svg",
    {
      xmlns: "http://www.w3.org/2000/svg",
      class: ROOT_CLASS,
      role: "img",
      "aria-labelledby": `${id}-title ${id}-description`,
      width,
      height,
      viewBox: `0 0 ${width} ${height}`,
      "font-family": "system-ui, 'Segoe UI', 'Liberation Sans', Arial, sans-serif",
      "font-size": 12,
    },
    element("title", { id: `${id}-title` }, figure.title),
    element("desc", { id: `${id}-description` }, figure.description),
    styled ? element("style", {}, new Markup(FIGURE_STYLE)) : null,
    group("paper", {}, element("rect", { width: "100%", height: "100%", fill: "currentColor" })),
    ...body.markup,
  ).text;
}

function bodyOf(figure: Figure, width: number, plotHeight: number, top = 0): Body {
  switch (figure.kind) {
    case "chart":
      return chartBody(figure, width, plotHeight, top);
    case "bars":
      return barsBody(figure, width, plotHeight, top);
    case "heat-map":
      return heatMapBody(figure, width);
    case "collision-map":
      return collisionMapBody(figure, width);
    case "panels":
      return panelsBody(figure, width, plotHeight);
  }
}

function panelsBody({ title, notes, panels, columns }: Panels, width: number, plotHeight: number): Body {
  const head = titleOf(title, width);
  const each = width / columns;
  const markup = [...head.markup];
  let top = head.height + 4;
  for (let first = 0; first < panels.length; first += columns) {
    const row = panels.slice(first, first + columns);
    const level = Math.max(...row.map((panel) => bodyOf(panel, each, plotHeight).top ?? 0));
    const bodies = row.map((panel) => bodyOf(panel, each, plotHeight, level));
    bodies.forEach((body, index) => {
      markup.push(shifted(body, top, index * each));
    });
    top += Math.max(...bodies.map(({ height }) => height)) + 8;
  }
  const foot = notesOf(notes ?? [], width);
  return { markup: [...markup, shifted(foot, top)], height: top + foot.height };
}
