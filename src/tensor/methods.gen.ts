// Generated from operator schemas (libtorch 1.13.0) by `npm run generate`. Do not edit.
// Operators whose first argument is the tensor itself.
import type { Device, DType } from "./dtype.js";
import { call, operatorId } from "./native.js";
import type { Tensor } from "./tensor.js";

export abstract class TensorMethods {
  abstract readonly handle: number;
  protected abstract one(result: unknown): Tensor;
  protected abstract many(result: unknown): Tensor[];

  /** aten::add.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor; or with a number */
  add(other: Tensor | number): Tensor {
    return this.one(typeof other === "number" ? call(operatorId("aten::add.Scalar"), this.handle, other) : call(operatorId("aten::add.Tensor"), this.handle, other.handle));
  }

  /** aten::add_.Tensor(Tensor! self, Tensor other, *, Scalar alpha=1) -> Tensor!; or with a number */
  add_(other: Tensor | number): this {
    typeof other === "number" ? call(operatorId("aten::add_.Scalar"), this.handle, other) : call(operatorId("aten::add_.Tensor"), this.handle, other.handle);
    return this;
  }

  /** aten::sub.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor; or with a number */
  sub(other: Tensor | number): Tensor {
    return this.one(typeof other === "number" ? call(operatorId("aten::sub.Scalar"), this.handle, other) : call(operatorId("aten::sub.Tensor"), this.handle, other.handle));
  }

  /** aten::sub_.Tensor(Tensor! self, Tensor other, *, Scalar alpha=1) -> Tensor!; or with a number */
  sub_(other: Tensor | number): this {
    typeof other === "number" ? call(operatorId("aten::sub_.Scalar"), this.handle, other) : call(operatorId("aten::sub_.Tensor"), this.handle, other.handle);
    return this;
  }

  /** aten::mul.Tensor(Tensor self, Tensor other) -> Tensor; or with a number */
  mul(other: Tensor | number): Tensor {
    return this.one(typeof other === "number" ? call(operatorId("aten::mul.Scalar"), this.handle, other) : call(operatorId("aten::mul.Tensor"), this.handle, other.handle));
  }

  /** aten::mul_.Tensor(Tensor! self, Tensor other) -> Tensor!; or with a number */
  mul_(other: Tensor | number): this {
    typeof other === "number" ? call(operatorId("aten::mul_.Scalar"), this.handle, other) : call(operatorId("aten::mul_.Tensor"), this.handle, other.handle);
    return this;
  }

  /** aten::div.Tensor(Tensor self, Tensor other) -> Tensor; or with a number */
  div(other: Tensor | number): Tensor {
    return this.one(typeof other === "number" ? call(operatorId("aten::div.Scalar"), this.handle, other) : call(operatorId("aten::div.Tensor"), this.handle, other.handle));
  }

  /** aten::div_.Tensor(Tensor! self, Tensor other) -> Tensor!; or with a number */
  div_(other: Tensor | number): this {
    typeof other === "number" ? call(operatorId("aten::div_.Scalar"), this.handle, other) : call(operatorId("aten::div_.Tensor"), this.handle, other.handle);
    return this;
  }

  /** aten::pow.Tensor_Scalar(Tensor self, Scalar exponent) -> Tensor */
  pow(exponent: number): Tensor {
    return this.one(call(operatorId("aten::pow.Tensor_Scalar"), this.handle, exponent));
  }

  /** aten::neg(Tensor self) -> Tensor */
  neg(): Tensor {
    return this.one(call(operatorId("aten::neg"), this.handle));
  }

  /** aten::abs(Tensor self) -> Tensor */
  abs(): Tensor {
    return this.one(call(operatorId("aten::abs"), this.handle));
  }

  /** aten::abs_(Tensor! self) -> Tensor! */
  abs_(): this {
    call(operatorId("aten::abs_"), this.handle);
    return this;
  }

  /** aten::sign(Tensor self) -> Tensor */
  sign(): Tensor {
    return this.one(call(operatorId("aten::sign"), this.handle));
  }

