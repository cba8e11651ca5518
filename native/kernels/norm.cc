// T5's layer norm: x / sqrt(mean(x^2) + eps) * weight over the last dimension, no mean and no bias. The mean is taken in
// float32; the backward pass keeps x and one float per row.
#include "common.h"

#define NLORA_FOREACH "norm_vec.h"
#include "foreach_isa.h"

namespace nlora {
namespace {

Tensors backward(const Tensor& grad, const Tensors& saved, const std::vector<bool>& wanted) {
  const Tensor g = grad.contiguous(), x = saved[0].contiguous(), weight = as_float(saved[1]), &inverse = saved[2];
  const int64_t d = x.size(-1), rows = inverse.numel();
  Tensor grad_x, partial;
  if (wanted[0]) grad_x = at::empty_like(x);
  // Rows are cut into at most 16 parts whatever the thread count, so the sum for the weight is always the same.
  const int64_t step = std::max<int64_t>(16, (rows + 15) / 16), parts = (rows + step - 1) / step;
  if (wanted[1]) partial = at::zeros({parts, d}, at::kFloat);
  by_dtype(x, [&](auto t) {
    using T = decltype(t);
    const T *px = data<T>(x), *pg = data<T>(g);
    const float *pw = weight.data_ptr<float>(), *pi = inverse.data_ptr<float>();
    T* gx = wanted[0] ? data<T>(grad_x) : nullptr;
    float* gw = wanted[1] ? partial.data_ptr<float>() : nullptr;
    at::parallel_for(0, parts, 1, [&](int64_t first, int64_t last) {
      for (int64_t part = first; part < last; part++) {
        NLORA_CALL(rms_norm_backward, part * step, std::min(rows, part * step + step), d, px, pw, pi, pg, gx,
                   gw == nullptr ? nullptr : gw + part * d);
      }
    });
  });
  return {grad_x, wanted[1] ? partial.sum(0).to(saved[1].scalar_type()) : Tensor()};
}

Tensor rms_norm(const Tensor& x, const Tensor& weight, double eps) {
  TORCH_CHECK(is_floating(x) && is_floating(weight) && x.dim() >= 1 && weight.dim() == 1 && weight.size(0) == x.size(-1) &&
                  x.device() == weight.device(),
              "nlora::rms_norm: x is ", describe(x), " and weight is ", describe(weight),
              ", expected floating-point x [..., d] and weight [d] on one device");
  if (!is_fast(x)) {
    const auto compute = x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
    const Tensor f = x.to(compute);
    return (f * (f.pow(2).mean(-1, true) + eps).rsqrt() * weight.to(compute)).to(x.scalar_type());
  }
  Tensor out, inverse;
  {
    at::AutoDispatchBelowADInplaceOrView guard;
    const Tensor cx = x.contiguous(), w = as_float(weight);
    const int64_t d = x.size(-1), rows = d == 0 ? 0 : x.numel() / d;
    out = at::empty_like(cx);
    inverse = at::empty({rows}, at::kFloat);
    by_dtype(cx, [&](auto t) {
      using T = decltype(t);
      const T* px = data<T>(cx);
      T* po = data<T>(out);
      const float* pw = w.data_ptr<float>();
      float* pi = inverse.data_ptr<float>();
      at::parallel_for(0, rows, std::max<int64_t>(1, kGrain / std::max<int64_t>(d, 1)), [&](int64_t i, int64_t j) {
        NLORA_CALL(rms_norm, i, j, d, static_cast<float>(eps), px, pw, po, pi);
      });
    });
  }
  if (!needs_grad(x) && !needs_grad(weight)) return out;
  return with_history("rms_norm", out, {x, weight}, {x, weight, inverse}, backward);
}

TORCH_LIBRARY_IMPL(nlora, CompositeImplicitAutograd, m) { m.impl("rms_norm", rms_norm); }

}  // namespace
}  // namespace nlora
