// Vector kernels of silu(gate) * value, elements [begin, end). No include guard: included once per instruction set.
namespace nlora {
namespace NLORA_ISA {

// The logistic function of x, and 1 minus it without cancellation.
struct Logistic {
  Floats s, rest;
};

NLORA_INLINE Logistic logistic(Floats x) {
  const Floats e = exp_negative(-absolute(x));
  const Floats larger = 1.0f / (1.0f + e), smaller = e * larger;
  return {select(x < 0.0f, smaller, larger), select(x < 0.0f, larger, smaller)};
}

template <typename T>
void silu_multiply(int64_t begin, int64_t end, const T* gate, const T* value, T* out) {
  for (int64_t i = begin; i < end; i += kLanes) {
    const int64_t n = end - i;
    const Floats x = load(gate + i, n);
    store(out + i, x * logistic(x).s * load(value + i, n), n);
  }
}

template <typename T>
void silu_multiply_backward(int64_t begin, int64_t end, const T* gate, const T* value, const T* grad, T* grad_gate,
                            T* grad_value) {
  for (int64_t i = begin; i < end; i += kLanes) {
    const int64_t n = end - i;
    const Floats x = load(gate + i, n), g = load(grad + i, n);
    const Logistic l = logistic(x);
    store(grad_gate + i, g * load(value + i, n) * l.s * (1.0f + x * l.rest), n);
    store(grad_value + i, g * x * l.s, n);
  }
}

}  // namespace NLORA_ISA
}  // namespace nlora