  /** aten::sgn(Tensor self) -> Tensor */
  sgn(): Tensor {
    return this.one(call(operatorId("aten::sgn"), this.handle));
  }

  /** aten::sqrt(Tensor self) -> Tensor */
  sqrt(): Tensor {
    return this.one(call(operatorId("aten::sqrt"), this.handle));
  }

  /** aten::rsqrt(Tensor self) -> Tensor */
  rsqrt(): Tensor {
    return this.one(call(operatorId("aten::rsqrt"), this.handle));
  }

  /** aten::exp(Tensor self) -> Tensor */
  exp(): Tensor {
    return this.one(call(operatorId("aten::exp"), this.handle));
  }

  /** aten::log(Tensor self) -> Tensor */
  log(): Tensor {
    return this.one(call(operatorId("aten::log"), this.handle));
  }

  /** aten::sin(Tensor self) -> Tensor */
  sin(): Tensor {
    return this.one(call(operatorId("aten::sin"), this.handle));
  }

  /** aten::cos(Tensor self) -> Tensor */
  cos(): Tensor {
    return this.one(call(operatorId("aten::cos"), this.handle));
  }

  /** aten::tanh(Tensor self) -> Tensor */
  tanh(): Tensor {
    return this.one(call(operatorId("aten::tanh"), this.handle));
  }

  /** aten::sigmoid(Tensor self) -> Tensor */
  sigmoid(): Tensor {
    return this.one(call(operatorId("aten::sigmoid"), this.handle));
  }

  /** aten::floor(Tensor self) -> Tensor */
  floor(): Tensor {
    return this.one(call(operatorId("aten::floor"), this.handle));
  }

  /** aten::round(Tensor self) -> Tensor */
  round(): Tensor {
    return this.one(call(operatorId("aten::round"), this.handle));
  }

  /** aten::clamp(Tensor self, Scalar? min=None, Scalar? max=None) -> Tensor */
  clamp(min?: number | null, max?: number | null): Tensor {
    return this.one(call(operatorId("aten::clamp"), this.handle, min, max));
  }

  /** aten::clamp_min(Tensor self, Scalar min) -> Tensor */
  clampMin(min: number): Tensor {
    return this.one(call(operatorId("aten::clamp_min"), this.handle, min));
  }

  /** aten::maximum(Tensor self, Tensor other) -> Tensor */
  maximum(other: Tensor): Tensor {
    return this.one(call(operatorId("aten::maximum"), this.handle, other.handle));
  }

  /** aten::minimum(Tensor self, Tensor other) -> Tensor */
  minimum(other: Tensor): Tensor {
    return this.one(call(operatorId("aten::minimum"), this.handle, other.handle));
  }

  /** aten::square(Tensor self) -> Tensor */
  square(): Tensor {
    return this.one(call(operatorId("aten::square"), this.handle));
  }

  /** aten::reciprocal(Tensor self) -> Tensor */
  reciprocal(): Tensor {
    return this.one(call(operatorId("aten::reciprocal"), this.handle));
  }

  /** aten::eq.Tensor(Tensor self, Tensor other) -> Tensor; or with a number */
  eq(other: Tensor | number): Tensor {
    return this.one(typeof other === "number" ? call(operatorId("aten::eq.Scalar"), this.handle, other) : call(operatorId("aten::eq.Tensor"), this.handle, other.handle));
  }

  /** aten::ne.Tensor(Tensor self, Tensor other) -> Tensor; or with a number */
  ne(other: Tensor | number): Tensor {
    return this.one(typeof other === "number" ? call(operatorId("aten::ne.Scalar"), this.handle, other) : call(operatorId("aten::ne.Tensor"), this.handle, other.handle));
  }

  /** aten::gt.Tensor(Tensor self, Tensor other) -> Tensor; or with a number */
  gt(other: Tensor | number): Tensor {
    return this.one(typeof other === "number" ? call(operatorId("aten::gt.Scalar"), this.handle, other) : call(operatorId("aten::gt.Tensor"), this.handle, other.handle));
  }

