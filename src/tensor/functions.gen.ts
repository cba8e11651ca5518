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

/** aten::dropout(Tensor input, float p, bool train) -> Tensor */
export function dropout(input: Tensor, p: number, train: boolean): Tensor {
  return wrap.one(call(operatorId("aten::dropout"), input.handle, p, train));
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
