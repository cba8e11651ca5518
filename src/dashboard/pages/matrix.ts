/** The accuracy matrix as a table that fills in: tested on (rows) after training (columns), each value a way to its answers. */
import { fixed, NONE } from "../../format.js";
import { element, row, table } from "./dom.js";
import type { RunDetail } from "./wire.js";

const LEVELS = 10;

export function matrixOf(run: RunDetail): HTMLElement {
  const { tasks, accuracy, baseAccuracy, progress } = run;
  const hasBase = baseAccuracy.some((value) => value !== null);
  const saved = new Set(run.predictions);
  const columns = [...(hasBase ? [-1] : []), ...tasks.keys()];
  const valueAt = (task: number, after: number) =>
    after < 0 ? (baseAccuracy[task] ?? null) : (accuracy[task]?.[after] ?? null);
  const cell = (task: number, after: number) => {
    const value = valueAt(task, after);
    const classes = ["number", value === null ? "unknown" : `heat-${Math.round((value / 100) * LEVELS)}`];
    if (task === after) classes.push("own");
    const text = value === null ? NONE : fixed(value, 1);
    const isNow =
      run.status === "running" && progress.answering?.task === tasks[task] && after === progress.index;
    if (isNow) classes.push("now");
    const content = saved.has(`${after}/${task}`)
      ? element(
          "a",
          {
            href: `/runs/${run.id}/predictions?after=${after + 1}&task=${task}`,
            title: `answers on ${tasks[task]} ${afterText(tasks, after)}`,
          },
          text,
        )
      : text;
    return element("td", { class: classes.join(" ") }, isNow && value === null ? "…" : content);
  };
  const meanAfter = (after: number): string => {
    const seen = after < 0 ? tasks.map((_, task) => task) : tasks.map((_, task) => task).slice(0, after + 1);
    const values = seen.map((task) => valueAt(task, after));
    if (values.length === 0 || values.some((value) => value === null)) return NONE;
    return fixed(values.reduce<number>((sum, value) => sum + value!, 0) / values.length, 1);
  };
  const head = [
    "Tested on",
    ...columns.map((after) =>
      after < 0
        ? element("span", {}, "base")
        : element("span", { title: afterText(tasks, after) }, `after ${after + 1}`),
    ),
  ];
  const rows = tasks.map((task, index) =>
    row(
      `${index + 1} ${task}`,
      columns.map((after) => cell(index, after)),
    ),
  );
  const means = row(
    "mean of the tasks so far",
    columns.map((after) => element("td", { class: "number" }, meanAfter(after))),
  );
  means.className = "means";
  const made = table("Accuracy in %, tested on (rows) after training (columns)", head, [...rows, means]);
  made.classList.add("matrix");
  return made;
}

export const afterText = (tasks: readonly string[], after: number): string =>
  after < 0 ? "of the base model" : `after task ${after + 1}, ${tasks[after] ?? ""}`;
