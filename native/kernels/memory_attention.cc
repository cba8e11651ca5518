// Attention of few queries over a long memory without its keys and values: with k = m Wk^T and v = m Wv^T,
//   q k^T = (q Wk) m^T   and   P v = (P m) Wv^T,   head by head.
// Projecting queries and mixes instead of the memory is cheaper where there are few of them, and every layer of a decoder
// reads the same memory. Low-rank additions to keys and values, k += h up^T with h [batch, keys, rank], are columns beside it.
#include "attention.h"

namespace nlora {
namespace {

constexpr const char* kName = "nlora::memory_attention";

// [batch, length, heads * width] as [heads, batch * length, width], a view.
Tensor by_head(const Tensor& t, int64_t heads) {
  return t.view({t.size(0) * t.size(1), heads, t.size(2) / heads}).transpose(0, 1);
}

// The way back.
Tensor from_heads(const Tensor& t, int64_t batch) {
  return t.transpose(0, 1).reshape({batch, t.size(1) / batch, t.size(0) * t.size(2)});
}

// A weight [heads * width, inputs] as [heads, width, inputs].
Tensor head_weights(const Tensor& weight, int64_t heads) {
  return weight.view({heads, weight.size(0) / heads, weight.size(1)});
}

// One of the two projections of the memory: its weight, and its low-rank addition if there is one.
struct Projection {
  Tensor weight, hidden, up;

