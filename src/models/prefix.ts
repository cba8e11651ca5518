/** Embeddings before the tokens of a row, as if they were tokens' own: where soft prompts (Lester et al. 2021) enter a model. */
import { TensorError } from "../errors.js";
import { tensor } from "../tensor/create.js";
import { cat, ones } from "../tensor/functions.gen.js";
import type { Tensor } from "../tensor/tensor.js";

/** Rows of embeddings [rows, length, width] and where a token or a part of the prefix stands, [rows, length] bool. */
export interface Embedded {
  readonly x: Tensor;
  readonly mask: Tensor;
}

/** Positions that a prefix takes. */
export const prefixLength = (prefix: Tensor | null | undefined): number => prefix?.dim(1) ?? 0;

/**
 * Each row with the prefix ([rows or 1, positions, width] in any dtype) directly before its first token; padding stays
 * outside, on whichever side it is. Without a prefix the very same tensors. The result belongs to the open scope.
 */
export function withPrefix(x: Tensor, mask: Tensor, prefix: Tensor | null | undefined): Embedded {
  const count = prefixLength(prefix);
  if (!prefix || count === 0) return { x, mask };
  const [rows, length, width] = x.shape as [number, number, number];
  const [given, , depth] = prefix.shape;
  if (prefix.shape.length !== 3 || (given !== rows && given !== 1) || depth !== width) {
    throw new TensorError(
      `a prefix is [${prefix.shape.join(", ")}], expected [${rows}, positions, ${width}] for ${rows} rows`,
    );
  }
  const front = prefix.toDtype(x.dtype).expand([rows, count, width]);
  const joined = cat([front, x], 1);
  const flags = mask.toArray();
  const before = Array.from({ length: rows }, (_, row) => {
    const first = flags.slice(row * length, (row + 1) * length).indexOf(1);
    return first < 0 ? length : first;
  });
  if (before.every((padding) => padding === 0)) {
    return { x: joined, mask: cat([ones([rows, count], { dtype: "bool", device: mask.device }), mask], 1) };
  }
  const total = count + length;
  const order = before.flatMap((padding, row) =>
    Array.from({ length: total }, (_, column) => {
      const from = column < padding ? count + column : column < padding + count ? column - padding : column;
      return row * total + from;
    }),
  );
  const isUsed = before.flatMap((padding, row) =>
    Array.from({ length: total }, (_, column) => {
      if (column < padding) return 0;
      return column < padding + count ? 1 : flags[row * length + column - count]!;
    }),
  );
  const index = tensor(order, [order.length], "int64", x.device);
  return {
    x: joined
      .reshape([rows * total, width])
      .indexSelect(0, index)
      .reshape([rows, total, width]),
    mask: tensor(isUsed, [rows, total], "bool", mask.device),
  };
}

/** The mask if a prefix has made it longer than the batch's own: what a backward pass has to hold on to. */
export const madeMask = (mask: Tensor, batch: { readonly attentionMask: Tensor }): readonly Tensor[] =>
  mask === batch.attentionMask ? [] : [mask];

/** The mean of hidden states [rows, length, width] over the tokens of each row, [rows, width] in float32. */
export function meanOverTokens(hidden: Tensor, mask: Tensor): Tensor {
  const weights = mask.toDtype("float32").unsqueeze(2);
  return hidden
    .toDtype("float32")
    .mul(weights)
    .sumDim([1])
    .div(weights.sumDim([1]));
}
