// Quantities over the elements of updates W = B A without ever storing W: the l1 norm that N-LoRA penalises (arXiv
// 2410.10179, eq. 3) with its gradient dP/dB = S A^T, dP/dA = B^T S, S = sign(W); counts of elements above thresholds;
// collisions of several updates. Row blocks have a fixed size, so results do not depend on the thread count.
#include "common.h"

#include <vector>

namespace nlora {

struct Factors {
  const float *a, *b;
  int64_t rank;
  float threshold;
};

constexpr int64_t kRowBlock = 32;
constexpr int64_t kMaxLanes = 16;

inline int64_t scratch_floats(int64_t rank) { return (kRowBlock + 4) * rank * kMaxLanes; }

}  // namespace nlora

#define NLORA_FOREACH "penalty_vec.h"
#include "foreach_isa.h"

namespace nlora {
namespace {

constexpr int64_t kRows = 256;

struct Unit {
  size_t module;
  int64_t begin, end;
};

void check_factors(const char* op, size_t i, const Tensor& a, const Tensor& b) {
  TORCH_CHECK(a.dim() == 2 && b.dim() == 2 && a.size(0) == b.size(1) && is_floating(a) && is_floating(b), "nlora::", op,
              ": pair ", i, " has a ", describe(a), " and b ", describe(b), ", expected [r, d_in] and [d_out, r]");
}

Tensor delta_l1(at::TensorList a_list, at::TensorList b_list, at::ArrayRef<double> coefficient) {
  const Tensors a = a_list.vec(), b = b_list.vec();
  const size_t n = a.size();
  TORCH_CHECK(b.size() == n && coefficient.size() == n, "nlora::delta_l1: got ", n, " a, ", b.size(), " b and ",
              coefficient.size(), " coefficients, expected equally many");
  bool fast = true, trained = false;
  for (size_t i = 0; i < n; i++) {
    check_factors("delta_l1", i, a[i], b[i]);
    fast = fast && is_fast(a[i]) && is_fast(b[i]) && a[i].scalar_type() == at::kFloat && b[i].scalar_type() == at::kFloat;
    trained = trained || needs_grad(a[i]) || needs_grad(b[i]);
  }
  if (!fast) {
    Tensor total = at::zeros({}, n ? a[0].options().dtype(at::kFloat) : at::TensorOptions().dtype(at::kFloat));
    for (size_t i = 0; i < n; i++) {
      total = total + b[i].to(at::kFloat).matmul(a[i].to(at::kFloat)).abs().sum() * coefficient[i];
    }
    return total;
  }
  Tensors ga(n), gb(n);
  double total = 0;
  {
    at::AutoDispatchBelowADInplaceOrView guard;
    std::vector<Unit> units;
    Tensors ca(n), cb(n), partial(n);
    for (size_t i = 0; i < n; i++) {
      ca[i] = a[i].contiguous();
      cb[i] = b[i].contiguous();
      const int64_t rows = cb[i].size(0), blocks = (rows + kRows - 1) / kRows;
      for (int64_t k = 0; k < blocks; k++) units.push_back({i, k * kRows, std::min(rows, (k + 1) * kRows)});
      if (!trained) continue;
      partial[i] = at::zeros({std::max<int64_t>(1, blocks), ca[i].size(0), ca[i].size(1)}, at::kFloat);
      gb[i] = at::empty(cb[i].sizes(), at::kFloat);
    }
    std::vector<double> sums(units.size());
    at::parallel_for(0, static_cast<int64_t>(units.size()), 1, [&](int64_t first, int64_t last) {
      std::vector<float> scratch;
      for (int64_t u = first; u < last; u++) {
        const Unit& unit = units[u];
        const size_t i = unit.module;
        scratch.resize(scratch_floats(ca[i].size(0)));
        float* pa = trained ? partial[i].data_ptr<float>() + unit.begin / kRows * partial[i].stride(0) : nullptr;
        float* pb = trained ? gb[i].data_ptr<float>() : nullptr;
        sums[u] = NLORA_CALL(l1, unit.begin, unit.end, ca[i].size(1), ca[i].size(0), ca[i].data_ptr<float>(),
                             cb[i].data_ptr<float>(), pa, pb, scratch.data());
      }
    });
    for (size_t u = 0; u < units.size(); u++) total += sums[u] * coefficient[units[u].module];
    for (size_t i = 0; i < n && trained; i++) {
      ga[i] = (partial[i].size(0) == 1 ? partial[i][0] : partial[i].sum(0)).mul_(coefficient[i]);
      gb[i].mul_(coefficient[i]);
    }
  }
  Tensor out = at::full({}, total, at::kFloat);
  if (!trained) return out;
  Tensors inputs = a, saved = ga;
  inputs.insert(inputs.end(), b.begin(), b.end());
  saved.insert(saved.end(), gb.begin(), gb.end());
  return with_history("delta_l1", out, inputs, saved, [](const Tensor& grad, const Tensors& kept, const auto& wanted) {
    const double factor = grad.item<double>();
    Tensors result(kept.size());
    for (size_t i = 0; i < kept.size(); i++) {
      if (wanted[i]) result[i] = factor == 1 ? kept[i] : kept[i].mul(factor);
    }
    return result;
  });
}

std::tuple<Tensor, Tensor> delta_stats(const Tensor& a, const Tensor& b, at::ArrayRef<double> thresholds) {
  check_factors("delta_stats", 0, a, b);
  at::NoGradGuard no_grad;
  const Tensor ca = as_float(a.to(at::kCPU)), cb = as_float(b.to(at::kCPU));
  const std::vector<float> limits(thresholds.begin(), thresholds.end());
  for (float limit : limits) TORCH_CHECK(limit >= 0, "nlora::delta_stats: a threshold is ", limit, ", expected 0 or more");
  const int64_t rows = cb.size(0), blocks = (rows + kRows - 1) / kRows, n = static_cast<int64_t>(limits.size());
  std::vector<double> sums(blocks);
  std::vector<int64_t> counts(blocks * n);
  at::parallel_for(0, blocks, 1, [&](int64_t first, int64_t last) {
    for (int64_t k = first; k < last; k++) {
      sums[k] = NLORA_CALL(stats, k * kRows, std::min(rows, (k + 1) * kRows), ca.size(1), ca.size(0), ca.data_ptr<float>(),
                           cb.data_ptr<float>(), limits.data(), n, counts.data() + k * n);
    }
  });
  double l1 = 0;
  Tensor out = at::zeros({n}, at::kLong);
  for (int64_t k = 0; k < blocks; k++) {
    l1 += sums[k];
    for (int64_t t = 0; t < n; t++) out.data_ptr<int64_t>()[t] += counts[k * n + t];
  }
  return {at::full({}, l1, at::kDouble), out};
}

Tensor collision_counts(at::TensorList a_list, at::TensorList b_list, at::ArrayRef<double> thresholds) {
  const Tensors a = a_list.vec(), b = b_list.vec();
  const int64_t n = static_cast<int64_t>(a.size());
  TORCH_CHECK(b.size() == a.size() && thresholds.size() == a.size() && n > 0, "nlora::collision_counts: got ", n, " a, ",
              b.size(), " b and ", thresholds.size(), " thresholds, expected equally many and at least one");
  at::NoGradGuard no_grad;
  Tensors held;
  std::vector<Factors> updates;
  for (int64_t i = 0; i < n; i++) {
    check_factors("collision_counts", i, a[i], b[i]);
    TORCH_CHECK(a[i].size(1) == a[0].size(1) && b[i].size(0) == b[0].size(0), "nlora::collision_counts: pair ", i, " makes ",
                b[i].size(0), " x ", a[i].size(1), ", the first one ", b[0].size(0), " x ", a[0].size(1));
    TORCH_CHECK(thresholds[i] >= 0, "nlora::collision_counts: a threshold is ", thresholds[i], ", expected 0 or more");
    held.push_back(as_float(a[i].to(at::kCPU)));
    held.push_back(as_float(b[i].to(at::kCPU)));
    const float* pa = held[held.size() - 2].data_ptr<float>();
    updates.push_back({pa, held.back().data_ptr<float>(), a[i].size(0), static_cast<float>(thresholds[i])});
  }
  const int64_t rows = b[0].size(0), d = a[0].size(1), blocks = (rows + 63) / 64;
  std::vector<int64_t> counts(blocks * n * n);
  at::parallel_for(0, blocks, 1, [&](int64_t first, int64_t last) {
    std::vector<uint64_t> bits(n);
    for (int64_t k = first; k < last; k++) {
      NLORA_CALL(collisions, k * 64, std::min(rows, (k + 1) * 64), d, updates.data(), n, bits.data(), counts.data() + k * n * n);
    }
  });
  Tensor out = at::zeros({n, n}, at::kLong);
  int64_t* p = out.data_ptr<int64_t>();
  for (int64_t k = 0; k < blocks; k++) {
    for (int64_t i = 0; i < n * n; i++) p[i] += counts[k * n * n + i];
  }
  for (int64_t i = 0; i < n; i++) {
    for (int64_t j = 0; j < i; j++) p[i * n + j] = p[j * n + i];
  }
  return out;
}

TORCH_LIBRARY_IMPL(nlora, CompositeImplicitAutograd, m) {
  m.impl("delta_l1", delta_l1);
  m.impl("delta_stats", delta_stats);
  m.impl("collision_counts", collision_counts);
}

}  // namespace
}  // namespace nlora
