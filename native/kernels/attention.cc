// Attention probabilities: dropout(softmax(scores + bias, masked)), in one pass per row. The backward pass keeps the
// probabilities before dropout in the dtype of the scores and computes the mask again.
#include "common.h"

namespace nlora {

// Rows are numbered (batch, head, query) and `keys` long. bias, mask and probs may be null.
template <typename T>
struct AttentionRows {
  int64_t heads, queries, keys;
  const T* scores;
  const float* bias;      // [heads, queries, keys]
  const bool* mask;       // [batch, keys], or [batch, queries, keys]
  bool mask_has_queries;
  T* probs;               // before dropout
  T* out;
};

}  // namespace nlora

#define NLORA_FOREACH "attention_vec.h"
#include "foreach_isa.h"

namespace nlora {
namespace {

// Room for one row in floats, and for its hash bytes; whole vectors of any instruction set.
struct RowBuffers {
  explicit RowBuffers(int64_t keys) : row(keys + 16), hash(keys + 16 + 4 * 16 + 8) {}
  std::vector<float> row;
  std::vector<uint8_t> hash;
};

int64_t row_grain(int64_t keys) { return std::max<int64_t>(1, kGrain / std::max<int64_t>(keys, 1)); }

void check(const Tensor& scores, const OptionalTensor& bias, const OptionalTensor& mask) {
  const char* op = "nlora::attention_probs";
  TORCH_CHECK(is_floating(scores) && scores.dim() == 4, op, ": scores are ", describe(scores),
              ", expected a floating-point [batch, heads, queries, keys]");
  const int64_t b = scores.size(0), h = scores.size(1), q = scores.size(2), k = scores.size(3);
  if (is_given(bias)) {
    const bool whole = bias->dim() == 4 && bias->size(0) == 1 && bias->size(1) == h && bias->size(2) == q && bias->size(3) == k;
    const bool flat = bias->dim() == 3 && bias->size(0) == h && bias->size(1) == q && bias->size(2) == k;
    TORCH_CHECK(is_floating(*bias) && (whole || flat), op, ": bias is ", describe(*bias), " for scores ", describe(scores),
                ", expected floating-point [1, heads, queries, keys] or [heads, queries, keys]");
    TORCH_CHECK(!needs_grad(*bias), op, ": the bias wants a gradient, which this operator does not compute; detach it");
    TORCH_CHECK(bias->device() == scores.device(), op, ": bias is on ", bias->device(), ", scores on ", scores.device());
  }
  if (is_given(mask)) {
    const bool plain = mask->dim() == 2 && mask->size(0) == b && mask->size(1) == k;
    const bool full = mask->dim() == 3 && mask->size(0) == b && mask->size(1) == q && mask->size(2) == k;
    TORCH_CHECK(plain || full, op, ": mask is ", describe(*mask), " for scores ", describe(scores),
                ", expected [batch, keys] or [batch, queries, keys], true = attend");
    TORCH_CHECK(mask->device() == scores.device(), op, ": mask is on ", mask->device(), ", scores on ", scores.device());
  }
}

Tensor plain(const Tensor& scores, const OptionalTensor& bias, const OptionalTensor& mask, const DropoutKey& key) {
  const auto compute = scores.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  Tensor s = scores.to(compute);
  if (is_given(bias)) s = s + bias->to(compute);
  if (!is_given(mask)) return dropout_plain(at::softmax(s, -1).to(scores.scalar_type()), key);
  const Tensor m = mask->to(at::kBool);
  const Tensor blocked = (m.dim() == 2 ? m.unsqueeze(1).unsqueeze(1) : m.unsqueeze(1)).logical_not();
  const Tensor nothing = blocked.all(-1, true);
  s = s.masked_fill(blocked.logical_and(nothing.logical_not()), -INFINITY);  // whole blocked rows stay finite
  return dropout_plain(at::softmax(s, -1).masked_fill(nothing, 0).to(scores.scalar_type()), key);
}

Tensor attention_probs(const Tensor& scores, const OptionalTensor& bias, const OptionalTensor& mask, double p, int64_t seed) {
  check(scores, bias, mask);
  const DropoutKey key = dropout_key("attention_probs", p, seed);
  if (!is_fast(scores)) return plain(scores, bias, mask, key);
  const bool recorded = needs_grad(scores);
  const int64_t keys = scores.size(3), rows = scores.size(0) * scores.size(1) * scores.size(2);
  Tensor out, probs;
  {
    at::AutoDispatchBelowADInplaceOrView guard;
    const Tensor s = scores.contiguous();
    const Tensor b = is_given(bias) ? as_float(*bias) : Tensor();
    const Tensor m = is_given(mask) ? mask->to(at::kBool).contiguous() : Tensor();
    out = at::empty_like(s);
    if (recorded && key.threshold != 0) probs = at::empty_like(s);
    by_dtype(s, [&](auto t) {
      using T = decltype(t);
      AttentionRows<T> a;
      a.heads = s.size(1), a.queries = s.size(2), a.keys = keys;
      a.scores = data<T>(s);
      a.bias = b.defined() ? b.data_ptr<float>() : nullptr;
      a.mask = m.defined() ? m.data_ptr<bool>() : nullptr;
      a.mask_has_queries = m.defined() && m.dim() == 3;
      a.probs = probs.defined() ? data<T>(probs) : nullptr;
      a.out = data<T>(out);
      at::parallel_for(0, rows, row_grain(keys), [&](int64_t i, int64_t j) {
        RowBuffers buffers(keys);
        NLORA_CALL(attention_forward, key, i, j, a, buffers.row.data(), buffers.hash.data());
      });
    });
  }
  if (!recorded) return out;
  const auto backward = [key](const Tensor& grad, const Tensors& saved, const auto&) {
    const Tensor g = grad.contiguous(), &saved_probs = saved[0];
    const int64_t n = g.size(3), total = g.size(0) * g.size(1) * g.size(2);
    Tensor grad_scores = at::empty_like(g);
    by_dtype(g, [&](auto t) {
      using T = decltype(t);
      const T *pp = data<T>(saved_probs), *pg = data<T>(g);
      T* ps = data<T>(grad_scores);
      at::parallel_for(0, total, row_grain(n), [&](int64_t i, int64_t j) {
        RowBuffers buffers(n);
        NLORA_CALL(attention_backward, key, i, j, n, pp, pg, ps, buffers.row.data(), buffers.hash.data());
      });
    });
    return Tensors{grad_scores};
  };
  return with_history("attention_probs", out, {scores}, {probs.defined() ? probs : out.detach()}, backward);
}

TORCH_LIBRARY_IMPL(nlora, CompositeImplicitAutograd, m) { m.impl("attention_probs", attention_probs); }

}  // namespace
}  // namespace nlora
