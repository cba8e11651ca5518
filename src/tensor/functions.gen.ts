// Generated from operator schemas (libtorch 1.13.0) by `npm run generate`. Do not edit.
// Operators that are not methods of a tensor, the engine's own kernels among them.
import type { Device, DType } from "./dtype.js";
import { handles } from "./handles.js";
import { call, operatorId } from "./native.js";
import { type Tensor, wrap } from "./tensor.js";

/** aten::where.self(Tensor condition, Tensor self, Tensor other) -> Tensor */
export function where(condition: Tensor, self_: Tensor, other: Tensor): Tensor {
  return wrap.one(call(operatorId("aten::where.self"), condition.handle, self_.handle, other.handle));
}

/** aten::linear(Tensor input, Tensor weight, Tensor? bias=None) -> Tensor */
export function linear(input: Tensor, weight: Tensor, bias?: Tensor | null): Tensor {
  return wrap.one(call(operatorId("aten::linear"), input.handle, weight.handle, bias?.handle ?? null));
}

/** aten::linalg_qr(Tensor A, str mode="reduced") -> (Tensor Q, Tensor R) */
export function linalgQr(A: Tensor, mode?: string): [Tensor, Tensor] {
  return wrap.many(call(operatorId("aten::linalg_qr"), A.handle, mode)) as [Tensor, Tensor];
}

/** aten::linalg_svdvals(Tensor A, *, str? driver=None) -> Tensor */
export function linalgSvdvals(A: Tensor, options?: { driver?: string | null | undefined }): Tensor {
  return wrap.one(call(operatorId("aten::linalg_svdvals"), A.handle, options?.driver));
}

/** aten::linalg_svd(Tensor A, bool full_matrices=True, *, str? driver=None) -> (Tensor U, Tensor S, Tensor Vh) */
export function linalgSvd(A: Tensor, fullMatrices?: boolean, options?: { driver?: string | null | undefined }): [Tensor, Tensor, Tensor] {
  return wrap.many(call(operatorId("aten::linalg_svd"), A.handle, fullMatrices, options?.driver)) as [Tensor, Tensor, Tensor];
}

/** aten::cat(Tensor[] tensors, int dim=0) -> Tensor */
export function cat(tensors: readonly Tensor[], dim?: number): Tensor {
  return wrap.one(call(operatorId("aten::cat"), handles(tensors), dim));
}

/** aten::stack(Tensor[] tensors, int dim=0) -> Tensor */
export function stack(tensors: readonly Tensor[], dim?: number): Tensor {
  return wrap.one(call(operatorId("aten::stack"), handles(tensors), dim));
}

/** aten::embedding(Tensor weight, Tensor indices, int padding_idx=-1, bool scale_grad_by_freq=False, bool sparse=False) -> Tensor */
export function embedding(weight: Tensor, indices: Tensor, paddingIdx?: number, scaleGradByFreq?: boolean, sparse?: boolean): Tensor {
  return wrap.one(call(operatorId("aten::embedding"), weight.handle, indices.handle, paddingIdx, scaleGradByFreq, sparse));
}

/** aten::zeros(int[] size, *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=None) -> Tensor */
export function zeros(size: readonly number[], options?: { dtype?: DType | null | undefined; device?: Device | null | undefined }): Tensor {
  return wrap.one(call(operatorId("aten::zeros"), size, options?.dtype ?? "float32", undefined, options?.device));
}

/** aten::ones(int[] size, *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=None) -> Tensor */
export function ones(size: readonly number[], options?: { dtype?: DType | null | undefined; device?: Device | null | undefined }): Tensor {
  return wrap.one(call(operatorId("aten::ones"), size, options?.dtype ?? "float32", undefined, options?.device));
}

/** aten::full(int[] size, Scalar fill_value, *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=None) -> Tensor */
export function full(size: readonly number[], fillValue: number, options?: { dtype?: DType | null | undefined; device?: Device | null | undefined }): Tensor {
  return wrap.one(call(operatorId("aten::full"), size, fillValue, options?.dtype ?? "float32", undefined, options?.device));
}

/** aten::empty.memory_format(int[] size, *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=None, MemoryFormat? memory_format=None) -> Tensor */
export function empty(size: readonly number[], options?: { dtype?: DType | null | undefined; device?: Device | null | undefined }): Tensor {
  return wrap.one(call(operatorId("aten::empty.memory_format"), size, options?.dtype ?? "float32", undefined, options?.device));
}

