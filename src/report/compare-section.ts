/** The part of a report that puts runs side by side: means and deviations over seeds, the paper's claims, figures. */
import type { Figure } from "../figures/figure.js";
import { type Content, element, type Markup } from "../figures/markup.js";
import { NONE } from "../format.js";
import { metricsOf } from "../runs/metric-rows.js";
import { claimsOf } from "../study/claims.js";
import { studyFigures } from "../study/figures.js";
import { cellsOf, type FinishedRun, rowsOf, type StudySummary, spreadOf } from "../study/summary.js";
import { figureOf, heading, paragraph, table, wideTable } from "./page.js";
import { orderOf, settingDifferences } from "./preset-match.js";
import type { ReportedRun } from "./reported-run.js";
import { statusOf } from "./words.js";

/** Finished runs by what tells them apart besides the seed. */
export function finishedRuns(runs: readonly ReportedRun[]): FinishedRun[] {
  const streams = new Map<string, string>();
  const finished = runs.flatMap((run) => {
    const { record } = run;
    if (record?.status !== "done") return [];
    const key = record.tasks.join("\n");
    const order = orderOf(record.tasks, record.model) ?? streams.get(key) ?? `stream ${streams.size + 1}`;
    streams.set(key, order);
    return [{ run, record, order }];
  });
  const labelled = finished.map(({ run, record, order }) => {
    const same = finished.filter((each) => each.record.method === record.method).map((each) => each.run);
    return { run, record, order, label: labelOf(run, record.method, same) };
  });
  return labelled.map(({ run, record, order, label }) => {
    const { method, seed } = record;
    const twins = labelled.filter(
      (each) => each.label === label && each.order === order && each.record.seed === seed,
    );
    // Runs that only their folder tells apart are no seeds of one thing.
    return { label: twins.length > 1 ? `${label} (${run.name})` : label, method, order, seed, record };
  });
}

/** What a run was set to: its configuration or, of a record on its own, what is recorded of the loss. */
const settingsOf = ({ config, record }: ReportedRun): Readonly<Record<string, unknown>> =>
  config ?? record?.penalty ?? {};

/** The method, and the settings in which its runs differ. */
function labelOf(run: ReportedRun, method: string, runs: readonly ReportedRun[]): string {
  const settings = settingsOf(run);
  const alike = runs.filter(({ config }) => (config === null) === (run.config === null));
  const keys = new Set(
    alike.flatMap((other) => settingDifferences(settings, settingsOf(other)).map(({ key }) => key)),
  );
  const values = [...keys].map((key) => {
    const value = key
      .split(".")
      .reduce<unknown>((found, part) => (found as Record<string, unknown> | undefined)?.[part], settings);
    const short = typeof value === "string" ? value.split("/").at(-1)! : (JSON.stringify(value) ?? NONE);
    return `${key.split(".").at(-1)} ${short}`;
  });
  return [method, values.join(", ")].filter((part) => part !== "").join(" ");
}

const summaryOf = (finished: readonly FinishedRun[]): StudySummary => {
  const [cells, rows] = [cellsOf(finished), rowsOf(finished)];
  return {
    study: "comparison",
    title: "Comparison",
    scale: "",
    done: finished.length,
    runs: finished.length,
    failed: [],
    cells,
    rows,
    claims: claimsOf(finished, rows, cells),
  };
};

/** Nothing to compare: no figures. */
export function comparisonFigures(finished: readonly FinishedRun[]): Figure[] {
  if (finished.length < 2) return [];
  return studyFigures(summaryOf(finished)).map((figure) => ({ ...figure, id: `compare-${figure.id}` }));
}

