// Vector kernels of whole attention for one head of keys and values at a time, in the cache: scores, softmax, dropout and the
// mix of values, and their gradients. Scores, softmax and sums are float32; the products take bfloat16 inputs as they are
// where the processor multiplies pairs of them, else float32. No include guard: included once per instruction set.
//
// A product C = A B sums over depth. In pairs, one 32-bit element holds two consecutive depths. Buffers are arrays of such
// elements, typed float; rows are `ld` elements apart, or ld / 2 where a row lies along depth in pairs (see row_step).
namespace nlora {
namespace NLORA_ISA {

#if NLORA_LANES == 16
constexpr int kTileRows = 6, kTileVectors = 4;
#else
constexpr int kTileRows = 4, kTileVectors = 2;
#endif

template <typename T>
constexpr bool kPairs = kDotsPairs && sizeof(T) == 2;

template <bool pairs>
NLORA_INLINE int64_t depth_of(int64_t n) { return pairs ? (n + 1) / 2 : n; }
template <bool pairs>
NLORA_INLINE int64_t row_step(int64_t ld) { return pairs ? ld / 2 : ld; }

template <bool pairs, int M, int V>
NLORA_INLINE void tile(int64_t depth, const float* a, int64_t step, int64_t depth_step, const float* b, int64_t ldb, float* c,
                       int64_t ldc, bool add) {
  Floats sums[M][V];
  for (int i = 0; i < M; i++) {
    for (int j = 0; j < V; j++) sums[i][j] = add ? load(c + i * ldc + j * kLanes) : Floats{};
  }
  for (int64_t k = 0; k < depth; k++) {
    Floats right[V];
    for (int j = 0; j < V; j++) right[j] = load(b + k * ldb + j * kLanes);
    for (int i = 0; i < M; i++) {
      const float* left = a + i * step + k * depth_step;
      for (int j = 0; j < V; j++) {
        if constexpr (pairs) sums[i][j] = dot_pairs(sums[i][j], splat_bits(left), (Words)right[j]);
        else sums[i][j] += splat(*left) * right[j];
      }
    }
  }
  for (int i = 0; i < M; i++) {
    for (int j = 0; j < V; j++) store(c + i * ldc + j * kLanes, sums[i][j]);
  }
}

template <bool pairs, int V>
NLORA_INLINE void column_of_tiles(int64_t m, int64_t depth, const float* a, int64_t step, int64_t depth_step, const float* b,
                                  int64_t ldb, float* c, int64_t ldc, bool add) {
  int64_t i = 0;
  for (; i + kTileRows <= m; i += kTileRows) {
    tile<pairs, kTileRows, V>(depth, a + i * step, step, depth_step, b, ldb, c + i * ldc, ldc, add);
  }
  for (; i + 2 <= m; i += 2) tile<pairs, 2, V>(depth, a + i * step, step, depth_step, b, ldb, c + i * ldc, ldc, add);
  if (i < m) tile<pairs, 1, V>(depth, a + i * step, step, depth_step, b, ldb, c + i * ldc, ldc, add);
}

// C [m, n] (+)= A B in vectors; element (i, k) of A at a[i * step + k * depth_step], n a multiple of kPad.
template <bool pairs>
static void multiply_in_vectors(int64_t m, int64_t n, int64_t depth, const float* a, int64_t step, int64_t depth_step,
                                const float* b, int64_t ldb, float* c, int64_t ldc, bool add) {
  int64_t j = 0;
  for (; j + kTileVectors * kLanes <= n; j += kTileVectors * kLanes) {
    column_of_tiles<pairs, kTileVectors>(m, depth, a, step, depth_step, b + j, ldb, c + j, ldc, add);
  }
  for (; j < n; j += 2 * kLanes) column_of_tiles<pairs, 2>(m, depth, a, step, depth_step, b + j, ldb, c + j, ldc, add);
}

#ifdef NLORA_PAIRS
// The same for m and depth multiples of kTile, in tiles of AMX. Where A lies across (step 1) it is turned first, `rows` tiles of rows at a
// time; its depth is at most kQueryBlock / 2 then.
template <int rows>
NLORA_INLINE void row_of_tiles(int64_t n, int64_t depth, const float* a, int64_t step, int64_t depth_step, const float* b, int64_t ldb,
                               float* c, int64_t ldc, bool add) {
  constexpr int64_t square = kTile * kTile, most = kQueryBlock / 2 / kTile;
  alignas(64) float turned[rows * most * square];
  const int64_t tiles = depth / kTile;
  if (depth_step != 1) {
    for (int64_t i = 0; i < rows; i++) {
      for (int64_t k = 0; k < tiles; k++) {
        Floats block[kLanes];
        for (int64_t r = 0; r < kTile; r++) block[r] = load(a + i * kTile * step + (k * kTile + r) * depth_step);
        transpose(block);
        for (int64_t r = 0; r < kTile; r++) store(turned + (i * tiles + k) * square + r * kTile, block[r]);
      }
    }
  }
  for (int64_t j = 0; j < n; j += 2 * kTile) {
    if (depth_step == 1) tile_product<rows>(depth, a, step, kTile, kTile * step, b + j, ldb, c + j, ldc, add);
    else tile_product<rows>(depth, turned, kTile, square, tiles * square, b + j, ldb, c + j, ldc, add);
  }
}

static void multiply_in_tiles(int64_t m, int64_t n, int64_t depth, const float* a, int64_t step, int64_t depth_step, const float* b,
                              int64_t ldb, float* c, int64_t ldc, bool add) {
  int64_t i = 0;
  for (; i + 2 * kTile <= m; i += 2 * kTile) row_of_tiles<2>(n, depth, a + i * step, step, depth_step, b, ldb, c + i * ldc, ldc, add);
  if (i < m) row_of_tiles<1>(n, depth, a + i * step, step, depth_step, b, ldb, c + i * ldc, ldc, add);
}
#endif

// Whether products use tiles: then rows of A and C are taken up to a multiple of kTile, whatever lies there, and depth_in_tiles
// lets a depth end where a tile does.
template <bool pairs>
NLORA_INLINE bool in_tiles() {
#ifdef NLORA_PAIRS
  return pairs && isa() >= Isa::amx;
#else
  return false;
#endif
}

// C [m, n] (+)= A B.
template <bool pairs>
static void multiply(int64_t m, int64_t n, int64_t depth, const float* a, int64_t step, int64_t depth_step, const float* b,
                     int64_t ldb, float* c, int64_t ldc, bool add) {
#ifdef NLORA_PAIRS
  const int64_t deep = in_tiles<pairs>() ? depth / kTile * kTile : 0;
  if (deep > 0) {
    multiply_in_tiles((m + kTile - 1) / kTile * kTile, n, deep, a, step, depth_step, b, ldb, c, ldc, add);
    if (deep == depth) return;
    a += deep * depth_step, b += deep * ldb, depth -= deep, add = true;
  }
#endif
  multiply_in_vectors<pairs>(m, n, depth, a, step, depth_step, b, ldb, c, ldc, add);
}

// The depth of n keys or queries, where their elements are zero up to there.
template <bool pairs>
NLORA_INLINE int64_t depth_in_tiles(int64_t n) {
  const int64_t depth = depth_of<pairs>(n);
  return in_tiles<pairs>() ? (depth + kTile - 1) / kTile * kTile : depth;
}

// Rows `ld` long of zeros, from the depth of n to depth_in_tiles.
template <bool pairs>
NLORA_INLINE void fill_tile(int64_t n, float* rows, int64_t ld) {
  const int64_t depth = depth_of<pairs>(n);
  std::memset(rows + depth * ld, 0, (depth_in_tiles<pairs>(n) - depth) * ld * sizeof(float));
}

// A row that lies along depth, zeros up to ld.
template <bool pairs, typename T>
NLORA_INLINE void pack_row(int64_t width, const T* in, float* out, int64_t ld) {
  if constexpr (pairs) {
    std::memcpy(out, in, width * sizeof(T));
    std::memset(reinterpret_cast<T*>(out) + width, 0, (ld - width) * sizeof(T));
  } else {
    for (int64_t j = 0; j < ld; j += kLanes) store(out + j, j < width ? load(in + j, width - j) : Floats{});
  }
}

// Element j of a row that lies along depth.
template <bool pairs>
NLORA_INLINE void put(float* row, int64_t j, Floats v) {
  if constexpr (pairs) store(reinterpret_cast<uint16_t*>(row) + j, v);
  else store(row + j, v);
}

// Rows along columns, depth across them: rows 2i and 2i + 1 (the latter may be missing) as row i of pairs.
template <bool pairs, typename T>
NLORA_INLINE void pack_across(int64_t i, int64_t width, const T* row, const T* next, float* out, int64_t ld) {
  for (int64_t j = 0; j < ld; j += kLanes) {
    const Floats low = j < width ? load(row + j, width - j) : Floats{};
    if constexpr (pairs) {
      const Floats high = j < width && next != nullptr ? load(next + j, width - j) : Floats{};
      store(out + i / 2 * ld + j, (Floats)(((Words)low >> 16) | (Words)high));
    } else {
      store(out + i * ld + j, low);
    }
  }
}

template <bool pairs, typename T>
NLORA_INLINE void pack_across(int64_t rows, int64_t width, const T* in, int64_t stride, float* out, int64_t ld) {
  for (int64_t i = 0; i < rows; i += pairs ? 2 : 1) {
    pack_across<pairs>(i, width, in + i * stride, i + 1 < rows ? in + (i + 1) * stride : nullptr, out, ld);
  }
}

// The transpose: [depth of width, ld], ld >= rows, zeros past the rows.
template <bool pairs, typename T>
NLORA_INLINE void pack_turned(int64_t rows, int64_t width, const T* in, int64_t stride, float* out, int64_t ld) {
  const int64_t depth = depth_of<pairs>(width);
  for (int64_t i = 0; i < ld; i += kLanes) {
    for (int64_t k = 0; k < depth; k += kLanes) {
      Floats block[kLanes];
      for (int64_t r = 0; r < kLanes; r++) {
        if (i + r >= rows) block[r] = Floats{};
        else if constexpr (pairs) block[r] = (Floats)load_pairs(in + (i + r) * stride + 2 * k, width - 2 * k);
        else block[r] = load(in + (i + r) * stride + k, width - k);
      }
      transpose(block);
      const int64_t count = depth - k < kLanes ? depth - k : kLanes;
      for (int64_t r = 0; r < count; r++) store(out + (k + r) * ld + i, block[r]);
    }
  }
}

template <typename T>
NLORA_INLINE void unpack_rows(int64_t rows, int64_t width, const float* in, int64_t ld, T* out, int64_t stride) {
  for (int64_t i = 0; i < rows; i++) {
    for (int64_t j = 0; j < width; j += kLanes) store(out + i * stride + j, load(in + i * ld + j), width - j);
  }
}

// 0 for the keys that may be attended to, -inf for the others and past the end.
NLORA_INLINE void mask_row(int64_t n, int64_t ld, const bool* mask, float* out) {
  for (int64_t j = 0; j < ld; j++) out[j] = j < n && (mask == nullptr || mask[j]) ? 0.0f : -INFINITY;
}

NLORA_INLINE Ints lane_numbers() {
  Ints lane;
  for (int i = 0; i < NLORA_LANES; i++) lane[i] = i;
  return lane;
}

// The keys that rows [first, first + rows) of one head of keys see, as [begin, end) in whole kPads.
struct KeyRange {
  int64_t begin, end;
};

NLORA_INLINE KeyRange key_range(const HeadPlan& p, int64_t first, int64_t rows) {
  KeyRange range{0, p.ldn};
  if (p.window == 0 || first / p.queries != (first + rows - 1) / p.queries) return range;
  const int64_t sees = p.keys - p.queries + first % p.queries + 1, from = sees - p.window, to = sees + rows - 1;
  if (from > 0) range.begin = from / kPad * kPad;
  range.end = (to + kPad - 1) / kPad * kPad;
  return range;
}

// Softmax of a row of scores over a range of keys, in place and not yet divided by the sum, which is returned (0 where
// nothing may be attended to: zeros then).
NLORA_INLINE float softmax_row(const HeadPlan& p, const KeyRange& range, int64_t query, float* row, const float* bias,
                               const float* mask) {
  const float lowest = -INFINITY;
  const int64_t n = p.keys, last = n - p.queries + query, before = last - p.window;
  const Ints lane = lane_numbers();
  Floats top = splat(lowest);
  for (int64_t j = range.begin; j < range.end; j += kLanes) {
    Floats v = load(row + j) + load(mask + j);
    if (bias != nullptr && j < n) v += load(bias + j, n - j);
    if (p.window != 0) {
      const Ints at = lane + (int32_t)j;
      v = select((at > (int32_t)last) | (at <= (int32_t)before), splat(lowest), v);
    }
    store(row + j, v);
    top = maximum(top, v);
  }
  const float highest = largest(top);
  Floats total = {};
  for (int64_t j = range.begin; j < range.end; j += kLanes) {
    const Floats e = highest == lowest ? Floats{} : exp_negative(load(row + j) - highest);
    store(row + j, e);
    total += e;
  }
  return sum(total);
}

// Scores of few queries (float32 rows, ldk apart): dot products with the keys where they are.
template <typename T>
NLORA_INLINE void few_scores(const HeadPlan& p, int64_t rows, const float* q, const T* k, float* scores) {
  for (int64_t i = 0; i < rows; i++) {
    for (int64_t j = 0; j < p.keys; j++) {
      Floats s0 = {}, s1 = {};
      for (int64_t c = 0; c < p.width; c += 2 * kLanes) {
        s0 += load(q + i * p.ldk + c) * load(k + j * p.k_row + c, p.width - c);
        if (c + kLanes < p.width) s1 += load(q + i * p.ldk + c + kLanes) * load(k + j * p.k_row + c + kLanes, p.width - c - kLanes);
      }
      scores[i * p.ldn + j] = sum(s0 + s1);
    }
    for (int64_t j = p.keys; j < p.ldn; j++) scores[i * p.ldn + j] = 0;
  }
}

// The mix of values for few queries, from where the values are; kept [rows, ldn] in float32.
template <typename T>
NLORA_INLINE void few_mixed(const HeadPlan& p, int64_t rows, const float* kept, const T* v, float* mixed) {
  for (int64_t i = 0; i < rows; i++) {
    for (int64_t c = 0; c < p.mixed; c += 4 * kLanes) {
      Floats sums[4] = {};
      for (int64_t j = 0; j < p.keys; j++) {
#pragma GCC unroll 4
        for (int64_t u = 0; u < 4; u++) {
          const int64_t at = c + u * kLanes;
          if (at < p.mixed) sums[u] += kept[i * p.ldn + j] * load(v + j * p.v_row + at, p.mixed - at);
        }
      }
#pragma GCC unroll 4
      for (int64_t u = 0; u < 4; u++) {
        if (c + u * kLanes < p.mixed) store(mixed + i * p.ldv + c + u * kLanes, sums[u]);
      }
    }
  }
}

// Row r of a head of keys and values stands for query r % queries of its query head r / queries.
template <typename T>
NLORA_INLINE T* row_of(T* base, int64_t r, int64_t queries, int64_t row, int64_t head) {
  return base + r % queries * row + r / queries * head;
}

// Units [begin, end), each a head of keys and values of one sequence.
template <typename T>
void attention_forward(const HeadPlan& p, int64_t begin, int64_t end, const T* q, const T* k, const T* v, T* out, T* probs,
                       const HeadBuffers& s) {
  const int64_t n = p.keys, groups = p.heads / p.shared, total = p.shared * p.queries, out_row = p.heads * p.mixed;
  const bool few = total <= kFewQueries;
  for (int64_t unit = begin; unit < end; unit++) {
    const int64_t batch = unit / groups, group = unit % groups, head = group * p.shared;
    const T* qh = q + batch * p.q_batch + head * p.q_head;
    const T* kh = k + batch * p.k_batch + group * p.width;
    const T* vh = v + batch * p.v_batch + group * p.mixed;
    T* oh = out + batch * p.queries * out_row + head * p.mixed;
    const int64_t index = (batch * p.heads + head) * p.queries;
    if (!few) {
      pack_turned<kPairs<T>>(n, p.width, kh, p.k_row, s.kt, p.ldn);
      pack_across<kPairs<T>>(n, p.mixed, vh, p.v_row, s.v, p.ldv);
      fill_tile<kPairs<T>>(n, s.v, p.ldv);
    }
    mask_row(n, p.ldn, p.mask == nullptr ? nullptr : p.mask + batch * n, s.mask);
    for (int64_t first = 0; first < total; first += p.block) {
      const int64_t rows = total - first < p.block ? total - first : p.block;
      const KeyRange range = key_range(p, first, rows);
      const int64_t from = range.begin, columns = range.end - from;
      for (int64_t i = 0; i < rows; i++) {
        const T* row = row_of(qh, first + i, p.queries, p.q_row, p.q_head);
        if (few) pack_row<false>(p.width, row, s.q + i * p.ldk, p.ldk);
        else pack_row<kPairs<T>>(p.width, row, s.q + i * row_step<kPairs<T>>(p.ldk), p.ldk);
      }
      if (few) few_scores(p, rows, s.q, kh, s.scores);
      else multiply<kPairs<T>>(rows, columns, depth_of<kPairs<T>>(p.width), s.q, row_step<kPairs<T>>(p.ldk), 1, s.kt + from,
                               p.ldn, s.scores + from, p.ldn, false);
      for (int64_t i = 0; i < rows; i++) {
        const int64_t r = first + i, query = r % p.queries;
        float* row = s.scores + i * p.ldn;
        const float* bias = p.bias == nullptr ? nullptr : p.bias + (head * p.queries + r) * n;
        const float total_weight = softmax_row(p, range, query, row, bias, s.mask);
        const float norm = total_weight > 0 ? 1.0f / total_weight : 0.0f;
        const bool drops = p.key.threshold != 0;
        const uint8_t* bytes = drops ? hash_bytes(p.key, (index + r) * n + from, columns, s.bytes) : nullptr;
        float* kept = s.kept + (few ? i * p.ldn : i * row_step<kPairs<T>>(p.ldn));
        for (int64_t j = from; j < range.end; j += kLanes) {
          Floats weight = load(row + j) * norm;
          if (probs != nullptr && j < n) store(probs + (index + r) * n + j, weight, n - j);
          if (drops) weight = drop(weight * p.key.scale, bytes + j - from, p.key.threshold);
          if (few) put<false>(kept, j, weight);
          else put<kPairs<T>>(kept, j, weight);
        }
      }
      if (few) {
        few_mixed(p, rows, s.kept, vh, s.mixed);
      } else {
        const int64_t used = (range.end < n ? range.end : n) - from;
        multiply<kPairs<T>>(rows, p.ldv, depth_in_tiles<kPairs<T>>(used), s.kept + depth_of<kPairs<T>>(from), row_step<kPairs<T>>(p.ldn),
                            1, s.v + depth_of<kPairs<T>>(from) * p.ldv, p.ldv, s.mixed, p.ldv, false);
      }
      for (int64_t i = 0; i < rows; i++) {
        unpack_rows(1, p.mixed, s.mixed + i * p.ldv, p.ldv, row_of(oh, first + i, p.queries, out_row, p.mixed), 0);
      }
    }
  }
}

// One row of the probabilities' gradient, [begin, end): g becomes the gradient of what dropout left; `weights` are the
// probabilities after dropout. Returns the sum of probabilities times gradients.
template <typename T>
NLORA_INLINE float drop_row(const HeadPlan& p, const KeyRange& range, int64_t index, const T* probs, float* g, float* weights,
                            uint8_t* scratch) {
  const int64_t n = p.keys;
  const bool drops = p.key.threshold != 0;
  const uint8_t* bytes = drops ? hash_bytes(p.key, index * n + range.begin, range.end - range.begin, scratch) : nullptr;
  Floats dot = {};
  for (int64_t j = range.begin; j < range.end; j += kLanes) {
    const Floats weight = j < n ? load(probs + index * n + j, n - j) : Floats{};
    Floats gradient = load(g + j), used = weight;
    if (drops) {
      gradient = drop(gradient * p.key.scale, bytes + j - range.begin, p.key.threshold);
      used = drop(weight * p.key.scale, bytes + j - range.begin, p.key.threshold);
    }
    store(g + j, gradient);
    store(weights + j, used);
    dot += gradient * weight;
  }
  return sum(dot);
}

template <typename T>
void attention_backward(const HeadPlan& p, int64_t begin, int64_t end, const T* q, const T* k, const T* v, const T* probs,
                        const T* grad, T* gq, T* gk, T* gv, const HeadBuffers& s) {
  constexpr bool pairs = kPairs<T>;
  const int64_t n = p.keys, groups = p.heads / p.shared, total = p.shared * p.queries, out_row = p.heads * p.mixed;
  for (int64_t unit = begin; unit < end; unit++) {
    const int64_t batch = unit / groups, group = unit % groups, head = group * p.shared;
    const T* qh = q + batch * p.q_batch + head * p.q_head;
    const T* gh = grad + batch * p.queries * out_row + head * p.mixed;
    T* gqh = gq + batch * p.gq_batch + head * p.gq_head;
    const int64_t index = (batch * p.heads + head) * p.queries;
    pack_across<pairs>(n, p.width, k + batch * p.k_batch + group * p.width, p.k_row, s.k, p.ldk);
    fill_tile<pairs>(n, s.k, p.ldk);
    pack_turned<pairs>(n, p.mixed, v + batch * p.v_batch + group * p.mixed, p.v_row, s.kt, p.ldn);
    std::memset(s.gk, 0, n * p.ldk * sizeof(float));
    std::memset(s.gv, 0, n * p.ldv * sizeof(float));
    for (int64_t first = 0; first < total; first += p.block) {
      const int64_t rows = total - first < p.block ? total - first : p.block;
      const KeyRange range = key_range(p, first, rows);
      const int64_t from = range.begin, columns = range.end - from, used = (range.end < n ? range.end : n) - from;
      // Queries and gradients: across (depth is the query), and gradients along their width too.
      for (int64_t i = 0; i < rows; i++) {
        const T* row = row_of(gh, first + i, p.queries, out_row, p.mixed);
        if constexpr (pairs) {
          pack_row<pairs>(p.mixed, row, s.go + i * row_step<pairs>(p.ldv), p.ldv);
          if (i % 2 == 1) continue;
        }
        const bool has_next = i + 1 < rows;
        pack_across<pairs>(i, p.mixed, row, has_next ? row_of(gh, first + i + 1, p.queries, out_row, p.mixed) : nullptr,
                           s.go_across, p.ldv);
        pack_across<pairs>(i, p.width, row_of(qh, first + i, p.queries, p.q_row, p.q_head),
                           has_next ? row_of(qh, first + i + 1, p.queries, p.q_row, p.q_head) : nullptr, s.q, p.ldk);
      }
      multiply<pairs>(rows, columns, depth_of<pairs>(p.mixed), pairs ? s.go : s.go_across, row_step<pairs>(p.ldv), 1, s.kt + from, p.ldn,
                      s.scores + from, p.ldn, false);
      // The scores' gradient P * (dP - sum(P * dP)), along the keys and across; the dropped probabilities across.
      constexpr int64_t together = pairs ? 2 : 1;
      for (int64_t i = 0; i < rows; i += together) {
        float means[2];
        const int64_t count = rows - i < together ? rows - i : together;
        for (int64_t u = 0; u < count; u++) {
          means[u] = drop_row(p, range, index + first + i + u, probs, s.scores + (i + u) * p.ldn, s.weights + u * p.ldn, s.bytes);
        }
        for (int64_t j = from; j < range.end; j += kLanes) {
          Floats gradient[2] = {}, weight[2] = {};
          for (int64_t u = 0; u < count; u++) {
            const Floats pj = j < n ? load(probs + (index + first + i + u) * n + j, n - j) : Floats{};
            gradient[u] = pj * (load(s.scores + (i + u) * p.ldn + j) - means[u]);
            weight[u] = load(s.weights + u * p.ldn + j);
            put<pairs>(s.grads + (i + u) * row_step<pairs>(p.ldn), j, gradient[u]);
          }
          if constexpr (pairs) {
            store(s.grads_across + i / 2 * p.ldn + j, (Floats)pair_up(gradient[0], gradient[1]));
            store(s.kept + i / 2 * p.ldn + j, (Floats)pair_up(weight[0], weight[1]));
          } else {
            store(s.kept + i * p.ldn + j, weight[0]);
          }
        }
      }
      float* grads_across = pairs ? s.grads_across : s.grads;
      for (float* across : {s.kept, grads_across}) fill_tile<pairs>(rows, across, p.ldn);
      fill_tile<pairs>(rows, s.go_across, p.ldv);
      fill_tile<pairs>(rows, s.q, p.ldk);
      multiply<pairs>(used, p.ldv, depth_in_tiles<pairs>(rows), s.kept + from, 1, p.ldn, s.go_across, p.ldv, s.gv + from * p.ldv,
                      p.ldv, true);
      multiply<pairs>(used, p.ldk, depth_in_tiles<pairs>(rows), grads_across + from, 1, p.ldn, s.q, p.ldk, s.gk + from * p.ldk, p.ldk,
                      true);
      multiply<pairs>(rows, p.ldk, depth_in_tiles<pairs>(used), s.grads + depth_of<pairs>(from), row_step<pairs>(p.ldn), 1,
                      s.k + depth_of<pairs>(from) * p.ldk, p.ldk, s.gq, p.ldk, false);
      for (int64_t i = 0; i < rows; i++) {
        unpack_rows(1, p.width, s.gq + i * p.ldk, p.ldk, row_of(gqh, first + i, p.queries, p.gq_row, p.gq_head), 0);
      }
    }
    unpack_rows(n, p.width, s.gk, p.ldk, gk + batch * p.gk_batch + group * p.width, p.gk_row);
    unpack_rows(n, p.mixed, s.gv, p.ldv, gv + batch * p.gv_batch + group * p.mixed, p.gv_row);
  }
}

}  // namespace NLORA_ISA
}  // namespace nlora
