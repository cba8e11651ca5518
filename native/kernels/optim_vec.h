// Vector kernels of the optimizer over one contiguous piece. No include guard: included once per instruction set.
namespace nlora {
namespace NLORA_ISA {

static void adamw(int64_t n, const AdamStep& s, float* param, const float* grad, float* mean, float* square) {
  for (int64_t i = 0; i < n; i += kLanes) {
    const int64_t left = n - i;
    const Floats g = load(grad + i, left) * s.grad_scale;
    const Floats m0 = load(mean + i, left);
    const Floats m = m0 + (g - m0) * s.one_minus_beta1;
    const Floats v = load(square + i, left) * s.beta2 + g * g * s.one_minus_beta2;
    Floats root;
    for (int64_t k = 0; k < kLanes; k++) root[k] = std::sqrt(v[k]);
    store(mean + i, m, left);
    store(square + i, v, left);
    const Floats p = load(param + i, left) * s.decay;
    store(param + i, p - s.step_size * m / (root / s.root_correction + s.eps), left);
  }
}

template <typename T>
double sum_of_squares(int64_t n, const T* x) {
  Floats s0 = {}, s1 = {};
  for (int64_t i = 0; i < n; i += 2 * kLanes) {
    const Floats v0 = load(x + i, n - i);
    s0 += v0 * v0;
    if (i + kLanes < n) {
      const Floats v1 = load(x + i + kLanes, n - i - kLanes);
      s1 += v1 * v1;
    }
  }
  const Floats s = s0 + s1;
  double total = 0;
  for (int64_t k = 0; k < kLanes; k++) total += s[k];
  return total;
}

}  // namespace NLORA_ISA
}  // namespace nlora
