/**
 * The plain formulation of every fused operator, in libtorch's own operators. A fused operator must equal it (the tests
 * compare them under equal dropout masks); it also serves wherever the fused one does not apply.
 */
import { arange, cat, dropoutKeep, linear, stack, zeros } from "../tensor/functions.gen.js";
import type { Tensor } from "../tensor/tensor.js";
import type {
  AttentionInputs,
  CausalAttentionInputs,
  MemoryAttentionInputs,
  MemoryProjection,
} from "./attention.js";
import { groupSeed, keepProbability, type LowRankInputs } from "./low-rank.js";

/** x * weight / sqrt(mean(x^2) + eps) over the last dimension, in float32. */
export function rmsNorm(x: Tensor, weight: Tensor, eps: number): Tensor {
  const wide = x.toDtype("float32");
  const variance = wide.square().meanDim([-1], true);
  return wide.mul(variance.add(eps).rsqrt()).mul(weight.toDtype("float32")).toDtype(x.dtype);
}

/** Zeroes elements with probability p and divides the others by the probability of keeping them. */
export function dropout(x: Tensor, p: number, seed: number): Tensor {
  const keep = keepProbability(p);
  if (keep === 1) return x;
  const mask = dropoutKeep(x.size, p, seed).toDevice(x.device, "float32").reshape(x.shape);
  return x
    .toDtype("float32")
    .mul(mask)
    .mul(1 / keep)
    .toDtype(x.dtype);
}

export const dropoutAdd = (x: Tensor, residual: Tensor, p: number, seed: number): Tensor =>
  residual
    .toDtype("float32")
    .add(dropout(x.toDtype("float32"), p, seed))
    .toDtype(x.dtype);

export const reluDropout = (x: Tensor, p: number, seed: number): Tensor => dropout(x.relu(), p, seed);

export const gatedGeluDropout = (gate: Tensor, value: Tensor, p: number, seed: number): Tensor =>
  dropout(
    gate.toDtype("float32").gelu({ approximate: "tanh" }).mul(value.toDtype("float32")),
    p,
    seed,
  ).toDtype(gate.dtype);

export const siluMultiply = (gate: Tensor, value: Tensor): Tensor =>
  gate.toDtype("float32").silu().mul(value.toDtype("float32")).toDtype(gate.dtype);

/** Turns dimensions j and j + half of every head by an angle, then multiplies by `scale`; cos, sin [rows, length, half]. */
export function rotate(x: Tensor, cos: Tensor, sin: Tensor, heads: number, scale: number): Tensor {
  const [batch, length, inner] = x.shape as [number, number, number];
  const split = x.toDtype("float32").reshape([batch, length, heads, 2, inner / heads / 2]);
  const [first, second] = [split.select(3, 0), split.select(3, 1)];
  const [c, s] = [cos.unsqueeze(2).mul(scale), sin.unsqueeze(2).mul(scale)];
  const turned = stack([first.mul(c).sub(second.mul(s)), second.mul(c).add(first.mul(s))], 3);
  return turned.reshape(x.shape).toDtype(x.dtype);
}

const splitHeads = (x: Tensor, heads: number): Tensor =>
  x.reshape([x.dim(0), x.dim(1), heads, x.dim(2) / heads]).transpose(1, 2);

/** dropout(softmax(q k^T + bias)) v head by head, over the keys that may be attended to; softmax in float32. */
export function attention({ query, key, value, heads, bias, mask, p, seed }: AttentionInputs): Tensor {
  let scores = splitHeads(query, heads).matmul(splitHeads(key, heads).transpose(2, 3)).toDtype("float32");
  if (bias) scores = scores.add(bias.toDtype("float32"));
  if (mask) {
    const blocked = mask.unsqueeze(1).unsqueeze(1).logicalNot();
    scores = scores.maskedFill(blocked, Number.NEGATIVE_INFINITY);
  }
  const probabilities = scores.softmax(-1);
  // A row without any key would be a row of NaN; it attends to nothing.
  const safe = mask ? probabilities.maskedFill(probabilities.isnan(), 0) : probabilities;
  const mixed = dropout(safe, p, seed).toDtype(query.dtype).matmul(splitHeads(value, heads));
  return mixed.transpose(1, 2).reshape(query.shape);
}

