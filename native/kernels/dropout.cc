// Dropout whose mask is a pure function of (seed, element index), alone and fused with its neighbours: nothing is stored for
// the backward pass, which computes the mask again. p is rounded to k / 256 and survivors are scaled by 256 / (256 - k).
#include "common.h"

#define NLORA_FOREACH "dropout_vec.h"
#include "foreach_isa.h"

namespace nlora {

DropoutKey dropout_key(const char* name, double p, int64_t seed) {
  TORCH_CHECK(p >= 0 && p <= 1, "nlora::", name, ": p is ", p, ", expected a probability from 0 to 1");
  uint64_t z = static_cast<uint64_t>(seed);
  const auto next = [&z] {  // SplitMix64 (Steele, Lea, Flood 2014)
    uint64_t v = (z += 0x9e3779b97f4a7c15ull);
    v = (v ^ (v >> 30)) * 0xbf58476d1ce4e5b9ull;
    v = (v ^ (v >> 27)) * 0x94d049bb133111ebull;
    return static_cast<uint32_t>((v ^ (v >> 31)) >> 32);
  };
  DropoutKey key;
  key.k0 = next();
  key.k1 = next();
  key.threshold = static_cast<int>(p * 256 + 0.5);
  key.scale = key.threshold == 256 ? 0.0f : 256.0f / static_cast<float>(256 - key.threshold);
  return key;
}

// The same hash in ATen operators, for other devices: int64 holds the 32-bit values.
Tensor keep_mask_plain(const DropoutKey& key, int64_t n, c10::Device device) {
  const auto options = at::TensorOptions().dtype(at::kLong).device(device);
  const int64_t low = 0xffffffffll;
  Tensor h = at::arange((n + 3) / 4, options).add_(static_cast<int64_t>(key.k0)).bitwise_and_(low);
  h = h.bitwise_xor(at::bitwise_right_shift(h, 16)).mul_(int64_t{0x7feb352d}).bitwise_and_(low);
  h = h.bitwise_xor(at::bitwise_right_shift(h, 15)).bitwise_xor_(static_cast<int64_t>(key.k1));
  h = h.mul_(int64_t{0x846ca68b}).bitwise_and_(low);
  h = h.bitwise_xor(at::bitwise_right_shift(h, 16));
  const Tensor shift = at::arange(4, options).mul_(8);
  const Tensor bytes = at::bitwise_right_shift(h.unsqueeze(1), shift).bitwise_and_(255);
  return bytes.ge(key.threshold).flatten().narrow(0, 0, n);
}

Tensor dropout_plain(const Tensor& x, const DropoutKey& key) {
  if (key.threshold == 0) return x.clone();
  const Tensor keep = keep_mask_plain(key, x.numel(), x.device()).view(x.sizes());
  return x.mul(keep.to(x.scalar_type())).mul(key.scale);
}

namespace {

void check_input(const char* name, const Tensor& x) {
  TORCH_CHECK(is_floating(x), "nlora::", name, ": got ", describe(x), ", expected a floating-point tensor");
  TORCH_CHECK(x.numel() < (1ll << 34), "nlora::", name, ": ", x.numel(), " elements, more than the 2^34 of one mask");
}

void check_same(const char* name, const char* first, const Tensor& x, const char* second, const Tensor& y) {
  check_input(name, x);
  TORCH_CHECK(x.sizes() == y.sizes() && x.scalar_type() == y.scalar_type() && x.device() == y.device(), "nlora::", name,
              ": ", first, " is ", describe(x), " and ", second, " is ", describe(y),
              ", expected equal shapes, dtypes and devices");
}

Tensor dropout_keep(int64_t n, double p, int64_t seed) {
  TORCH_CHECK(n >= 0, "nlora::dropout_keep: n is ", n, ", expected 0 or more");
  const DropoutKey key = dropout_key("dropout_keep", p, seed);
  Tensor out = at::empty({n}, at::kBool);
  bool* o = out.data_ptr<bool>();
  at::parallel_for(0, n, kGrain, [&](int64_t i, int64_t j) { NLORA_CALL(keep_mask, key, i, j, o); });
  return out;
}

Tensor run_dropout(const Tensor& input, const DropoutKey& key) {
  const Tensor x = input.contiguous();
  Tensor out = at::empty_like(x);
  if (key.threshold == 256) return out.zero_();
  by_dtype(x, [&](auto t) {
    using T = decltype(t);
    const T* px = data<T>(x);
    T* po = data<T>(out);
    at::parallel_for(0, x.numel(), kGrain, [&](int64_t i, int64_t j) { NLORA_CALL(dropout, key, i, j, px, po); });
  });
  return out;
}

Tensor dropout(const Tensor& x, double p, int64_t seed) {
  check_input("dropout", x);
  const DropoutKey key = dropout_key("dropout", p, seed);
  if (!is_fast(x)) return dropout_plain(x, key);
  Tensor out;
  {
    at::AutoDispatchBelowADInplaceOrView guard;
    out = run_dropout(x, key);
  }
  if (!needs_grad(x)) return out;
  return with_history("dropout", out, {x}, {}, [key](const Tensor& grad, const Tensors&, const auto&) {
    return Tensors{run_dropout(grad, key)};
  });
}

Tensor dropout_add(const Tensor& x, const Tensor& residual, double p, int64_t seed) {
  check_same("dropout_add", "x", x, "residual", residual);
  const DropoutKey key = dropout_key("dropout_add", p, seed);
  if (!is_fast(x)) return residual + dropout_plain(x, key);
  Tensor out;
  {
    at::AutoDispatchBelowADInplaceOrView guard;
    const Tensor cx = x.contiguous(), cr = residual.contiguous();
    out = at::empty_like(cx);
    if (key.threshold == 256) out.copy_(cr);
    else by_dtype(cx, [&](auto t) {
      using T = decltype(t);
      const T *px = data<T>(cx), *pr = data<T>(cr);
      T* po = data<T>(out);
      at::parallel_for(0, cx.numel(), kGrain,
                       [&](int64_t i, int64_t j) { NLORA_CALL(dropout_add, key, i, j, px, pr, po); });
    });
  }
  if (!needs_grad(x) && !needs_grad(residual)) return out;
  return with_history("dropout_add", out, {x, residual}, {}, [key](const Tensor& grad, const Tensors&, const auto& wanted) {
    return Tensors{wanted[0] ? run_dropout(grad, key) : Tensor(), wanted[1] ? grad : Tensor()};
  });
}

Tensor relu_dropout(const Tensor& x, double p, int64_t seed) {
  check_input("relu_dropout", x);
  const DropoutKey key = dropout_key("relu_dropout", p, seed);
  if (!is_fast(x)) return dropout_plain(x.relu(), key);
  Tensor out;
  {
    at::AutoDispatchBelowADInplaceOrView guard;
    const Tensor cx = x.contiguous();
    out = at::empty_like(cx);
    if (key.threshold == 256) out.zero_();
    else by_dtype(cx, [&](auto t) {
      using T = decltype(t);
      const T* px = data<T>(cx);
      T* po = data<T>(out);
      at::parallel_for(0, cx.numel(), kGrain, [&](int64_t i, int64_t j) { NLORA_CALL(relu_dropout, key, i, j, px, po); });
    });
  }
  if (!needs_grad(x)) return out;
  const auto backward = [key](const Tensor& grad, const Tensors& saved, const auto&) {
    const Tensor g = grad.contiguous(), &result = saved[0];
    Tensor grad_x = at::empty_like(g);
    by_dtype(g, [&](auto t) {
      using T = decltype(t);
      const T *po = data<T>(result), *pg = data<T>(g);
      T* px = data<T>(grad_x);
      at::parallel_for(0, g.numel(), kGrain, [&](int64_t i, int64_t j) {
        NLORA_CALL(relu_dropout_backward, key.scale, i, j, po, pg, px);
      });
    });
    return Tensors{grad_x};
  };
  return with_history("relu_dropout", out, {x}, {out.detach()}, backward);
}

Tensor gated_gelu_dropout(const Tensor& gate, const Tensor& value, double p, int64_t seed) {
  check_same("gated_gelu_dropout", "gate", gate, "value", value);
  const DropoutKey key = dropout_key("gated_gelu_dropout", p, seed);
  if (!is_fast(gate)) return dropout_plain(at::gelu(gate, "tanh") * value, key);
  Tensor out, cg, cv;
  {
    at::AutoDispatchBelowADInplaceOrView guard;
    cg = gate.contiguous(), cv = value.contiguous();
    out = at::empty_like(cg);
    if (key.threshold == 256) out.zero_();
    else by_dtype(cg, [&](auto t) {
      using T = decltype(t);
      const T *pg = data<T>(cg), *pv = data<T>(cv);
      T* po = data<T>(out);
      at::parallel_for(0, cg.numel(), kGrain,
                       [&](int64_t i, int64_t j) { NLORA_CALL(gated_gelu_dropout, key, i, j, pg, pv, po); });
    });
  }
  if (!needs_grad(gate) && !needs_grad(value)) return out;
  const auto backward = [key](const Tensor& grad, const Tensors& saved, const auto&) {
    const Tensor g = grad.contiguous(), x = saved[0].contiguous(), v = saved[1].contiguous();
    Tensor grad_gate = at::empty_like(g), grad_value = at::empty_like(g);
    if (key.threshold == 256) return Tensors{grad_gate.zero_(), grad_value.zero_()};
    by_dtype(g, [&](auto t) {
      using T = decltype(t);
      const T *px = data<T>(x), *pv = data<T>(v), *pg = data<T>(g);
      T *gg = data<T>(grad_gate), *gv = data<T>(grad_value);
      at::parallel_for(0, g.numel(), kGrain, [&](int64_t i, int64_t j) {
        NLORA_CALL(gated_gelu_dropout_backward, key, i, j, px, pv, pg, gg, gv);
      });
    });
    return Tensors{grad_gate, grad_value};
  };
  return with_history("gated_gelu_dropout", out, {gate, value}, {gate, value}, backward);
}

TORCH_LIBRARY_IMPL(nlora, CompositeImplicitAutograd, m) {
  m.impl("dropout_keep", dropout_keep);
  m.impl("dropout", dropout);
  m.impl("dropout_add", dropout_add);
  m.impl("relu_dropout", relu_dropout);
  m.impl("gated_gelu_dropout", gated_gelu_dropout);
}

}  // namespace
}  // namespace nlora
