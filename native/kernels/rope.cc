// Rotary positions for all heads of a projection at once, in float32 whatever its dtype. The turned scores' scale rides along.
// The backward pass turns the gradient back and keeps the angles alone.
#include "common.h"

namespace nlora {

struct RotaryPlan {
  int64_t heads, half, length;
  int64_t x_batch, x_row;  // strides, in elements
  bool shared;             // all sequences have the same positions
  float scale, sign;
};

}  // namespace nlora

#define NLORA_FOREACH "rope_vec.h"
#include "foreach_isa.h"

namespace nlora {
namespace {

Tensor run(const Tensor& x, const Tensor& cos, const Tensor& sin, int64_t heads, double scale, bool back) {
  const Tensor rows = x.stride(2) == 1 ? x : x.contiguous();
  Tensor out = at::empty(x.sizes(), x.options());
  const RotaryPlan p{heads,          x.size(2) / heads / 2,      x.size(1),         rows.stride(0), rows.stride(1),
                     cos.size(0) == 1, static_cast<float>(scale), back ? -1.0f : 1.0f};
  by_dtype(x, [&](auto t) {
    using T = decltype(t);
    const T* px = data<T>(rows);
    T* po = data<T>(out);
    const float *pc = cos.data_ptr<float>(), *ps = sin.data_ptr<float>();
    at::parallel_for(0, x.size(0) * x.size(1), std::max<int64_t>(1, kGrain / std::max<int64_t>(x.size(2), 1)),
                     [&](int64_t i, int64_t j) { NLORA_CALL(rotate, p, i, j, px, pc, ps, po); });
  });
  return out;
}

// The same in ATen operators, for other devices and dtypes; autograd follows.
Tensor plain(const Tensor& x, const Tensor& cos, const Tensor& sin, int64_t heads, double scale) {
  const auto compute = x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  const Tensor split = x.to(compute).reshape({x.size(0), x.size(1), heads, 2, x.size(2) / heads / 2});
  const Tensor a = split.select(3, 0), b = split.select(3, 1);
  const Tensor c = cos.to(compute).unsqueeze(2) * scale, s = sin.to(compute).unsqueeze(2) * scale;
  return at::stack({a * c - b * s, b * c + a * s}, 3).reshape(x.sizes()).to(x.scalar_type());
}

Tensor rotate(const Tensor& x, const Tensor& cos, const Tensor& sin, int64_t heads, double scale) {
  TORCH_CHECK(is_floating(x) && x.dim() == 3 && heads >= 1 && x.size(2) % (2 * heads) == 0, "nlora::rotate: x is ", describe(x),
              ", expected [batch, length, heads * width] with ", heads, " heads of an even width");
  TORCH_CHECK(cos.dim() == 3 && cos.sizes() == sin.sizes() && (cos.size(0) == 1 || cos.size(0) == x.size(0)) &&
                  cos.size(1) == x.size(1) && cos.size(2) == x.size(2) / heads / 2 && is_floating(cos) && is_floating(sin),
              "nlora::rotate: cos is ", describe(cos), " and sin ", describe(sin), ", expected [1 or ", x.size(0), ", ", x.size(1),
              ", ", x.size(2) / heads / 2, "]");
  TORCH_CHECK(!needs_grad(cos) && !needs_grad(sin), "nlora::rotate: the angles want a gradient, which is not computed");
  if (!is_fast(x)) return plain(x, cos, sin, heads, scale);
  Tensor out, c, s;
  {
    at::AutoDispatchBelowADInplaceOrView guard;
    c = as_float(cos), s = as_float(sin);
    out = run(x, c, s, heads, scale, false);
  }
  if (!needs_grad(x)) return out;
  return with_history("rotate", out, {x}, {c, s}, [=](const Tensor& grad, const Tensors& saved, const auto&) {
    return Tensors{run(grad, saved[0], saved[1], heads, scale, true)};
  });
}

TORCH_LIBRARY_IMPL(nlora, CompositeImplicitAutograd, m) { m.impl("rotate", rotate); }

}  // namespace
}  // namespace nlora
