/** The paper's claims on N-LoRA against O-LoRA, tested on the runs of a study that has both. */
import { PAPER_CLAIMS } from "./paper.js";
import { type FinishedRun, meanOf, type RowSummary, spreadOf } from "./summary.js";

export interface Claim {
  readonly claim: string;
  readonly paper: string;
  readonly measured: string;
  /** partly: the direction holds, the size does not; unmeasured: a run or a figure is missing. */
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

/** Points by which `upper` is above `lower`, seed by seed where both have the seed on all orders. */
function pairedDifference(runs: readonly FinishedRun[], upper: string, lower: string) {
  const cells = new Map<string, number | null>();
  for (const { label, order, seed, record } of runs) {
    cells.set(`${label} ${order} ${seed}`, record.averageAccuracy);
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

function pointsClaim(
  runs: readonly FinishedRun[],
  claim: string,
  needed: number,
  upper: string,
  lower: string,
): Claim {
  const paper = `${needed} points or more`;
  const { mean, deviation } = pairedDifference(runs, upper, lower);
  if (mean === null) return { claim, paper, measured: "not measured", verdict: "unmeasured" };
  const verdict = mean >= needed ? "reproduced" : mean > 0 ? "partly" : "not reproduced";
  const spread = deviation === null ? "one seed" : `± ${deviation.toFixed(1)} over seeds`;
  return { claim, paper, measured: `${mean.toFixed(1)} points (${spread})`, verdict };
}

/** Empty unless the study has both N-LoRA and O-LoRA. */
export function claimsOf(runs: readonly FinishedRun[], rows: readonly RowSummary[]): Claim[] {
  const row = (label: string) => rows.find((each) => each.label === label)?.figures;
  const [own, other] = [row("n-lora"), row("o-lora")];
  if (!own || !other) return [];
  const { accuracyGain, overlapFactor, magnitudeFactor, collisionFactor } = PAPER_CLAIMS;
  const forgetting = [own.forgettingRate.mean, other.forgettingRate.mean] as const;
  const both = row("o-lora-n-lora");
  return [
    pointsClaim(runs, "AA of N-LoRA above O-LoRA's", accuracyGain, "n-lora", "o-lora"),
    factorClaim(
      "OO lower (squared)",
      overlapFactor,
      other.orthogonalOverlapSquared.mean,
      own.orthogonalOverlapSquared.mean,
    ),
    factorClaim(
      "OO lower (abs)",
      overlapFactor,
      other.orthogonalOverlapAbs.mean,
      own.orthogonalOverlapAbs.mean,
    ),
    factorClaim("ACR lower (|dW| > 1e-3)", collisionFactor, other.acrAbs.mean, own.acrAbs.mean),
    factorClaim("ACR lower (|dW| > 0.4 rms)", collisionFactor, other.acrRelRms.mean, own.acrRelRms.mean),
    factorClaim("AWOM lower (spectral)", magnitudeFactor, other.awomSpectral.mean, own.awomSpectral.mean),
    {
      claim: "F.Ra lower",
      paper: "2.37 against 4.20",
      measured: forgetting.map((value) => value?.toFixed(1) ?? "not measured").join(" against "),
      verdict:
        forgetting[0] === null || forgetting[1] === null
          ? "unmeasured"
          : forgetting[0] < forgetting[1]
            ? "reproduced"
            : "not reproduced",
    },
    ...(both
      ? [
          pointsClaim(runs, "AA of both together above O-LoRA's", 0, "o-lora-n-lora", "o-lora"),
          pointsClaim(runs, "AA of both together above N-LoRA's", 0, "o-lora-n-lora", "n-lora"),
        ]
      : []),
  ];
}
