/** The answers on one task: right and wrong, searched, a page at a time. The address says what is shown. */
import { announce, button, element, setText, table } from "./dom.js";
import { afterText } from "./matrix.js";
import { ask, ServerError } from "./server.js";
import type { PredictionPage, RunDetail } from "./wire.js";

const OUTCOMES = [
  ["all", "All"],
  ["wrong", "Wrong"],
  ["right", "Right"],
] as const;

export async function showPredictions(main: HTMLElement, id: string, query: URLSearchParams): Promise<void> {
  let run: RunDetail;
  try {
    run = await ask<RunDetail>(`/api/runs/${id}`);
  } catch (error) {
    main.replaceChildren(
      element("h1", {}, "Answers"),
      element("p", { class: "problem", role: "alert" }, (error as Error).message),
    );
    return;
  }
  const state = {
    after: query.get("after") ?? "1",
    task: query.get("task") ?? "0",
    outcome: query.get("outcome") ?? "all",
    search: query.get("search") ?? "",
    page: Number(query.get("page") ?? "1") - 1,
  };
  document.title = `Answers of ${run.name} – nlora`;
  const heading = element("h1", {});
  const places = element("select", { id: "place" });
  for (const place of run.predictions) {
    const [after, task] = place.split("/").map(Number) as [number, number];
    const option = element(
      "option",
      { value: `${after + 1}/${task}` },
      `${run.tasks[task]}, ${afterText(run.tasks, after)}`,
    );
    places.append(option);
  }
  places.value = `${state.after}/${state.task}`;
  const search = element("input", { type: "search", id: "search", value: state.search });
  const outcomes = element("div", { role: "group", class: "choice", "aria-label": "Which answers" });
  const found = element("p", { class: "quiet", role: "status", id: "found" });
  const rows = element("div", {});
  const pager = element("nav", { class: "bar", "aria-label": "Pages of answers" });
  main.replaceChildren(
    element("p", {}, element("a", { href: `/runs/${id}` }, `← ${run.name}`)),
    heading,
    element(
      "div",
      { class: "bar" },
      element("label", { for: "place" }, "Answers on "),
      places,
      element("label", { for: "search" }, "Find "),
      search,
      outcomes,
    ),
    found,
    rows,
    pager,
  );

  let asked = 0;
  const load = async (): Promise<void> => {
    const mine = ++asked;
    const wanted = { search: state.search, outcome: state.outcome, page: String(state.page) };
    const address = { after: state.after, task: state.task, ...wanted, page: String(state.page + 1) };
    history.replaceState(null, "", `?${new URLSearchParams(address)}`);
    const task = run.tasks[Number(state.task)] ?? "";
    setText(heading, `Answers on ${task} ${afterText(run.tasks, Number(state.after) - 1)}`);
    try {
      const page = await ask<PredictionPage>(
        `/api/runs/${id}/predictions/${state.after}/${state.task}?${new URLSearchParams(wanted)}`,
      );
      if (mine === asked) draw(page);
    } catch (error) {
      if (!(error instanceof ServerError)) throw error;
      rows.replaceChildren(element("p", { class: "problem", role: "alert" }, error.message));
      pager.replaceChildren();
      setText(found, "");
    }
  };
  const draw = (page: PredictionPage): void => {
    state.page = page.page;
    setText(
      found,
      `${page.found} of ${page.right + page.wrong} answers; ${page.right} right, ${page.wrong} wrong in all`,
    );
    outcomes.replaceChildren(
      ...OUTCOMES.map(([value, text]) =>
        button(text, () => change({ outcome: value, page: 0 }), {
          "aria-pressed": String(value === state.outcome),
        }),
      ),
    );
    const shared = sharedLength(page.rows.map(({ input }) => input));
    rows.replaceChildren(
      page.rows.length === 0
        ? element("p", { class: "empty" }, "No answer is like that.")
        : table(
            "Answers, in the order of the test rows",
            ["Row", "Prompt", "Expected", "Answer", "Verdict"],
            page.rows.map(({ row, input, target, prediction, correct }) =>
              element(
                "tr",
                { class: correct ? "right" : "wrong" },
                element("th", { scope: "row" }, String(row + 1)),
                element("td", { class: "text" }, longText(input, shared)),
                element("td", { class: "text" }, target),
                element(
                  "td",
                  { class: "text" },
                  prediction === "" ? element("i", {}, "nothing") : prediction,
                ),
                element("td", {}, element("span", { class: "verdict" }, correct ? "✓ right" : "✗ wrong")),
              ),
            ),
          ),
    );
    const previous = button("← Previous", () => change({ page: state.page - 1 }));
    const next = button("Next →", () => change({ page: state.page + 1 }));
    previous.disabled = page.page === 0;
    next.disabled = page.page + 1 >= page.pages;
    pager.replaceChildren(previous, element("span", {}, `page ${page.page + 1} of ${page.pages}`), next);
  };
  const change = (changes: Partial<typeof state>): void => {
    const hadFocus = document.activeElement?.textContent ?? null;
    const box = document.activeElement?.parentElement;
    Object.assign(state, changes);
    void load().then(() => {
      announce(found.textContent ?? "");
      // The button that was pressed has been made anew.
      if (hadFocus !== null && box && (box === pager || box === outcomes)) {
        [...box.querySelectorAll("button")].find(({ textContent }) => textContent === hadFocus)?.focus();
      }
    });
  };
  let typing = 0;
  search.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => change({ search: search.value, page: 0 }), 200);
  });
  places.addEventListener("change", () => {
    const [after, task] = places.value.split("/") as [string, string];
    change({ after, task, page: 0 });
  });
  await load();
}

const SHORT = 180;
/** What all prompts begin with is left out of their first lines when it is longer. */
const SHARED = 60;

/** Where the prompts begin to differ, at the beginning of a word; 0 where that is near their start. */
function sharedLength(texts: readonly string[]): number {
  const [first = "", ...others] = texts;
  if (others.length === 0) return 0;
  let length = 0;
  while (length < first.length && others.every((text) => text[length] === first[length])) length++;
  const word = first.slice(0, length).search(/\S*$/);
  return word < SHARED ? 0 : word;
}

/** A long prompt opens when it is asked to; `shared`: so much of its beginning is not shown before. */
function longText(text: string, shared: number): HTMLElement | string {
  if (text.length <= SHORT) return text;
  const start = `${shared > 0 ? "… " : ""}${text.slice(shared, shared + SHORT).replace(/\s+/g, " ")}`;
  const summary = shared + SHORT < text.length ? `${start}…` : start;
  return element("details", {}, element("summary", {}, summary), element("div", {}, text));
}