  /** aten::gt_.Scalar(Tensor! self, Scalar other) -> Tensor! */
  gt_(other: number): this {
    call(operatorId("aten::gt_.Scalar"), this.handle, other);
    return this;
  }

  /** aten::ge.Tensor(Tensor self, Tensor other) -> Tensor; or with a number */
  ge(other: Tensor | number): Tensor {
    return this.one(typeof other === "number" ? call(operatorId("aten::ge.Scalar"), this.handle, other) : call(operatorId("aten::ge.Tensor"), this.handle, other.handle));
  }

  /** aten::lt.Tensor(Tensor self, Tensor other) -> Tensor; or with a number */
  lt(other: Tensor | number): Tensor {
    return this.one(typeof other === "number" ? call(operatorId("aten::lt.Scalar"), this.handle, other) : call(operatorId("aten::lt.Tensor"), this.handle, other.handle));
  }

  /** aten::le.Tensor(Tensor self, Tensor other) -> Tensor; or with a number */
  le(other: Tensor | number): Tensor {
    return this.one(typeof other === "number" ? call(operatorId("aten::le.Scalar"), this.handle, other) : call(operatorId("aten::le.Tensor"), this.handle, other.handle));
  }

  /** aten::logical_and(Tensor self, Tensor other) -> Tensor */
  logicalAnd(other: Tensor): Tensor {
    return this.one(call(operatorId("aten::logical_and"), this.handle, other.handle));
  }

  /** aten::logical_or(Tensor self, Tensor other) -> Tensor */
  logicalOr(other: Tensor): Tensor {
    return this.one(call(operatorId("aten::logical_or"), this.handle, other.handle));
  }

  /** aten::logical_not(Tensor self) -> Tensor */
  logicalNot(): Tensor {
    return this.one(call(operatorId("aten::logical_not"), this.handle));
  }

  /** aten::isfinite(Tensor self) -> Tensor */
  isfinite(): Tensor {
    return this.one(call(operatorId("aten::isfinite"), this.handle));
  }

  /** aten::isnan(Tensor self) -> Tensor */
  isnan(): Tensor {
    return this.one(call(operatorId("aten::isnan"), this.handle));
  }

  /** aten::equal(Tensor self, Tensor other) -> bool */
  equal(other: Tensor): boolean {
    return call(operatorId("aten::equal"), this.handle, other.handle) as boolean;
  }

  /** aten::sum(Tensor self, *, ScalarType? dtype=None) -> Tensor */
  sum(options?: { dtype?: DType | null | undefined }): Tensor {
    return this.one(call(operatorId("aten::sum"), this.handle, options?.dtype));
  }

  /** aten::sum.dim_IntList(Tensor self, int[1]? dim, bool keepdim=False, *, ScalarType? dtype=None) -> Tensor */
  sumDim(dim: readonly number[] | number | null, keepdim?: boolean, options?: { dtype?: DType | null | undefined }): Tensor {
    return this.one(call(operatorId("aten::sum.dim_IntList"), this.handle, dim, keepdim, options?.dtype));
  }

  /** aten::mean(Tensor self, *, ScalarType? dtype=None) -> Tensor */
  mean(options?: { dtype?: DType | null | undefined }): Tensor {
    return this.one(call(operatorId("aten::mean"), this.handle, options?.dtype));
  }

  /** aten::mean.dim(Tensor self, int[1]? dim, bool keepdim=False, *, ScalarType? dtype=None) -> Tensor */
  meanDim(dim: readonly number[] | number | null, keepdim?: boolean, options?: { dtype?: DType | null | undefined }): Tensor {
    return this.one(call(operatorId("aten::mean.dim"), this.handle, dim, keepdim, options?.dtype));
  }

  /** aten::amax(Tensor self, int[1] dim=[], bool keepdim=False) -> Tensor */
  amax(dim?: readonly number[] | number, keepdim?: boolean): Tensor {
    return this.one(call(operatorId("aten::amax"), this.handle, dim, keepdim));
  }

  /** aten::amin(Tensor self, int[1] dim=[], bool keepdim=False) -> Tensor */
  amin(dim?: readonly number[] | number, keepdim?: boolean): Tensor {
    return this.one(call(operatorId("aten::amin"), this.handle, dim, keepdim));
  }