  int64_t rank() const { return hidden.defined() ? hidden.size(2) : 0; }
  Tensor up_as(const Tensor& like, int64_t heads) const { return head_weights(up.to(like.scalar_type()), heads); }
  // What stands for the memory: its columns, and the hidden values beside them.
  Tensor columns(const Tensor& memory) const { return hidden.defined() ? at::cat({memory, hidden}, 2) : memory; }
  // x [heads, n, width] W, and x up beside it.
  Tensor fold(const Tensor& x, int64_t heads) const {
    const Tensor folded = at::bmm(x, head_weights(weight, heads));
    return hidden.defined() ? at::cat({folded, at::bmm(x, up_as(x, heads))}, 2) : folded;
  }
  // The transpose: x [heads, n, inputs + rank] to [heads, n, width].
  Tensor unfold(const Tensor& x, int64_t heads) const {
    const int64_t inputs = weight.size(1);
    const Tensor projected = at::bmm(x.narrow(2, 0, inputs), head_weights(weight, heads).transpose(1, 2));
    if (!hidden.defined()) return projected;
    return projected.add_(at::bmm(x.narrow(2, inputs, rank()), up_as(x, heads).transpose(1, 2)));
  }
  // The gradient of `up`: narrow [heads, n, width] is what it multiplied or its gradient, wide [heads, n, inputs + rank] the other.
  Tensor up_gradient(const Tensor& narrow, const Tensor& wide, int64_t heads) const {
    const Tensor g = at::bmm(narrow.transpose(1, 2), wide.narrow(2, weight.size(1), rank()));
    return g.reshape(up.sizes()).to(up.scalar_type());
  }
};

void check(const Tensor& query, const Tensor& memory, const Projection& p, const char* which, int64_t heads) {
  const auto fits = [&](const Tensor& t) { return !t.defined() || (t.dim() == 3 && t.size(0) == memory.size(0) && t.size(1) == memory.size(1)); };
  TORCH_CHECK(p.weight.dim() == 2 && p.weight.size(0) == query.size(2) && p.weight.size(1) == memory.size(2) &&
                  p.weight.scalar_type() == query.scalar_type() && query.size(2) % heads == 0,
              kName, ": queries ", describe(query), ", memory ", describe(memory), " and the weight of the ", which, " ",
              describe(p.weight), " do not fit ", heads, " heads; expected [batch, length, heads * width], ",
              "[batch, keys, inputs] and [heads * width, inputs] of one dtype");
  TORCH_CHECK(p.hidden.defined() == p.up.defined() && fits(p.hidden) &&
                  (!p.up.defined() || (p.up.dim() == 2 && p.up.size(0) == query.size(2) && p.up.size(1) == p.hidden.size(2) &&
                                       p.hidden.scalar_type() == query.scalar_type())),
              kName, ": the addition to the ", which, " has hidden values ", describe(p.hidden), " and ", describe(p.up),
              ", expected [batch, keys, rank] and [heads * width, rank]");
  TORCH_CHECK(!needs_grad(p.weight), kName, ": the weight of the ", which, " is frozen here; its gradient is not computed");
}

Tensor or_none(const OptionalTensor& t) { return is_given(t) ? *t : Tensor(); }

Tensor memory_attention(const Tensor& query, const Tensor& memory, const Tensor& key_weight, const Tensor& value_weight,
                        const OptionalTensor& key_hidden, const OptionalTensor& key_up, const OptionalTensor& value_hidden,
                        const OptionalTensor& value_up, int64_t heads, const OptionalTensor& mask, double p, int64_t seed) {
  TORCH_CHECK(is_floating(query) && query.dim() == 3 && memory.dim() == 3 && query.size(0) == memory.size(0) && heads >= 1 &&
                  query.scalar_type() == memory.scalar_type(),
              kName, ": got queries ", describe(query), " and a memory ", describe(memory),
              ", expected [batch, length, heads * width] and [batch, keys, inputs] of one dtype");
  const Projection keys = {key_weight, or_none(key_hidden), or_none(key_up)};
  const Projection values = {value_weight, or_none(value_hidden), or_none(value_up)};
  check(query, memory, keys, "keys", heads);
  check(query, memory, values, "values", heads);
  if (!is_fast(query)) {
    const auto project = [&](const Projection& of) {
      const Tensor projected = at::linear(memory, of.weight);
      return of.hidden.defined() ? projected + at::linear(of.hidden, of.up.to(of.hidden.scalar_type())) : projected;
    };
    return cross_attention(query, project(keys), project(values), heads, OptionalTensor(), mask, p, seed);
  }
  TORCH_CHECK(!is_given(mask) || (mask->dim() == 2 && mask->size(0) == memory.size(0) && mask->size(1) == memory.size(1)), kName,
              ": mask is ", is_given(mask) ? describe(*mask) : "", ", expected [", memory.size(0), ", ", memory.size(1), "]");
  const Tensors inputs = {query, memory, keys.hidden, keys.up, values.hidden, values.up};
  bool recorded = false;
  for (const Tensor& t : inputs) recorded = recorded || needs_grad(t);
  AttentionSettings s;
  s.heads = heads;
  s.mask = mask;
  s.key = dropout_key("memory_attention", p, seed);
  const int64_t batch = query.size(0), length = query.size(1);
  Tensor out, folded, mixed, probs;
  {
    at::AutoDispatchBelowADInplaceOrView guard;
    const Tensor q = by_head(query.contiguous(), heads);
    folded = keys.fold(q, heads);
    const Tensor queries = folded.view({heads, batch, length, folded.size(2)}).permute({1, 2, 0, 3});
    const Tensor m = memory.contiguous();
    mixed = attend(queries, keys.columns(m), values.columns(m), s, recorded ? &probs : nullptr);
    out = from_heads(values.unfold(by_head(mixed, heads), heads), batch);
  }
  if (!recorded) return out;
  s.mask = OptionalTensor();
  const Tensors saved = {query,         memory,        keys.weight, keys.hidden, keys.up, values.weight,
                         values.hidden, values.up, folded,      mixed,       probs};
  return with_history("memory_attention", out, inputs, saved, [s](const Tensor& grad, const Tensors& t, const std::vector<bool>& wanted) {
    const Tensor &query = t[0], &folded = t[8], &mixed = t[9], &probs = t[10];
    const Tensor m = t[1].contiguous();
    const Projection keys = {t[2], t[3], t[4]}, values = {t[5], t[6], t[7]};
    const int64_t batch = query.size(0), length = query.size(1), inputs = m.size(2), heads = s.heads;
    const Tensor g = by_head(grad.contiguous(), heads);
    const Tensor g_mixed = from_heads(values.fold(g, heads), batch);
    const auto in_heads = [&](const Tensor& x) { return x.view({heads, batch, length, x.size(2)}).permute({1, 2, 0, 3}); };
    const Tensor key_columns = keys.columns(m), value_columns = values.columns(m);
    const Tensor g_folded = at::empty_like(folded);
    const Tensor g_keys = at::empty_like(key_columns), g_values = at::empty_like(value_columns);
    attend_backward(in_heads(folded), key_columns, value_columns, s, probs, g_mixed, in_heads(g_folded), g_keys, g_values);
    Tensors result(6);
    if (wanted[0]) result[0] = from_heads(keys.unfold(g_folded, heads), batch);
    if (wanted[1]) result[1] = at::add(g_keys.narrow(2, 0, inputs), g_values.narrow(2, 0, inputs));
    if (wanted[2]) result[2] = g_keys.narrow(2, inputs, keys.rank());
    if (wanted[3]) result[3] = keys.up_gradient(by_head(query.contiguous(), heads), g_folded, heads);
    if (wanted[4]) result[4] = g_values.narrow(2, inputs, values.rank());
    if (wanted[5]) result[5] = values.up_gradient(g, by_head(mixed, heads), heads);
    return result;
  });
}

TORCH_LIBRARY_IMPL(nlora, CompositeImplicitAutograd, m) { m.impl("memory_attention", memory_attention); }

}  // namespace
}  // namespace nlora
