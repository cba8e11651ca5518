// A frozen linear layer with low-rank additions as one autograd node:
//   y = x W^T + bias + sum_i scale_i (drop_g(i)(x) A_i^T) B_i^T, added to the columns from offset_i on.
// The large products are libtorch's; the skinny ones are done in blocks of rows in float32, whatever the dtype of x, with the
// dropped input never stored. Kept for the backward pass where there are additions: x and the [rows, sum of ranks] hidden
// values.
#include "dense.h"

#include <algorithm>
#include <numeric>

namespace nlora {

struct LoraTerm {
  const float* a;   // [rank, inputs]
  const float* bt;  // [rank, outputs], scale included
  int64_t rank, outputs, offset, column;
};

struct LoraGroup {
  DropoutKey key;
  size_t first, last;  // terms
};

struct LoraPlan {
  const LoraTerm* terms = nullptr;
  const LoraGroup* groups = nullptr;
  size_t group_count = 0;
  int64_t inputs = 0, outputs = 0, rank = 0;
};

constexpr int64_t kRowBlock = 8;

// Length of a row of scratch: whole vectors of any instruction set.
inline int64_t padded_row(int64_t n) { return (n + 15) / 16 * 16; }

// One thread's buffers, kRowBlock rows each: the dropped input, its gradient, the output's gradient, the hidden values and
// their gradient; and the hash bytes of one row. Zero at first, so that rows and columns past the end are finite.
struct LoraScratch {
  float *rows, *back, *slice, *hidden;
  uint8_t* bytes;
};

}  // namespace nlora

#define NLORA_FOREACH "lora_vec.h"
#include "foreach_isa.h"

