// Vector kernels of whole attention for one head at a time, everything in float32 and in the cache: scores, softmax,
// dropout and the mix of values, and their gradients. No include guard: included once per instruction set.
namespace nlora {
namespace NLORA_ISA {

#if NLORA_LANES == 16
constexpr int kTileRows = 6, kTileVectors = 4;
#elif NLORA_LANES == 8
constexpr int kTileRows = 4, kTileVectors = 2;
#else
constexpr int kTileRows = 4, kTileVectors = 2;
#endif

template <int M>
NLORA_INLINE void tile(int64_t depth, const float* a, int64_t row_step, int64_t depth_step, const float* b, int64_t ldb,
                       float* c, int64_t ldc, bool add) {
  Floats sums[M][kTileVectors];
  for (int i = 0; i < M; i++) {
    for (int j = 0; j < kTileVectors; j++) sums[i][j] = add ? load(c + i * ldc + j * kLanes) : Floats{};
  }
  for (int64_t k = 0; k < depth; k++) {
    Floats right[kTileVectors];
    for (int j = 0; j < kTileVectors; j++) right[j] = load(b + k * ldb + j * kLanes);
    for (int i = 0; i < M; i++) {
      const Floats left = splat(a[i * row_step + k * depth_step]);
      for (int j = 0; j < kTileVectors; j++) sums[i][j] += left * right[j];
    }
  }
  for (int i = 0; i < M; i++) {
    for (int j = 0; j < kTileVectors; j++) store(c + i * ldc + j * kLanes, sums[i][j]);
  }
}

// C [m, n] (+)= A B with element (i, k) of A at a[i * row_step + k * depth_step]; n a multiple of kPad.
static void multiply(int64_t m, int64_t n, int64_t depth, const float* a, int64_t row_step, int64_t depth_step, const float* b,
                     int64_t ldb, float* c, int64_t ldc, bool add) {
  for (int64_t j = 0; j < n; j += kTileVectors * kLanes) {
    int64_t i = 0;
    for (; i + kTileRows <= m; i += kTileRows) {
      tile<kTileRows>(depth, a + i * row_step, row_step, depth_step, b + j, ldb, c + i * ldc + j, ldc, add);
    }
    for (; i < m; i++) tile<1>(depth, a + i * row_step, row_step, depth_step, b + j, ldb, c + i * ldc + j, ldc, add);
  }
}

// rows x width of T with a row stride, as floats [rows, ld], the rest of each row zero.
template <typename T>
NLORA_INLINE void unpack(int64_t rows, int64_t width, const T* in, int64_t stride, float* out, int64_t ld) {
  for (int64_t i = 0; i < rows; i++) {
    for (int64_t j = 0; j < ld; j += kLanes) {
      store(out + i * ld + j, j < width ? load(in + i * stride + j, width - j) : Floats{});
    }
  }
}

// The same, transposed: [width, ld], ld >= rows.
template <typename T>
NLORA_INLINE void unpack_transposed(int64_t rows, int64_t width, const T* in, int64_t stride, float* out, int64_t ld) {
  for (int64_t j = 0; j < width; j++) {
    for (int64_t i = rows; i < ld; i++) out[j * ld + i] = 0;
  }
  float lane[kLanes];
  for (int64_t i = 0; i < rows; i++) {
    for (int64_t j = 0; j < width; j += kLanes) {
      store(lane, load(in + i * stride + j, width - j));
      const int64_t count = width - j < kLanes ? width - j : kLanes;
      for (int64_t l = 0; l < count; l++) out[(j + l) * ld + i] = lane[l];
    }
  }
}

template <typename T>
NLORA_INLINE void pack(int64_t rows, int64_t width, const float* in, int64_t ld, T* out, int64_t stride) {
  for (int64_t i = 0; i < rows; i++) {
    for (int64_t j = 0; j < width; j += kLanes) store(out + i * stride + j, load(in + i * ld + j), width - j);
  }
}

// Softmax of a row of n scores plus bias over the keys the mask allows, in place; zeros where it allows none.
NLORA_INLINE void softmax_row(int64_t n, float* row, const float* bias, const bool* mask) {
  const float lowest = -INFINITY;
  Floats top = splat(lowest);
  for (int64_t j = 0; j < n; j += kLanes) {
    Floats v = load(row + j, n - j, lowest);
    if (bias != nullptr) v += load(bias + j, n - j);
    if (mask != nullptr) {
      Bytes m = {};
      std::memcpy(&m, mask + j, n - j < kLanes ? n - j : kLanes);
      v = select((Ints)__builtin_convertvector(m, Words) == 0, splat(lowest), v);
    }
    store(row + j, v);
    top = maximum(top, v);
  }
  const float highest = largest(top);
  if (highest == lowest) {
    for (int64_t j = 0; j < n; j += kLanes) store(row + j, Floats{});
    return;
  }
  Floats total = {};
  for (int64_t j = 0; j < n; j += kLanes) {
    const Floats e = exp_negative(load(row + j) - highest);
    store(row + j, e);
    total += e;
  }
  const float norm = 1.0f / sum(total);
  for (int64_t j = 0; j < n; j += kLanes) store(row + j, load(row + j) * norm);
}

template <typename T>
void attention_forward(const HeadPlan& p, int64_t begin, int64_t end, const T* q, const T* k, const T* v, T* out, T* probs,
                 const HeadBuffers& s) {
  const int64_t d = p.width, n = p.keys;
  for (int64_t unit = begin; unit < end; unit++) {
    const int64_t batch = unit / p.heads, head = unit % p.heads;
    const T* qh = q + batch * p.q_batch + head * d;
    unpack_transposed(n, d, k + batch * p.k_batch + head * d, p.k_row, s.kt, p.ldn);
    unpack(n, d, v + batch * p.v_batch + head * d, p.v_row, s.v, p.ldd);
    for (int64_t first = 0; first < p.queries; first += kQueryBlock) {
      const int64_t rows = p.queries - first < kQueryBlock ? p.queries - first : kQueryBlock;
      unpack(rows, d, qh + first * p.q_row, p.q_row, s.q, p.ldd);
      multiply(rows, p.ldn, d, s.q, p.ldd, 1, s.kt, p.ldn, s.scores, p.ldn, false);
      for (int64_t i = 0; i < rows; i++) {
        float* row = s.scores + i * p.ldn;
        const int64_t index = unit * p.queries + first + i;
        softmax_row(n, row, p.bias == nullptr ? nullptr : p.bias + (head * p.queries + first + i) * n,
                    p.mask == nullptr ? nullptr : p.mask + batch * n);
        if (probs != nullptr) {
          for (int64_t j = 0; j < n; j += kLanes) store(probs + index * n + j, load(row + j), n - j);
        }
        if (p.key.threshold != 0) {
          const uint8_t* bytes = hash_bytes(p.key, index * n, n, s.bytes);
          for (int64_t j = 0; j < n; j += kLanes) {
            store(row + j, drop(load(row + j) * p.key.scale, bytes + j, p.key.threshold));
          }
        }
      }
      multiply(rows, p.ldd, n, s.scores, p.ldn, 1, s.v, p.ldd, s.q, p.ldd, false);
      pack(rows, d, s.q, p.ldd, out + (batch * p.queries + first) * p.heads * d + head * d, p.heads * d);
    }
  }
}

template <typename T>
void attention_backward(const HeadPlan& p, int64_t begin, int64_t end, const T* q, const T* k, const T* v, const T* probs,
                  const T* grad, T* gq, T* gk, T* gv, const HeadBuffers& s) {
  const int64_t d = p.width, n = p.keys;
  for (int64_t unit = begin; unit < end; unit++) {
    const int64_t batch = unit / p.heads, head = unit % p.heads;
    const int64_t at_q = batch * p.q_batch + head * d, at_k = batch * p.k_batch + head * d, at_v = batch * p.v_batch + head * d;
    unpack(n, d, k + at_k, p.k_row, s.k, p.ldd);
    unpack_transposed(n, d, v + at_v, p.v_row, s.kt, p.ldn);  // values here
    std::memset(s.gk, 0, n * p.ldd * sizeof(float));
    std::memset(s.gv, 0, n * p.ldd * sizeof(float));
    for (int64_t first = 0; first < p.queries; first += kQueryBlock) {
      const int64_t rows = p.queries - first < kQueryBlock ? p.queries - first : kQueryBlock;
      unpack(rows, d, q + at_q + first * p.q_row, p.q_row, s.q, p.ldd);
      unpack(rows, d, grad + (batch * p.queries + first) * p.heads * d + head * d, p.heads * d, s.go, p.ldd);
      multiply(rows, p.ldn, d, s.go, p.ldd, 1, s.kt, p.ldn, s.scores, p.ldn, false);
      for (int64_t i = 0; i < rows; i++) {
        const int64_t index = unit * p.queries + first + i;
        const T* pr = probs + index * n;
        float *g = s.scores + i * p.ldn, *kept = s.probs + i * p.ldn;
        const uint8_t* bytes = p.key.threshold == 0 ? nullptr : hash_bytes(p.key, index * n, n, s.bytes);
        Floats dot = {};
        for (int64_t j = 0; j < p.ldn; j += kLanes) {
          const Floats pj = j < n ? load(pr + j, n - j) : Floats{};
          Floats gj = load(g + j), used = pj;
          if (bytes != nullptr && j < n) {
            gj = drop(gj * p.key.scale, bytes + j, p.key.threshold);
            used = drop(pj * p.key.scale, bytes + j, p.key.threshold);
          }
          store(g + j, gj);
          store(kept + j, used);
          dot += gj * pj;
        }
        const float mean = sum(dot);
        for (int64_t j = 0; j < p.ldn; j += kLanes) {
          const Floats pj = j < n ? load(pr + j, n - j) : Floats{};
          store(g + j, pj * (load(g + j) - mean));
        }
      }
      multiply(n, p.ldd, rows, s.probs, 1, p.ldn, s.go, p.ldd, s.gv, p.ldd, true);
      multiply(n, p.ldd, rows, s.scores, 1, p.ldn, s.q, p.ldd, s.gk, p.ldd, true);
      multiply(rows, p.ldd, n, s.scores, p.ldn, 1, s.k, p.ldd, s.q, p.ldd, false);
      pack(rows, d, s.q, p.ldd, gq + batch * p.gq_batch + head * d + first * p.gq_row, p.gq_row);
    }
    pack(n, d, s.gk, p.ldd, gk + batch * p.gk_batch + head * d, p.gk_row);
    pack(n, d, s.gv, p.ldd, gv + batch * p.gk_batch + head * d, p.gk_row);
  }
}

}  // namespace NLORA_ISA
}  // namespace nlora
