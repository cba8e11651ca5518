// Choice of instruction set at run time. Vector kernels live in files named *_vec.h, which foreach_isa.h compiles once per
// instruction set into the namespaces base, avx2, avx512 and avx512bf16; NLORA_CALL picks the best one this processor can run.
// Isa::amx runs the kernels of avx512bf16, whose products then use tiles (amx.h).
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#include <cpuid.h>
#include <immintrin.h>
#define NLORA_X86 1
#if __GNUC__ >= 11
#define NLORA_X86_BF16 1  // compiler and assembler know AVX512-BF16 and AMX
#ifdef __linux__
#include <sys/syscall.h>
#include <unistd.h>
#endif
#endif
#endif

namespace nlora {

enum class Isa { base, avx2, avx512, avx512bf16, amx };

#ifdef NLORA_X86_BF16
// The processor has tiles of bfloat16, and the kernel lets this process use them (asked once; it holds for all threads).
inline bool detect_amx() {
#ifdef SYS_arch_prctl
  unsigned a = 0, b = 0, c = 0, d = 0;
  constexpr unsigned kBf16 = 1u << 22, kTile = 1u << 24;
  constexpr int kRequestPermission = 0x1023, kTileData = 18;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d & (kBf16 | kTile)) == (kBf16 | kTile) &&
         syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}
#endif

inline Isa detect_isa() {
#ifdef NLORA_X86
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl")) {
#ifdef NLORA_X86_BF16
    if (__builtin_cpu_supports("avx512bf16")) return detect_amx() ? Isa::amx : Isa::avx512bf16;
#endif
    return Isa::avx512;
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return Isa::avx2;
#endif
  return Isa::base;
}

// NLORA_ISA=base|avx2|avx512|avx512bf16 asks for no more than that, to test what other processors run.
inline Isa isa() {
  static const Isa value = [] {
    const char* asked = std::getenv("NLORA_ISA");
    const std::string most = asked == nullptr ? "" : asked;
    const Isa limit = most == "base"         ? Isa::base
                      : most == "avx2"       ? Isa::avx2
                      : most == "avx512"     ? Isa::avx512
                      : most == "avx512bf16" ? Isa::avx512bf16
                                             : Isa::amx;
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
#define NLORA_BF16_CALL(function, ...) ::nlora::isa() >= ::nlora::Isa::avx512bf16 ? ::nlora::avx512bf16::function(__VA_ARGS__) :
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
