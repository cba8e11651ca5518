// Includes the file named by NLORA_FOREACH once per instruction set (no include guard: every user defines it anew).
#include "isa.h"

#ifdef NLORA_X86

#ifdef NLORA_X86_BF16
#pragma GCC push_options
#pragma GCC target( \
    "avx512bf16,avx512f,avx512bw,avx512dq,avx512vl,avx512cd,avx2,fma,bmi,bmi2,lzcnt,popcnt,prefer-vector-width=512")
#define NLORA_ISA avx512bf16
#define NLORA_LANES 16
#define NLORA_PAIRS
#include "vec.h"
#include NLORA_FOREACH
#undef NLORA_PAIRS
#undef NLORA_LANES
#undef NLORA_ISA
#pragma GCC pop_options
#endif

#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512cd,avx2,fma,bmi,bmi2,lzcnt,popcnt,prefer-vector-width=512")
#define NLORA_ISA avx512
#define NLORA_LANES 16
#include "vec.h"
#include NLORA_FOREACH
#undef NLORA_LANES
#undef NLORA_ISA
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx2,fma,bmi,bmi2,lzcnt,popcnt")
#define NLORA_ISA avx2
#define NLORA_LANES 8
#include "vec.h"
#include NLORA_FOREACH
#undef NLORA_LANES
#undef NLORA_ISA
#pragma GCC pop_options

#endif

#define NLORA_ISA base
#define NLORA_LANES 4
#include "vec.h"
#include NLORA_FOREACH
#undef NLORA_LANES
#undef NLORA_ISA

#undef NLORA_FOREACH
