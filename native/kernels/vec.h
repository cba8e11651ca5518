// Vectors of NLORA_LANES floats and the elementary functions on them (no include guard: foreach_isa.h includes it once per
// instruction set). bfloat16 is uint16_t here; conversion to it rounds to nearest even. Arithmetic is written with
// explicit vectors, so the order of every sum is fixed by the source.

#ifndef NLORA_INLINE
#define NLORA_INLINE static inline __attribute__((always_inline))
#endif

namespace nlora {
namespace NLORA_ISA {

constexpr int64_t kLanes = NLORA_LANES;
#ifdef NLORA_PAIRS
constexpr bool kDotsPairs = true;  // the processor multiplies pairs of bfloat16 (dot_pairs)
#else
constexpr bool kDotsPairs = false;
#endif
typedef float Floats __attribute__((vector_size(NLORA_LANES * 4)));
typedef double Doubles __attribute__((vector_size(NLORA_LANES * 8)));
typedef int32_t Ints __attribute__((vector_size(NLORA_LANES * 4)));
typedef uint32_t Words __attribute__((vector_size(NLORA_LANES * 4)));
typedef uint16_t Halves __attribute__((vector_size(NLORA_LANES * 2)));
typedef uint8_t Bytes __attribute__((vector_size(NLORA_LANES)));

NLORA_INLINE Floats splat(float value) { return value - Floats{}; }

NLORA_INLINE Floats select(Ints condition, Floats yes, Floats no) { return condition ? yes : no; }
NLORA_INLINE Floats maximum(Floats a, Floats b) { return a > b ? a : b; }

// Stops -ffast-math from merging the two halves of a split constant.
NLORA_INLINE Floats opaque(Floats v) {
#ifdef NLORA_X86
#if NLORA_LANES == 16
  asm("" : "+v"(v));
#else
  asm("" : "+x"(v));
#endif
#endif
  return v;
}

NLORA_INLINE Floats load(const float* p) {
  Floats v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

NLORA_INLINE Floats load(const uint16_t* p) {
#if NLORA_LANES == 16  // the compiler takes twice as many instructions for this conversion and the one below
  return (Floats)_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i*)p)), 16);
#else
  Halves h;
  std::memcpy(&h, p, sizeof h);
  return (Floats)(__builtin_convertvector(h, Words) << 16);
#endif
}

NLORA_INLINE void store(float* p, Floats v) { std::memcpy(p, &v, sizeof v); }

NLORA_INLINE void store(uint16_t* p, Floats v) {
#ifdef NLORA_PAIRS
  const auto halves = _mm512_cvtneps_pbh((__m512)v);
  std::memcpy(p, &halves, sizeof halves);
  return;
#endif
  const Words bits = (Words)v;
  const Words rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
#if NLORA_LANES == 16
  const __mmask16 nan = _mm512_cmp_ps_mask((__m512)v, (__m512)v, _CMP_UNORD_Q);
  const __m512i words = _mm512_mask_mov_epi32((__m512i)rounded, nan, _mm512_set1_epi32(0x7fc0));
  _mm256_storeu_si256((__m256i*)p, _mm512_cvtepi32_epi16(words));
#else
  const Words words = v == v ? rounded : (Words{} + 0x7fc0u);
  const Halves h = __builtin_convertvector(words, Halves);
  std::memcpy(p, &h, sizeof h);
#endif
}

// With a count: the first min(n, kLanes) elements; missing ones read as `fill`.
template <typename T>
NLORA_INLINE Floats load(const T* p, int64_t n, float fill = 0) {
  if (__builtin_expect(n >= kLanes, 1)) return load(p);
  T part[kLanes] = {};
  for (int64_t i = 0; i < n; i++) part[i] = p[i];
  Floats v = load(part);
  if (fill != 0) {
    for (int64_t i = n; i < kLanes; i++) v[i] = fill;
  }
  return v;
}

template <typename T>
NLORA_INLINE void store(T* p, Floats v, int64_t n) {
  if (__builtin_expect(n >= kLanes, 1)) return store(p, v);
  T part[kLanes];
  store(part, v);
  for (int64_t i = 0; i < n; i++) p[i] = part[i];
}

// Pairs of bfloat16 in 32-bit elements, the first one in the lower half: n of them from memory (an odd last one with 0), and
// the same 32 bits in every lane.
NLORA_INLINE Words load_pairs(const uint16_t* p, int64_t n) {
  Words v = {};
  if (__builtin_expect(n >= 2 * kLanes, 1)) std::memcpy(&v, p, sizeof v);
  else std::memcpy(&v, p, n * sizeof *p);
  return v;
}

NLORA_INLINE Words splat_bits(const float* p) {
  uint32_t bits;
  std::memcpy(&bits, p, sizeof bits);
  return Words{} + bits;
}

#ifdef NLORA_PAIRS
// Rounded to bfloat16: `low` in the lower halves, `high` in the upper.
NLORA_INLINE Words pair_up(Floats low, Floats high) {
  const auto l = _mm512_cvtneps_pbh((__m512)low), h = _mm512_cvtneps_pbh((__m512)high);
  return (Words)_mm512_cvtepu16_epi32((__m256i)l) | (Words)_mm512_cvtepu16_epi32((__m256i)h) << 16;
}

// sums + a_low * b_low + a_high * b_high, in float32 (denormals are taken as zero).
NLORA_INLINE Floats dot_pairs(Floats sums, Words a, Words b) {
  return (Floats)_mm512_dpbf16_ps((__m512)sums, (__m512bh)(__m512i)a, (__m512bh)(__m512i)b);
}
#else
NLORA_INLINE Words pair_up(Floats, Floats) { return Words{}; }  // never called
NLORA_INLINE Floats dot_pairs(Floats sums, Words, Words) { return sums; }
#endif