namespace nlora {
namespace {

constexpr const char* kName = "nlora::lora_linear";

// Each group's mask has a stream of its own.
int64_t group_seed(int64_t seed, int64_t group) {
  return static_cast<int64_t>((static_cast<uint64_t>(seed) + static_cast<uint64_t>(group) * 0x9e3779b9ull) % (1ull << 32));
}

struct Settings {
  std::vector<int64_t> offset, group;
  std::vector<double> scale;
  double p = 0;
  int64_t seed = 0;
};

// The plan and the tensors its pointers look into. Terms are ordered by group.
struct Prepared {
  LoraPlan plan;
  std::vector<LoraTerm> terms;
  std::vector<LoraGroup> groups;
  Tensors held;
  std::vector<size_t> order;  // plan term -> argument index
};

Prepared prepare(const Tensors& a, const Tensors& b, const Settings& s, int64_t inputs, int64_t outputs) {
  Prepared out;
  out.plan.inputs = inputs;
  out.plan.outputs = outputs;
  out.order.resize(a.size());
  std::iota(out.order.begin(), out.order.end(), size_t{0});
  // Without dropout all terms see the same input, whatever their groups.
  const bool one_group = static_cast<int>(s.p * 256 + 0.5) == 0;
  if (!one_group) {
    std::stable_sort(out.order.begin(), out.order.end(), [&](size_t i, size_t j) { return s.group[i] < s.group[j]; });
  }
  for (size_t k = 0; k < out.order.size(); k++) {
    const size_t i = out.order[k];
    const Tensor ta = as_float(a[i].detach());
    const Tensor tb = as_float(b[i].detach()).t().mul(s.scale[i]).contiguous();
    out.held.push_back(ta);
    out.held.push_back(tb);
    out.terms.push_back({ta.data_ptr<float>(), tb.data_ptr<float>(), ta.size(0), b[i].size(0), s.offset[i], out.plan.rank});
    out.plan.rank += ta.size(0);
    if (k == 0 || (!one_group && s.group[i] != s.group[out.order[k - 1]])) {
      const DropoutKey key = one_group ? DropoutKey{} : dropout_key("lora_linear", s.p, group_seed(s.seed, s.group[i]));
      out.groups.push_back({key, k, k + 1});
    } else {
      out.groups.back().last = k + 1;
    }
  }
  out.plan.terms = out.terms.data();
  out.plan.groups = out.groups.data();
  out.plan.group_count = out.groups.size();
  return out;
}

struct Buffers {
  explicit Buffers(const LoraPlan& plan)
      : floats(kRowBlock * (2 * padded_row(plan.inputs) + padded_row(plan.outputs) + 2 * plan.rank)),
        bytes(padded_row(plan.inputs) + 4 * 16 + 8) {}
  LoraScratch scratch(const LoraPlan& plan) {
    float* rows = floats.data();
    float* back = rows + kRowBlock * padded_row(plan.inputs);
    float* slice = back + kRowBlock * padded_row(plan.inputs);
    return {rows, back, slice, slice + kRowBlock * padded_row(plan.outputs), bytes.data()};
  }
  std::vector<float> floats;
  std::vector<uint8_t> bytes;
};

Tensors backward(const Tensor& grad, const Tensors& saved, const std::vector<bool>& wanted, const Settings& s) {
  const size_t n = s.offset.size();
  const Tensor& weight = saved[0];
  const int64_t inputs = weight.size(1), outputs = weight.size(0);
  const Tensor gy = grad.contiguous().view({-1, outputs});
  auto sizes = grad.sizes().vec();
  sizes.back() = inputs;
  if (n == 0) return {dense_backward(gy, weight).view(sizes)};
  const Tensor &x = saved[1], &hidden = saved[2];
  const Tensors a(saved.begin() + 3, saved.begin() + 3 + n), b(saved.begin() + 3 + n, saved.end());
  const Tensor x2 = x.reshape({-1, inputs}).contiguous();
  const int64_t rows = gy.size(0);
  Prepared prepared = prepare(a, b, s, inputs, outputs);
  Tensors result(1 + 2 * n);
  Tensor gx;
  if (wanted[0]) gx = dense_backward(gy, weight);
  // Rows are cut into at most 16 parts whatever the thread count, so the sums are always the same.
  const int64_t step = std::max<int64_t>(16, (rows + 127) / 128 * kRowBlock), parts = (rows + step - 1) / step;
  Tensors ga(n), gbt(n);
  for (size_t k = 0; k < n; k++) {
    const LoraTerm& term = prepared.terms[k];
    const size_t i = prepared.order[k];
    if (wanted[1 + i]) ga[k] = at::zeros({parts, term.rank, inputs}, at::kFloat);
    if (wanted[1 + n + i]) gbt[k] = at::zeros({parts, term.rank, term.outputs}, at::kFloat);
  }
  by_dtype(gy, [&](auto t) {
    using T = decltype(t);
    const T *px = data<T>(x2), *pg = data<T>(gy);
    T* pgx = wanted[0] ? data<T>(gx) : nullptr;
    const float* ph = hidden.data_ptr<float>();
    at::parallel_for(0, parts, 1, [&](int64_t first, int64_t last) {
      std::vector<float*> pa(n), pb(n);
      Buffers buffers(prepared.plan);
      for (int64_t part = first; part < last; part++) {
        for (size_t k = 0; k < n; k++) {
          pa[k] = ga[k].defined() ? ga[k].data_ptr<float>() + part * ga[k].stride(0) : nullptr;
          pb[k] = gbt[k].defined() ? gbt[k].data_ptr<float>() + part * gbt[k].stride(0) : nullptr;
        }
        NLORA_CALL(lora_backward, prepared.plan, part * step, std::min(rows, part * step + step), px, ph, pg, pgx,
                   pa.data(), pb.data(), buffers.scratch(prepared.plan));
      }
    });
  });
  if (wanted[0]) result[0] = gx.view(sizes);
  for (size_t k = 0; k < n; k++) {
    const size_t i = prepared.order[k];
    if (ga[k].defined()) result[1 + i] = ga[k].sum(0).to(a[i].scalar_type());
    if (gbt[k].defined()) result[1 + n + i] = gbt[k].sum(0).t().mul(s.scale[i]).contiguous().to(b[i].scalar_type());
  }
  return result;
}

// The same in ATen operators, for other devices and dtypes; autograd follows.
Tensor plain(const Tensor& x, const Tensor& weight, const OptionalTensor& bias, const Tensors& a, const Tensors& b,
             const Settings& s) {
  Tensor y = at::linear(x, weight, bias);
  for (size_t i = 0; i < a.size(); i++) {
    const DropoutKey key = dropout_key("lora_linear", s.p, group_seed(s.seed, s.group[i]));
    const Tensor hidden = at::linear(dropout_plain(x, key), a[i].to(x.scalar_type()));
    const Tensor addition = at::linear(hidden, b[i].to(x.scalar_type())).mul(s.scale[i]);
    y = y + at::constant_pad_nd(addition, {s.offset[i], weight.size(0) - s.offset[i] - b[i].size(0)});
  }
  return y;
}

Tensor lora_linear(const Tensor& x, const Tensor& weight, const OptionalTensor& bias, at::TensorList a_list,
                   at::TensorList b_list, at::IntArrayRef offset, at::ArrayRef<double> scale, at::IntArrayRef group, double p,
                   int64_t seed) {
  const Tensors a = a_list.vec(), b = b_list.vec();
  const size_t n = a.size();
  TORCH_CHECK(is_floating(x) && weight.dim() == 2 && x.dim() >= 1 && x.size(-1) == weight.size(1) &&
                  x.scalar_type() == weight.scalar_type() && x.device() == weight.device(),
              kName, ": x is ", describe(x), " and weight is ", describe(weight),
              ", expected x [..., d_in] and weight [d_out, d_in] of one dtype on one device");
  TORCH_CHECK(b.size() == n && offset.size() == n && scale.size() == n && group.size() == n, kName, ": got ", n, " a, ",
              b.size(), " b, ", offset.size(), " offset, ", scale.size(), " scale and ", group.size(),
              " group, expected equally many");
  for (size_t i = 0; i < n; i++) {
    TORCH_CHECK(a[i].dim() == 2 && b[i].dim() == 2 && a[i].size(1) == weight.size(1) && a[i].size(0) == b[i].size(1) &&
                    is_floating(a[i]) && is_floating(b[i]),
                kName, ": term ", i, " has a ", describe(a[i]), " and b ", describe(b[i]), ", expected [r, ", weight.size(1),
                "] and [o, r]");
    TORCH_CHECK(offset[i] >= 0 && offset[i] + b[i].size(0) <= weight.size(0), kName, ": term ", i, " covers columns ",
                offset[i], " to ", offset[i] + b[i].size(0), " of ", weight.size(0));
  }
  TORCH_CHECK(p >= 0 && p < 1, kName, ": p is ", p, ", expected a probability from 0 to below 1");
  TORCH_CHECK(!needs_grad(weight), kName, ": the weight is frozen here; its gradient is not computed");
  TORCH_CHECK(!is_given(bias) || !needs_grad(*bias), kName, ": the bias is frozen here; its gradient is not computed");
  TORCH_CHECK(!is_given(bias) || (bias->dim() == 1 && bias->size(0) == weight.size(0)), kName, ": bias is ",
              bias.has_value() ? describe(*bias) : "", ", expected [", weight.size(0), "]");
  Settings s;
  s.offset = offset.vec();
  s.group = group.vec();
  s.scale = scale.vec();
  s.p = p;
  s.seed = seed;
  if (!is_fast(x)) return plain(x, weight, bias, a, b, s);
  bool trained = needs_grad(x);
  for (size_t i = 0; i < n; i++) trained = trained || needs_grad(a[i]) || needs_grad(b[i]);
  Tensor y, hidden;
  {
    at::AutoDispatchBelowADInplaceOrView guard;
    const int64_t inputs = weight.size(1), outputs = weight.size(0);
    const Tensor x2 = x.reshape({-1, inputs}).contiguous();
    y = dense_forward(x2, weight, bias);
    const Prepared prepared = prepare(a, b, s, inputs, outputs);
    const int64_t rows = x2.size(0);
    hidden = at::empty({rows, prepared.plan.rank}, at::kFloat);
    if (n > 0) {
      by_dtype(x2, [&](auto t) {
        using T = decltype(t);
        const T* px = data<T>(x2);
        T* py = data<T>(y);
        float* ph = hidden.data_ptr<float>();
        at::parallel_for(0, rows, 16, [&](int64_t first, int64_t last) {
          Buffers buffers(prepared.plan);
          NLORA_CALL(lora_forward, prepared.plan, first, last, px, py, ph, buffers.scratch(prepared.plan));
        });
      });
    }
    auto sizes = x.sizes().vec();
    sizes.back() = outputs;
    y = y.view(sizes);
  }
  if (!trained) return y;
  // Without terms the input is not needed again.
  Tensors inputs = {x}, saved = {weight};
  if (n > 0) saved.insert(saved.end(), {x, hidden});
  for (const auto* list : {&a, &b}) {
    inputs.insert(inputs.end(), list->begin(), list->end());
    saved.insert(saved.end(), list->begin(), list->end());
  }
  return with_history("lora_linear", y, inputs, saved, [s](const Tensor& grad, const Tensors& kept, const auto& wanted) {
    return backward(grad, kept, wanted, s);
  });
}

TORCH_LIBRARY_IMPL(nlora, CompositeImplicitAutograd, m) { m.impl("lora_linear", lora_linear); }

}  // namespace
}  // namespace nlora
