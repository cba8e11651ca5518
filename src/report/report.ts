/** A report on runs and studies: what is in it, in which order, and every figure by name. */
import type { Figure } from "../figures/figure.js";
import { element, type Markup } from "../figures/markup.js";
import { studyFigures } from "../study/figures.js";
import type { StudySummary } from "../study/summary.js";
import { type AdapterFindings, adapterFigures, adapterSection } from "./adapters.js";
import { comparisonFigures, comparisonSection, finishedRuns, studySection } from "./compare-section.js";
import { heading, list, page, paragraph } from "./page.js";
import type { ReportedRun } from "./reported-run.js";
import { runFigures, runSection } from "./run-section.js";
import { statusOf } from "./words.js";

/** More runs than that are compared, and not told one by one. */
const RUNS_IN_FULL = 8;

export interface ReportInput {
  readonly runs: readonly ReportedRun[];
  readonly studies: readonly StudySummary[];
  /** What was measured of adapters, and for which runs it was not, with the reason. */
  readonly adapters: AdapterFindings;
  readonly version: string;
  readonly now: Date;
}

export interface Report {
  readonly html: string;
  readonly figures: readonly Figure[];
}

export function reportOf({ runs, studies, adapters, version, now }: ReportInput): Report {
  const isFull = runs.length <= RUNS_IN_FULL;
  const perRun = isFull ? runs.map((run, index) => ({ run, id: `run-${index + 1}` })) : [];
  const own = perRun.map(({ run, id }) => runFigures(run, runs.length === 1 ? "run" : id));
  const finished = finishedRuns(runs);
  // A study has told it already.
  const compared = studies.length === 0 ? comparisonFigures(finished) : [];
  const told = studies.map((summary) =>
    studyFigures(summary).map((figure) => ({ ...figure, id: `${summary.study}-${figure.id}` })),
  );
  const measured = adapterFigures(adapters);

  const contents: [string, string][] = [];
  const sections: Markup[] = [];
  const add = (id: string, title: string, section: Markup) => {
    contents.push([id, title]);
    sections.push(section);
  };
  for (const [index, summary] of studies.entries()) {
    const id = `study-${index + 1}`;
    add(id, summary.title, studySection(summary, told[index]!, id));
  }
  if (runs.length > 1) add("compare", "The runs side by side", comparisonSection(runs, finished, compared));
  for (const [index, { run, id }] of perRun.entries()) {
    add(id, `${run.name}: ${statusOf(run).short}`, runSection(run, own[index]!, id));
  }
  const section = adapterSection(adapters, measured, "adapters");
  if (section) add("adapters", "Adapters", section);

  const title = runs.length === 1 ? `Report on ${runs[0]!.name}` : `Report on ${runs.length} runs`;
  const html = page(
    title,
    element(
      "header",
      {},
      heading(1, title),
      element(
        "p",
        { class: "soft" },
        `Made by nlora ${version} on ${now.toISOString().slice(0, 16).replace("T", " ")} UTC. This file needs nothing else and asks for nothing.`,
      ),
      contents.length > 1
        ? element(
            "nav",
            { "aria-label": "Contents" },
            list(contents.map(([id, name]) => element("a", { href: `#${id}` }, name))),
          )
        : null,
    ),
    element(
      "main",
      {},
      isFull
        ? null
        : paragraph(
            `${runs.length} runs are compared here; a report on at most ${RUNS_IN_FULL} tells each of them in full.`,
          ),
      sections,
    ),
  );
  return { html, figures: [...told.flat(), ...compared, ...own.flat(), ...measured] };
}
