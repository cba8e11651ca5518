/** Makes elements. Texts are set as texts, never as markup: what a run or a dataset says cannot become part of the page. */

type Child = Node | string | null;

interface Properties {
  readonly class?: string;
  readonly id?: string;
  readonly title?: string;
  readonly for?: string;
  readonly href?: string;
  readonly src?: string;
  readonly alt?: string;
  readonly type?: string;
  readonly name?: string;
  readonly value?: string;
  readonly scope?: "col" | "row";
  readonly role?: string;
  readonly tabindex?: string;
  readonly [attribute: `aria-${string}` | `data-${string}`]: string;
}

export function element<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  properties: Properties = {},
  ...children: Child[]
): HTMLElementTagNameMap[Tag] {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) made.setAttribute(name, value);
  made.append(...children.filter((child) => child !== null));
  return made;
}

export function button(text: string, onClick: () => void, properties: Properties = {}): HTMLButtonElement {
  const made = element("button", { type: "button", ...properties }, text);
  made.addEventListener("click", onClick);
  return made;
}

/** A table in a box of its own that scrolls sideways, reachable by keyboard. */
export function table(
  caption: string,
  head: readonly Child[],
  rows: readonly HTMLTableRowElement[],
): HTMLElement {
  return element(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    element(
      "table",
      {},
      element("caption", {}, caption),
      element("thead", {}, element("tr", {}, ...head.map((title) => element("th", { scope: "col" }, title)))),
      element("tbody", {}, ...rows),
    ),
  );
}

/** A row whose first cell is its header. */
export function row(head: Child, cells: readonly (Child | HTMLTableCellElement)[]): HTMLTableRowElement {
  return element(
    "tr",
    {},
    element("th", { scope: "row" }, head),
    ...cells.map((cell) => (cell instanceof HTMLTableCellElement ? cell : element("td", {}, cell))),
  );
}

/** Replaces what is in an element, unless it is the same text. */
export function setText(target: Element, text: string): void {
  if (target.textContent !== text) target.textContent = text;
}

/** Says something to those who do not see the page. */
export function announce(text: string): void {
  const status = document.getElementById("status");
  if (status) setText(status, text);
}

export function find<E extends Element>(selector: string, type: new () => E, root: ParentNode = document): E {
  const found = root.querySelector(selector);
  if (found instanceof type) return found;
  throw new Error(`the page has no ${selector}`);
}