  /** aten::max(Tensor self) -> Tensor */
  maxAll(): Tensor {
    return this.one(call(operatorId("aten::max"), this.handle));
  }

  /** aten::min(Tensor self) -> Tensor */
  minAll(): Tensor {
    return this.one(call(operatorId("aten::min"), this.handle));
  }

  /** aten::argmax(Tensor self, int? dim=None, bool keepdim=False) -> Tensor */
  argmax(dim?: number | null, keepdim?: boolean): Tensor {
    return this.one(call(operatorId("aten::argmax"), this.handle, dim, keepdim));
  }

  /** aten::all(Tensor self) -> Tensor */
  all(): Tensor {
    return this.one(call(operatorId("aten::all"), this.handle));
  }

  /** aten::any(Tensor self) -> Tensor */
  any(): Tensor {
    return this.one(call(operatorId("aten::any"), this.handle));
  }

  /** aten::cumsum(Tensor self, int dim, *, ScalarType? dtype=None) -> Tensor */
  cumsum(dim: number, options?: { dtype?: DType | null | undefined }): Tensor {
    return this.one(call(operatorId("aten::cumsum"), this.handle, dim, options?.dtype));
  }

  /** aten::prod(Tensor self, *, ScalarType? dtype=None) -> Tensor */
  prod(options?: { dtype?: DType | null | undefined }): Tensor {
    return this.one(call(operatorId("aten::prod"), this.handle, options?.dtype));
  }

  /** aten::count_nonzero(Tensor self, int? dim=None) -> Tensor */
  countNonzero(dim?: number | null): Tensor {
    return this.one(call(operatorId("aten::count_nonzero"), this.handle, dim));
  }

  /** aten::topk(Tensor self, int k, int dim=-1, bool largest=True, bool sorted=True) -> (Tensor values, Tensor indices) */
  topk(k: number, dim?: number, largest?: boolean, sorted?: boolean): [Tensor, Tensor] {
    return this.many(call(operatorId("aten::topk"), this.handle, k, dim, largest, sorted)) as [Tensor, Tensor];
  }

  /** aten::sort(Tensor self, int dim=-1, bool descending=False) -> (Tensor values, Tensor indices) */
  sort(dim?: number, descending?: boolean): [Tensor, Tensor] {
    return this.many(call(operatorId("aten::sort"), this.handle, dim, descending)) as [Tensor, Tensor];
  }

  /** aten::logsumexp(Tensor self, int[1] dim, bool keepdim=False) -> Tensor */
  logsumexp(dim: readonly number[] | number, keepdim?: boolean): Tensor {
    return this.one(call(operatorId("aten::logsumexp"), this.handle, dim, keepdim));
  }

  /** aten::trace(Tensor self) -> Tensor */
  trace(): Tensor {
    return this.one(call(operatorId("aten::trace"), this.handle));
  }

  /** aten::matmul(Tensor self, Tensor other) -> Tensor */
  matmul(other: Tensor): Tensor {
    return this.one(call(operatorId("aten::matmul"), this.handle, other.handle));
  }

  /** aten::mm(Tensor self, Tensor mat2) -> Tensor */
  mm(mat2: Tensor): Tensor {
    return this.one(call(operatorId("aten::mm"), this.handle, mat2.handle));
  }

  /** aten::bmm(Tensor self, Tensor mat2) -> Tensor */
  bmm(mat2: Tensor): Tensor {
    return this.one(call(operatorId("aten::bmm"), this.handle, mat2.handle));
  }

  /** aten::linalg_vector_norm(Tensor self, Scalar ord=2, int[1]? dim=None, bool keepdim=False, *, ScalarType? dtype=None) -> Tensor */
  linalgVectorNorm(ord?: number, dim?: readonly number[] | number | null, keepdim?: boolean, options?: { dtype?: DType | null | undefined }): Tensor {
    return this.one(call(operatorId("aten::linalg_vector_norm"), this.handle, ord, dim, keepdim, options?.dtype));
  }

