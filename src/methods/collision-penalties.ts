/**
 * Penalties on what an update shares with earlier ones: magnitudes weighted by earlier use of their positions, and the
 * products dW_i^T dW_t. Neither forms a dW beyond a block of its rows.
 */
import { forRows } from "../adapters/tiles.js";
import { zeros } from "../tensor/functions.gen.js";
import { noGrad } from "../tensor/grad.js";
import type { Tensor } from "../tensor/tensor.js";

/**
 * sum over elements of (1 + gamma * uses) |dW|, dW = B A; `uses` is uint8 [outputs, inputs]. The gradient is that of
 * the sum, S A^T and B^T S with S = sign(dW) (1 + gamma * uses), made block by block beside the value.
 */
export function weightedDeltaL1(a: Tensor, b: Tensor, uses: Tensor, gamma: number): Tensor {
  const [gradientA, gradientB] = noGrad(() => [a.zerosLike(), b.zerosLike()] as const);
  const value = noGrad(() => zeros([], { device: a.device }));
  forRows(b.dim(0), a.dim(1), (start, length) => {
    const rows = b.narrow(0, start, length);
    const update = rows.matmul(a);
    const weights = uses.narrow(0, start, length).toDtype("float32").mul(gamma).add(1);
    value.add_(update.abs().mul(weights).sum());
    const signs = update.sign().mul(weights);
    gradientB.narrow(0, start, length).copy_(signs.matmul(a.t()));
    gradientA.add_(rows.t().matmul(signs));
  });
  // dW is linear in each factor, so <gradient, factor> is the value itself, once for A and once for B
  return gradientA.mul(a).sum().add(gradientB.mul(b).sum()).sub(value);
}

/**
 * Omega = sum over earlier tasks of ||dW_i^T dW_t||_F^2, from the stacked roots U of the earlier updates (memory.ts):
 * with N = U^T B_t it is the sum over (N A_t A_t^T) * N, O(d r^2) per earlier task.
 */
export function updateOverlap(a: Tensor, b: Tensor, updates: Tensor): Tensor {
  const products = updates.t().matmul(b);
  return products.matmul(a.matmul(a.t())).mul(products).sum();
}
