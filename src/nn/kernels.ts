/**
 * The operators that models are written in. Each runs as one fused kernel of the engine where that applies, and in its
 * plain formulation (plain.ts) where it does not: a frozen tensor that is being trained after all, or when the kernels
 * are switched off.
 */
import * as fused from "../tensor/functions.gen.js";
import { isRecording } from "../tensor/grad.js";
import type { Tensor } from "../tensor/tensor.js";
import type { AttentionInputs, CausalAttentionInputs, MemoryAttentionInputs } from "./attention.js";
import type { LowRankInputs } from "./low-rank.js";
import * as plain from "./plain.js";

let enabled = process.env.NLORA_KERNELS !== "plain";

/** Runs `action` with the fused kernels on or off. Also `NLORA_KERNELS=plain` for a whole process. */
export function withKernels<T>(mode: "fused" | "plain", action: () => T): T {
  const before = enabled;
  enabled = mode === "fused";
  try {
    return action();
  } finally {
    enabled = before;
  }
}

/** Whether the fused kernels are on. */
export const kernelsAreOn = (): boolean => enabled;

const isTrained = (tensor: Tensor): boolean => isRecording() && tensor.requiresGrad;

/** A weight in the dtype of what it is multiplied with: weights that are trained are kept in a wider one. */
const asInput = (weight: Tensor, x: Tensor): Tensor =>
  weight.dtype === x.dtype ? weight : weight.toDtype(x.dtype);

/** T5's layer norm: x * weight / sqrt(mean(x^2) + eps). */
export const rmsNorm = (x: Tensor, weight: Tensor, eps: number): Tensor =>
  enabled ? fused.rmsNorm(x, weight, eps) : plain.rmsNorm(x, weight, eps);

/** Dropout whose mask is a function of the seed. */
export function dropout(x: Tensor, p: number, seed: number): Tensor {
  if (p === 0) return x;
  return enabled ? fused.dropout(x, p, seed) : plain.dropout(x, p, seed);
}

/** residual + dropout(x) */
export function dropoutAdd(x: Tensor, residual: Tensor, p: number, seed: number): Tensor {
  if (p === 0) return residual.add(x);
  return enabled ? fused.dropoutAdd(x, residual, p, seed) : plain.dropoutAdd(x, residual, p, seed);
}

/** dropout(relu(x)) */
export function reluDropout(x: Tensor, p: number, seed: number): Tensor {
  if (p === 0) return x.relu();
  return enabled ? fused.reluDropout(x, p, seed) : plain.reluDropout(x, p, seed);
}

/** dropout(gelu_tanh(gate) * value) */
export const gatedGeluDropout = (gate: Tensor, value: Tensor, p: number, seed: number): Tensor =>
  enabled ? fused.gatedGeluDropout(gate, value, p, seed) : plain.gatedGeluDropout(gate, value, p, seed);

/** Attention from projections to mixed values, [batch, queries, heads * width]. */
export function attention(inputs: AttentionInputs): Tensor {
  const { query, key, value, heads, bias, mask, p, seed } = inputs;
  if (!enabled || (bias && isTrained(bias))) return plain.attention(inputs);
  return fused.crossAttention(query, key, value, heads, bias, mask, p, seed);
}

/** Self-attention from queries, keys and values side by side, [batch, length, 3 * heads * width]. */
export function selfAttention(qkv: Tensor, inputs: Omit<AttentionInputs, "query" | "key" | "value">): Tensor {
  const { heads, bias, mask, p, seed } = inputs;
  if (!enabled || (bias && isTrained(bias))) {
    const [query, key, value] = qkv.chunk(3, -1) as [Tensor, Tensor, Tensor];
    return plain.attention({ query, key, value, ...inputs });
  }
  return fused.selfAttention(qkv, heads, bias, mask, p, seed);
}

/** Attention of a decoder over what it has read so far. */
export function causalAttention(inputs: CausalAttentionInputs): Tensor {
  if (!enabled) return plain.causalAttention(inputs);
  const { query, key, value, heads, keyValueHeads, window, mask, p, seed } = inputs;
  const reach = window ?? Math.max(1, key.dim(1));
  return fused.causalAttention(query, key, value, heads, keyValueHeads, reach, mask, p, seed);
}

/**
 * Attention over a memory. The fused form never computes keys and values; it saves time where queries are few (see
 * native/kernels/memory_attention.cc).
 */
export function memoryAttention(inputs: MemoryAttentionInputs): Tensor {
  const { query, memory, heads, mask, p, seed } = inputs;
  const key = { ...inputs.key, weight: asInput(inputs.key.weight, memory) };
  const value = { ...inputs.value, weight: asInput(inputs.value.weight, memory) };
  if (!enabled || isTrained(key.weight) || isTrained(value.weight)) {
    return plain.memoryAttention({ ...inputs, key, value });
  }
  return fused.memoryAttention(
    query,
    memory,
    key.weight,
    value.weight,
    key.hidden,
    key.up,
    value.hidden,
    value.up,
    heads,
    mask,
    p,
    seed,
  );
}

/** silu(gate) * value */
export const siluMultiply = (gate: Tensor, value: Tensor): Tensor =>
  enabled ? fused.siluMultiply(gate, value) : plain.siluMultiply(gate, value);

/** Rotary position embedding of every head of x [batch, length, heads * width]; cos, sin [1 or batch, length, width / 2]. */
export const rotate = (x: Tensor, cos: Tensor, sin: Tensor, heads: number, scale: number): Tensor =>
  enabled ? fused.rotate(x, cos, sin, heads, scale) : plain.rotate(x, cos, sin, heads, scale);

/** A linear layer with low-rank additions to its output. */
export function lowRankLinear(inputs: LowRankInputs): Tensor {
  const { x, terms, p, seed } = inputs;
  const weight = asInput(inputs.weight, x);
  const bias = inputs.bias && asInput(inputs.bias, x);
  if (!enabled || isTrained(weight)) return plain.lowRankLinear({ ...inputs, weight, bias });
  return fused.loraLinear(
    x,
    weight,
    bias,
    terms.map((term) => term.a),
    terms.map((term) => term.b),
    terms.map((term) => term.offset),
    terms.map((term) => term.scale),
    terms.map((term) => term.group),
    p,
    seed,
  );
}

/** Mean cross-entropy in float32; logits [tokens, vocabulary], labels int64 [tokens]. */
export const crossEntropy = (logits: Tensor, labels: Tensor): Tensor =>
  enabled ? fused.crossEntropy(logits, labels, -100) : plain.crossEntropy(logits, labels);

/** sum_m c_m * sum |B_m A_m|, without ever holding a whole B A. */
export const deltaL1 = (
  a: readonly Tensor[],
  b: readonly Tensor[],
  coefficients: readonly number[],
): Tensor => (enabled ? fused.deltaL1(a, b, coefficients) : plain.deltaL1(a, b, coefficients));