  /** aten::t(Tensor self) -> Tensor */
  t(): Tensor {
    return this.one(call(operatorId("aten::t"), this.handle));
  }

  /** aten::reshape(Tensor self, int[] shape) -> Tensor */
  reshape(shape: readonly number[]): Tensor {
    return this.one(call(operatorId("aten::reshape"), this.handle, shape));
  }

  /** aten::view(Tensor self, int[] size) -> Tensor */
  view(size: readonly number[]): Tensor {
    return this.one(call(operatorId("aten::view"), this.handle, size));
  }

  /** aten::permute(Tensor self, int[] dims) -> Tensor */
  permute(dims: readonly number[]): Tensor {
    return this.one(call(operatorId("aten::permute"), this.handle, dims));
  }

  /** aten::transpose.int(Tensor self, int dim0, int dim1) -> Tensor */
  transpose(dim0: number, dim1: number): Tensor {
    return this.one(call(operatorId("aten::transpose.int"), this.handle, dim0, dim1));
  }

  /** aten::contiguous(Tensor self, *, MemoryFormat memory_format=0) -> Tensor */
  contiguous(): Tensor {
    return this.one(call(operatorId("aten::contiguous"), this.handle));
  }

  /** aten::expand(Tensor self, int[] size, *, bool implicit=False) -> Tensor */
  expand(size: readonly number[]): Tensor {
    return this.one(call(operatorId("aten::expand"), this.handle, size));
  }

  /** aten::unsqueeze(Tensor self, int dim) -> Tensor */
  unsqueeze(dim: number): Tensor {
    return this.one(call(operatorId("aten::unsqueeze"), this.handle, dim));
  }

  /** aten::squeeze.dim(Tensor self, int dim) -> Tensor */
  squeeze(dim: number): Tensor {
    return this.one(call(operatorId("aten::squeeze.dim"), this.handle, dim));
  }

  /** aten::flatten.using_ints(Tensor self, int start_dim=0, int end_dim=-1) -> Tensor */
  flatten(startDim?: number, endDim?: number): Tensor {
    return this.one(call(operatorId("aten::flatten.using_ints"), this.handle, startDim, endDim));
  }

  /** aten::narrow(Tensor self, int dim, int start, int length) -> Tensor */
  narrow(dim: number, start: number, length: number): Tensor {
    return this.one(call(operatorId("aten::narrow"), this.handle, dim, start, length));
  }

  /** aten::select.int(Tensor self, int dim, int index) -> Tensor */
  select(dim: number, index: number): Tensor {
    return this.one(call(operatorId("aten::select.int"), this.handle, dim, index));
  }

  /** aten::slice.Tensor(Tensor self, int dim=0, int? start=None, int? end=None, int step=1) -> Tensor */
  slice(dim?: number, start?: number | null, end?: number | null, step?: number): Tensor {
    return this.one(call(operatorId("aten::slice.Tensor"), this.handle, dim, start, end, step));
  }

  /** aten::split_with_sizes(Tensor self, int[] split_sizes, int dim=0) -> Tensor[] */
  splitWithSizes(splitSizes: readonly number[], dim?: number): Tensor[] {
    return this.many(call(operatorId("aten::split_with_sizes"), this.handle, splitSizes, dim));
  }

  /** aten::chunk(Tensor self, int chunks, int dim=0) -> Tensor[] */
  chunk(chunks: number, dim?: number): Tensor[] {
    return this.many(call(operatorId("aten::chunk"), this.handle, chunks, dim));
  }

  /** aten::repeat(Tensor self, int[] repeats) -> Tensor */
  repeat(repeats: readonly number[]): Tensor {
    return this.one(call(operatorId("aten::repeat"), this.handle, repeats));
  }

  /** aten::repeat_interleave.self_int(Tensor self, int repeats, int? dim=None, *, int? output_size=None) -> Tensor */
  repeatInterleave(repeats: number, dim?: number | null, options?: { outputSize?: number | null | undefined }): Tensor {
    return this.one(call(operatorId("aten::repeat_interleave.self_int"), this.handle, repeats, dim, options?.outputSize));
  }