// kLanes vectors as a square, transposed in place.
NLORA_INLINE void transpose(Floats* m) {
#if NLORA_LANES == 16
  __m512 a[16], b[16];
#pragma GCC unroll 16
  for (int i = 0; i < 16; i += 2) {
    a[i] = _mm512_unpacklo_ps((__m512)m[i], (__m512)m[i + 1]);
    a[i + 1] = _mm512_unpackhi_ps((__m512)m[i], (__m512)m[i + 1]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 16; i += 4) {
    b[i] = _mm512_shuffle_ps(a[i], a[i + 2], 0x44);
    b[i + 1] = _mm512_shuffle_ps(a[i], a[i + 2], 0xee);
    b[i + 2] = _mm512_shuffle_ps(a[i + 1], a[i + 3], 0x44);
    b[i + 3] = _mm512_shuffle_ps(a[i + 1], a[i + 3], 0xee);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++) {
    a[i] = _mm512_shuffle_f32x4(b[i], b[i + 4], 0x88);
    a[i + 4] = _mm512_shuffle_f32x4(b[i], b[i + 4], 0xdd);
    a[i + 8] = _mm512_shuffle_f32x4(b[i + 8], b[i + 12], 0x88);
    a[i + 12] = _mm512_shuffle_f32x4(b[i + 8], b[i + 12], 0xdd);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++) {
    m[i] = (Floats)_mm512_shuffle_f32x4(a[i], a[i + 8], 0x88);
    m[i + 8] = (Floats)_mm512_shuffle_f32x4(a[i], a[i + 8], 0xdd);
    m[i + 4] = (Floats)_mm512_shuffle_f32x4(a[i + 4], a[i + 12], 0x88);
    m[i + 12] = (Floats)_mm512_shuffle_f32x4(a[i + 4], a[i + 12], 0xdd);
  }
#else
  for (int i = 0; i < NLORA_LANES; i++) {
    for (int j = 0; j < i; j++) {
      const float v = m[i][j];
      m[i][j] = m[j][i];
      m[j][i] = v;
    }
  }
#endif
}

// Sum and maximum over the lanes, pairwise.
NLORA_INLINE float sum(Floats v) {
#if NLORA_LANES == 16
  return _mm512_reduce_add_ps((__m512)v);
#endif
  float t[kLanes];
  store(t, v);
  for (int64_t half = kLanes / 2; half > 0; half /= 2) {
    for (int64_t i = 0; i < half; i++) t[i] += t[i + half];
  }
  return t[0];
}

NLORA_INLINE float largest(Floats v) {
  float t[kLanes];
  store(t, v);
  for (int64_t half = kLanes / 2; half > 0; half /= 2) {
    for (int64_t i = 0; i < half; i++) t[i] = t[i] > t[i + half] ? t[i] : t[i + half];
  }
  return t[0];
}

// e^x for x <= 0 (to a few units above by rounding), within 2 units in the last place; 0 below -87.3.
NLORA_INLINE Floats exp_negative(Floats x) {
  const Ints n = __builtin_convertvector(maximum(x, splat(-88.0f)) * 1.44269504f - 0.5f, Ints);
  const Floats whole = __builtin_convertvector(n, Floats);
  const Floats r = opaque(x - whole * 0.693359375f) - whole * -2.12194440e-4f;
  Floats p = splat(1.9875691500e-4f);
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + r + 1.0f;
  const Floats power = (Floats)((n + 127) << 23);
  return select(x < -87.3f, Floats{}, p * power);
}

NLORA_INLINE Floats absolute(Floats v) { return (Floats)((Words)v & 0x7fffffffu); }

// Writes the hash bytes of elements [start, start + n), at least, and returns where the byte of `start` is.
// Bytes 4c .. 4c + 3 are the 32-bit hash of counter c. `out` has room for n + kHashSlack bytes.
constexpr int64_t kHashSlack = 4 * NLORA_LANES + 8;

NLORA_INLINE const uint8_t* hash_bytes(const DropoutKey& key, int64_t start, int64_t n, uint8_t* out) {
  Words lane;
  for (int i = 0; i < NLORA_LANES; i++) lane[i] = (uint32_t)i;
  lane += (uint32_t)((uint64_t)start >> 2) + key.k0;
  const int64_t skip = start & 3;
  for (int64_t i = 0; i < n + skip; i += 4 * kLanes) {
    Words h = lane;
    h ^= h >> 16;
    h *= 0x7feb352du;
    h ^= h >> 15;
    h ^= key.k1;
    h *= 0x846ca68bu;
    h ^= h >> 16;
    std::memcpy(out + i, &h, sizeof h);
    lane += (uint32_t)kLanes;
  }
  return out + skip;
}

// Zeroes the lanes whose hash byte is below the threshold (1 .. 255).
NLORA_INLINE Floats drop(Floats v, const uint8_t* bytes, int threshold) {
#if NLORA_LANES == 16
  const __mmask16 keep = _mm_cmpge_epu8_mask(_mm_loadu_si128((const __m128i*)bytes), _mm_set1_epi8((char)threshold));
  return (Floats)_mm512_maskz_mov_ps(keep, (__m512)v);
#else
  Bytes b;
  std::memcpy(&b, bytes, sizeof b);
  const Ints wide = (Ints)__builtin_convertvector(b, Words);
  return (Floats)((Words)(wide >= threshold) & (Words)v);
#endif
}

}  // namespace NLORA_ISA
}  // namespace nlora
