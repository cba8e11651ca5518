/** The figures of a study's summary: bars of its accuracies, and what the study is for. */
import type { Figure } from "../figures/figure.js";
import {
  ablations,
  comparisonBars,
  lambdaSweep,
  type SparsityPoint,
  sparsityCollisionForgetting,
  strengthSweeps,
  unseenTask,
} from "../figures/study-figures.js";
import type { Cell, StudySummary } from "./summary.js";

/** In the order in which they are read; what nothing was measured of is left out. */
export function studyFigures(summary: StudySummary): Figure[] {
  const { study, cells } = summary;
  if (cells.length === 0) return [];
  const compared = cells.map(({ label, order, averageAccuracy, paperAccuracy }) => ({
    label,
    order,
    value: averageAccuracy,
    published: paperAccuracy,
  }));
  const strengths = strengthsOf(summary);
  const bars = comparisonBars(
    {
      id: "average-accuracy",
      title: "Average accuracy after the last task",
      description: `Average accuracy (AA) of every row of the study ${study}, by order of the tasks.`,
    },
    "average accuracy (AA), %",
    compared,
  );
  return [
    ...(strengths.length > 0 ? strengths : [study === "figure-6" ? ablations(compared) : bars]),
    ...unseen(cells),
    ...sparsity(cells),
  ];
}

function unseen(cells: readonly Cell[]): Figure[] {
  const measured = cells.filter(({ unseenAccuracy }) => unseenAccuracy.mean !== null);
  if (measured.length === 0) return [];
  return [
    unseenTask(
      measured.map(({ label, order, unseenAccuracy, unseenBase }) => ({
        label,
        order,
        unseen: unseenAccuracy,
        base: unseenBase,
      })),
    ),
  ];
}

function sparsity(cells: readonly Cell[]): Figure[] {
  const points = cells
    .filter(({ gsr, acrAbs, acrRelRms }) => gsr.mean !== null && (acrAbs.mean ?? acrRelRms.mean) !== null)
    .map(
      ({ label, order, gsr, acrAbs, acrRelRms, acrExact, forgettingRate }): SparsityPoint => ({
        label,
        order,
        gsr: gsr.mean,
        acr: { abs: acrAbs.mean, relRms: acrRelRms.mean, exact: acrExact.mean },
        forgetting: forgettingRate.mean,
      }),
    );
  return points.length < 2 ? [] : [sparsityCollisionForgetting(points)];
}

/** Rows that differ in a number at the end of their label: "lambda 0.02", "o-lora lambda1 0.5". */
function strengthsOf({ rows }: StudySummary): Figure[] {
  const named = rows.flatMap(({ label, figures }) => {
    const [, name, value] = /^(.+) (\d[\d.e+-]*)$/.exec(label) ?? [];
    if (name === undefined || !Number.isFinite(Number(value))) return [];
    return [{ name, value: Number(value), figures }];
  });
  if (named.length < 2 || named.length < rows.length) return [];
  const isOne = new Set(named.map(({ name }) => name)).size === 1;
  if (isOne) {
    return [
      lambdaSweep(
        named.map(({ value, figures }) => ({
          lambda: value,
          accuracy: figures.averageAccuracy,
          acr: {
            abs: figures.acrAbs.mean,
            relRms: figures.acrRelRms.mean,
            exact: figures.acrExact.mean,
          },
        })),
        named[0]!.name.replace("lambda", "λ"),
      ),
    ];
  }
  return [
    strengthSweeps(
      named.map(({ name, value, figures }) => ({ name, strength: value, accuracy: figures.averageAccuracy })),
    ),
  ];
}
