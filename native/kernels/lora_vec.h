// Vector kernels of the linear layer with low-rank additions: row by row, the dropped input expanded once per group of
// terms and used while it is in the cache. No include guard: included once per instruction set.
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

// out[k] = dot(row, m[k, :]), k < r. `row` is padded with zeros up to a multiple of the lanes.
NLORA_INLINE void dots(int64_t d, int64_t r, const float* row, const float* m, float* out) {
  int64_t k = 0;
  for (; k + 8 <= r; k += 8) {
    Floats s[8] = {};
    const float* base = m + k * d;
    int64_t i = 0;
    for (; i + kLanes <= d; i += kLanes) {
      const Floats v = load(row + i);
      for (int j = 0; j < 8; j++) s[j] += v * load(base + j * d + i);
    }
    if (i < d) {
      const Floats v = load(row + i, d - i);
      for (int j = 0; j < 8; j++) s[j] += v * load(base + j * d + i, d - i);
    }
    for (int j = 0; j < 8; j++) out[k + j] = sum(s[j]);
  }
  for (; k < r; k++) {
    Floats s = {};
    for (int64_t i = 0; i < d; i += kLanes) s += load(row + i, d - i) * load(m + k * d + i, d - i);
    out[k] = sum(s);
  }
}

// y[c] += sum_k h[k] m[k, c]
template <typename T>
NLORA_INLINE void add_row(int64_t o, int64_t r, const float* h, const float* m, T* y) {
  for (int64_t c = 0; c < o; c += kLanes) {
    const int64_t left = o - c;
    Floats v = load(y + c, left);
    for (int64_t k = 0; k < r; k++) v += h[k] * load(m + k * o + c, left);
    store(y + c, v, left);
  }
}

// sums[k, i] += h[k] row[i]
NLORA_INLINE void outer_row(int64_t d, int64_t r, const float* h, const float* row, float* sums) {
  for (int64_t i = 0; i < d; i += kLanes) {
    const int64_t left = d - i;
    const Floats v = load(row + i, left);
    for (int64_t k = 0; k < r; k++) store(sums + k * d + i, load(sums + k * d + i, left) + h[k] * v, left);
  }
}

// (Standard containers have no place here: their code would be shared between instruction sets.)
template <typename T>
void lora_forward(const LoraPlan& plan, int64_t begin, int64_t end, const T* x, T* y, float* hidden,
                  const LoraScratch& scratch) {
  const int64_t d = plan.inputs;
  for (int64_t n = begin; n < end; n++) {
    for (size_t g = 0; g < plan.group_count; g++) {
      const LoraGroup& group = plan.groups[g];
      expand_row(group.key, n * d, d, x + n * d, scratch.row, scratch.bytes);
      for (size_t t = group.first; t < group.last; t++) {
        const LoraTerm& term = plan.terms[t];
        float* h = hidden + n * plan.rank + term.column;
        dots(d, term.rank, scratch.row, term.a, h);
        add_row(term.outputs, term.rank, h, term.bt, y + n * plan.outputs + term.offset);
      }
    }
  }
}

// Rows [begin, end): adds to gx (if wanted) and to the sums of the terms' gradients (if wanted).
template <typename T>
void lora_backward(const LoraPlan& plan, int64_t begin, int64_t end, const T* x, const float* hidden, const T* gy, T* gx,
                   float* const* ga, float* const* gbt, const LoraScratch& scratch) {
  const int64_t d = plan.inputs;
  float *row = scratch.row, *back = scratch.back, *slice = scratch.slice, *gh = scratch.hidden;
  uint8_t* bytes = scratch.bytes;
  const DropoutKey keep_all;
  for (int64_t n = begin; n < end; n++) {
    for (size_t g = 0; g < plan.group_count; g++) {
      const LoraGroup& group = plan.groups[g];
      bool expanded = false;
      bool reaches = false;
      if (gx != nullptr) std::memset(back, 0, d * sizeof(float));
      for (size_t t = group.first; t < group.last; t++) {
        const LoraTerm& term = plan.terms[t];
        if (gx == nullptr && ga[t] == nullptr && gbt[t] == nullptr) continue;
        expand_row(keep_all, 0, term.outputs, gy + n * plan.outputs + term.offset, slice, bytes);
        if (gbt[t] != nullptr) {
          outer_row(term.outputs, term.rank, hidden + n * plan.rank + term.column, slice, gbt[t]);
        }
        if (gx == nullptr && ga[t] == nullptr) continue;
        dots(term.outputs, term.rank, slice, term.bt, gh);
        if (ga[t] != nullptr) {
          if (!expanded) expand_row(group.key, n * d, d, x + n * d, row, bytes);
          expanded = true;
          outer_row(d, term.rank, gh, row, ga[t]);
        }
        if (gx != nullptr) {
          add_row(d, term.rank, gh, term.a, back);
          reaches = true;
        }
      }
      if (!reaches) continue;
      T* out = gx + n * d;
      if (group.key.threshold == 0) {
        for (int64_t i = 0; i < d; i += kLanes) store(out + i, load(out + i, d - i) + load(back + i, d - i), d - i);
      } else {
        const uint8_t* hash = hash_bytes(group.key, n * d, d, bytes);
        for (int64_t i = 0; i < d; i += kLanes) {
          const Floats v = drop(load(back + i, d - i) * group.key.scale, hash + i, group.key.threshold);
          store(out + i, load(out + i, d - i) + v, d - i);
        }
      }
    }
  }
}

}  // namespace NLORA_ISA
}  // namespace nlora