export function comparisonSection(
  runs: readonly ReportedRun[],
  finished: readonly FinishedRun[],
  figures: readonly Figure[],
): Markup {
  const parts: Content[] = [heading(2, "The runs side by side", "compare"), statusTable(runs)];
  if (finished.length > 0) {
    const groups = groupsOf(finished);
    const hasSeeds = groups.some((group) => group.length > 1);
    parts.push(
      wideTable(
        hasSeeds ? "Mean ± sample deviation over seeds; one number: one seed." : "One run a column.",
        ["metric", ...groups.map(nameOf)],
        [
          ["seeds", ...groups.map((group) => group.map(({ seed }) => String(seed)).join(", "))],
          ...metricsOf(finished.map(({ record }) => record)).map(({ name, value, format }) => [
            name,
            ...groups.map((group): Content => {
              const { mean, deviation } = spreadOf(group.map(({ record }) => value(record)));
              if (mean === null) return null;
              return deviation === null ? format(mean) : `${format(mean)} ± ${format(deviation)}`;
            }),
          ]),
        ],
      ),
    );
    parts.push(claimsTable(summaryOf(finished)));
  }
  parts.push(figures.map(figureOf));
  return element("section", {}, ...parts);
}

/** One sentence and one verdict per claim of the paper that the runs can say something about. */
export function claimsTable({ claims }: StudySummary): Content {
  if (claims.length === 0) return null;
  return [
    heading(3, "Claims and aims"),
    table(
      null,
      ["claim", "paper", "here", "verdict"],
      claims.map(({ claim, paper, measured, verdict }) => [claim, paper, measured, verdict]),
      { words: true },
    ),
  ];
}

function groupsOf(finished: readonly FinishedRun[]): FinishedRun[][] {
  const groups = new Map<string, FinishedRun[]>();
  for (const run of finished) {
    const key = `${run.label}\n${run.order}`;
    groups.set(key, [...(groups.get(key) ?? []), run]);
  }
  return [...groups.values()];
}

const nameOf = ([first]: readonly FinishedRun[]): string => `${first!.label}, ${first!.order}`;

/** All runs, finished or not. */
function statusTable(runs: readonly ReportedRun[]): Markup {
  const percent = (value: number | null | undefined) => (value == null ? null : value.toFixed(2));
  return table(
    runs.every(({ record }) => record?.status === "done")
      ? null
      : "Runs that are not done are left out of means, claims and figures.",
    ["run", "method", "seed", "tasks", "status", "AA, %"],
    runs.map((run) => {
      const { record, config } = run;
      return [
        run.name,
        record?.method ?? config?.method.name ?? null,
        record ? String(record.seed) : null,
        record ? record.tasks.join(", ") : null,
        statusOf(run).short,
        percent(record?.averageAccuracy),
      ];
    }),
    { words: true },
  );
}

/** A study as its summary tells it. */
export function studySection(summary: StudySummary, figures: readonly Figure[], id: string): Markup {
  const { title, study, scale, done, runs, failed, cells } = summary;
  const spread = ({
    mean,
    deviation,
  }: {
    readonly mean: number | null;
    readonly deviation: number | null;
  }) =>
    mean === null
      ? null
      : deviation === null
        ? mean.toFixed(1)
        : `${mean.toFixed(1)} ± ${deviation.toFixed(1)}`;
  return element(
    "section",
    { class: "run" },
    heading(2, title, id),
    paragraph(
      `Study ${study}, ${scale === "paper" ? "the paper's size" : `scale ${scale}`}: ${done} of ${runs} runs done${failed.length > 0 ? `; failed: ${failed.join(", ")}` : ""}. ± is the sample deviation over seeds.`,
    ),
    table(
      null,
      ["row and order", "seeds", "AA, %", "F.Ra, points", "own task, %", "in the paper, AA"],
      cells.map((cell) => [
        `${cell.label}, ${cell.order}`,
        cell.seeds.join(", "),
        spread(cell.averageAccuracy),
        spread(cell.forgettingRate),
        spread(cell.ownTaskAccuracy),
        cell.paperAccuracy === null ? "not reported" : cell.paperAccuracy.toFixed(1),
      ]),
    ),
    claimsTable(summary),
    figures.map(figureOf),
  );
}
