// Vector kernels of rotary positions, rows [begin, end). No include guard: included once per instruction set.
namespace nlora {
namespace NLORA_ISA {

// Turns (x_j, x_{j + half}) of every head by the angle of (cos_j, sin_j), whose sign is `sign`, and scales by `scale`.
template <typename T>
void rotate(const RotaryPlan& p, int64_t begin, int64_t end, const T* x, const float* cos, const float* sin, T* out) {
  for (int64_t row = begin; row < end; row++) {
    const int64_t batch = row / p.length, at = row % p.length;
    const T* in = x + batch * p.x_batch + at * p.x_row;
    T* to = out + row * p.heads * 2 * p.half;
    const int64_t angles = ((p.shared ? 0 : batch) * p.length + at) * p.half;
    for (int64_t j = 0; j < p.half; j += kLanes) {
      const int64_t n = p.half - j;
      const Floats c = load(cos + angles + j, n) * p.scale, s = load(sin + angles + j, n) * (p.scale * p.sign);
      for (int64_t head = 0; head < p.heads; head++) {
        const int64_t first = head * 2 * p.half + j, second = first + p.half;
        const Floats a = load(in + first, n), b = load(in + second, n);
        store(to + first, a * c - b * s, n);
        store(to + second, b * c + a * s, n);
      }
    }
  }
}

}  // namespace NLORA_ISA
}  // namespace nlora
