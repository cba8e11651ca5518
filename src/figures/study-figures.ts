/** The figures of several runs together: the paper's Figures 4, 5 and 6, the sweep over lambda, and bars that compare. */
import type { Axis, Bars, Chart, Panels, Series } from "./figure.js";

export interface Spread {
  readonly mean: number | null;
  /** Over seeds; null for fewer than two. */
  readonly deviation: number | null;
}

/** One row of a comparison on one order of tasks. */
export interface ComparedCell {
  readonly label: string;
  readonly order: string;
  readonly value: Spread;
  /** What the paper reports. */
  readonly published?: number | null;
}

const OVER_SEEDS = "Error bars: sample deviation over seeds.";
const notesFor = (spreads: readonly Spread[]): string[] =>
  spreads.some(({ deviation }) => deviation !== null) ? [OVER_SEEDS] : [];

const unique = (values: readonly string[]): string[] => [...new Set(values)];

/** Bars of rows, grouped by order. */
export function comparisonBars(
  named: Pick<Bars, "id" | "title" | "description">,
  yLabel: string,
  cells: readonly ComparedCell[],
): Bars {
  const [labels, orders] = [unique(cells.map(({ label }) => label)), unique(cells.map(({ order }) => order))];
  // Many rows on few orders read better the other way round.
  const byLabel = labels.length > 5 && orders.length < labels.length;
  const [groups, kinds] = byLabel ? [labels, orders] : [orders, labels];
  const at = (group: string, kind: string) =>
    cells.find(({ label, order }) =>
      byLabel ? label === group && order === kind : order === group && label === kind,
    );
  const isPublished = cells.some(({ published }) => published != null);
  return {
    kind: "bars",
    ...named,
    x: { label: byLabel ? "method" : "order of the tasks", categories: groups },
    y: { label: yLabel },
    series: kinds.map((kind) => ({
      name: kind,
      values: groups.map((group) => at(group, kind)?.value.mean ?? null),
      deviations: groups.map((group) => at(group, kind)?.value.deviation ?? null),
      ...(isPublished && { published: groups.map((group) => at(group, kind)?.published ?? null) }),
    })),
    notes: notesFor(cells.map(({ value }) => value)),
  };
}

/** Figure 4: the last task before it is trained, beside the untouched base model. */
export const unseenTask = (
  cells: readonly {
    readonly label: string;
    readonly order: string;
    readonly unseen: Spread;
    readonly base: Spread;
  }[],
): Bars => {
  const orders = unique(cells.map(({ order }) => order));
  const base = orders.flatMap((order) => {
    const found = cells.find((cell) => cell.order === order && cell.base.mean !== null);
    return found ? [{ label: "base model", order, value: { mean: found.base.mean, deviation: null } }] : [];
  });
  return comparisonBars(
    {
      id: "unseen-task",
      title: "Accuracy on the last task before it is trained",
      description:
        "Bars by order of tasks: the untouched base model, and each method after all tasks but the last.",
    },
    "accuracy on the unseen task, %",
    [...base, ...cells.map(({ label, order, unseen }) => ({ label, order, value: unseen }))],
  );
};

/** Figure 6: average accuracy by what is penalised. */
export const ablations = (cells: readonly ComparedCell[]): Bars =>
  comparisonBars(
    {
      id: "ablations",
      title: "Average accuracy by what is penalised",
      description:
        "Bars by order of tasks: nothing (NS), the factor A (SA), the factor B (SB), both factors (SAB), the update (N-LoRA).",
    },
    "average accuracy (AA), %",
    cells,
  );

export interface SparsityPoint {
  readonly label: string;
  readonly order: string;
  readonly gsr: number | null;
  readonly acr: Readonly<Record<"abs" | "relRms" | "exact", number | null>>;
  readonly forgetting: number | null;
}

const READINGS = [
  ["abs", "|ΔW| > 1e−3"],
  ["relRms", "|ΔW| > 0.4 rms"],
  ["exact", "ΔW ≠ 0"],
] as const;

/** Figure 5: sparsity against collisions, and collisions against forgetting, by what counts as a collision. */
export function sparsityCollisionForgetting(points: readonly SparsityPoint[]): Panels {
  const labels = unique(points.map(({ label }) => label));
  const rate = "ACR, share of elements";
  const panel = (
    id: string,
    [x, y]: readonly [Axis, Axis],
    place: (point: SparsityPoint) => readonly [number | null, number | null],
    [title, description]: readonly [string, string],
  ): Chart => ({
    kind: "chart",
    id,
    title,
    description,
    x,
    y,
    lines: false,
    series: labels.map((name) => ({
      name,
      points: points
        .filter(({ label }) => label === name)
        .map(place)
        .flatMap(([x, y]) => (x === null ? [] : [{ x, y }])),
    })),
  });
  return {
    kind: "panels",
    id: "sparsity-collision-forgetting",
    title: "Sparsity against collisions against forgetting",
    description: "One point per method and order of tasks.",
    columns: 2,
    panels: READINGS.slice(0, 2).flatMap(([reading, name]) => [
      panel(
        `sparsity-${reading}`,
        [{ label: "GSR (small is sparse)" }, { label: rate, min: 0 }],
        ({ gsr, acr }) => [gsr, acr[reading]],
        [`ACR over GSR, ${name}`, `Average collision rate at ${name} over the generalised sparsity rate.`],
      ),
      panel(
        `forgetting-${reading}`,
        [
          { label: rate, min: 0 },
          { label: "forgetting rate (F.Ra), points", min: 0 },
        ],
        ({ acr, forgetting }) => [acr[reading], forgetting],
        [`Forgetting over ACR, ${name}`, `Forgetting rate over the average collision rate at ${name}.`],
      ),
    ]),
    notes: ["GSR of one equal magnitude everywhere is 1. One point per order, mean over seeds."],
  };
}

