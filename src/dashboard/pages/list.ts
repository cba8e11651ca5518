/** The list of runs: filtered by typing, chosen for comparison. */
import { fixed } from "../../format.js";
import { announce, element, setText, table } from "./dom.js";
import { listen } from "./server.js";
import { badge, dateOf, statusText } from "./status.js";
import type { RunList, RunSummary } from "./wire.js";

const HEAD = ["Compare", "Run", "State"];
const NUMBERS = ["Tasks", "AA (%)", "F.Ra"];

export function showList(main: HTMLElement): void {
  let list: RunList = { runs: [] };
  const chosen = new Set<string>();
  const filter = element("input", { type: "search", id: "filter" });
  const rows = element("div", {});
  const compare = element("a", { class: "action", id: "compare" }, "Compare");
  const note = element("p", { class: "quiet", id: "count" });
  main.replaceChildren(
    element("h1", {}, "Runs"),
    element("div", { class: "bar" }, element("label", { for: "filter" }, "Find "), filter, compare),
    note,
    rows,
  );

  const updateCompare = () => {
    if (chosen.size < 2) {
      compare.removeAttribute("href");
      compare.setAttribute("aria-disabled", "true");
      setText(compare, "Compare: choose two or more");
    } else {
      compare.setAttribute("href", `/compare?runs=${[...chosen].join(",")}`);
      compare.removeAttribute("aria-disabled");
      setText(compare, `Compare ${chosen.size} runs`);
    }
  };
  const lineOf = (run: RunSummary): HTMLTableRowElement => {
    const box = element("input", {
      type: "checkbox",
      "aria-label": `compare ${run.name}`,
      "data-run": run.id,
    });
    box.checked = chosen.has(run.id);
    box.addEventListener("change", () => {
      if (box.checked) chosen.add(run.id);
      else chosen.delete(run.id);
      updateCompare();
    });
    const state = element("td", {}, badge(run));
    if (run.damage !== null) state.append(" ", element("span", { class: "quiet" }, run.damage));
    return element(
      "tr",
      { "data-run": run.id },
      element("td", {}, box),
      element("th", { scope: "row" }, element("a", { href: `/runs/${run.id}` }, run.name)),
      state,
      element(
        "td",
        { class: "number" },
        run.tasks.length === 0 ? "" : `${run.tasksDone} of ${run.tasks.length}`,
      ),
      element("td", { class: "number" }, fixed(run.averageAccuracy)),
      element("td", { class: "number" }, fixed(run.forgettingRate)),
      element("td", { class: "minor" }, run.method),
      element("td", { class: "minor" }, run.model),
      element("td", { class: "minor" }, dateOf(run.startedAt)),
    );
  };
  const draw = () => {
    const words = filter.value
      .toLowerCase()
      .split(/\s+/)
      .filter((word) => word !== "");
    const shown = list.runs.filter((run) => {
      const text =
        `${run.name} ${run.method} ${run.model} ${statusText(run)} ${run.tasks.join(" ")}`.toLowerCase();
      return words.every((word) => text.includes(word));
    });
    const focused = document.activeElement?.closest("[data-run]")?.getAttribute("data-run");
    const wasBox = document.activeElement instanceof HTMLInputElement;
    rows.replaceChildren(
      shown.length === 0
        ? element("p", { class: "empty" }, list.runs.length === 0 ? NOTHING : "No run has these words.")
        : table(
            "Runs, the newest first",
            [
              ...HEAD,
              ...NUMBERS.map((title) => element("span", { class: "number" }, title)),
              ...["Method", "Model", "Started"].map((title) => element("span", { class: "minor" }, title)),
            ],
            shown.map(lineOf),
          ),
    );
    if (focused) {
      const line = rows.querySelector(`tr[data-run="${CSS.escape(focused)}"]`);
      line?.querySelector<HTMLElement>(wasBox ? "input" : "a")?.focus({ preventScroll: true });
    }
    const under = list.runs.filter((run) => statusText(run) === "running").length;
    setText(note, `${shown.length} of ${list.runs.length} runs; ${under} under way`);
  };
  filter.addEventListener("input", () => {
    draw();
    announce(note.textContent ?? "");
  });
  updateCompare();
  listen<RunList>("/api/events", (message) => {
    const before = new Map(list.runs.map((run) => [run.id, run]));
    list = message;
    for (const run of list.runs) {
      const earlier = before.get(run.id);
      if (earlier && earlier.status !== run.status) announce(`${run.name}: ${statusText(run)}`);
    }
    draw();
  });
}

const NOTHING = "There is no run in this folder yet. Start one here, or with nlora train.";