/** aten::arange.start_step(Scalar start, Scalar end, Scalar step=1, *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=None) -> Tensor */
export function arange(start: number, end: number, step?: number, options?: { dtype?: DType | null | undefined; device?: Device | null | undefined }): Tensor {
  return wrap.one(call(operatorId("aten::arange.start_step"), start, end, step, options?.dtype, undefined, options?.device));
}

/** aten::eye(int n, *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=None) -> Tensor */
export function eye(n: number, options?: { dtype?: DType | null | undefined; device?: Device | null | undefined }): Tensor {
  return wrap.one(call(operatorId("aten::eye"), n, options?.dtype ?? "float32", undefined, options?.device));
}

/** aten::randn(int[] size, *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=None) -> Tensor */
export function randn(size: readonly number[], options?: { dtype?: DType | null | undefined; device?: Device | null | undefined }): Tensor {
  return wrap.one(call(operatorId("aten::randn"), size, options?.dtype ?? "float32", undefined, options?.device));
}

/** aten::rand(int[] size, *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=None) -> Tensor */
export function rand(size: readonly number[], options?: { dtype?: DType | null | undefined; device?: Device | null | undefined }): Tensor {
  return wrap.one(call(operatorId("aten::rand"), size, options?.dtype ?? "float32", undefined, options?.device));
}

/** nlora::adamw_(Tensor![] params, Tensor[] grads, Tensor![] exp_avg, Tensor![] exp_avg_sq, float lr, float beta1, float beta2, float eps, float weight_decay, int step, float grad_scale) -> () */
export function adamw_(params: readonly Tensor[], grads: readonly Tensor[], expAvg: readonly Tensor[], expAvgSq: readonly Tensor[], lr: number, beta1: number, beta2: number, eps: number, weightDecay: number, step: number, gradScale: number): void {
  call(operatorId("nlora::adamw_"), handles(params), handles(grads), handles(expAvg), handles(expAvgSq), lr, beta1, beta2, eps, weightDecay, step, gradScale);
}

/** nlora::causal_attention(Tensor query, Tensor key, Tensor value, int heads, int key_heads, int window, Tensor? mask, float p, int seed) -> Tensor */
export function causalAttention(query: Tensor, key: Tensor, value: Tensor, heads: number, keyHeads: number, window: number, mask: Tensor | null, p: number, seed: number): Tensor {
  return wrap.one(call(operatorId("nlora::causal_attention"), query.handle, key.handle, value.handle, heads, keyHeads, window, mask?.handle ?? null, p, seed));
}

/** nlora::collision_counts(Tensor[] a, Tensor[] b, float[] thresholds) -> (Tensor, Tensor) */
export function collisionCounts(a: readonly Tensor[], b: readonly Tensor[], thresholds: readonly number[]): [Tensor, Tensor] {
  return wrap.many(call(operatorId("nlora::collision_counts"), handles(a), handles(b), thresholds)) as [Tensor, Tensor];
}

/** nlora::cross_attention(Tensor query, Tensor key, Tensor value, int heads, Tensor? bias, Tensor? mask, float p, int seed) -> Tensor */
export function crossAttention(query: Tensor, key: Tensor, value: Tensor, heads: number, bias: Tensor | null, mask: Tensor | null, p: number, seed: number): Tensor {
  return wrap.one(call(operatorId("nlora::cross_attention"), query.handle, key.handle, value.handle, heads, bias?.handle ?? null, mask?.handle ?? null, p, seed));
}

/** nlora::cross_entropy(Tensor logits, Tensor labels, int ignore_index) -> Tensor */
export function crossEntropy(logits: Tensor, labels: Tensor, ignoreIndex: number): Tensor {
  return wrap.one(call(operatorId("nlora::cross_entropy"), logits.handle, labels.handle, ignoreIndex));
}

/** nlora::delta_l1(Tensor[] a, Tensor[] b, float[] coefficient) -> Tensor */
export function deltaL1(a: readonly Tensor[], b: readonly Tensor[], coefficient: readonly number[]): Tensor {
  return wrap.one(call(operatorId("nlora::delta_l1"), handles(a), handles(b), coefficient));
}

/** nlora::delta_stats(Tensor a, Tensor b, float[] thresholds) -> (Tensor l1, Tensor counts) */
export function deltaStats(a: Tensor, b: Tensor, thresholds: readonly number[]): [Tensor, Tensor] {
  return wrap.many(call(operatorId("nlora::delta_stats"), a.handle, b.handle, thresholds)) as [Tensor, Tensor];
}