export interface SweepPoint {
  readonly lambda: number;
  readonly accuracy: Spread;
  readonly acr: Readonly<Record<"abs" | "relRms" | "exact", number | null>>;
}

/** What a stronger penalty does: accuracy and collisions over lambda, and one against the other. */
export function lambdaSweep(sweep: readonly SweepPoint[], name = "λ"): Panels {
  const points = sweep.toSorted((a, b) => a.lambda - b.lambda);
  const x = { label: `${name} (logarithmic)`, scale: "log" } as const;
  const shown = READINGS.filter(([reading]) => points.some(({ acr }) => acr[reading] !== null));
  const collisions = shown.map(
    ([reading, title]): Series => ({
      name: title,
      points: points.map(({ lambda, acr }) => ({ x: lambda, y: acr[reading] })),
    }),
  );
  const rates = points.flatMap(({ acr }) => shown.flatMap(([reading]) => acr[reading] ?? []));
  const isWide = Math.min(...rates) > 0 && Math.max(...rates) / Math.min(...rates) > 30;
  const label = "ACR, share of elements";
  const y: Axis = isWide ? { label: `${label} (logarithmic)`, scale: "log" } : { label, min: 0 };
  const panels: Chart[] = [
    {
      kind: "chart",
      id: "sweep-accuracy",
      title: `Accuracy over ${name}`,
      description: `Average accuracy over ${name}.`,
      x,
      y: { label: "average accuracy (AA), %" },
      lines: true,
      series: [
        {
          name: "AA",
          points: points.map(({ lambda, accuracy }) => ({
            x: lambda,
            y: accuracy.mean,
            deviation: accuracy.deviation,
          })),
        },
      ],
    },
    {
      kind: "chart",
      id: "sweep-collisions",
      title: `Collisions over ${name}`,
      description: `Average collision rate over ${name}, one line per reading.`,
      x,
      y,
      lines: true,
      series: collisions,
    },
    {
      kind: "chart",
      id: "sweep-both",
      title: "Accuracy against collisions",
      description: `Average accuracy over the average collision rate; ${name} is written beside each point.`,
      x: y,
      y: { label: "average accuracy (AA), %" },
      lines: false,
      series: shown.map(([reading, title]) => ({
        name: title,
        points: points
          .filter(({ acr }) => acr[reading] !== null)
          .map(({ lambda, accuracy, acr }) => ({
            x: acr[reading]!,
            y: accuracy.mean,
            label: String(lambda),
          })),
      })),
    },
  ];
  return {
    kind: "panels",
    id: "lambda-sweep",
    title: `What ${name} does to accuracy and to collisions`,
    description: `Average accuracy (AA) and average collision rate (ACR) over ${points.length} values of ${name}.`,
    columns: 2,
    panels,
    notes: notesFor(points.map(({ accuracy }) => accuracy)),
  };
}

export interface StrengthPoint {
  /** Method and setting. */
  readonly name: string;
  readonly strength: number;
  readonly accuracy: Spread;
}

/** Average accuracy over a strength or rate, a panel for each of several. */
export function strengthSweeps(points: readonly StrengthPoint[]): Panels {
  const names = unique(points.map(({ name }) => name));
  return {
    kind: "panels",
    id: "strengths",
    title: "Average accuracy over each method's own strength or rate",
    description: `One panel for each of ${names.length} methods: average accuracy over the value searched.`,
    columns: Math.min(3, names.length),
    panels: names.map(
      (name, index): Chart => ({
        kind: "chart",
        id: `strength-${index}`,
        title: name,
        description: `Average accuracy over ${name}.`,
        x: { label: `${name.split(" ").slice(1).join(" ") || name} (logarithmic)`, scale: "log" },
        y: { label: "AA, %" },
        lines: true,
        series: [
          {
            name,
            points: points
              .filter((point) => point.name === name)
              .toSorted((one, other) => one.strength - other.strength)
              .map(({ strength, accuracy }) => ({
                x: strength,
                y: accuracy.mean,
                deviation: accuracy.deviation,
              })),
          },
        ],
      }),
    ),
    notes: notesFor(points.map(({ accuracy }) => accuracy)),
  };
}
