// silu(gate) * value, the gated activation of LLaMA's feed-forward layer, in float32 whatever the dtype.
#include "common.h"

#define NLORA_FOREACH "silu_vec.h"
#include "foreach_isa.h"

namespace nlora {
namespace {

Tensors backward(const Tensor& grad, const Tensors& saved, const std::vector<bool>&) {
  const Tensor g = grad.contiguous(), x = saved[0].contiguous(), v = saved[1].contiguous();
  Tensor grad_gate = at::empty_like(g), grad_value = at::empty_like(g);
  by_dtype(g, [&](auto t) {
    using T = decltype(t);
    const T *px = data<T>(x), *pv = data<T>(v), *pg = data<T>(g);
    T *gg = data<T>(grad_gate), *gv = data<T>(grad_value);
    at::parallel_for(0, g.numel(), kGrain,
                     [&](int64_t i, int64_t j) { NLORA_CALL(silu_multiply_backward, i, j, px, pv, pg, gg, gv); });
  });
  return {grad_gate, grad_value};
}

Tensor silu_multiply(const Tensor& gate, const Tensor& value) {
  TORCH_CHECK(is_floating(gate) && gate.sizes() == value.sizes() && gate.scalar_type() == value.scalar_type() &&
                  gate.device() == value.device(),
              "nlora::silu_multiply: gate is ", describe(gate), " and value is ", describe(value),
              ", expected floating-point tensors of one shape and dtype on one device");
  if (!is_fast(gate)) {
    const auto compute = gate.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
    return (at::silu(gate.to(compute)) * value.to(compute)).to(gate.scalar_type());
  }
  Tensor out;
  {
    at::AutoDispatchBelowADInplaceOrView guard;
    const Tensor x = gate.contiguous(), v = value.contiguous();
    out = at::empty_like(x);
    by_dtype(x, [&](auto t) {
      using T = decltype(t);
      const T *px = data<T>(x), *pv = data<T>(v);
      T* po = data<T>(out);
      at::parallel_for(0, x.numel(), kGrain, [&](int64_t i, int64_t j) { NLORA_CALL(silu_multiply, i, j, px, pv, po); });
    });
  }
  if (!needs_grad(gate) && !needs_grad(value)) return out;
  return with_history("silu_multiply", out, {gate, value}, {gate, value}, backward);
}

TORCH_LIBRARY_IMPL(nlora, CompositeImplicitAutograd, m) { m.impl("silu_multiply", silu_multiply); }

}  // namespace
}  // namespace nlora
