// Vector kernels of the root-mean-square norm over rows [begin, end). No include guard: included once per instruction set.
namespace nlora {
namespace NLORA_ISA {

template <typename T>
void rms_norm(int64_t begin, int64_t end, int64_t d, float eps, const T* x, const float* weight, T* out, float* inverse) {
  for (int64_t row = begin; row < end; row++) {
    const T* px = x + row * d;
    Floats s0 = {}, s1 = {};
    for (int64_t j = 0; j < d; j += 2 * kLanes) {
      const Floats v0 = load(px + j, d - j);
      s0 += v0 * v0;
      if (j + kLanes < d) {
        const Floats v1 = load(px + j + kLanes, d - j - kLanes);
        s1 += v1 * v1;
      }
    }
    const float r = 1.0f / std::sqrt(sum(s0 + s1) / static_cast<float>(d) + eps);
    inverse[row] = r;
    for (int64_t j = 0; j < d; j += kLanes) {
      store(out + row * d + j, load(px + j, d - j) * r * load(weight + j, d - j), d - j);
    }
  }
}

// grad_x = r (g w - x r^2 mean(g w x)); grad_weight (or null) += sum over rows of g x r.
template <typename T>
void rms_norm_backward(int64_t begin, int64_t end, int64_t d, const T* x, const float* weight, const float* inverse,
                       const T* grad, T* grad_x, float* grad_weight) {
  for (int64_t row = begin; row < end; row++) {
    const T *px = x + row * d, *pg = grad + row * d;
    const float r = inverse[row];
    if (grad_weight != nullptr) {
      for (int64_t j = 0; j < d; j += kLanes) {
        const Floats v = load(pg + j, d - j) * load(px + j, d - j) * r;
        store(grad_weight + j, load(grad_weight + j, d - j) + v, d - j);
      }
    }
    if (grad_x == nullptr) continue;
    Floats s0 = {}, s1 = {};
    for (int64_t j = 0; j < d; j += 2 * kLanes) {
      s0 += load(pg + j, d - j) * load(weight + j, d - j) * load(px + j, d - j);
      const int64_t k = j + kLanes;
      if (k < d) s1 += load(pg + k, d - k) * load(weight + k, d - k) * load(px + k, d - k);
    }
    const float c = r * r * r * (sum(s0 + s1) / static_cast<float>(d));
    for (int64_t j = 0; j < d; j += kLanes) {
      const Floats v = load(pg + j, d - j) * load(weight + j, d - j) * r - load(px + j, d - j) * c;
      store(grad_x + row * d + j, v, d - j);
    }
  }
}

}  // namespace NLORA_ISA
}  // namespace nlora