/** Attention whose keys and values are projections of a memory. */
export function memoryAttention(inputs: MemoryAttentionInputs): Tensor {
  const { memory, key, value, ...rest } = inputs;
  const project = ({ weight, hidden, up }: MemoryProjection): Tensor => {
    const base = linear(memory, weight);
    return hidden && up ? base.add(linear(hidden, up.toDtype(hidden.dtype))) : base;
  };
  return attention({ ...rest, key: project(key), value: project(value), bias: null });
}

/** dropout(softmax(q k^T)) v head by head, over the keys up to each query that may be attended to; softmax in float32. */
export function causalAttention(inputs: CausalAttentionInputs): Tensor {
  const { query, key, value, heads, keyValueHeads, window, mask, p, seed } = inputs;
  const { device } = query;
  const [batch, queries, inner] = query.shape as [number, number, number];
  const [keys, width, shared] = [key.dim(1), inner / heads, heads / keyValueHeads];
  // [batch, heads of keys and values, query heads that share one, length, width]
  const grouped = (x: Tensor, each: number) =>
    x.reshape([batch, x.dim(1), keyValueHeads, each, width]).permute([0, 2, 3, 1, 4]);
  const scores = grouped(query, shared).matmul(grouped(key, 1).transpose(3, 4)).toDtype("float32");
  const reach = arange(0, keys, 1, { device }).sub(arange(keys - queries, keys, 1, { device }).unsqueeze(1));
  let blocked = reach.gt(0);
  if (window !== null) blocked = blocked.logicalOr(reach.le(-window));
  if (mask) blocked = blocked.logicalOr(mask.logicalNot().reshape([batch, 1, 1, 1, keys]));
  const probabilities = scores.maskedFill(blocked, Number.NEGATIVE_INFINITY).softmax(-1);
  // A row without any key would be a row of NaN; it attends to nothing.
  const safe = mask ? probabilities.maskedFill(probabilities.isnan(), 0) : probabilities;
  const mixed = dropout(safe, p, seed).toDtype(query.dtype).matmul(grouped(value, 1));
  return mixed.permute([0, 3, 1, 2, 4]).reshape(query.shape);
}

/** x W^T + bias, plus scale_i * drop(x) A_i^T B_i^T in the columns from offset_i on. */
export function lowRankLinear({ x, weight, bias, terms, p, seed }: LowRankInputs): Tensor {
  const base = linear(x, weight, bias);
  if (terms.length === 0) return base;
  const dropped = new Map<number, Tensor>();
  const additions = new Map<number, Tensor>();
  for (const { a, b, scale, offset, group } of terms) {
    const input = dropped.get(group) ?? dropout(x, p, groupSeed(seed, group));
    dropped.set(group, input);
    const addition = linear(linear(input, a.toDtype(x.dtype)), b.toDtype(x.dtype)).mul(scale);
    additions.set(offset, additions.get(offset)?.add(addition) ?? addition);
  }
  const outputs = weight.dim(0);
  const pieces: Tensor[] = [];
  let column = 0;
  const gap = (width: number) =>
    pieces.push(zeros([...x.shape.slice(0, -1), width], { dtype: x.dtype, device: x.device }));
  for (const [offset, addition] of [...additions].sort(([first], [second]) => first - second)) {
    if (offset > column) gap(offset - column);
    pieces.push(addition);
    column = offset + addition.dim(-1);
  }
  if (column < outputs) gap(outputs - column);
  return base.add(pieces.length === 1 ? pieces[0]! : cat(pieces, -1));
}

/** Mean negative log-likelihood over the labels; logits [tokens, vocabulary], labels int64 [tokens]; float32. */
export const crossEntropy = (logits: Tensor, labels: Tensor): Tensor =>
  logits.toDtype("float32").logSoftmax(-1).nllLoss(labels, null, 1, -100);

/** sum_m c_m * sum |B_m A_m|: the paper's penalty (eq. 3), module by module. */
export function deltaL1(a: readonly Tensor[], b: readonly Tensor[], coefficients: readonly number[]): Tensor {
  let total: Tensor | undefined;
  for (const [m, factor] of a.entries()) {
    const term = b[m]!.matmul(factor).abs().sum().mul(coefficients[m]!);
    total = total?.add(term) ?? term;
  }
  return total ?? zeros([]);
}
