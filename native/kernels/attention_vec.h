// Vector kernels of masked softmax with dropout, one row of keys at a time. No include guard: included once per
// instruction set.
namespace nlora {
namespace NLORA_ISA {

template <typename T>
void attention_forward(const DropoutKey key, int64_t begin, int64_t end, const AttentionRows<T>& a, float* row_buffer,
                       uint8_t* hash_buffer) {
  const int64_t n = a.keys;
  for (int64_t row = begin; row < end; row++) {
    const int64_t batch = row / (a.heads * a.queries), query = row % a.queries;
    const T* scores = a.scores + row * n;
    const float* bias = a.bias == nullptr ? nullptr : a.bias + (row % (a.heads * a.queries)) * n;
    const bool* mask = a.mask;
    if (mask != nullptr) mask += (a.mask_has_queries ? batch * a.queries + query : batch) * n;

    const float lowest = -INFINITY;
    Floats top = splat(lowest);
    for (int64_t j = 0; j < n; j += kLanes) {
      Floats v = load(scores + j, n - j, lowest);
      if (bias != nullptr) v += load(bias + j, n - j);
      if (mask != nullptr) {
        Bytes m = {};
        std::memcpy(&m, mask + j, n - j < kLanes ? n - j : kLanes);
        v = select((Ints)__builtin_convertvector(m, Words) == 0, splat(lowest), v);
      }
      store(row_buffer + j, v);
      top = maximum(top, v);
    }
    const float highest = largest(top);
    if (highest == lowest) {  // nothing to attend to: zeros (NaN scores are not equal to it and go on)
      for (int64_t j = 0; j < n; j += kLanes) {
        const bool nan = sum(load(row_buffer + j)) != sum(load(row_buffer + j));
        const Floats v = splat(nan ? NAN : 0.0f);
        store(a.out + row * n + j, v, n - j);
        if (a.probs != nullptr) store(a.probs + row * n + j, v, n - j);
      }
      continue;
    }
    Floats total = {};
    for (int64_t j = 0; j < n; j += kLanes) {
      const Floats e = exp_negative(load(row_buffer + j) - highest);
      store(row_buffer + j, e);
      total += e;
    }
    const float norm = 1.0f / sum(total);
    if (key.threshold == 0) {
      for (int64_t j = 0; j < n; j += kLanes) store(a.out + row * n + j, load(row_buffer + j) * norm, n - j);
      continue;
    }
    const uint8_t* bytes = hash_bytes(key, row * n, n, hash_buffer);
    for (int64_t j = 0; j < n; j += kLanes) {
      const Floats p = load(row_buffer + j) * norm;
      if (a.probs != nullptr) store(a.probs + row * n + j, p, n - j);
      store(a.out + row * n + j, drop(p * key.scale, bytes + j, key.threshold), n - j);
    }
  }
}

// grad_scores = P (dP - sum(P dP)) with dP the gradient behind the dropout.
template <typename T>
void attention_backward(const DropoutKey key, int64_t begin, int64_t end, int64_t n, const T* probs, const T* grad,
                        T* grad_scores, float* row_buffer, uint8_t* hash_buffer) {
  for (int64_t row = begin; row < end; row++) {
    const T *p = probs + row * n, *g = grad + row * n;
    const uint8_t* bytes = key.threshold == 0 ? nullptr : hash_bytes(key, row * n, n, hash_buffer);
    Floats dot = {};
    for (int64_t j = 0; j < n; j += kLanes) {
      Floats v = load(g + j, n - j);
      if (bytes != nullptr) v = drop(v * key.scale, bytes + j, key.threshold);
      store(row_buffer + j, v);
      dot += v * load(p + j, n - j);
    }
    const float mean = sum(dot);
    for (int64_t j = 0; j < n; j += kLanes) {
      store(grad_scores + row * n + j, load(p + j, n - j) * (load(row_buffer + j) - mean), n - j);
    }
  }
}

}  // namespace NLORA_ISA
}  // namespace nlora
