// Attention as one operator: dropout(softmax(q k^T + bias, masked)) v for every head, from projections as the linear layers
// leave them ([batch, length, heads * width], possibly slices of a wider tensor) to the input of the output projection.
// Several query heads may share one head of keys and values. No head is ever copied out, and the backward pass keeps the
// probabilities alone.
#include "attention.h"

#include <cstdlib>

#include "amx.h"

namespace nlora {

struct HeadPlan {
  DropoutKey key;
  int64_t heads, shared;                                    // query heads, and how many of them share a head of keys
  int64_t width, mixed;                                     // of one head: queries and keys, values
  int64_t queries, keys;
  int64_t window;                                           // keys that a query sees, back from its own; 0: not causal
  int64_t q_batch, q_row, q_head, k_batch, k_row, v_batch, v_row;   // strides, in elements
  int64_t gq_batch, gq_row, gq_head, gk_batch, gk_row, gv_batch, gv_row;  // of the gradients
  int64_t block;                                            // queries at a time, at most kQueryBlock
  int64_t ldn, ldk, ldv;                                    // row lengths of buffers over keys, over width, over mixed
  const float* bias;                                        // [heads, queries, keys]
  const bool* mask;                                         // [batch, keys]
};

struct HeadBuffers {
  float *q, *k, *kt, *v, *scores, *kept, *mask, *mixed, *go, *go_across, *grads, *grads_across, *weights, *gq, *gk, *gv;
  uint8_t* bytes;
};

constexpr int64_t kQueryBlock = 64;
constexpr int64_t kFewQueries = 2;  // up to here a query is cheaper than packing the keys
constexpr int64_t kPad = 32;

}  // namespace nlora

#define NLORA_FOREACH "attention_vec.h"
#include "foreach_isa.h"

namespace nlora {
namespace {

int64_t padded(int64_t n) { return (n + kPad - 1) / kPad * kPad; }

// One thread's buffers, aligned to cache lines. What the kernels read of them they have written before.
class Workspace {
 public:
  HeadBuffers buffers = {};

  Workspace(const HeadPlan& p, bool backward) {
    const int64_t rows_k = p.block * p.ldk, rows_v = p.block * p.ldv, square = p.block * p.ldn;
    const int64_t keys = padded(p.keys), turned = padded(backward ? p.mixed : p.width) * p.ldn;
    int64_t size = 0;
    std::vector<std::pair<float**, int64_t>> wanted;
    const auto take = [&](float*& buffer, int64_t n) {
      wanted.emplace_back(&buffer, size);
      size += padded(n);
    };
    HeadBuffers& b = buffers;
    take(b.q, rows_k);
    take(b.kt, turned);
    take(b.scores, square);
    take(b.kept, square);
    if (backward) {
      take(b.k, keys * p.ldk);
      take(b.go, rows_v);
      take(b.go_across, rows_v);
      take(b.grads, square);
      take(b.grads_across, square);
      take(b.weights, 2 * p.ldn);
      take(b.gq, rows_k);
      take(b.gk, keys * p.ldk);
      take(b.gv, keys * p.ldv);
    } else {
      take(b.v, keys * p.ldv);
      take(b.mask, p.ldn);
      take(b.mixed, rows_v);
    }
    const int64_t bytes = size;
    size += padded(p.ldn + 256) / 4;
    memory_.reset(static_cast<float*>(std::aligned_alloc(64, (size * sizeof(float) + 63) / 64 * 64)));
    TORCH_CHECK(memory_ != nullptr, "nlora: no memory for the buffers of attention over ", p.keys, " keys");
    for (const auto& [buffer, offset] : wanted) *buffer = memory_.get() + offset;
    b.bytes = reinterpret_cast<uint8_t*>(memory_.get() + bytes);
  }

