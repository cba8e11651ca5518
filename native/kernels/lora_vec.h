// Vector kernels of the linear layer with low-rank additions: kRowBlock rows at a time, the dropped input expanded
// once per group of terms and used while it is in the cache. No include guard: included once per instruction set.
namespace nlora {
namespace NLORA_ISA {

// out[i] = dropped(x[i]) as float; `start` is the index of x[0] in the mask's stream. `out` has room for d + kLanes.
template <typename T>
NLORA_INLINE void expand_row(const DropoutKey& key, int64_t start, int64_t d, const T* x, float* out, uint8_t* bytes) {
  if (key.threshold == 0) {
    for (int64_t i = 0; i < d; i += kLanes) store(out + i, load(x + i, d - i));
    return;
  }
  const uint8_t* hash = hash_bytes(key, start, d, bytes);
  for (int64_t i = 0; i < d; i += kLanes) {
    store(out + i, drop(load(x + i, d - i) * key.scale, hash + i, key.threshold));
  }
}

// Hidden values of a block are kept as [rank, kRowBlock]. out[k, i] = dot(rows[i, :], m[k, :]) for i < count, k < r; rows lie
// `stride` apart. Past the end the last row is taken again and its result dropped.
NLORA_INLINE void dots(int64_t count, int64_t d, int64_t stride, int64_t r, const float* rows, const float* m, float* out) {
  for (int64_t i = 0; i < count; i += 4) {
    const float* x[4];
    for (int64_t p = 0; p < 4; p++) x[p] = rows + (i + p < count ? i + p : count - 1) * stride;
    for (int64_t k = 0; k < r; k += 4) {
      const float* y[4];
      for (int64_t q = 0; q < 4; q++) y[q] = m + (k + q < r ? k + q : r - 1) * d;
      Floats s[4][4];
#pragma GCC unroll 4
      for (int p = 0; p < 4; p++) {
#pragma GCC unroll 4
        for (int q = 0; q < 4; q++) s[p][q] = Floats{};
      }
      for (int64_t j = 0; j < d; j += kLanes) {
        Floats a[4], b[4];
#pragma GCC unroll 4
        for (int p = 0; p < 4; p++) a[p] = load(x[p] + j, d - j), b[p] = load(y[p] + j, d - j);
#pragma GCC unroll 4
        for (int p = 0; p < 4; p++) {
#pragma GCC unroll 4
          for (int q = 0; q < 4; q++) s[p][q] += a[p] * b[q];
        }
      }
#pragma GCC unroll 4
      for (int p = 0; p < 4; p++) {
#pragma GCC unroll 4
        for (int q = 0; q < 4; q++) {
          if (i + p < count && k + q < r) out[(k + q) * kRowBlock + i + p] = sum(s[p][q]);
        }
      }
    }
  }
}

// y[i, c] += sum_k h[k, i] m[k, c] for kRowBlock rows; `count` of them are stored.
template <typename T>
NLORA_INLINE void add_rows(int64_t count, int64_t o, int64_t r, const float* h, const float* m, T* y, int64_t stride) {
  for (int64_t c = 0; c < o; c += kLanes) {
    const int64_t left = o - c;
    Floats v[kRowBlock];
#pragma GCC unroll 8
    for (int64_t i = 0; i < kRowBlock; i++) v[i] = Floats{};
    for (int64_t k = 0; k < r; k++) {
      const Floats a = load(m + k * o + c, left);
#pragma GCC unroll 8
      for (int64_t i = 0; i < kRowBlock; i++) v[i] += h[k * kRowBlock + i] * a;
    }
#pragma GCC unroll 8
    for (int64_t i = 0; i < kRowBlock; i++) {
      if (i < count) store(y + i * stride + c, load(y + i * stride + c, left) + v[i], left);
    }
  }
}

// sums[k, c] += sum_i h[k, i] rows[i, c] over kRowBlock rows.
NLORA_INLINE void outer_rows(int64_t d, int64_t stride, int64_t r, const float* h, const float* rows, float* sums) {
  for (int64_t c = 0; c < d; c += kLanes) {
    const int64_t left = d - c;
    Floats v[kRowBlock];
#pragma GCC unroll 8
    for (int64_t i = 0; i < kRowBlock; i++) v[i] = load(rows + i * stride + c);
    for (int64_t k = 0; k < r; k++) {
      Floats even = load(sums + k * d + c, left), odd = {};
#pragma GCC unroll 4
      for (int64_t i = 0; i < kRowBlock; i += 2) {
        even += h[k * kRowBlock + i] * v[i];
        odd += h[k * kRowBlock + i + 1] * v[i + 1];
      }
      store(sums + k * d + c, even + odd, left);
    }
  }
}

// (Standard containers have no place here: their code would be shared between instruction sets.)
template <typename T>
void lora_forward(const LoraPlan& plan, int64_t begin, int64_t end, const T* x, T* y, float* hidden,
                  const LoraScratch& scratch) {
  const int64_t d = plan.inputs, stride = padded_row(d), rank = plan.rank;
  float* h = scratch.hidden;
  for (int64_t n = begin; n < end; n += kRowBlock) {
    const int64_t count = end - n < kRowBlock ? end - n : kRowBlock;
    for (size_t g = 0; g < plan.group_count; g++) {
      const LoraGroup& group = plan.groups[g];
      for (int64_t i = 0; i < count; i++) {
        expand_row(group.key, (n + i) * d, d, x + (n + i) * d, scratch.rows + i * stride, scratch.bytes);
      }
      for (size_t t = group.first; t < group.last; t++) {
        const LoraTerm& term = plan.terms[t];
        dots(count, d, stride, term.rank, scratch.rows, term.a, h + term.column * kRowBlock);
        add_rows(count, term.outputs, term.rank, h + term.column * kRowBlock, term.bt, y + n * plan.outputs + term.offset,
                 plan.outputs);
      }
    }
    for (int64_t i = 0; i < count; i++) {
      for (int64_t k = 0; k < rank; k++) hidden[(n + i) * rank + k] = h[k * kRowBlock + i];
    }
  }
}

// Rows [begin, end): adds to gx (if wanted) and to the sums of the terms' gradients (if wanted).
template <typename T>
void lora_backward(const LoraPlan& plan, int64_t begin, int64_t end, const T* x, const float* hidden, const T* gy, T* gx,
                   float* const* ga, float* const* gbt, const LoraScratch& scratch) {
  const int64_t d = plan.inputs, stride = padded_row(d), rank = plan.rank, slice_stride = padded_row(plan.outputs);
  float *rows = scratch.rows, *back = scratch.back, *slice = scratch.slice, *h = scratch.hidden;
  float* gh = h + kRowBlock * rank;
  const DropoutKey keep_all;
  for (int64_t n = begin; n < end; n += kRowBlock) {
    const int64_t count = end - n < kRowBlock ? end - n : kRowBlock;
    std::memset(h, 0, 2 * kRowBlock * rank * sizeof(float));  // rows past the end add nothing
    for (int64_t i = 0; i < count; i++) {
      for (int64_t k = 0; k < rank; k++) h[k * kRowBlock + i] = hidden[(n + i) * rank + k];
    }
    for (size_t g = 0; g < plan.group_count; g++) {
      const LoraGroup& group = plan.groups[g];
      bool expanded = false, reaches = false;
      if (gx != nullptr) std::memset(back, 0, count * stride * sizeof(float));
      for (size_t t = group.first; t < group.last; t++) {
        const LoraTerm& term = plan.terms[t];
        if (gx == nullptr && ga[t] == nullptr && gbt[t] == nullptr) continue;
        for (int64_t i = 0; i < count; i++) {
          expand_row(keep_all, 0, term.outputs, gy + (n + i) * plan.outputs + term.offset, slice + i * slice_stride,
                     scratch.bytes);
        }
        const float* term_h = h + term.column * kRowBlock;
        float* term_gh = gh + term.column * kRowBlock;
        if (gbt[t] != nullptr) outer_rows(term.outputs, slice_stride, term.rank, term_h, slice, gbt[t]);
        if (gx == nullptr && ga[t] == nullptr) continue;
        dots(count, term.outputs, slice_stride, term.rank, slice, term.bt, term_gh);
        if (ga[t] != nullptr) {
          for (int64_t i = 0; i < count && !expanded; i++) {
            expand_row(group.key, (n + i) * d, d, x + (n + i) * d, rows + i * stride, scratch.bytes);
          }
          expanded = true;
          outer_rows(d, stride, term.rank, term_gh, rows, ga[t]);
        }
        if (gx != nullptr) {
          add_rows(count, d, term.rank, term_gh, term.a, back, stride);
          reaches = true;
        }
      }
      for (int64_t i = 0; i < count && reaches; i++) {
        T* out = gx + (n + i) * d;
        const float* row = back + i * stride;
        const bool drops = group.key.threshold != 0;
        const uint8_t* hash = drops ? hash_bytes(group.key, (n + i) * d, d, scratch.bytes) : nullptr;
        for (int64_t j = 0; j < d; j += kLanes) {
          const Floats v = load(row + j);
          const Floats kept = drops ? drop(v * group.key.scale, hash + j, group.key.threshold) : v;
          store(out + j, load(out + j, d - j) + kept, d - j);
        }
      }
    }
  }
}

}  // namespace NLORA_ISA
}  // namespace nlora
