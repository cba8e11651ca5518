/** The paper's claims and our own aims, tested on the runs of a study that has what they compare. */
import { PAPER_CLAIMS } from "./paper.js";
import { type Cell, type FinishedRun, meanOf, type RowSummary, type Spread, spreadOf } from "./summary.js";

export interface Claim {
  readonly claim: string;
  readonly paper: string;
  readonly measured: string;
  /** partly: the direction holds, the size does not or cannot be told from chance; unmeasured: a run or a figure is missing. */
  readonly verdict: "reproduced" | "partly" | "not reproduced" | "unmeasured";
}

const text = (value: number, digits = 3): string => String(Number(value.toPrecision(digits)));

/** Another's figure over N-LoRA's must reach a factor; above 1 the direction holds. */
function factorClaim(claim: string, needed: number, other: number | null, own: number | null): Claim {
  const paper = `${needed} times lower`;
  if (other === null || own === null || own === 0) {
    return { claim, paper, measured: "not measured", verdict: "unmeasured" };
  }
  const factor = other / own;
  const measured = factor >= 1 ? `${text(factor)} times lower` : `${text(1 / factor)} times higher`;
  const verdict = factor >= needed ? "reproduced" : factor > 1 ? "partly" : "not reproduced";
  return { claim, paper, measured: `${measured} (${text(own)} against ${text(other)})`, verdict };
}

/** Points by which a figure of `upper` is above `lower`'s, seed by seed where both have the seed on all orders. */
function pairedDifference(
  runs: readonly FinishedRun[],
  upper: string,
  lower: string,
  figure: "averageAccuracy" | "forgettingRate" = "averageAccuracy",
) {
  const cells = new Map<string, number | null>();
  for (const { label, order, seed, record } of runs) {
    cells.set(`${label} ${order} ${seed}`, record[figure]);
  }
  const orders = [...new Set(runs.map(({ order }) => order))];
  const seeds = [...new Set(runs.map(({ seed }) => seed))].filter((seed) =>
    orders.every((order) => [upper, lower].every((label) => cells.has(`${label} ${order} ${seed}`))),
  );
  const differences = seeds.map((seed) =>
    meanOf(
      orders.map((order) => {
        const [high, low] = [upper, lower].map((label) => cells.get(`${label} ${order} ${seed}`) ?? null);
        return high === null || low === null ? null : high! - low!;
      }),
    ),
  );
  return spreadOf(differences);
}

/** Where a claim says no more than "above": the standard error of an accuracy near a quarter on 2,000 rows. */
const CLEAR_POINTS = 1;

function pointsClaim(
  runs: readonly FinishedRun[],
  claim: string,
  needed: number,
  upper: string,
  lower: string,
): Claim {
  const paper = needed > 0 ? `${needed} points or more` : "above";
  return judged(claim, paper, pairedDifference(runs, upper, lower), needed);
}

/** A difference in points that should reach `needed`, or, with 0, be clearly above nothing. */
function judged(claim: string, paper: string, { mean, deviation }: Spread, needed = 0): Claim {
  if (mean === null) return { claim, paper, measured: "not measured", verdict: "unmeasured" };
  const clear = needed > 0 ? needed : Math.max(CLEAR_POINTS, deviation ?? 0);
  const verdict = mean >= clear ? "reproduced" : mean > 0 ? "partly" : "not reproduced";
  const spread = deviation === null ? "one seed" : `± ${deviation.toFixed(1)} over seeds`;
  return { claim, paper, measured: `${mean.toFixed(1)} points (${spread})`, verdict };
}

/** Differences in AA, each reported where a study has both rows. The paper's Figure 6 gives an order and no values. */
const COMPARISONS: readonly {
  readonly claim: string;
  readonly needed: number;
  readonly upper: string;
  readonly lower: string;
}[] = [
  {
    claim: "AA of N-LoRA above O-LoRA's",
    needed: PAPER_CLAIMS.accuracyGain,
    upper: "n-lora",
    lower: "o-lora",
  },
  {
    claim: "AA of N-LoRA above O-LoRA's under its own setting",
    needed: PAPER_CLAIMS.accuracyGain,
    upper: "n-lora",
    lower: "o-lora (own)",
  },
  { claim: "AA of both together above O-LoRA's", needed: 0, upper: "o-lora-n-lora", lower: "o-lora" },
  { claim: "AA of both together above N-LoRA's", needed: 0, upper: "o-lora-n-lora", lower: "n-lora" },
  { claim: "AA of SA above NS (Figure 6)", needed: 0, upper: "SA", lower: "NS" },
  { claim: "AA of SB above NS (Figure 6)", needed: 0, upper: "SB", lower: "NS" },
  { claim: "AA of SAB above SA (Figure 6)", needed: 0, upper: "SAB", lower: "SA" },
  { claim: "AA of SAB above SB (Figure 6)", needed: 0, upper: "SAB", lower: "SB" },
  { claim: "AA of N-LoRA above SAB (Figure 6)", needed: 0, upper: "n-lora", lower: "SAB" },
];

