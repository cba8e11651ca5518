/** The fields of a form, generated from what the server says of the settings; groups fold, variants change what they hold. */
import { element, setText } from "./dom.js";
import type { FormField, FormGroup, FormItem, FormValues, FormVariants, Problem } from "./wire.js";

/** Groups that are open at first. */
const OPEN = new Set(["data", "method", "training"]);

interface Control {
  readonly path: string;
  readonly input: HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement;
  readonly error: HTMLElement;
  /** What was written; undefined where it is the default. */
  readonly value: () => string | undefined;
}

export class FormFields {
  readonly root: HTMLElement;
  readonly #given: Map<string, string>;
  readonly #onChange: () => void;
  #controls: Control[] = [];
  readonly #general = element("p", { class: "problem", role: "alert" });

  constructor(items: readonly FormItem[], values: FormValues, onChange: () => void) {
    this.#given = new Map(Object.entries(values));
    this.#onChange = onChange;
    const plain = items.filter(({ kind }) => kind === "field");
    const groups = items.filter(({ kind }) => kind !== "field");
    const order = [...groups].sort((a, b) => Number(OPEN.has(b.path)) - Number(OPEN.has(a.path)));
    this.root = element(
      "form",
      { class: "fields" },
      this.#general,
      this.#section("general", true, plain),
      ...order.map((item) => this.#section(item.path, OPEN.has(item.path), [item])),
    );
    this.root.addEventListener("submit", (event) => event.preventDefault());
  }

  /** What differs from the defaults, of the fields that are in the form now. */
  values(): FormValues {
    const values: Record<string, string> = {};
    for (const { path, input, value } of this.#controls) {
      if (!input.isConnected) continue;
      const text = value();
      if (text !== undefined) values[path] = text;
    }
    return values;
  }

  /** Each beside its field, or the field that is nearest to it; those of no field above all. */
  showProblems(problems: readonly Problem[]): void {
    const here = this.#controls.filter(({ input }) => input.isConnected);
    const texts = new Map<Control, string[]>();
    const others: string[] = [];
    for (const { path, message } of problems) {
      const control = nearest(here, path);
      if (!control) others.push(path === "" ? message : `${path}: ${message}`);
      else {
        const inner = path === control.path ? "" : `${path.slice(control.path.length + 1)}: `;
        texts.set(control, [...(texts.get(control) ?? []), `${inner}${message}`]);
      }
    }
    for (const control of here) {
      const text = texts.get(control)?.join("\n") ?? "";
      setText(control.error, text);
      if (text === "") control.input.removeAttribute("aria-invalid");
      else control.input.setAttribute("aria-invalid", "true");
    }
    setText(this.#general, others.join("\n"));
  }

  /** Goes to the first field that is wrong, unfolding what hides it. */
  focusProblem(): void {
    const wrong = this.#controls.find(({ input }) => input.isConnected && input.ariaInvalid === "true");
    if (!wrong) return;
    for (let around = wrong.input.parentElement; around; around = around.parentElement) {
      if (around instanceof HTMLDetailsElement) around.open = true;
    }
    wrong.input.focus();
  }

  #section(title: string, isOpen: boolean, items: readonly FormItem[]): HTMLElement {
    const made = element("details", { class: "group" }, element("summary", {}, title));
    made.open =
      isOpen ||
      items.some((item) => [...this.#given.keys()].some((path) => path.startsWith(`${item.path}.`)));
    for (const item of items) made.append(...this.#nodes(item, true));
    return made;
  }

  /** `isTop`: its section has its name already. */
  #nodes(item: FormItem, isTop = false): HTMLElement[] {
    if (item.kind === "field") return [this.#field(item)];
    if (item.kind === "variants") return this.#variants(item);
    return [this.#group(item, isTop)];
  }

  #group(item: FormGroup, isTop: boolean): HTMLElement {
    const inside = element("div", { class: "inside" });
    const fill = (isOn: boolean) =>
      inside.replaceChildren(...(isOn ? item.items.flatMap((each) => this.#nodes(each)) : []));
    if (!item.isOptional) {
      fill(true);
      if (isTop) return inside;
      return element("fieldset", {}, element("legend", {}, item.label), inside);
    }
    const box = element("input", { type: "checkbox" });
    box.checked = this.#given.get(item.path) === "true";
    const switched = this.#labelled(item, box, () => (box.checked ? "true" : undefined));
    box.addEventListener("change", () => {
      fill(box.checked);
      this.#onChange();
    });
    fill(box.checked);
    return element("fieldset", {}, element("legend", {}, item.label), switched, inside);
  }

  #variants(item: FormVariants): HTMLElement[] {
    const path = `${item.path}.${item.tag}`;
    const select = element(
      "select",
      {},
      ...item.variants.map(({ name, title }) =>
        element("option", { value: name }, title === name ? name : `${name} (${title})`),
      ),
    );
    select.value = this.#given.get(path) ?? item.default;
    const inside = element("div", { class: "inside" });
    const fill = () => {
      const chosen = item.variants.find(({ name }) => name === select.value);
      inside.replaceChildren(...(chosen?.items ?? []).flatMap((each) => this.#nodes(each)));
    };
    select.addEventListener("change", () => {
      fill();
      this.#onChange();
    });
    fill();
    const labelled = this.#labelled({ path, label: item.tag, help: item.help }, select, () => select.value);
    return [labelled, inside];
  }

  #field(field: FormField): HTMLElement {
    const given = this.#given.get(field.path);
    const listened = <Input extends HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement>(
      input: Input,
    ) => {
      input.addEventListener("input", () => {
        this.#given.delete(field.path);
        this.#onChange();
      });
      return input;
    };
    if (field.control === "flag") {
      const box = listened(element("input", { type: "checkbox" }));
      box.checked = (given ?? field.default) === "true";
      return this.#labelled(field, box, () => {
        const text = String(box.checked);
        return text === field.default ? undefined : text;
      });
    }
    if (field.control === "choice") {
      const options = field.options ?? [];
      const select = listened(
        element("select", {}, ...options.map((option) => element("option", { value: option }, option))),
      );
      select.value = given ?? field.default;
      return this.#labelled(field, select, () => (select.value === field.default ? undefined : select.value));
    }
    const input =
      field.control === "yaml" && field.isRequired
        ? listened(element("textarea", {}))
        : listened(element("input", { type: "text" }));
    if (field.control === "number") input.inputMode = "decimal";
    input.placeholder = field.default;
    input.spellcheck = false;
    input.autocomplete = "off";
    input.value = given ?? "";
    return this.#labelled(field, input, () => (input.value.trim() === "" ? undefined : input.value));
  }

  #labelled(
    { path, label, help }: { readonly path: string; readonly label: string; readonly help: string },
    input: Control["input"],
    value: Control["value"],
  ): HTMLElement {
    const id = `field-${path}`;
    const error = element("p", { class: "problem", id: `${id}-error` });
    input.id = id;
    input.name = path;
    input.setAttribute("aria-describedby", `${id}-help ${id}-error`);
    this.#controls = this.#controls.filter((control) => control.path !== path);
    this.#controls.push({ path, input, error, value });
    return element(
      "div",
      { class: "field" },
      element("label", { for: id }, label),
      input,
      element("p", { class: "help", id: `${id}-help` }, help),
      error,
    );
  }
}

/** The field of a setting, or of the setting that holds it. */
function nearest(controls: readonly Control[], path: string): Control | undefined {
  for (let each = path; each !== ""; each = each.slice(0, Math.max(0, each.lastIndexOf(".")))) {
    const found = controls.find((control) => control.path === each);
    if (found) return found;
  }
  return undefined;
}
