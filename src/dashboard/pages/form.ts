/** A new run: fields for every setting of the config, what is wrong beside its field, and the YAML of what will be run. */

import { announce, button, element, setText } from "./dom.js";
import { FormFields } from "./form-fields.js";
import { ask, ServerError } from "./server.js";
import type { Check, FormItem, FormValues } from "./wire.js";

const PAUSE_MILLISECONDS = 250;

export async function showForm(main: HTMLElement, like: string | null): Promise<void> {
  document.title = "New run – nlora";
  const [items, values] = await Promise.all([
    ask<FormItem[]>("/api/form"),
    like === null ? Promise.resolve({}) : ask<FormValues>(`/api/runs/${like}/config`),
  ]);
  const yaml = element("pre", { id: "yaml", tabindex: "0", "aria-label": "the configuration, in YAML" });
  const state = element("p", { role: "status", id: "check" });
  const problem = element("p", { class: "problem", role: "alert" });
  const start = button("Start the run", () => void begin(), { class: "primary", id: "start" });
  let asked = 0;
  let timer = 0;
  const fields = new FormFields(items, values, () => {
    clearTimeout(timer);
    timer = setTimeout(() => void check(), PAUSE_MILLISECONDS);
  });
  main.replaceChildren(
    element("h1", {}, "New run"),
    element("p", { class: "quiet" }, "What is left empty has its default, shown in grey."),
    element(
      "div",
      { class: "columns" },
      fields.root,
      element(
        "section",
        { class: "side", "aria-label": "What will be run" },
        element("div", { class: "bar" }, start, state),
        problem,
        element("h2", {}, "What will be run"),
        yaml,
      ),
    ),
  );

  const show = (checked: Check): boolean => {
    fields.showProblems(checked.problems);
    const count = checked.problems.length;
    start.disabled = count > 0;
    setText(state, count === 0 ? "ready" : `${count} ${count === 1 ? "setting is" : "settings are"} wrong`);
    if (checked.yaml !== null) setText(yaml, checked.yaml);
    yaml.classList.toggle("stale", count > 0);
    return count === 0;
  };
  const check = async (): Promise<void> => {
    const mine = ++asked;
    try {
      const checked = await ask<Check>("/api/check", fields.values());
      if (mine === asked) show(checked);
      setText(problem, "");
    } catch (error) {
      setText(problem, (error as Error).message);
    }
  };
  const begin = async (): Promise<void> => {
    start.disabled = true;
    try {
      const { id } = await ask<{ id: string | null }>("/api/runs", fields.values());
      location.href = id === null ? "/" : `/runs/${id}`;
    } catch (error) {
      start.disabled = false;
      const body = error instanceof ServerError ? (error.body as Partial<Check> | null) : null;
      if (body?.problems && body.problems.length > 0) {
        show({ yaml: null, problems: body.problems });
        fields.focusProblem();
        announce(state.textContent ?? "");
      } else setText(problem, (error as Error).message);
    }
  };
  await check();
}
