// Vector kernels of cross-entropy over rows of logits. No include guard: included once per instruction set.
namespace nlora {
namespace NLORA_ISA {

// log(sum(exp(row))) in two passes over a row that stays in cache.
template <typename T>
float log_sum_exp(const T* row, int64_t n) {
  const float lowest = -INFINITY;
  Floats top0 = splat(lowest), top1 = top0;
  for (int64_t j = 0; j < n; j += 2 * kLanes) {
    top0 = maximum(top0, load(row + j, n - j, lowest));
    if (j + kLanes < n) top1 = maximum(top1, load(row + j + kLanes, n - j - kLanes, lowest));
  }
  const float highest = largest(maximum(top0, top1));
  Floats s0 = {}, s1 = {};
  for (int64_t j = 0; j < n; j += 2 * kLanes) {
    s0 += exp_negative(load(row + j, n - j, lowest) - highest);
    if (j + kLanes < n) s1 += exp_negative(load(row + j + kLanes, n - j - kLanes, lowest) - highest);
  }
  return highest + std::log(sum(s0 + s1));
}

// grad_row = scale (softmax(row) - onehot(label)).
template <typename T>
void cross_entropy_backward(const T* row, int64_t n, int64_t label, float log_total, float scale, T* grad_row) {
  for (int64_t j = 0; j < n; j += kLanes) {
    Floats p = exp_negative(load(row + j, n - j) - log_total);
    if (label >= j && label < j + kLanes) p[label - j] -= 1.0f;
    store(grad_row + j, p * scale, n - j);
  }
}

}  // namespace NLORA_ISA
}  // namespace nlora
