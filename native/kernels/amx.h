// Products of bfloat16 pairs by AMX: eight tiles of 16 rows by 64 bytes, a thread's own. Numbers 0 to 3 hold sums, 4 and 5 the left
// side, 6 and 7 the right. A thread that uses them holds a Tiles; where isa() is below Isa::amx it does nothing.
#pragma once

#include "isa.h"

namespace nlora {

constexpr int64_t kTile = 16;  // rows of a tile, and 32-bit elements of a row

#ifdef NLORA_X86_BF16

class Tiles {
 public:
  Tiles() {
    if (isa() < Isa::amx) return;
    struct alignas(64) Config {
      uint8_t palette = 1, start = 0, reserved[14] = {};
      uint16_t bytes[16] = {};
      uint8_t rows[16] = {};
    } config;
    for (int i = 0; i < 8; i++) config.bytes[i] = 4 * kTile, config.rows[i] = kTile;
    asm volatile("ldtilecfg %0" : : "m"(config));
  }
  ~Tiles() {
    if (isa() >= Isa::amx) asm volatile("tilerelease" : : : "memory");
  }
  Tiles(const Tiles&) = delete;
  Tiles& operator=(const Tiles&) = delete;
};

// Rows `stride` bytes apart.
#define NLORA_TILE_LOAD(tile, from, stride) \
  asm volatile("tileloadd (%0,%1,1), %%tmm" #tile : : "r"(from), "r"((int64_t)(stride)) : "memory")
#define NLORA_TILE_STORE(tile, to, stride) \
  asm volatile("tilestored %%tmm" #tile ", (%0,%1,1)" : : "r"(to), "r"((int64_t)(stride)) : "memory")
#define NLORA_TILE_ZERO(tile) asm volatile("tilezero %%tmm" #tile : :)
#define NLORA_TILE_DOT(sums, left, right) asm volatile("tdpbf16ps %%tmm" #right ", %%tmm" #left ", %%tmm" #sums : :)

// One or two tiles of rows by two of columns of C (+)= A B over whole tiles of depth. `a` lies in rows of 16 elements `a_row` apart, its tiles
// `a_depth` apart along depth and `a_next` apart along rows; distances are in elements.
template <int rows>
inline __attribute__((always_inline)) void tile_product(int64_t depth, const float* a, int64_t a_row, int64_t a_depth,
                                                        int64_t a_next, const float* b, int64_t ldb, float* c, int64_t ldc, bool add) {
  const int64_t c_bytes = 4 * ldc, b_bytes = 4 * ldb, a_bytes = 4 * a_row;
  float* below = c + kTile * ldc;
  if (add) {
    NLORA_TILE_LOAD(0, c, c_bytes);
    NLORA_TILE_LOAD(1, c + kTile, c_bytes);
    if constexpr (rows == 2) {
      NLORA_TILE_LOAD(2, below, c_bytes);
      NLORA_TILE_LOAD(3, below + kTile, c_bytes);
    }
  } else {
    NLORA_TILE_ZERO(0);
    NLORA_TILE_ZERO(1);
    if constexpr (rows == 2) {
      NLORA_TILE_ZERO(2);
      NLORA_TILE_ZERO(3);
    }
  }
  for (int64_t k = 0; k < depth; k += kTile, a += a_depth, b += kTile * ldb) {
    NLORA_TILE_LOAD(6, b, b_bytes);
    NLORA_TILE_LOAD(4, a, a_bytes);
    NLORA_TILE_DOT(0, 4, 6);
    NLORA_TILE_LOAD(7, b + kTile, b_bytes);
    NLORA_TILE_DOT(1, 4, 7);
    if constexpr (rows == 2) {
      NLORA_TILE_LOAD(5, a + a_next, a_bytes);
      NLORA_TILE_DOT(2, 5, 6);
      NLORA_TILE_DOT(3, 5, 7);
    }
  }
  NLORA_TILE_STORE(0, c, c_bytes);
  NLORA_TILE_STORE(1, c + kTile, c_bytes);
  if constexpr (rows == 2) {
    NLORA_TILE_STORE(2, below, c_bytes);
    NLORA_TILE_STORE(3, below + kTile, c_bytes);
  }
}

#else

struct Tiles {};

#endif

}  // namespace nlora