  /** aten::flip(Tensor self, int[] dims) -> Tensor */
  flip(dims: readonly number[]): Tensor {
    return this.one(call(operatorId("aten::flip"), this.handle, dims));
  }

  /** aten::tril(Tensor self, int diagonal=0) -> Tensor */
  tril(diagonal?: number): Tensor {
    return this.one(call(operatorId("aten::tril"), this.handle, diagonal));
  }

  /** aten::triu(Tensor self, int diagonal=0) -> Tensor */
  triu(diagonal?: number): Tensor {
    return this.one(call(operatorId("aten::triu"), this.handle, diagonal));
  }

  /** aten::index_select(Tensor self, int dim, Tensor index) -> Tensor */
  indexSelect(dim: number, index: Tensor): Tensor {
    return this.one(call(operatorId("aten::index_select"), this.handle, dim, index.handle));
  }

  /** aten::gather(Tensor self, int dim, Tensor index, *, bool sparse_grad=False) -> Tensor */
  gather(dim: number, index: Tensor, options?: { sparseGrad?: boolean | undefined }): Tensor {
    return this.one(call(operatorId("aten::gather"), this.handle, dim, index.handle, options?.sparseGrad));
  }

  /** aten::scatter.value(Tensor self, int dim, Tensor index, Scalar value) -> Tensor */
  scatter(dim: number, index: Tensor, value: number): Tensor {
    return this.one(call(operatorId("aten::scatter.value"), this.handle, dim, index.handle, value));
  }

  /** aten::masked_fill.Scalar(Tensor self, Tensor mask, Scalar value) -> Tensor */
  maskedFill(mask: Tensor, value: number): Tensor {
    return this.one(call(operatorId("aten::masked_fill.Scalar"), this.handle, mask.handle, value));
  }

  /** aten::masked_fill_.Scalar(Tensor! self, Tensor mask, Scalar value) -> Tensor! */
  maskedFill_(mask: Tensor, value: number): this {
    call(operatorId("aten::masked_fill_.Scalar"), this.handle, mask.handle, value);
    return this;
  }

  /** aten::index_copy_(Tensor! self, int dim, Tensor index, Tensor source) -> Tensor! */
  indexCopy_(dim: number, index: Tensor, source: Tensor): this {
    call(operatorId("aten::index_copy_"), this.handle, dim, index.handle, source.handle);
    return this;
  }

  /** aten::index_add_(Tensor! self, int dim, Tensor index, Tensor source, *, Scalar alpha=1) -> Tensor! */
  indexAdd_(dim: number, index: Tensor, source: Tensor, options?: { alpha?: number | undefined }): this {
    call(operatorId("aten::index_add_"), this.handle, dim, index.handle, source.handle, options?.alpha);
    return this;
  }

  /** aten::multinomial(Tensor self, int num_samples, bool replacement=False, *, Generator? generator=None) -> Tensor */
  multinomial(numSamples: number, replacement?: boolean): Tensor {
    return this.one(call(operatorId("aten::multinomial"), this.handle, numSamples, replacement));
  }

  /** aten::softmax.int(Tensor self, int dim, ScalarType? dtype=None) -> Tensor */
  softmax(dim: number, dtype?: DType | null): Tensor {
    return this.one(call(operatorId("aten::softmax.int"), this.handle, dim, dtype));
  }

  /** aten::log_softmax.int(Tensor self, int dim, ScalarType? dtype=None) -> Tensor */
  logSoftmax(dim: number, dtype?: DType | null): Tensor {
    return this.one(call(operatorId("aten::log_softmax.int"), this.handle, dim, dtype));
  }

  /** aten::relu(Tensor self) -> Tensor */
  relu(): Tensor {
    return this.one(call(operatorId("aten::relu"), this.handle));
  }

  /** aten::gelu(Tensor self, *, str approximate="none") -> Tensor */
  gelu(options?: { approximate?: string | undefined }): Tensor {
    return this.one(call(operatorId("aten::gelu"), this.handle, options?.approximate));
  }

