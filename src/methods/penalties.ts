/**
 * The loss terms that methods share. Shapes: A [rank, inputs], B [outputs, rank], dW = B A [outputs, inputs]; all of
 * them leave the LoRA scale out unless told otherwise, and sum over modules.
 */
import type { LowRankDelta } from "../adapters/delta.js";
import { ConfigError } from "../errors.js";
import { deltaL1 } from "../nn/kernels.js";
import { at } from "../settings.js";
import type { Tensor } from "../tensor/tensor.js";
import { updateOverlap, weightedDeltaL1 } from "./collision-penalties.js";
import type { MemoryUse, ModuleMemory } from "./memory.js";
import type { OrthogonalityOptions, SparsityOptions } from "./options.js";

/** A trainable pair with the shape of its layer and what is remembered of earlier tasks. */
export interface PenalisedModule extends LowRankDelta, ModuleMemory {
  readonly name: string;
  readonly inputs: number;
  readonly outputs: number;
}

function sumOf(terms: readonly Tensor[]): Tensor {
  return terms.slice(1).reduce((sum, term) => sum.add(term), terms[0]!);
}

/**
 * The coefficient of one module's penalty for a lambda of the config.
 *
 * A published lambda was tuned on the released r x r form. `rms` converts it so that the pull on B at the start is the
 * same for every shape of layer: lambda_rms = r sqrt(pi/2) lambda on ||dW||_1 / sqrt(d_out d_in). The factor penalties
 * are matched likewise: sqrt(r / (3 d_in)) lambda on ||A||_1 and sqrt(r / (3 d_out)) lambda on ||B||_1.
 */
export function sparsityCoefficient(
  options: SparsityOptions,
  lambda: number,
  shape: { readonly rank: number; readonly inputs: number; readonly outputs: number },
  factor: "a" | "b" | null = null,
): number {
  const { kind, normalise } = options.penalty;
  const published = options.lambdaUnit === "published";
  if (kind === "released-code") return lambda;
  if (kind === "factor-a" || kind === "factor-b" || kind === "factors") {
    const width = factor === "a" ? shape.inputs : shape.outputs;
    return published ? Math.sqrt(shape.rank / (3 * width)) * lambda : lambda;
  }
  const elements = shape.inputs * shape.outputs;
  if (normalise === "sum") return lambda;
  if (normalise === "mean") {
    if (published) {
      throw new ConfigError(
        "method.penalty.normalise: mean has no published lambda to convert; set method.lambdaUnit to raw, or normalise to rms.",
      );
    }
    return lambda / elements;
  }
  const matched = published ? shape.rank * Math.sqrt(Math.PI / 2) * lambda : lambda;
  return matched / Math.sqrt(elements);
}

/** Throws a ConfigError for modules that the penalty's kind cannot be computed on; before anything is trained. */
export function checkSparsity(
  options: SparsityOptions,
  modules: readonly { readonly name: string; readonly inputs: number; readonly outputs: number }[],
): void {
  if (options.penalty.kind === "released-code") {
    const odd = modules.find((module) => module.inputs !== module.outputs);
    if (odd) {
      throw new ConfigError(
        `method.penalty.kind: released-code multiplies A [r, ${odd.inputs}] by B [${odd.outputs}, r], which needs as many ` +
          `outputs as inputs; ${odd.name} has ${odd.inputs} inputs and ${odd.outputs} outputs. Use delta-w, the paper's form.`,
      );
    }
  }
  sparsityCoefficient(options, 0, { rank: 1, inputs: 1, outputs: 1 }, "a");
}

/** What `sparsityPenalty` reads of earlier tasks. */
export const sparsityMemory = ({ penalty }: Pick<SparsityOptions, "penalty">): MemoryUse => ({
  uses: penalty.kind === "delta-w" && penalty.gamma > 0,
});

/**
 * N-LoRA's penalty (eqs. 3 and 4) in the form the options name, for the task at `index`, lambda multiplied by `factor`; a
 * scalar, or null for none.
 */