/** Questions of our own, answered like claims: is it more than size, and is it more than N-LoRA? */
const CONTROLS: typeof COMPARISONS = [
  {
    claim: "AA of N-LoRA above that of its norms alone",
    needed: 0,
    upper: "n-lora",
    lower: "norms of n-lora",
  },
  {
    claim: "AA of Prox-LoRA above that of its norms alone",
    needed: 0,
    upper: "prox-lora",
    lower: "norms of prox-lora",
  },
  {
    claim: "AA of Prox-LoRA above that of random supports",
    needed: 0,
    upper: "prox-lora",
    lower: "supports of prox-lora",
  },
];
const OWN_METHODS = ["prox-lora", "mask-lora", "null-space-lora"];

/** On how many orders a method has a higher AA than N-LoRA at an equal or lower ACR, by both readings of a collision. */
function againstNLora(cells: readonly Cell[], label: string): Claim[] {
  const own = cells.filter((cell) => cell.label === label);
  const pairs = own.flatMap((cell) => {
    const other = cells.find((each) => each.label === "n-lora" && each.order === cell.order);
    return other ? [[cell, other] as const] : [];
  });
  if (pairs.length === 0) return [];
  const points = pairs.map(([cell, other]) =>
    difference(cell.averageAccuracy.mean, other.averageAccuracy.mean),
  );
  return (["acrAbs", "acrRelRms"] as const).map((reading) => {
    const held = pairs.filter(([cell, other], index) => {
      const [ours, theirs] = [cell[reading].mean, other[reading].mean];
      return (points[index] ?? 0) > 0 && ours !== null && theirs !== null && ours <= theirs;
    });
    const measured = pairs.map(([cell, other], index) => {
      const gain = points[index];
      const rates = [cell[reading].mean, other[reading].mean].map((rate) =>
        rate === null ? "?" : text(rate),
      );
      const signed = gain === null ? "?" : `${gain! >= 0 ? "+" : ""}${gain!.toFixed(1)}`;
      return `${cell.order} ${signed} points at ${rates.join(" against ")}`;
    });
    return {
      claim: `AA of ${label} above N-LoRA's at no higher ACR (${reading === "acrAbs" ? "|dW| > 1e-3" : "|dW| > 0.4 rms"})`,
      paper: "our aim: on two orders of three",
      measured: measured.join("; "),
      verdict:
        pairs.length < 2
          ? "unmeasured"
          : held.length >= 2
            ? "reproduced"
            : held.length > 0
              ? "partly"
              : "not reproduced",
    };
  });
}

const difference = (upper: number | null, lower: number | null): number | null =>
  upper === null || lower === null ? null : upper - lower;

/** Of N-LoRA against O-LoRA; empty where a study has not both. */
function sparsityClaims(runs: readonly FinishedRun[], rows: readonly RowSummary[]): Claim[] {
  const row = (label: string) => rows.find((each) => each.label === label)?.figures;
  const [own, other] = [row("n-lora"), row("o-lora")];
  if (!own || !other) return [];
  const { overlapFactor, magnitudeFactor, collisionFactor } = PAPER_CLAIMS;
  const factors = [
    ["OO lower (squared)", overlapFactor, "orthogonalOverlapSquared"],
    ["OO lower (abs)", overlapFactor, "orthogonalOverlapAbs"],
    ["ACR lower (|dW| > 1e-3)", collisionFactor, "acrAbs"],
    ["ACR lower (|dW| > 0.4 rms)", collisionFactor, "acrRelRms"],
    ["AWOM lower (spectral)", magnitudeFactor, "awomSpectral"],
  ] as const;
  const less = pairedDifference(runs, "o-lora", "n-lora", "forgettingRate");
  const forgetting = [own, other].map(({ forgettingRate: { mean } }) => mean?.toFixed(1) ?? "?");
  const lower = judged("F.Ra lower", "2.37 against 4.20", less);
  return [
    ...factors.map(([claim, needed, figure]) =>
      factorClaim(claim, needed, other[figure].mean, own[figure].mean),
    ),
    less.mean === null
      ? lower
      : { ...lower, measured: `by ${lower.measured}: ${forgetting.join(" against ")}` },
  ];
}

/** The claims that the rows of a study can decide. */
export function claimsOf(
  runs: readonly FinishedRun[],
  rows: readonly RowSummary[],
  cells: readonly Cell[],
): Claim[] {
  const has = (label: string) => rows.some((row) => row.label === label);
  const compared = (list: typeof COMPARISONS, asked?: string) =>
    list
      .filter(({ upper, lower }) => has(upper) && has(lower))
      .map(({ claim, needed, upper, lower }) => ({
        ...pointsClaim(runs, claim, needed, upper, lower),
        ...(asked && { paper: asked }),
      }));
  return [
    ...compared(COMPARISONS),
    ...sparsityClaims(runs, rows),
    ...compared(CONTROLS, "not tested"),
    ...OWN_METHODS.flatMap((label) => againstNLora(cells, label)),
  ];
}
