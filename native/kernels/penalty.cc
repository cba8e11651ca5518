// Measures of the low-rank updates dW_m = B_m A_m (A [r, d_in], B [d_out, r]) by tiles, so that no dW is ever stored:
// the N-LoRA penalty sum_m c_m sum |dW_m| with its gradients, the size and density of one update, and the collisions of
// several. Work is cut into row blocks by shape alone, and partial results are added in a fixed order: results do not
// depend on the thread count.
#include "common.h"

#include <algorithm>

#define NLORA_FOREACH "penalty_vec.h"
#include "foreach_isa.h"

namespace nlora {
namespace {

constexpr int64_t kColumnPad = 64;  // columns of a tile with the widest vectors; a multiple of all others
constexpr int64_t kRowPad = 4;

int64_t padded(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }

void check_pair(const char* op, const char* at, const Tensor& a, const Tensor& b) {
  TORCH_CHECK(is_floating(a) && is_floating(b) && a.dim() == 2 && b.dim() == 2 && a.size(0) == b.size(1) &&
                  a.device() == b.device(),
              "nlora::", op, ": ", at, " a is ", describe(a), " and b is ", describe(b),
              ", expected floating-point a [r, d_in] and b [d_out, r] on one device");
}

void check_pairs(const char* op, at::TensorList a, at::TensorList b, size_t numbers, const char* what) {
  TORCH_CHECK(a.size() == b.size() && a.size() == numbers, "nlora::", op, ": got ", a.size(), " a, ", b.size(), " b and ",
              numbers, " ", what, ", expected equally many");
  for (size_t i = 0; i < a.size(); i++) check_pair(op, ("at index " + std::to_string(i)).c_str(), a[i], b[i]);
}

// A and B in float32, padded with zeros to whole tiles; no copy where they fit already.
struct Factors {
  Factors(const Tensor& a_in, const Tensor& b_in)
      : rank(a_in.size(0)), columns(a_in.size(1)), rows(b_in.size(0)), stride(padded(columns, kColumnPad)),
        padded_rows(padded(rows, kRowPad)), a(pad(a_in, rank, stride)), b(pad(b_in, padded_rows, rank)) {}

  static Tensor pad(const Tensor& t, int64_t rows, int64_t columns) {
    const Tensor f = as_float(t.detach());
    if (f.size(0) == rows && f.size(1) == columns) return f;
    return at::constant_pad_nd(f, {0, columns - f.size(1), 0, rows - f.size(0)}).contiguous();
  }