export function sparsityPenalty(
  modules: readonly PenalisedModule[],
  options: SparsityOptions,
  index: number,
  scale: number,
  factor = 1,
): Tensor | null {
  const { kind, includeScaling } = options.penalty;
  const lambda = at(options.lambda, index) * factor * (includeScaling ? scale : 1);
  if (kind === "none" || lambda === 0) return null;
  const coefficient = (module: PenalisedModule, factor: "a" | "b" | null = null): number =>
    sparsityCoefficient(options, lambda, { ...module, rank: module.a.dim(0) }, factor);
  if (kind === "delta-w") {
    const isWeighted = ({ uses }: PenalisedModule): boolean => uses !== null;
    const plain = modules.filter((module) => !isWeighted(module));
    const weighted = modules
      .filter(isWeighted)
      .map((module) =>
        weightedDeltaL1(module.a, module.b, module.uses!, options.penalty.gamma).mul(coefficient(module)),
      );
    if (plain.length === 0) return sumOf(weighted);
    const sum = deltaL1(
      plain.map((module) => module.a),
      plain.map((module) => module.b),
      plain.map((module) => coefficient(module)),
    );
    return sumOf([sum, ...weighted]);
  }
  return sumOf(
    modules.flatMap((module) => factorTerms(module, kind, (factor) => coefficient(module, factor))),
  );
}

type FactorKind = Exclude<SparsityOptions["penalty"]["kind"], "none" | "delta-w">;

/** The terms of one module for the kinds that look at the factors and not at their product. */
function factorTerms(
  { a, b }: PenalisedModule,
  kind: FactorKind,
  coefficient: (factor: "a" | "b" | null) => number,
): Tensor[] {
  switch (kind) {
    case "released-code":
      return [a.matmul(b).abs().sum().mul(coefficient(null))];
    case "factor-a":
      return [a.abs().sum().mul(coefficient("a"))];
    case "factor-b":
      return [b.abs().sum().mul(coefficient("b"))];
    case "factors":
      return [a.abs().sum().mul(coefficient("a")), b.abs().sum().mul(coefficient("b"))];
    case "factor-bound":
      return [
        b
          .abs()
          .sumDim([0])
          .mul(a.abs().sumDim([1]))
          .sum()
          .mul(coefficient(null)),
      ];
  }
}

/** What the terms of `orthogonalityPenalties` read of earlier tasks. */
export const orthogonalityMemory = ({ orth }: Pick<OrthogonalityOptions, "orth">): MemoryUse =>
  orth === "updates" ? { updates: true } : { previousA: true };

/**
 * O-LoRA's terms (Wang et al. 2023) for the task at `index`: lambda_1 * sum over modules and earlier tasks of
 * phi(A_i A_t^T), phi = sum of absolute values (released code) or squared Frobenius norm (paper), or in its place
 * ||dW_i^T dW_t||_F^2 of the whole updates (`updates`); and lambda_2 * (||A_t||_F + ||B_t||_F). Nothing where no module
 * has earlier adapters, as on the first task.
 */
export function orthogonalityPenalties(
  modules: readonly PenalisedModule[],
  options: OrthogonalityOptions,
  index: number,
): Record<string, Tensor> {
  const terms: Record<string, Tensor> = {};
  const follows = modules.filter(({ previousA, updates }) => previousA !== null || updates !== null);
  if (follows.length === 0) return terms;
  const lambda1 = at(options.lambda1, index);
  const lambda2 = at(options.lambda2, index);
  if (lambda1 > 0) {
    const overlaps = follows.map(({ a, b, previousA, updates }) => {
      if (options.orth === "updates") return updateOverlap(a, b, updates!);
      const overlap = previousA!.matmul(a.t());
      return options.orth === "abs" ? overlap.abs().sum() : overlap.square().sum();
    });
    terms.orthogonality = sumOf(overlaps).mul(lambda1);
  }
  if (lambda2 > 0) {
    const norms = modules.flatMap(({ a, b }) => [a.linalgVectorNorm(), b.linalgVectorNorm()]);
    terms.norms = sumOf(norms).mul(lambda2);
  }
  return terms;
}
