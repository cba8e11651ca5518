/** What a record says of the loss and of how a run ended, in words. Definitions: docs/losses-and-metrics.md. */
import { METHOD_FACTS } from "../methods/registry.js";
import type { RunRecord } from "../runs/record.js";
import type { ReportedRun } from "./reported-run.js";

type Penalty = Readonly<Record<string, unknown>>;

/** A number, or one per task. */
const strength = (value: unknown): string =>
  Array.isArray(value) ? `${value.join(", ")} (task by task)` : `${String(value)} in every task`;

const PENALISED: Readonly<Record<string, string>> = {
  "delta-w": "the sum of the magnitudes of the update, ‖B A‖₁ (the paper's equations 3 and 4)",
  "released-code":
    "the sum of the magnitudes of the r × r product, ‖A B‖₁ (what the released code trains with)",
  "factor-a": "the sum of the magnitudes of the factor A, ‖A‖₁ (an ablation of the paper)",
  "factor-b": "the sum of the magnitudes of the factor B, ‖B‖₁ (an ablation of the paper)",
  factors: "the sums of the magnitudes of both factors, ‖A‖₁ + ‖B‖₁ (an ablation of the paper)",
  "factor-bound": "a bound on the magnitudes of the update, the sum over k of ‖B[:,k]‖₁ ‖A[k,:]‖₁",
};

const DIVIDED: Readonly<Record<string, string>> = {
  rms: "divided by √(d_out d_in) of its module (normalise: rms)",
  sum: "as a plain sum (normalise: sum)",
  mean: "divided by d_out d_in of its module (normalise: mean)",
};

function sparsityWords(penalty: Penalty): string[] {
  const { kind, normalise, includeScaling, gamma, lambda, lambdaUnit, target } = penalty;
  const what = PENALISED[String(kind)];
  if (what === undefined) return [];
  const isNormalised = kind === "delta-w" || kind === "factor-bound";
  const unit =
    lambdaUnit === "published"
      ? kind === "released-code" || normalise === "sum"
        ? "in the published unit, used as it stands"
        : "in the published unit, converted so that the pull at the start is that of the released code's penalty"
      : "used as it stands (lambdaUnit: raw)";
  return [
    `Added is λ times ${what}, summed over modules${isNormalised ? `, ${DIVIDED[String(normalise)] ?? `normalise: ${String(normalise)}`}` : ""}; penalty kind ${String(kind)}.`,
    `λ is ${strength(lambda)}, ${unit}. The LoRA scale is ${includeScaling === true ? "part of what is penalised" : "left out"}.`,
    ...(typeof gamma === "number" && gamma > 0
      ? [`An element that n earlier tasks use counts 1 + ${gamma} n times.`]
      : []),
    ...(target != null
      ? [`λ is steered towards ${JSON.stringify(target)}; the value above is where it starts.`]
      : []),
  ];
}

const PHI: Readonly<Record<string, string>> = {
  abs: "the sum of the magnitudes of A_i A_tᵀ (the released code's)",
  squared: "the squared norm of A_i A_tᵀ (the papers' formula)",
  updates: "the squared norm of ΔW_iᵀ ΔW_t of whole updates",
};

function orthogonalityWords({ lambda1, lambda2, orth }: Penalty): string[] {
  if (lambda1 === undefined) return [];
  return [
    `From the second task on, λ₁ times ${PHI[String(orth)] ?? String(orth)} over earlier tasks i is added; λ₁ is ${strength(lambda1)}, λ₂ (norms of the new factors) ${strength(lambda2)}.`,
  ];
}

/** Everything that is added to the cross-entropy, and in which reading. */
export function lossInWords({ penalty }: Pick<RunRecord, "penalty">): string[] {
  const { sparsity, ...own } = penalty;
  const first =
    "The loss of a task is the mean cross-entropy over the label tokens of a step, in nats per token.";
  if (Object.keys(penalty).length === 0) return [first, "What was added to it was not recorded."];
  const words = [
    ...sparsityWords(own),
    ...orthogonalityWords(own),
    ...(typeof sparsity === "object" && sparsity !== null ? sparsityWords(sparsity as Penalty) : []),
  ];
  if (words.length > 0) return [first, ...words];
  if (own.kind === "none") return [first, "Nothing is added to it."];
  const { kind, ...settings } = own;
  const listed = Object.entries(settings).map(([key, value]) => `${key} ${JSON.stringify(value)}`);
  return [
    first,
    `What the method does besides is of the kind ${String(kind)}${listed.length > 0 ? `, with ${listed.join(", ")}` : ""} (docs/methods.md, docs/sparsity.md).`,
  ];
}

/** A method's name as the paper writes it, and what it trains. */
export function methodInWords(name: string): string {
  const facts = (METHOD_FACTS as Readonly<Record<string, (typeof METHOD_FACTS)[keyof typeof METHOD_FACTS]>>)[
    name
  ];
  if (!facts) return name;
  return `${facts.title} (${name}): trains ${facts.trains}; keeps ${facts.keeps}`;
}

export interface Status {
  readonly short: string;
  /** What to make of it; null for a finished run. */
  readonly long: string | null;
}

/** How far a run came, and why no further. */
export function statusOf({ record, journal }: Pick<ReportedRun, "record" | "journal">): Status {
  const trained =
    record === null
      ? 0
      : record.deltaNorms.filter((_, index) => record.accuracy[index]?.[index] != null).length;
  const tasks = record?.tasks.length ?? 0;
  const far = `${trained} of ${tasks} tasks are trained and tested`;
  const last = journal.tasks.at(-1);
  const inside =
    last && trained < tasks
      ? `; the last task begun is ${last.task}, at step ${last.reached} of ${last.steps}`
      : "";
  const { failure } = journal;
  const reason = failure ? ` ${failure.message}${failure.hint ? ` (${failure.hint})` : ""}` : "";
  if (record === null) {
    return failure
      ? { short: "failed", long: `The run failed before it started.${reason}` }
      : { short: "not started", long: "The run has not started." };
  }
  switch (record.status) {
    case "done":
      return { short: "done", long: null };
    case "interrupted":
      return { short: "interrupted", long: `The run was interrupted: ${far}${inside}. It can be resumed.` };
    case "failed":
      return { short: "failed", long: `The run failed: ${far}${inside}.${reason}` };
    case "running":
      return {
        short: "unfinished",
        long: `The run has not ended: ${far}${inside}. It is running, or its process is gone.`,
      };
  }
}