 private:
  struct Free {
    void operator()(float* p) const { std::free(p); }
  };
  std::unique_ptr<float, Free> memory_;
};

// A projection whose last dimension is dense; copied otherwise.
Tensor dense_rows(const Tensor& t) { return t.stride(2) == 1 ? t : t.contiguous(); }

// The same cut into heads.
Tensor into_heads(const Tensor& t, int64_t heads) { return t.view({t.size(0), t.size(1), heads, t.size(2) / heads}); }

void check(const char* op, const Tensor& q, const Tensor& k, const Tensor& v, const AttentionSettings& s) {
  const OptionalTensor &bias = s.bias, &mask = s.mask;
  TORCH_CHECK(is_floating(q) && q.dim() == 3 && k.dim() == 3 && v.dim() == 3 && q.size(0) == k.size(0) && q.size(0) == v.size(0) &&
                  k.size(1) == v.size(1) && q.scalar_type() == k.scalar_type() && q.scalar_type() == v.scalar_type(),
              "nlora::", op, ": got queries ", describe(q), ", keys ", describe(k), ", values ", describe(v),
              ", expected [batch, length, heads * width] of one dtype");
  TORCH_CHECK(s.heads >= 1 && s.key_heads >= 1 && s.heads % s.key_heads == 0, "nlora::", op, ": ", s.heads, " heads cannot share ",
              s.key_heads, " heads of keys");
  TORCH_CHECK(q.size(2) % s.heads == 0 && k.size(2) % s.key_heads == 0 && v.size(2) % s.key_heads == 0 &&
                  q.size(2) / s.heads == k.size(2) / s.key_heads,
              "nlora::", op, ": queries ", describe(q), ", keys ", describe(k), " and values ", describe(v), " do not divide into ",
              s.heads, " and ", s.key_heads, " heads of one width");
  if (is_given(bias)) {
    TORCH_CHECK(bias->dim() >= 2 && bias->numel() == s.heads * q.size(1) * k.size(1) && bias->size(-1) == k.size(1) && bias->size(-2) == q.size(1),
                "nlora::", op, ": bias is ", describe(*bias), ", expected [1, ", s.heads, ", ", q.size(1), ", ", k.size(1), "]");
    TORCH_CHECK(!needs_grad(*bias), "nlora::", op, ": the bias wants a gradient, which this operator does not compute");
  }
  if (is_given(mask)) {
    TORCH_CHECK(mask->dim() == 2 && mask->size(0) == q.size(0) && mask->size(1) == k.size(1), "nlora::", op, ": mask is ",
                describe(*mask), ", expected [", q.size(0), ", ", k.size(1), "], true = attend");
  }
  TORCH_CHECK(s.window == 0 || q.size(1) <= k.size(1), "nlora::", op, ": got ", q.size(1), " queries on ", k.size(1),
              " keys, expected the queries to be the last of the keys' positions");
}

// What the backward pass needs of them.
AttentionSettings without_masks(AttentionSettings s) {
  s.bias = s.mask = OptionalTensor();
  return s;
}

HeadPlan plan_of(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionSettings& s) {
  HeadPlan p{};
  p.key = s.key;
  p.heads = s.heads;
  p.shared = s.heads / s.key_heads;
  p.width = q.size(3);
  p.mixed = v.size(2) / s.key_heads;
  p.queries = q.size(1);
  p.keys = k.size(1);
  p.window = s.window;
  p.q_batch = q.stride(0), p.q_row = q.stride(1), p.q_head = q.stride(2);
  p.k_batch = k.stride(0), p.k_row = k.stride(1);
  p.v_batch = v.stride(0), p.v_row = v.stride(1);
  p.block = isa() >= Isa::amx ? kQueryBlock : 48;  // whole tiles of pairs of queries; whole tiles of vectors (6 rows)
  p.ldn = padded(p.keys);
  p.ldk = padded(p.width);
  p.ldv = padded(p.mixed);
  return p;
}

}  // namespace

Tensor attend(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionSettings& s, Tensor* probs) {
  HeadPlan p = plan_of(q, k, v, s);
  const Tensor b = is_given(s.bias) ? as_float(*s.bias) : Tensor();
  const Tensor m = is_given(s.mask) ? s.mask->to(at::kBool).contiguous() : Tensor();
  p.bias = b.defined() ? b.data_ptr<float>() : nullptr;
  p.mask = m.defined() ? m.data_ptr<bool>() : nullptr;
  Tensor out = at::empty({q.size(0), p.queries, p.heads * p.mixed}, q.options());
  if (probs != nullptr) *probs = at::empty({q.size(0), p.heads, p.queries, p.keys}, q.options());
  if (p.queries == 0) return out;
  by_dtype(q, [&](auto t) {
    using T = decltype(t);
    const T *pq = data<T>(q), *pk = data<T>(k), *pv = data<T>(v);
    T *po = data<T>(out), *pp = probs != nullptr ? data<T>(*probs) : nullptr;
    at::parallel_for(0, q.size(0) * s.key_heads, 1, [&](int64_t first, int64_t last) {
      const Workspace space(p, false);
      const Tiles tiles;
      NLORA_CALL(attention_forward, p, first, last, pq, pk, pv, po, pp, space.buffers);
    });
  });
  return out;
}

void attend_backward(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionSettings& s, const Tensor& probs,
                     const Tensor& grad, const Tensor& gq, const Tensor& gk, const Tensor& gv) {
  HeadPlan p = plan_of(q, k, v, s);
  p.gq_batch = gq.stride(0), p.gq_row = gq.stride(1), p.gq_head = gq.stride(2);
  p.gk_batch = gk.stride(0), p.gk_row = gk.stride(1);
  p.gv_batch = gv.stride(0), p.gv_row = gv.stride(1);
  const Tensor g = grad.contiguous();
  by_dtype(q, [&](auto t) {
    using T = decltype(t);
    const T *pq = data<T>(q), *pk = data<T>(k), *pv = data<T>(v), *pp = data<T>(probs), *pg = data<T>(g);
    T *wq = data<T>(gq), *wk = data<T>(gk), *wv = data<T>(gv);
    at::parallel_for(0, q.size(0) * s.key_heads, 1, [&](int64_t first, int64_t last) {
      const Workspace space(p, true);
      const Tiles tiles;
      NLORA_CALL(attention_backward, p, first, last, pq, pk, pv, pp, pg, wq, wk, wv, space.buffers);
    });
  });
}

namespace {

// The same in ATen operators, for other devices and dtypes; autograd follows.
Tensor plain(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionSettings& s) {
  const int64_t batch = q.size(0), queries = q.size(1), keys = k.size(1), shared = s.heads / s.key_heads;
  // [batch, heads of keys, query heads that share one, length, width]
  const auto split = [&](const Tensor& t, int64_t each) {
    return t.reshape({batch, t.size(1), s.key_heads, each, t.size(2) / s.key_heads / each}).permute({0, 2, 3, 1, 4});
  };
  const auto compute = q.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  Tensor scores = at::matmul(split(q, shared), split(k, 1).transpose(3, 4)).to(compute);
  if (is_given(s.bias)) scores = scores + s.bias->to(compute).reshape({s.key_heads, shared, queries, keys});
  Tensor blocked, nothing;
  if (is_given(s.mask)) blocked = s.mask->to(at::kBool).logical_not().reshape({batch, 1, 1, 1, keys});
  if (s.window != 0) {
    const Tensor at = at::arange(keys, q.options().dtype(at::kLong));
    const Tensor ahead = at - at.slice(0, keys - queries).unsqueeze(1);
    const Tensor unseen = ahead.gt(0).logical_or(ahead.le(-s.window));
    blocked = blocked.defined() ? blocked.logical_or(unseen) : unseen;
  }
  if (blocked.defined()) {
    nothing = blocked.all(-1, true);
    scores = scores.masked_fill(blocked.logical_and(nothing.logical_not()), -INFINITY);  // whole blocked rows stay finite
  }
  Tensor probabilities = at::softmax(scores, -1);
  if (nothing.defined()) probabilities = probabilities.masked_fill(nothing, 0);
  const Tensor mixed = at::matmul(dropout_plain(probabilities, s.key).to(q.scalar_type()), split(v, 1));
  return mixed.permute({0, 3, 1, 2, 4}).reshape({batch, queries, v.size(2) * shared});
}

Tensor attention(const char* op, const Tensor& query, const Tensor& key, const Tensor& value, const AttentionSettings& s) {
  check(op, query, key, value, s);
  if (!is_fast(query)) return plain(query, key, value, s);
  const bool recorded = needs_grad(query) || needs_grad(key) || needs_grad(value);
  Tensor out, probs;
  {
    at::AutoDispatchBelowADInplaceOrView guard;
    out = attend(into_heads(dense_rows(query), s.heads), dense_rows(key), dense_rows(value), s, recorded ? &probs : nullptr);
  }
  if (!recorded) return out;
  return with_history(op, out, {query, key, value}, {query, key, value, probs},
                      [s = without_masks(s)](const Tensor& grad, const Tensors& saved, const auto&) {
                        const Tensor q = into_heads(dense_rows(saved[0]), s.heads);
                        const Tensor k = dense_rows(saved[1]), v = dense_rows(saved[2]);
                        const Tensor gq = at::empty(q.sizes(), q.options());
                        const Tensor gk = at::empty(k.sizes(), k.options()), gv = at::empty(v.sizes(), v.options());
                        attend_backward(q, k, v, s, saved[3], grad, gq, gk, gv);
                        return Tensors{gq.view(saved[0].sizes()), gk, gv};
                      });
}

}  // namespace

Tensor cross_attention(const Tensor& query, const Tensor& key, const Tensor& value, int64_t heads, const OptionalTensor& bias,
                       const OptionalTensor& mask, double p, int64_t seed) {
  return attention("cross_attention", query, key, value, {heads, heads, 0, bias, mask, dropout_key("cross_attention", p, seed)});
}

namespace {

Tensor causal_attention(const Tensor& query, const Tensor& key, const Tensor& value, int64_t heads, int64_t key_heads,
                        int64_t window, const OptionalTensor& mask, double p, int64_t seed) {
  TORCH_CHECK(window >= 1, "nlora::causal_attention: window is ", window, ", expected at least 1 (a query sees itself)");
  const AttentionSettings s = {heads, key_heads, window, OptionalTensor(), mask, dropout_key("causal_attention", p, seed)};
  return attention("causal_attention", query, key, value, s);
}

Tensor self_attention(const Tensor& qkv, int64_t heads, const OptionalTensor& bias, const OptionalTensor& mask, double p,
                      int64_t seed) {
  TORCH_CHECK(qkv.dim() == 3 && qkv.size(2) % 3 == 0, "nlora::self_attention: got ", describe(qkv),
              ", expected queries, keys and values side by side, [batch, length, 3 * heads * width]");
  const int64_t inner = qkv.size(2) / 3;
  const auto part = [inner](const Tensor& t, int64_t i) { return t.narrow(2, i * inner, inner); };
  const AttentionSettings s = {heads, heads, 0, bias, mask, dropout_key("self_attention", p, seed)};
  check("self_attention", part(qkv.detach(), 0), part(qkv.detach(), 1), part(qkv.detach(), 2), s);
  if (!is_fast(qkv)) return plain(part(qkv, 0), part(qkv, 1), part(qkv, 2), s);
  const bool recorded = needs_grad(qkv);
  Tensor out, probs;
  {
    at::AutoDispatchBelowADInplaceOrView guard;
    const Tensor all = dense_rows(qkv);
    out = attend(into_heads(part(all, 0), heads), part(all, 1), part(all, 2), s, recorded ? &probs : nullptr);
  }
  if (!recorded) return out;
  return with_history("self_attention", out, {qkv}, {qkv, probs}, [part, s = without_masks(s)](const Tensor& grad, const Tensors& saved, const auto&) {
    const Tensor all = dense_rows(saved[0]);
    Tensor g = at::empty(all.sizes(), all.options());
    attend_backward(into_heads(part(all, 0), s.heads), part(all, 1), part(all, 2), s, saved[1], grad,
                    into_heads(part(g, 0), s.heads), part(g, 1), part(g, 2));
    return Tensors{g};
  });
}

TORCH_LIBRARY_IMPL(nlora, CompositeImplicitAutograd, m) {
  m.impl("self_attention", self_attention);
  m.impl("cross_attention", cross_attention);
  m.impl("causal_attention", causal_attention);
}

}  // namespace
}  // namespace nlora
