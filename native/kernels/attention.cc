// Attention as one operator: dropout(softmax(q k^T + bias, masked)) v for every head, from projections as the linear layers
// leave them ([batch, length, heads * width], possibly slices of a wider tensor) to the input of the output projection.
// No head is ever copied out, and the backward pass keeps the probabilities alone.
#include "common.h"


namespace nlora {

struct HeadPlan {
  DropoutKey key;
  int64_t heads, width, queries, keys;
  int64_t q_batch, q_row, k_batch, k_row, v_batch, v_row;  // strides, in elements
  int64_t gq_batch, gq_row, gk_batch, gk_row;              // of the gradients; keys and values alike
  int64_t ldn, ldd;                                        // row lengths of buffers over keys and over the width
  const float* bias;                                       // [heads, queries, keys]
  const bool* mask;                                        // [batch, keys]
};

struct HeadBuffers {
  float *q, *k, *kt, *v, *scores, *probs, *go, *gk, *gv;
  uint8_t* bytes;
};

constexpr int64_t kQueryBlock = 48;
constexpr int64_t kPad = 64;

}  // namespace nlora

#define NLORA_FOREACH "attention_vec.h"
#include "foreach_isa.h"

namespace nlora {
namespace {

int64_t padded(int64_t n) { return (n + kPad - 1) / kPad * kPad; }

struct Workspace {
  std::vector<float> floats;
  std::vector<uint8_t> bytes;
  HeadBuffers buffers;
  Workspace(const HeadPlan& p, bool backward) : bytes(p.keys + 256) {
    const int64_t block = kQueryBlock * p.ldd, keys = p.keys * p.ldd, square = kQueryBlock * p.ldn, turned = p.width * p.ldn;
    floats.resize(2 * block + (backward ? 3 : 1) * keys + turned + (backward ? 2 : 1) * square + kPad);
    float* at = floats.data();
    const auto take = [&at](int64_t n) {
      float* start = at;
      at += n;
      return start;
    };
    buffers = {};
    buffers.q = take(block);
    buffers.go = take(block);
    buffers.kt = take(turned);
    buffers.scores = take(square);
    if (backward) {
      buffers.probs = take(square);
      buffers.k = take(keys);
      buffers.gk = take(keys);
      buffers.gv = take(keys);
    } else {
      buffers.v = take(keys);
    }
    buffers.bytes = bytes.data();
  }
};

// A projection whose last dimension is dense; copied otherwise.
Tensor dense_rows(const Tensor& t) { return t.stride(2) == 1 ? t : t.contiguous(); }

void check(const char* op, const Tensor& q, const Tensor& k, const Tensor& v, int64_t heads, const OptionalTensor& bias,
           const OptionalTensor& mask) {
  TORCH_CHECK(is_floating(q) && q.dim() == 3 && k.dim() == 3 && k.sizes() == v.sizes() && q.size(0) == k.size(0) &&
                  q.size(2) == k.size(2) && q.scalar_type() == k.scalar_type() && q.scalar_type() == v.scalar_type(),
              "nlora::", op, ": got queries ", describe(q), ", keys ", describe(k), ", values ", describe(v),
              ", expected [batch, length, heads * width] of one dtype");
  TORCH_CHECK(heads >= 1 && q.size(2) % heads == 0, "nlora::", op, ": ", q.size(2), " columns do not divide into ", heads, " heads");
  if (is_given(bias)) {
    TORCH_CHECK(bias->dim() >= 2 && bias->numel() == heads * q.size(1) * k.size(1) && bias->size(-1) == k.size(1) && bias->size(-2) == q.size(1),
                "nlora::", op, ": bias is ", describe(*bias), ", expected [1, ", heads, ", ", q.size(1), ", ", k.size(1), "]");
    TORCH_CHECK(!needs_grad(*bias), "nlora::", op, ": the bias wants a gradient, which this operator does not compute");
  }
  if (is_given(mask)) {
    TORCH_CHECK(mask->dim() == 2 && mask->size(0) == q.size(0) && mask->size(1) == k.size(1), "nlora::", op, ": mask is ",
                describe(*mask), ", expected [", q.size(0), ", ", k.size(1), "], true = attend");
  }
}

HeadPlan plan_of(const Tensor& q, const Tensor& k, const Tensor& v, int64_t heads, const DropoutKey& key) {
  HeadPlan p{};
  p.key = key;
  p.heads = heads;
  p.width = q.size(2) / heads;
  p.queries = q.size(1);
  p.keys = k.size(1);
  p.q_batch = q.stride(0), p.q_row = q.stride(1);
  p.k_batch = k.stride(0), p.k_row = k.stride(1);
  p.v_batch = v.stride(0), p.v_row = v.stride(1);
  p.ldn = padded(p.keys);
  p.ldd = padded(p.width);
  return p;
}

// The mixed values [batch, queries, heads * width]; the probabilities too when they will be needed.
Tensor forward(const Tensor& q, const Tensor& k, const Tensor& v, int64_t heads, const OptionalTensor& bias,
               const OptionalTensor& mask, const DropoutKey& key, Tensor* probs) {
  HeadPlan p = plan_of(q, k, v, heads, key);
  const Tensor b = is_given(bias) ? as_float(*bias) : Tensor();
  const Tensor m = is_given(mask) ? mask->to(at::kBool).contiguous() : Tensor();
  p.bias = b.defined() ? b.data_ptr<float>() : nullptr;
  p.mask = m.defined() ? m.data_ptr<bool>() : nullptr;
  Tensor out = at::empty({q.size(0), p.queries, heads * p.width}, q.options());
  if (probs != nullptr) *probs = at::empty({q.size(0), heads, p.queries, p.keys}, q.options());
  by_dtype(q, [&](auto t) {
    using T = decltype(t);
    const T *pq = data<T>(q), *pk = data<T>(k), *pv = data<T>(v);
    T *po = data<T>(out), *pp = probs != nullptr ? data<T>(*probs) : nullptr;
    at::parallel_for(0, q.size(0) * heads, 1, [&](int64_t first, int64_t last) {
      Workspace space(p, false);
      NLORA_CALL(attention_forward, p, first, last, pq, pk, pv, po, pp, space.buffers);
    });
  });
  return out;
}

void backward(HeadPlan p, const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& probs, const Tensor& grad,
              const Tensor& gq, const Tensor& gk, const Tensor& gv) {
  p.gq_batch = gq.stride(0), p.gq_row = gq.stride(1);
  p.gk_batch = gk.stride(0), p.gk_row = gk.stride(1);
  const Tensor g = grad.contiguous();
  by_dtype(q, [&](auto t) {
    using T = decltype(t);
    const T *pq = data<T>(q), *pk = data<T>(k), *pv = data<T>(v), *pp = data<T>(probs), *pg = data<T>(g);
    T *wq = data<T>(gq), *wk = data<T>(gk), *wv = data<T>(gv);
    at::parallel_for(0, q.size(0) * p.heads, 1, [&](int64_t first, int64_t last) {
      Workspace space(p, true);
      NLORA_CALL(attention_backward, p, first, last, pq, pk, pv, pp, pg, wq, wk, wv, space.buffers);
    });
  });
}

// The same in ATen operators, for other devices and dtypes; autograd follows.
Tensor plain(const Tensor& q, const Tensor& k, const Tensor& v, int64_t heads, const OptionalTensor& bias,
             const OptionalTensor& mask, const DropoutKey& key) {
  const auto split = [heads](const Tensor& t) {
    return t.reshape({t.size(0), t.size(1), heads, t.size(2) / heads}).transpose(1, 2);
  };
  const auto compute = q.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  Tensor scores = at::matmul(split(q), split(k).transpose(2, 3)).to(compute);
  if (is_given(bias)) scores = scores + bias->to(compute);
  Tensor nothing;
  if (is_given(mask)) {
    const Tensor blocked = mask->to(at::kBool).logical_not().unsqueeze(1).unsqueeze(1);
    nothing = blocked.all(-1, true);
    scores = scores.masked_fill(blocked.logical_and(nothing.logical_not()), -INFINITY);  // whole blocked rows stay finite
  }
  Tensor probabilities = at::softmax(scores, -1);
  if (nothing.defined()) probabilities = probabilities.masked_fill(nothing, 0);
  const Tensor mixed = at::matmul(dropout_plain(probabilities, key).to(q.scalar_type()), split(v));
  return mixed.transpose(1, 2).reshape({q.size(0), q.size(1), q.size(2)});
}

Tensor self_attention(const Tensor& qkv, int64_t heads, const OptionalTensor& bias, const OptionalTensor& mask, double p,
                      int64_t seed) {
  TORCH_CHECK(qkv.dim() == 3 && qkv.size(2) % 3 == 0, "nlora::self_attention: got ", describe(qkv),
              ", expected queries, keys and values side by side, [batch, length, 3 * heads * width]");
  const int64_t inner = qkv.size(2) / 3;
  const auto part = [inner](const Tensor& t, int64_t i) { return t.narrow(2, i * inner, inner); };
  check("self_attention", part(qkv.detach(), 0), part(qkv.detach(), 1), part(qkv.detach(), 2), heads, bias, mask);
  const DropoutKey key = dropout_key("self_attention", p, seed);
  if (!is_fast(qkv)) return plain(part(qkv, 0), part(qkv, 1), part(qkv, 2), heads, bias, mask, key);
  const bool recorded = needs_grad(qkv);
  Tensor out, probs;
  {
    at::AutoDispatchBelowADInplaceOrView guard;
    const Tensor all = dense_rows(qkv);
    out = forward(part(all, 0), part(all, 1), part(all, 2), heads, bias, mask, key, recorded ? &probs : nullptr);
  }
  if (!recorded) return out;
  return with_history("self_attention", out, {qkv}, {qkv, probs}, [=](const Tensor& grad, const Tensors& saved, const auto&) {
    const Tensor all = dense_rows(saved[0]);
    Tensor g = at::empty(all.sizes(), all.options());
    const Tensor q = part(all, 0), k = part(all, 1), v = part(all, 2);
    backward(plan_of(q, k, v, heads, key), q, k, v, saved[1], grad, part(g, 0), part(g, 1), part(g, 2));
    return Tensors{g};
  });
}

Tensor cross_attention(const Tensor& query, const Tensor& key_, const Tensor& value, int64_t heads, const OptionalTensor& bias,
                       const OptionalTensor& mask, double p, int64_t seed) {
  check("cross_attention", query, key_, value, heads, bias, mask);
  const DropoutKey key = dropout_key("cross_attention", p, seed);
  if (!is_fast(query)) return plain(query, key_, value, heads, bias, mask, key);
  const bool recorded = needs_grad(query) || needs_grad(key_) || needs_grad(value);
  Tensor out, probs;
  {
    at::AutoDispatchBelowADInplaceOrView guard;
    out = forward(dense_rows(query), dense_rows(key_), dense_rows(value), heads, bias, mask, key, recorded ? &probs : nullptr);
  }
  if (!recorded) return out;
  return with_history("cross_attention", out, {query, key_, value}, {query, key_, value, probs},
                      [=](const Tensor& grad, const Tensors& saved, const auto&) {
                        const Tensor q = dense_rows(saved[0]), k = dense_rows(saved[1]), v = dense_rows(saved[2]);
                        const Tensor gq = at::empty(q.sizes(), q.options());
                        const Tensor gk = at::empty(k.sizes(), k.options()), gv = at::empty(v.sizes(), v.options());
                        backward(plan_of(q, k, v, heads, key), q, k, v, saved[3], grad, gq, gk, gv);
                        return Tensors{gq, gk, gv};
                      });
}

TORCH_LIBRARY_IMPL(nlora, CompositeImplicitAutograd, m) {
  m.impl("self_attention", self_attention);
  m.impl("cross_attention", cross_attention);
}

}  // namespace
}  // namespace nlora