/** nlora::dropout(Tensor x, float p, int seed) -> Tensor */
export function dropout(x: Tensor, p: number, seed: number): Tensor {
  return wrap.one(call(operatorId("nlora::dropout"), x.handle, p, seed));
}

/** nlora::dropout_add(Tensor x, Tensor residual, float p, int seed) -> Tensor */
export function dropoutAdd(x: Tensor, residual: Tensor, p: number, seed: number): Tensor {
  return wrap.one(call(operatorId("nlora::dropout_add"), x.handle, residual.handle, p, seed));
}

/** nlora::dropout_keep(int n, float p, int seed) -> Tensor */
export function dropoutKeep(n: number, p: number, seed: number): Tensor {
  return wrap.one(call(operatorId("nlora::dropout_keep"), n, p, seed));
}

/** nlora::gated_gelu_dropout(Tensor gate, Tensor value, float p, int seed) -> Tensor */
export function gatedGeluDropout(gate: Tensor, value: Tensor, p: number, seed: number): Tensor {
  return wrap.one(call(operatorId("nlora::gated_gelu_dropout"), gate.handle, value.handle, p, seed));
}

/** nlora::grad_norm(Tensor[] grads) -> Tensor */
export function gradNorm(grads: readonly Tensor[]): Tensor {
  return wrap.one(call(operatorId("nlora::grad_norm"), handles(grads)));
}

/** nlora::lora_linear(Tensor x, Tensor weight, Tensor? bias, Tensor[] a, Tensor[] b, int[] offset, float[] scale, int[] group, float p, int seed) -> Tensor */
export function loraLinear(x: Tensor, weight: Tensor, bias: Tensor | null, a: readonly Tensor[], b: readonly Tensor[], offset: readonly number[], scale: readonly number[], group: readonly number[], p: number, seed: number): Tensor {
  return wrap.one(call(operatorId("nlora::lora_linear"), x.handle, weight.handle, bias?.handle ?? null, handles(a), handles(b), offset, scale, group, p, seed));
}

/** nlora::memory_attention(Tensor query, Tensor memory, Tensor key_weight, Tensor value_weight, Tensor? key_hidden, Tensor? key_up, Tensor? value_hidden, Tensor? value_up, int heads, Tensor? mask, float p, int seed) -> Tensor */
export function memoryAttention(query: Tensor, memory: Tensor, keyWeight: Tensor, valueWeight: Tensor, keyHidden: Tensor | null, keyUp: Tensor | null, valueHidden: Tensor | null, valueUp: Tensor | null, heads: number, mask: Tensor | null, p: number, seed: number): Tensor {
  return wrap.one(call(operatorId("nlora::memory_attention"), query.handle, memory.handle, keyWeight.handle, valueWeight.handle, keyHidden?.handle ?? null, keyUp?.handle ?? null, valueHidden?.handle ?? null, valueUp?.handle ?? null, heads, mask?.handle ?? null, p, seed));
}

/** nlora::relu_dropout(Tensor x, float p, int seed) -> Tensor */
export function reluDropout(x: Tensor, p: number, seed: number): Tensor {
  return wrap.one(call(operatorId("nlora::relu_dropout"), x.handle, p, seed));
}

/** nlora::rms_norm(Tensor x, Tensor weight, float eps) -> Tensor */
export function rmsNorm(x: Tensor, weight: Tensor, eps: number): Tensor {
  return wrap.one(call(operatorId("nlora::rms_norm"), x.handle, weight.handle, eps));
}

/** nlora::rotate(Tensor x, Tensor cos, Tensor sin, int heads, float scale) -> Tensor */
export function rotate(x: Tensor, cos: Tensor, sin: Tensor, heads: number, scale: number): Tensor {
  return wrap.one(call(operatorId("nlora::rotate"), x.handle, cos.handle, sin.handle, heads, scale));
}

/** nlora::self_attention(Tensor qkv, int heads, Tensor? bias, Tensor? mask, float p, int seed) -> Tensor */
export function selfAttention(qkv: Tensor, heads: number, bias: Tensor | null, mask: Tensor | null, p: number, seed: number): Tensor {
  return wrap.one(call(operatorId("nlora::self_attention"), qkv.handle, heads, bias?.handle ?? null, mask?.handle ?? null, p, seed));
}

/** nlora::silu_multiply(Tensor gate, Tensor value) -> Tensor */
export function siluMultiply(gate: Tensor, value: Tensor): Tensor {
  return wrap.one(call(operatorId("nlora::silu_multiply"), gate.handle, value.handle));
}
