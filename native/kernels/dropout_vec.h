// Vector kernels of dropout and the activations fused with it, over elements [begin, end) of flat arrays.
// No include guard: included once per instruction set.
namespace nlora {
namespace NLORA_ISA {

constexpr int64_t kDropoutBlock = 1024;

// out[i] = kept(i) ? value(i) : 0, then finish(i, that). `value` and `finish` take the index and the count left.
template <typename Value, typename Finish>
NLORA_INLINE void dropped(const DropoutKey& key, int64_t begin, int64_t end, Value value, Finish finish) {
  uint8_t buffer[kDropoutBlock + kHashSlack];
  for (int64_t block = begin; block < end; block += kDropoutBlock) {
    const int64_t stop = block + kDropoutBlock < end ? block + kDropoutBlock : end;
    if (key.threshold == 0) {
      for (int64_t i = block; i < stop; i += kLanes) finish(i, stop - i, value(i, stop - i));
      continue;
    }
    const uint8_t* bytes = hash_bytes(key, block, stop - block, buffer);
    for (int64_t i = block; i < stop; i += kLanes) {
      finish(i, stop - i, drop(value(i, stop - i), bytes + (i - block), key.threshold));
    }
  }
}

static void keep_mask(const DropoutKey key, int64_t begin, int64_t end, bool* out) {
  uint8_t buffer[kDropoutBlock + kHashSlack];
  for (int64_t block = begin; block < end; block += kDropoutBlock) {
    const int64_t stop = block + kDropoutBlock < end ? block + kDropoutBlock : end;
    const uint8_t* bytes = hash_bytes(key, block, stop - block, buffer);
    for (int64_t i = block; i < stop; i++) out[i] = bytes[i - block] >= key.threshold;
  }
}

template <typename T>
void dropout(const DropoutKey key, int64_t begin, int64_t end, const T* x, T* out) {
  dropped(
      key, begin, end, [=](int64_t i, int64_t n) { return load(x + i, n) * key.scale; },
      [=](int64_t i, int64_t n, Floats v) { store(out + i, v, n); });
}

template <typename T>
void dropout_add(const DropoutKey key, int64_t begin, int64_t end, const T* x, const T* residual, T* out) {
  dropped(
      key, begin, end, [=](int64_t i, int64_t n) { return load(x + i, n) * key.scale; },
      [=](int64_t i, int64_t n, Floats v) { store(out + i, load(residual + i, n) + v, n); });
}

template <typename T>
void relu_dropout(const DropoutKey key, int64_t begin, int64_t end, const T* x, T* out) {
  dropped(
      key, begin, end,
      [=](int64_t i, int64_t n) {
        const Floats v = load(x + i, n);
        return select(v <= 0.0f, Floats{}, v * key.scale);
      },
      [=](int64_t i, int64_t n, Floats v) { store(out + i, v, n); });
}

// A positive output was positive and kept, so the output alone gives the gradient.
template <typename T>
void relu_dropout_backward(float scale, int64_t begin, int64_t end, const T* out, const T* grad, T* grad_x) {
  for (int64_t i = begin; i < end; i += kLanes) {
    const int64_t n = end - i;
    store(grad_x + i, select(load(out + i, n) > 0.0f, load(grad + i, n) * scale, Floats{}), n);
  }
}

// gelu_tanh(x) = x s(x) with s the logistic function of 2 sqrt(2 / pi) (x + 0.044715 x^3). Returns s, and 1 - s without
// cancellation.
struct Gate {
  Floats s, rest;
};

NLORA_INLINE Gate gelu_gate(Floats x) {
  const Floats u = x * (1.5957691216f + 0.0713548162726f * (x * x));
  const Floats e = exp_negative(-absolute(u));
  const Floats larger = 1.0f / (1.0f + e), smaller = e * larger;
  return {select(u < 0.0f, smaller, larger), select(u < 0.0f, larger, smaller)};
}

template <typename T>
void gated_gelu_dropout(const DropoutKey key, int64_t begin, int64_t end, const T* gate, const T* value, T* out) {
  dropped(
      key, begin, end,
      [=](int64_t i, int64_t n) {
        const Floats x = load(gate + i, n);
        return x * gelu_gate(x).s * load(value + i, n) * key.scale;
      },
      [=](int64_t i, int64_t n, Floats v) { store(out + i, v, n); });
}

template <typename T>
void gated_gelu_dropout_backward(const DropoutKey key, int64_t begin, int64_t end, const T* gate, const T* value,
                                 const T* grad, T* grad_gate, T* grad_value) {
  dropped(
      key, begin, end, [=](int64_t i, int64_t n) { return load(grad + i, n) * key.scale; },
      [=](int64_t i, int64_t n, Floats g) {
        const Floats x = load(gate + i, n);
        const Gate gate_of_x = gelu_gate(x);
        const Floats s = gate_of_x.s;
        const Floats slope = 1.5957691216f + 0.2140644488f * (x * x);
        store(grad_gate + i, g * load(value + i, n) * (s + x * s * gate_of_x.rest * slope), n);
        store(grad_value + i, g * x * s, n);
      });
}

}  // namespace NLORA_ISA
}  // namespace nlora
