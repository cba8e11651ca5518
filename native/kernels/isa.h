// Choice of instruction set at run time. Vector kernels live in files named *_vec.h, which foreach_isa.h compiles once per
// instruction set into the namespaces base, avx2, avx512 and avx512bf16; NLORA_CALL picks the best one this processor can run.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#include <immintrin.h>
#define NLORA_X86 1
#if __GNUC__ >= 11
#define NLORA_X86_BF16 1  // the compiler knows AVX512-BF16
#endif
#endif

namespace nlora {

enum class Isa { base, avx2, avx512, avx512bf16 };

inline Isa detect_isa() {
#ifdef NLORA_X86
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl")) {
#ifdef NLORA_X86_BF16
    if (__builtin_cpu_supports("avx512bf16")) return Isa::avx512bf16;
#endif
    return Isa::avx512;
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return Isa::avx2;
#endif
  return Isa::base;
}

// NLORA_ISA=base|avx2|avx512 asks for no more than that, to test what other processors run.
inline Isa isa() {
  static const Isa value = [] {
    const char* asked = std::getenv("NLORA_ISA");
    const std::string most = asked == nullptr ? "" : asked;
    const Isa limit = most == "base" ? Isa::base : most == "avx2" ? Isa::avx2 : most == "avx512" ? Isa::avx512 : Isa::avx512bf16;
    return std::min(limit, detect_isa());
  }();
  return value;
}

// What a dropout kernel needs to know: element i is kept where byte i of the hash stream of (k0, k1) is >= threshold.
struct DropoutKey {
  uint32_t k0 = 0, k1 = 0;
  int threshold = 0;  // of 256; 0 keeps everything, 256 nothing
  float scale = 1;    // 1 / true probability of being kept
};

}  // namespace nlora

#ifdef NLORA_X86_BF16
#define NLORA_BF16_CALL(function, ...) ::nlora::isa() == ::nlora::Isa::avx512bf16 ? ::nlora::avx512bf16::function(__VA_ARGS__) :
#else
#define NLORA_BF16_CALL(function, ...)
#endif

#ifdef NLORA_X86
#define NLORA_CALL(function, ...)                                               \
  (NLORA_BF16_CALL(function, __VA_ARGS__) ::nlora::isa() == ::nlora::Isa::avx512 ? ::nlora::avx512::function(__VA_ARGS__) \
   : ::nlora::isa() == ::nlora::Isa::avx2 ? ::nlora::avx2::function(__VA_ARGS__)   \
                                          : ::nlora::base::function(__VA_ARGS__))
#else
#define NLORA_CALL(function, ...) (::nlora::base::function(__VA_ARGS__))
#endif
