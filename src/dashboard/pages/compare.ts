/** Runs side by side: their metrics, accuracies over the stream, and curves over each other. */
import { NONE } from "../../format.js";
import { LiveChart } from "./chart.js";
import { type Columns, columnsOf, labelOf, lengthOf } from "./curves.js";
import { element, row, table } from "./dom.js";
import { ask, listen } from "./server.js";
import { badge } from "./status.js";
import type { Curves, RunDetail, RunList } from "./wire.js";

const MOST_RUNS = 8;
const POINTS = 600;

interface Compared {
  readonly run: RunDetail;
  readonly curves: Curves;
  readonly label: string;
}

/** A part of the page that is drawn again when runs have gone on. */
interface Part {
  readonly root: HTMLElement;
  show(compared: readonly Compared[]): void;
}

export async function showCompare(main: HTMLElement, ids: readonly string[]): Promise<void> {
  document.title = "Compare runs – nlora";
  const wanted = [...new Set(ids)].filter((id) => id !== "").slice(0, MOST_RUNS);
  const list = await ask<RunList>("/api/runs");
  const picker = pickerOf(list, wanted);
  main.replaceChildren(element("h1", {}, "Compare runs"), picker);
  if (wanted.length === 0) return;
  let runs: Map<string, Run>;
  try {
    runs = await load(wanted);
  } catch (error) {
    main.append(element("p", { class: "problem", role: "alert" }, (error as Error).message));
    return;
  }
  const parts = [metrics(), streamChart(), curveChart()] as const;
  const [table, stream, curves] = parts;
  const orders = new Set([...runs.values()].map(({ detail }) => detail.tasks.join("\n")));
  main.append(
    ...(orders.size > 1
      ? [element("p", { class: "hint" }, "These runs learned different tasks or orders.")]
      : []),
    table.root,
    element("h2", {}, "Accuracy over the stream"),
    stream.root,
    element("h2", {}, "Curves"),
    curves.root,
  );
  const names = shortNames(wanted.map((id) => runs.get(id)!.detail.name));
  const draw = () => {
    const compared = wanted.map((id, index) => {
      const { detail, curves } = runs.get(id)!;
      return { run: detail, curves, label: names[index]! };
    });
    for (const part of parts) part.show(compared);
  };
  // Charts measure themselves: they are filled once they are in the page.
  requestAnimationFrame(draw);
  followChanges(list, wanted, async (changed) => {
    runs = new Map([...runs, ...(await load(changed))]);
    draw();
  });
}

interface Run {
  readonly detail: RunDetail;
  readonly curves: Curves;
}

const load = async (ids: readonly string[]): Promise<Map<string, Run>> =>
  new Map(
    await Promise.all(
      ids.map(async (id): Promise<[string, Run]> => {
        const [detail, curves] = await Promise.all([
          ask<RunDetail>(`/api/runs/${id}`),
          ask<Curves>(`/api/runs/${id}/history?points=${POINTS}`),
        ]);
        return [id, { detail, curves }];
      }),
    ),
  );

/** Calls `onChange` with those of the runs that have gone on since, one call at a time. */
function followChanges(
  list: RunList,
  wanted: readonly string[],
  onChange: (ids: readonly string[]) => Promise<void>,
): void {
  const states = ({ runs }: RunList) =>
    new Map(runs.map((run) => [run.id, `${run.status} ${run.isHere} ${run.isElsewhere} ${run.changedAt}`]));
  let shown = states(list);
  let isBusy = false;
  listen<RunList>("/api/events", (message) => {
    const now = states(message);
    const changed = wanted.filter((id) => now.has(id) && now.get(id) !== shown.get(id));
    if (isBusy || changed.length === 0) return;
    isBusy = true;
    onChange(changed)
      .then(
        () => {
          shown = now;
        },
        () => {}, // the next message tries again
      )
      .finally(() => {
        isBusy = false;
      });
  });
}

/** What tells the runs apart: their names without what all of them begin with. */
function shortNames(names: readonly string[]): string[] {
  const parts = names.map((name) => name.split("/"));
  let shared = 0;
  while (
    parts.length > 1 &&
    parts.every((each) => each.length > shared + 1 && each[shared] === parts[0]![shared])
  )
    shared++;
  let end = 0;
  while (
    parts.length > 1 &&
    parts.every((each) => each.length - end > shared + 1 && each.at(-1 - end) === parts[0]!.at(-1 - end))
  ) {
    end++;
  }
  return parts.map((each) => each.slice(shared, each.length - end).join("/"));
}

function pickerOf({ runs }: RunList, wanted: readonly string[]): HTMLElement {
  const select = element("select", { id: "add" }, element("option", { value: "" }, "choose a run"));
  for (const run of runs) {
    if (!wanted.includes(run.id)) select.append(element("option", { value: run.id }, run.name));
  }
  const go = (next: readonly string[]) => {
    location.search = `?runs=${next.join(",")}`;
  };
  select.addEventListener("change", () => {
    if (select.value !== "") go([...wanted, select.value]);
  });
  return element(
    "div",
    { class: "bar" },
    ...(wanted.length < MOST_RUNS ? [element("label", { for: "add" }, "Add "), select] : []),
  );
}

