/**
 * The proximal operator of a weighted sum of row norms (group lasso; Yuan & Lin 2006), applied after an optimizer's
 * update as AdamW applies weight decay: what a row loses does not pass through the moments or the clip.
 */
import { noGrad } from "../tensor/grad.js";
import { tidy } from "../tensor/scope.js";
import type { Tensor } from "../tensor/tensor.js";

/**
 * row <- max(0, 1 - threshold / ||row||_2) row, in place, for every row of a matrix [rows, width]. One threshold >= 0
 * for all, or one per row, [rows]. Rows at or below their threshold become exactly +0. Columns: pass the transposed view.
 */
export function shrinkRows_(matrix: Tensor, threshold: Tensor | number): void {
  noGrad(() =>
    tidy(() => {
      const norms = matrix.linalgVectorNorm(2, [1]).clampMin(SMALLEST);
      const limits = typeof threshold === "number" ? norms.reciprocal().mul(threshold) : threshold.div(norms);
      const factors = limits.neg().add(1).clampMin(0).unsqueeze(1);
      // adding 0 turns -0, which a zero factor makes of negative numbers, into +0
      matrix.mul_(factors).add_(0);
    }),
  );
}

/** Keeps the quotient defined for rows that are zero; every other float32 norm that matters is far above. */
const SMALLEST = 1e-30;