  /** aten::silu(Tensor self) -> Tensor */
  silu(): Tensor {
    return this.one(call(operatorId("aten::silu"), this.handle));
  }

  /** aten::nll_loss(Tensor self, Tensor target, Tensor? weight=None, int reduction=1, int ignore_index=-100) -> Tensor */
  nllLoss(target: Tensor, weight?: Tensor | null, reduction?: number, ignoreIndex?: number): Tensor {
    return this.one(call(operatorId("aten::nll_loss"), this.handle, target.handle, weight?.handle ?? null, reduction, ignoreIndex));
  }

  /** aten::cross_entropy_loss(Tensor self, Tensor target, Tensor? weight=None, int reduction=1, int ignore_index=-100, float label_smoothing=0.) -> Tensor */
  crossEntropyLoss(target: Tensor, weight?: Tensor | null, reduction?: number, ignoreIndex?: number, labelSmoothing?: number): Tensor {
    return this.one(call(operatorId("aten::cross_entropy_loss"), this.handle, target.handle, weight?.handle ?? null, reduction, ignoreIndex, labelSmoothing));
  }

  /** aten::to.dtype(Tensor self, ScalarType dtype, bool non_blocking=False, bool copy=False, MemoryFormat? memory_format=None) -> Tensor */
  toDtype(dtype: DType, nonBlocking?: boolean, copy?: boolean): Tensor {
    return this.one(call(operatorId("aten::to.dtype"), this.handle, dtype, nonBlocking, copy));
  }

  /** aten::to.device(Tensor self, Device device, ScalarType dtype, bool non_blocking=False, bool copy=False, MemoryFormat? memory_format=None) -> Tensor */
  toDevice(device: Device, dtype: DType, nonBlocking?: boolean, copy?: boolean): Tensor {
    return this.one(call(operatorId("aten::to.device"), this.handle, device, dtype, nonBlocking, copy));
  }

  /** aten::clone(Tensor self, *, MemoryFormat? memory_format=None) -> Tensor */
  clone(): Tensor {
    return this.one(call(operatorId("aten::clone"), this.handle));
  }

  /** aten::detach(Tensor self) -> Tensor */
  detach(): Tensor {
    return this.one(call(operatorId("aten::detach"), this.handle));
  }

  /** aten::copy_(Tensor! self, Tensor src, bool non_blocking=False) -> Tensor! */
  copy_(src: Tensor, nonBlocking?: boolean): this {
    call(operatorId("aten::copy_"), this.handle, src.handle, nonBlocking);
    return this;
  }

  /** aten::zero_(Tensor! self) -> Tensor! */
  zero_(): this {
    call(operatorId("aten::zero_"), this.handle);
    return this;
  }

  /** aten::fill_.Scalar(Tensor! self, Scalar value) -> Tensor! */
  fill_(value: number): this {
    call(operatorId("aten::fill_.Scalar"), this.handle, value);
    return this;
  }

  /** aten::zeros_like(Tensor self, *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=None, MemoryFormat? memory_format=None) -> Tensor */
  zerosLike(options?: { dtype?: DType | null | undefined; device?: Device | null | undefined }): Tensor {
    return this.one(call(operatorId("aten::zeros_like"), this.handle, options?.dtype, undefined, options?.device));
  }

  /** aten::ones_like(Tensor self, *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=None, MemoryFormat? memory_format=None) -> Tensor */
  onesLike(options?: { dtype?: DType | null | undefined; device?: Device | null | undefined }): Tensor {
    return this.one(call(operatorId("aten::ones_like"), this.handle, options?.dtype, undefined, options?.device));
  }

  /** aten::uniform_(Tensor! self, float from=0., float to=1., *, Generator? generator=None) -> Tensor! */
  uniform_(from?: number, to?: number): this {
    call(operatorId("aten::uniform_"), this.handle, from, to);
    return this;
  }

  /** aten::normal_(Tensor! self, float mean=0., float std=1., *, Generator? generator=None) -> Tensor! */
  normal_(mean?: number, std?: number): this {
    call(operatorId("aten::normal_"), this.handle, mean, std);
    return this;
  }
}
