// Vector kernels on tiles of dW = B A, which is never stored. Tiles are kTileRows rows by kTileColumns columns.
// No include guard: included once per instruction set.
namespace nlora {
namespace NLORA_ISA {

constexpr int64_t kTileVectors = 4;
constexpr int64_t kTileRows = 4;
constexpr int64_t kTileColumns = kTileVectors * kLanes;

// w = b[0 .. 3] A[:, columns of the tile]; `a` is a padded copy of A with row stride `stride`, `b` has row stride r.
NLORA_INLINE void tile(const float* b, const float* a, int64_t r, int64_t stride, Floats w[kTileRows][kTileVectors]) {
  for (int64_t i = 0; i < kTileRows; i++) {
    for (int64_t v = 0; v < kTileVectors; v++) w[i][v] = Floats{};
  }
  for (int64_t k = 0; k < r; k++) {
    Floats x[kTileVectors];
#pragma GCC unroll 4
    for (int64_t v = 0; v < kTileVectors; v++) x[v] = load(a + k * stride + v * kLanes);
#pragma GCC unroll 4
    for (int64_t i = 0; i < kTileRows; i++) {
#pragma GCC unroll 4
      for (int64_t v = 0; v < kTileVectors; v++) w[i][v] += b[i * r + k] * x[v];
    }
  }
}

NLORA_INLINE Floats sign(Floats v) {
  const Floats one = (Floats)(((Words)v & 0x80000000u) | 0x3f800000u);
  return select(v == 0.0f, Floats{}, one);
}

// sum |B A| over `rows` rows (a multiple of kTileRows) and `stride` columns (a multiple of kTileColumns; the padding of A
// is zero). With gradients: grad_b [rows, r] = sign(B A) A^T is set, grad_a [r, stride] += B^T sign(B A).
// `lanes` holds rows * r vectors.
static double delta_l1(int64_t rows, int64_t r, int64_t stride, const float* b, const float* a, float* grad_b, float* grad_a,
                       float* lanes) {
  double total = 0;
  if (grad_b != nullptr) std::memset(lanes, 0, sizeof(Floats) * rows * r);
  for (int64_t column = 0; column < stride; column += kTileColumns) {
    const float* tile_a = a + column;
    Floats sums = {};
    for (int64_t row = 0; row < rows; row += kTileRows) {
      const float* tile_b = b + row * r;
      Floats w[kTileRows][kTileVectors];
      tile(tile_b, tile_a, r, stride, w);
      for (int64_t i = 0; i < kTileRows; i++) {
        for (int64_t v = 0; v < kTileVectors; v++) {
          sums += absolute(w[i][v]);
          w[i][v] = sign(w[i][v]);
        }
      }
      if (grad_b == nullptr) continue;
      float* tile_g = grad_a + column;
      float* tile_lanes = lanes + row * r * kLanes;
      for (int64_t k = 0; k < r; k++) {
        Floats x[kTileVectors], g[kTileVectors];
#pragma GCC unroll 4
        for (int64_t v = 0; v < kTileVectors; v++) {
          x[v] = load(tile_a + k * stride + v * kLanes);
          g[v] = load(tile_g + k * stride + v * kLanes);
        }
#pragma GCC unroll 4
        for (int64_t i = 0; i < kTileRows; i++) {
          Floats dot = load(tile_lanes + (i * r + k) * kLanes);
#pragma GCC unroll 4
          for (int64_t v = 0; v < kTileVectors; v++) {
            g[v] += tile_b[i * r + k] * w[i][v];
            dot += w[i][v] * x[v];
          }
          store(tile_lanes + (i * r + k) * kLanes, dot);
        }
#pragma GCC unroll 4
        for (int64_t v = 0; v < kTileVectors; v++) store(tile_g + k * stride + v * kLanes, g[v]);
      }
    }
    total += sum(sums);
  }
  if (grad_b != nullptr) {
    for (int64_t i = 0; i < rows * r; i++) grad_b[i] = sum(load(lanes + i * kLanes));
  }
  return total;
}

// Adds to counts[t] how many of |B A| exceed thresholds[t] in the first real_rows rows and `columns` columns, and returns
// the sum of |B A|. `rows` and `stride` are the padded sizes.
static double delta_stats(int64_t rows, int64_t real_rows, int64_t columns, int64_t r, int64_t stride, const float* b,
                          const float* a, int64_t n, const float* thresholds, int64_t* counts) {
  double total = 0;
  for (int64_t column = 0; column < stride; column += kTileColumns) {
    Floats sums = {};
    for (int64_t row = 0; row < rows; row += kTileRows) {
      Floats w[kTileRows][kTileVectors];
      tile(b + row * r, a + column, r, stride, w);
      for (int64_t i = 0; i < kTileRows && row + i < real_rows; i++) {
        for (int64_t v = 0; v < kTileVectors; v++) {
          w[i][v] = absolute(w[i][v]);
          sums += w[i][v];
          const int64_t inside = columns - column - v * kLanes;
          for (int64_t lane = inside < 0 ? 0 : inside; lane < kLanes; lane++) w[i][v][lane] = -INFINITY;  // never counted
        }
      }
      for (int64_t t = 0; t < n; t++) {
        Ints count = {};
        for (int64_t i = 0; i < kTileRows && row + i < real_rows; i++) {
          for (int64_t v = 0; v < kTileVectors; v++) count -= w[i][v] > thresholds[t];
        }
        int64_t sum_of_lanes = 0;
        for (int64_t lane = 0; lane < kLanes; lane++) sum_of_lanes += count[lane];
        counts[t] += sum_of_lanes;
      }
    }
    total += sum(sums);
  }
  return total;
}

// One bit per element of `rows` x `columns` where |B A| > threshold; 64 columns to a word, rows of `words` words.
static void delta_bits(int64_t rows, int64_t columns, int64_t r, int64_t stride, const float* b, const float* a,
                       float threshold, int64_t words, uint64_t* bits) {
  for (int64_t column = 0; column < stride; column += kTileColumns) {
    for (int64_t row = 0; row < rows; row += kTileRows) {
      Floats w[kTileRows][kTileVectors];
      tile(b + row * r, a + column, r, stride, w);
      for (int64_t i = 0; i < kTileRows; i++) {
        for (int64_t v = 0; v < kTileVectors; v++) {
          const int64_t first = column + v * kLanes;
          if (first >= columns) break;
          uint64_t mask = 0;
#if NLORA_LANES == 16
          mask = _mm512_cmp_ps_mask((__m512)absolute(w[i][v]), _mm512_set1_ps(threshold), _CMP_GT_OQ);
#else
          const Ints above = absolute(w[i][v]) > threshold;
          for (int64_t lane = 0; lane < kLanes; lane++) mask |= (uint64_t)(above[lane] & 1) << lane;
#endif
          if (columns - first < kLanes) mask &= (1ull << (columns - first)) - 1;
          bits[(row + i) * words + first / 64] |= mask << (first % 64);
        }
      }
    }
  }
}

static int64_t common_bits(int64_t n, const uint64_t* x, const uint64_t* y) {
  int64_t count = 0;
  for (int64_t i = 0; i < n; i++) count += __builtin_popcountll(x[i] & y[i]);
  return count;
}

// Adds the bits of x to those of `all`, and counts them.
static int64_t join_bits(int64_t n, const uint64_t* x, uint64_t* all) {
  int64_t count = 0;
  for (int64_t i = 0; i < n; i++) count += __builtin_popcountll(all[i] |= x[i]);
  return count;
}

}  // namespace NLORA_ISA
}  // namespace nlora