function metrics(): Part {
  const root = element("div", {});
  const show = (compared: readonly Compared[]) => {
    const focused = document.activeElement;
    const place = focused && root.contains(focused) ? focused.getAttribute("href") : null;
    root.replaceChildren(metricsTable(compared));
    if (place)
      root.querySelector<HTMLElement>(`a[href="${CSS.escape(place)}"]`)?.focus({ preventScroll: true });
  };
  return { root, show };
}

function metricsTable(compared: readonly Compared[]): HTMLElement {
  const names = [...new Set(compared.flatMap(({ run }) => run.metrics.map(([name]) => name)))];
  const head = compared.map(({ run, label }) =>
    element("span", {}, element("a", { href: `/runs/${run.id}`, title: run.name }, label), " ", badge(run)),
  );
  const rows = names.flatMap((name) => {
    const values = compared.map(({ run }) => run.metrics.find(([other]) => other === name)?.[1] ?? NONE);
    if (values.every((value) => value === NONE)) return [];
    return [
      row(
        name,
        values.map((value) => element("td", { class: "number" }, value)),
      ),
    ];
  });
  const others = compared.map(({ run, label }) =>
    element(
      "a",
      {
        href: `/compare?runs=${compared
          .filter((each) => each.run !== run)
          .map((each) => each.run.id)
          .join(",")}`,
        "aria-label": `leave out ${label}`,
      },
      "leave out",
    ),
  );
  const made = table(
    "Metrics, one run a column",
    ["Metric", ...head],
    [
      row(
        "method",
        compared.map(({ run }) => run.method),
      ),
      row(
        "seed",
        compared.map(({ run }) => String(run.seed ?? NONE)),
      ),
      ...rows,
      row("", compared.length > 1 ? others : []),
    ],
  );
  made.classList.add("metrics");
  return made;
}

/** The mean accuracy of the tasks so far after each task. */
function streamChart(): Part {
  const chart = new LiveChart({
    title: "Mean accuracy (%) on the tasks so far",
    xLabel: "tasks learned",
    height: 240,
    isDotted: true,
  });
  const show = (compared: readonly Compared[]) => {
    const most = Math.max(...compared.map(({ run }) => run.tasks.length));
    const places = Array.from({ length: most }, (_, index) => index + 1);
    const columns = compared.map(({ run }) =>
      places.map((after) => {
        const values = Array.from({ length: after }, (_, task) => run.accuracy[task]?.[after - 1] ?? null);
        if (values.some((value) => value === null)) return null;
        return values.reduce<number>((sum, value) => sum + value!, 0) / values.length;
      }),
    );
    chart.show({
      names: compared.map(({ label }) => label),
      columns: [places, ...columns],
      marks: [],
      range: [most > 1 ? 1 : 0, Math.max(most, 2)],
    });
  };
  return { root: chart.root, show };
}

function curveChart(): Part {
  const select = element("select", { id: "series" });
  const logarithmic = element("input", { type: "checkbox", id: "logarithmic" });
  const chart = new LiveChart({
    title: "One curve of every run",
    xLabel: "step of the run",
    height: 320,
    isLogarithmic: () => logarithmic.checked,
  });
  let compared: readonly Compared[] = [];
  const draw = () => {
    const longest = compared.reduce((a, b) => (lengthOf(a.curves) >= lengthOf(b.curves) ? a : b));
    chart.show({
      names: compared.map(({ label }) => label),
      columns: overlaid(compared.map(({ curves }) => columnsOf(curves, [select.value], logarithmic.checked))),
      marks: longest.curves.tasks.map(({ before, task }) => ({ place: before + 1, name: task })),
      range: [1, Math.max(2, lengthOf(longest.curves))],
    });
  };
  const show = (now: readonly Compared[]) => {
    compared = now;
    const known = new Set(Array.from(select.options, ({ value }) => value));
    const names = now.flatMap(({ curves }) => curves.tasks.flatMap(({ series }) => Object.keys(series)));
    for (const name of new Set(names)) {
      if (!known.has(name)) select.append(element("option", { value: name }, labelOf(name)));
    }
    draw();
  };
  select.addEventListener("change", draw);
  logarithmic.addEventListener("change", draw);
  const root = element(
    "section",
    {},
    element(
      "div",
      { class: "bar" },
      element("label", { for: "series" }, "Curve "),
      select,
      element("label", { for: "logarithmic" }, logarithmic, " logarithmic"),
    ),
    chart.root,
  );
  return { root, show };
}

/** Curves with places of their own over all places. Between its own places a curve has `undefined`: drawn through. */
function overlaid(curves: readonly Columns[]): Columns {
  const places = [...new Set(curves.flatMap(([own]) => own))].sort((a, b) => a - b);
  const columns = curves.map(([own, values]) => {
    const known = new Map(own.map((place, index) => [place, values?.[index] ?? null]));
    return places.map((place) => known.get(place));
  });
  return [places, ...columns];
}