  int64_t rank, columns, rows, stride, padded_rows;
  Tensor a, b;
};

void check_thresholds(const char* op, at::ArrayRef<double> thresholds) {
  for (double limit : thresholds) TORCH_CHECK(limit >= 0, "nlora::", op, ": a threshold is ", limit, ", expected 0 or more");
}

// Rows [begin, begin + count) of one module; `count` a multiple of kRowPad.
struct Block {
  size_t module;
  int64_t begin, count, part;
};

// Few modules are split into more blocks, by shape alone.
std::vector<Block> blocks_of(const std::vector<Factors>& modules) {
  std::vector<Block> blocks;
  const int64_t wanted = modules.empty() ? 1 : std::max<int64_t>(1, 32 / static_cast<int64_t>(modules.size()));
  for (size_t m = 0; m < modules.size(); m++) {
    const int64_t count = std::max<int64_t>(64, padded((modules[m].padded_rows + wanted - 1) / wanted, kRowPad));
    for (int64_t i = 0, part = 0; i < modules[m].padded_rows; i += count, part++) {
      blocks.push_back({m, i, std::min(count, modules[m].padded_rows - i), part});
    }
  }
  return blocks;
}

Tensor delta_l1(at::TensorList a, at::TensorList b, at::ArrayRef<double> coefficient) {
  check_pairs("delta_l1", a, b, coefficient.size(), "coefficients");
  bool fast = true, recorded = false;
  for (size_t m = 0; m < a.size(); m++) {
    fast = fast && is_fast(a[m]) && is_fast(b[m]);
    recorded = recorded || needs_grad(a[m]) || needs_grad(b[m]);
  }
  if (!fast) {
    Tensor total = at::zeros({}, a[0].options().dtype(at::kFloat));
    for (size_t m = 0; m < a.size(); m++) total = total + b[m].mm(a[m]).abs().sum() * coefficient[m];
    return total;
  }
  double total = 0;
  Tensors gradients;  // a_0, b_0, a_1, b_1, ..., times the coefficient
  {
    at::AutoDispatchBelowADInplaceOrView guard;
    std::vector<Factors> modules;
    for (size_t m = 0; m < a.size(); m++) modules.emplace_back(a[m], b[m]);
    const std::vector<Block> blocks = blocks_of(modules);
    std::vector<double> sums(blocks.size());
    std::vector<bool> with_gradient(modules.size());
    Tensors grad_a(modules.size()), grad_b(modules.size());
    for (size_t m = 0; m < modules.size(); m++) {
      const Factors& f = modules[m];
      with_gradient[m] = needs_grad(a[m]) || needs_grad(b[m]);
      if (!with_gradient[m]) continue;
      int64_t parts = 0;
      for (const Block& block : blocks) parts += block.module == m;
      grad_a[m] = at::zeros({parts, f.rank, f.stride}, at::kFloat);
      grad_b[m] = at::empty({f.padded_rows, f.rank}, at::kFloat);
    }
    at::parallel_for(0, static_cast<int64_t>(blocks.size()), 1, [&](int64_t first, int64_t last) {
      std::vector<float> lanes;
      for (int64_t i = first; i < last; i++) {
        const Block& block = blocks[i];
        const Factors& f = modules[block.module];
        const bool graded = with_gradient[block.module];
        float* ga = graded ? grad_a[block.module].data_ptr<float>() + block.part * f.rank * f.stride : nullptr;
        // Few rows at a time, so that their partial sums stay in the first-level cache.
        const int64_t step = std::max<int64_t>(kRowPad, 256 / std::max<int64_t>(f.rank, 1) / kRowPad * kRowPad);
        lanes.resize(std::max<size_t>(lanes.size(), step * f.rank * 16));
        for (int64_t row = block.begin; row < block.begin + block.count; row += step) {
          const int64_t rows = std::min(step, block.begin + block.count - row);
          float* gb = graded ? grad_b[block.module].data_ptr<float>() + row * f.rank : nullptr;
          sums[i] += NLORA_CALL(delta_l1, rows, f.rank, f.stride, f.b.data_ptr<float>() + row * f.rank,
                                f.a.data_ptr<float>(), gb, ga, lanes.data());
        }
      }
    });
    for (size_t i = 0; i < blocks.size(); i++) total += coefficient[blocks[i].module] * sums[i];
    for (size_t m = 0; recorded && m < modules.size(); m++) {
      const Factors& f = modules[m];
      const auto finish = [&](const Tensor& g, const Tensor& like) {
        return needs_grad(like) ? g.mul(coefficient[m]).to(like.scalar_type()) : Tensor();
      };
      if (!with_gradient[m]) {
        gradients.insert(gradients.end(), 2, Tensor());
        continue;
      }
      const Tensor whole = grad_a[m].size(0) == 1 ? grad_a[m][0] : grad_a[m].sum(0);
      gradients.push_back(finish(whole.narrow(1, 0, f.columns), a[m]));
      gradients.push_back(finish(grad_b[m].narrow(0, 0, f.rows), b[m]));
    }
  }
  const Tensor result = at::full({}, total, at::kFloat);
  if (!recorded) return result;
  Tensors inputs;
  for (size_t m = 0; m < a.size(); m++) inputs.insert(inputs.end(), {a[m], b[m]});
  const auto backward = [](const Tensor& grad, const Tensors& saved, const std::vector<bool>& wanted) {
    const double factor = grad.item<double>();
    Tensors out;
    for (size_t i = 0; i < saved.size(); i++) out.push_back(wanted[i] && saved[i].defined() ? saved[i].mul(factor) : Tensor());
    return out;
  };
  return with_history("delta_l1", result, inputs, gradients, backward);
}

std::tuple<Tensor, Tensor> delta_stats(const Tensor& a, const Tensor& b, at::ArrayRef<double> thresholds) {
  check_pair("delta_stats", "", a, b);
  check_thresholds("delta_stats", thresholds);
  at::NoGradGuard no_grad;
  const int64_t n = static_cast<int64_t>(thresholds.size());
  if (!is_fast(a) || !is_fast(b)) {
    const Tensor w = b.mm(a).abs();
    Tensor counts = at::zeros({n}, w.options().dtype(at::kLong));
    for (int64_t t = 0; t < n; t++) counts[t].copy_(w.gt(thresholds[t]).sum());
    return {w.sum(at::kDouble), counts};
  }
  const std::vector<Factors> modules = {Factors(a, b)};
  const Factors& f = modules[0];
  const std::vector<Block> blocks = blocks_of(modules);
  const std::vector<float> limits(thresholds.begin(), thresholds.end());
  std::vector<double> sums(blocks.size());
  std::vector<int64_t> counts(blocks.size() * n);
  at::parallel_for(0, static_cast<int64_t>(blocks.size()), 1, [&](int64_t first, int64_t last) {
    for (int64_t i = first; i < last; i++) {
      const Block& block = blocks[i];
      sums[i] = NLORA_CALL(delta_stats, block.count, f.rows - block.begin, f.columns, f.rank, f.stride,
                           f.b.data_ptr<float>() + block.begin * f.rank, f.a.data_ptr<float>(), n, limits.data(),
                           counts.data() + i * n);
    }
  });
  double total = 0;
  Tensor result = at::zeros({n}, at::kLong);
  for (size_t i = 0; i < blocks.size(); i++) {
    total += sums[i];
    for (int64_t t = 0; t < n; t++) result.data_ptr<int64_t>()[t] += counts[i * n + t];
  }
  return {at::full({}, total, at::kDouble), result};
}

// Positions above the thresholds of two updates, for all pairs [T, T], and of any of the updates 0 to t [T].
std::tuple<Tensor, Tensor> collision_counts(at::TensorList a, at::TensorList b, at::ArrayRef<double> thresholds) {
  check_pairs("collision_counts", a, b, thresholds.size(), "thresholds");
  TORCH_CHECK(!a.empty(), "nlora::collision_counts: got no updates, expected at least one");
  check_thresholds("collision_counts", thresholds);
  at::NoGradGuard no_grad;
  const int64_t n = static_cast<int64_t>(a.size());
  bool fast = true;
  for (int64_t t = 0; t < n; t++) {
    TORCH_CHECK(a[t].size(1) == a[0].size(1) && b[t].size(0) == b[0].size(0), "nlora::collision_counts: pair ", t, " makes ",
                b[t].size(0), " x ", a[t].size(1), ", the first one ", b[0].size(0), " x ", a[0].size(1));
    fast = fast && is_fast(a[t]) && is_fast(b[t]);
  }
  Tensor result = at::zeros({n, n}, at::kLong), growth = at::zeros({n}, at::kLong);
  int64_t* counts = result.data_ptr<int64_t>();
  int64_t* unions = growth.data_ptr<int64_t>();
  if (!fast) {
    Tensor covered;
    for (int64_t i = 0; i < n; i++) {
      const Tensor x = b[i].mm(a[i]).abs().gt(thresholds[i]);
      covered = i == 0 ? x : covered.logical_or(x);
      unions[i] = covered.sum().item<int64_t>();
      for (int64_t j = i; j < n; j++) {
        const Tensor both = x.logical_and(b[j].mm(a[j]).abs().gt(thresholds[j]));
        counts[i * n + j] = counts[j * n + i] = both.sum().item<int64_t>();
      }
    }
    return {result, growth};
  }
  std::vector<Factors> updates;
  for (int64_t t = 0; t < n; t++) updates.emplace_back(a[t], b[t]);
  const int64_t rows = updates[0].rows, columns = updates[0].columns, words = (columns + 63) / 64;
  // Blocks of rows whose masks of all updates stay in the second-level cache.
  const int64_t step = std::max<int64_t>(kRowPad, 65536 / (n * words) / kRowPad * kRowPad);
  const int64_t blocks = (rows + step - 1) / step;
  const int64_t numbers = n * n + n;
  std::vector<int64_t> partial(at::get_num_threads() * numbers);  // integers: the order of addition does not matter
  at::parallel_for(0, blocks, 1, [&](int64_t first, int64_t last) {
    int64_t* mine = partial.data() + at::get_thread_num() * numbers;
    std::vector<uint64_t> bits(n * step * words);
    for (int64_t block = first; block < last; block++) {
      const int64_t begin = block * step, real = std::min(step, rows - begin), count = padded(real, kRowPad);
      std::fill(bits.begin(), bits.end(), 0);
      for (int64_t t = 0; t < n; t++) {
        const Factors& f = updates[t];
        NLORA_CALL(delta_bits, count, columns, f.rank, f.stride, f.b.data_ptr<float>() + begin * f.rank, f.a.data_ptr<float>(),
                   static_cast<float>(thresholds[t]), words, bits.data() + t * step * words);
      }
      for (int64_t i = 0; i < n; i++) {
        for (int64_t j = i; j < n; j++) {
          const uint64_t *x = bits.data() + i * step * words, *y = bits.data() + j * step * words;
          mine[i * n + j] += NLORA_CALL(common_bits, real * words, x, y);
        }
      }
      // The first update's bits become those of the union.
      mine[n * n] += NLORA_CALL(common_bits, real * words, bits.data(), bits.data());
      for (int64_t t = 1; t < n; t++) {
        mine[n * n + t] += NLORA_CALL(join_bits, real * words, bits.data() + t * step * words, bits.data());
      }
    }
  });
  for (size_t i = 0; i < partial.size(); i++) {
    const int64_t at = static_cast<int64_t>(i) % numbers;
    (at < n * n ? counts[at] : unions[at - n * n]) += partial[i];
  }
  for (int64_t i = 0; i < n; i++) {
    for (int64_t j = 0; j < i; j++) counts[i * n + j] = counts[j * n + i];
  }
  return {result, growth};
}

TORCH_LIBRARY_IMPL(nlora, CompositeImplicitAutograd, m) {
  m.impl("delta_l1", delta_l1);
  m.impl("delta_stats", delta_stats);
  m.impl("collision_counts", collision_counts);
}

}  // namespace
}  // namespace nlora
