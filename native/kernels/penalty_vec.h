// Vector kernels over the elements of W = B A, tile by tile, never stored. No include guard: once per instruction set.
namespace nlora {
namespace NLORA_ISA {

constexpr int64_t kTile = 4 * kLanes;  // columns

// w[j] = row of B times columns [c, c + tile) of A; missing columns are zero.
NLORA_INLINE void product(int64_t d, int64_t r, const float* b, const float* a, int64_t c, Floats* w) {
  for (int j = 0; j < 4; j++) w[j] = Floats{};
  if (c + kTile <= d) {
    for (int64_t k = 0; k < r; k++) {
      for (int j = 0; j < 4; j++) w[j] += b[k] * load(a + k * d + c + j * kLanes);
    }
    return;
  }
  for (int64_t k = 0; k < r; k++) {
    for (int j = 0; j < 4 && c + j * kLanes < d; j++) w[j] += b[k] * load(a + k * d + c + j * kLanes, d - c - j * kLanes);
  }
}

NLORA_INLINE Floats sign_of(Floats v) {
  return select(v > 0.0f, splat(1.0f), select(v < 0.0f, splat(-1.0f), Floats{}));
}

// Sum of |W| over rows [begin, end). With `ga` [r, d] (added to) and `gb` [rows, r] (written): its gradient. `scratch` has
// room for scratch_floats(r). (Standard containers have no place here: their code would be shared between instruction sets.)
static double l1(int64_t begin, int64_t end, int64_t d, int64_t r, const float* a, const float* b, float* ga, float* gb,
                 float* scratch) {
  double total = 0;
  float* rows = scratch;                              // [row of the block][k][lane]
  float* columns = scratch + kRowBlock * r * kLanes;  // [k][4 vectors]
  for (int64_t block = begin; block < end; block += kRowBlock) {
    const int64_t count = end - block < kRowBlock ? end - block : kRowBlock;
    std::memset(rows, 0, sizeof(float) * kRowBlock * r * kLanes);
    Floats sums = {};
    for (int64_t c = 0; c < d; c += kTile) {
      if (ga != nullptr) std::memset(columns, 0, sizeof(float) * 4 * r * kLanes);
      for (int64_t i = 0; i < count; i++) {
        const float* bi = b + (block + i) * r;
        Floats w[4];
        product(d, r, bi, a, c, w);
        sums += (absolute(w[0]) + absolute(w[1])) + (absolute(w[2]) + absolute(w[3]));
        if (ga == nullptr) continue;
        for (int j = 0; j < 4; j++) w[j] = sign_of(w[j]);
        const bool whole = c + kTile <= d;
        for (int64_t k = 0; k < r; k++) {
          float* row = rows + (i * r + k) * kLanes;
          float* column = columns + 4 * k * kLanes;
          Floats dot = load(row);
          const float* ak = a + k * d + c;
          for (int j = 0; j < 4; j++) {
            if (whole) dot += w[j] * load(ak + j * kLanes);
            else if (c + j * kLanes < d) dot += w[j] * load(ak + j * kLanes, d - c - j * kLanes);
            store(column + j * kLanes, load(column + j * kLanes) + bi[k] * w[j]);
          }
          store(row, dot);
        }
      }
      if (ga == nullptr) continue;
      for (int64_t k = 0; k < r; k++) {
        for (int j = 0; j < 4; j++) {
          const int64_t at = c + j * kLanes;
          if (at < d) store(ga + k * d + at, load(ga + k * d + at, d - at) + load(columns + (4 * k + j) * kLanes), d - at);
        }
      }
    }
    total += sum(sums);
    if (gb == nullptr) continue;
    for (int64_t i = 0; i < count; i++) {
      for (int64_t k = 0; k < r; k++) gb[(block + i) * r + k] = sum(load(rows + (i * r + k) * kLanes));
    }
  }
  return total;
}

NLORA_INLINE uint64_t above(const Floats* w, float threshold) {
  uint64_t bits = 0;
  for (int j = 0; j < 4; j++) {
    const Ints flags = absolute(w[j]) > threshold;
#if NLORA_LANES == 16
    bits |= (uint64_t)_mm512_movepi32_mask((__m512i)flags) << (16 * j);
#else
    for (int i = 0; i < NLORA_LANES; i++) bits |= (uint64_t)(flags[i] & 1) << (j * NLORA_LANES + i);
#endif
  }
  return bits;
}

// Columns beyond d are zero, which no threshold of zero or more counts.
static double stats(int64_t begin, int64_t end, int64_t d, int64_t r, const float* a, const float* b,
                    const float* thresholds, int64_t n, int64_t* counts) {
  double total = 0;
  for (int64_t i = begin; i < end; i++) {
    Floats sums = {};
    for (int64_t c = 0; c < d; c += kTile) {
      Floats w[4];
      product(d, r, b + i * r, a, c, w);
      sums += (absolute(w[0]) + absolute(w[1])) + (absolute(w[2]) + absolute(w[3]));
      for (int64_t t = 0; t < n; t++) counts[t] += __builtin_popcountll(above(w, thresholds[t]));
    }
    total += sum(sums);
  }
  return total;
}

// `bits` has room for n words.
static void collisions(int64_t begin, int64_t end, int64_t d, const Factors* updates, int64_t n, uint64_t* bits,
                       int64_t* counts) {
  for (int64_t i = begin; i < end; i++) {
    for (int64_t c = 0; c < d; c += kTile) {
      for (int64_t t = 0; t < n; t++) {
        Floats w[4];
        product(d, updates[t].rank, updates[t].b + i * updates[t].rank, updates[t].a, c, w);
        bits[t] = above(w, updates[t].threshold);
      }
      for (int64_t s = 0; s < n; s++) {
        if (bits[s] == 0) continue;
        for (int64_t t = s; t < n; t++) counts[s * n + t] += __builtin_popcountll(bits[s] & bits[t]);
      }
    }
  }
}

}  // namespace NLORA_ISA
}  // namespace nlora
