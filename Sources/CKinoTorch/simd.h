// Pieces that the CPU kernels share: run-time choice of instruction set, bfloat16, a vectorisable exp.
//
// A kernel's body is written once, always inlined, and instantiated in wrappers that differ in their
// target attribute alone; `kino::simd()` picks the wrapper.
#pragma once
#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstring>

#if defined(__x86_64__) && defined(__linux__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#define KINO_INLINE static inline __attribute__((always_inline))
#if defined(__x86_64__)
#define KINO_AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma"), noinline))
#define KINO_AVX2 __attribute__((target("avx2,fma"), noinline))
#else
#define KINO_AVX512
#define KINO_AVX2
#endif
#define KINO_INLINED __attribute__((always_inline))

namespace kino {

// Set by tests alone, for the thread that asks; starts as high as it goes. Kernels read it before they
// hand work to other threads.
inline thread_local int32_t kernel_level = INT32_MAX;

// Instructions that a body may be compiled for, each level a superset of the ones before.
enum class Simd : int32_t { portable = 0, avx2 = 1, avx512 = 2, avx512_bf16 = 3, amx_bf16 = 4 };

// Whether there is a matrix unit (AMX) for bfloat16, and this process may use it: its registers are so large that Linux
// wants to be asked for them.
inline bool has_matrix_unit() {
#if defined(__x86_64__) && defined(__linux__)
  constexpr int kBFloat16 = 22, kTiles = 24;                 // bits of leaf 7's EDX
  constexpr long kRequest = 0x1023, kTileRegisters = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  unsigned a, b, c, d;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return false;
  return (d >> kBFloat16 & d >> kTiles & 1) != 0 && syscall(SYS_arch_prctl, kRequest, kTileRegisters) == 0;
#else
  return false;
#endif
}

inline Simd highest_simd() {
#if defined(__x86_64__)
  static const Simd found = [] {
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return Simd::portable;
    const bool wide = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
    if (!wide) return Simd::avx2;
    if (!__builtin_cpu_supports("avx512bf16")) return Simd::avx512;
    return has_matrix_unit() ? Simd::amx_bf16 : Simd::avx512_bf16;
  }();
  return found;
#else
  return Simd::portable;
#endif
}

// What this thread's kernels may use.
inline Simd simd() {
  const auto highest = static_cast<int32_t>(highest_simd());
  return static_cast<Simd>(kernel_level < highest ? kernel_level : highest);
}

template <typename Body>
KINO_AVX512 void with_avx512(const Body &body) {
  body();
}

template <typename Body>
KINO_AVX2 void with_avx2(const Body &body) {
  body();
}

// Runs `body`, a lambda marked KINO_INLINED, compiled for the widest instructions that `level` allows.
template <typename Body>
KINO_INLINE void with_simd(Simd level, const Body &body) {
  if (level >= Simd::avx512) return with_avx512(body);
  if (level >= Simd::avx2) return with_avx2(body);
  body();
}

KINO_INLINE int64_t divided_up(int64_t a, int64_t b) { return (a + b - 1) / b; }
KINO_INLINE int64_t rounded_up(int64_t a, int64_t b) { return divided_up(a, b) * b; }

KINO_INLINE float load(const float *p) { return *p; }
KINO_INLINE float load(const uint16_t *p) {
  uint32_t bits = static_cast<uint32_t>(*p) << 16;
  float value;
  std::memcpy(&value, &bits, 4);
  return value;
}

KINO_INLINE void store(float *p, float value) { *p = value; }
// Rounds to nearest even; NaN stays NaN.
KINO_INLINE void store(uint16_t *p, float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, 4);
  uint32_t rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16;
  *p = static_cast<uint16_t>(value != value ? 0x7FC0 : rounded);
}

// exp(x) to about two units in the last place: 2^n times a polynomial on |r| <= ln(2)/2. NaN stays NaN.
KINO_INLINE float fast_exp(float x) {
  x = x < -87.0f ? -87.0f : (x > 88.0f ? 88.0f : x);
  float n = std::floor(x * 1.44269504f + 0.5f);
  // Converting NaN to an integer would be undefined.
  n = n == n ? n : 0.0f;
  float r = x - n * 0.693359375f + n * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  uint32_t bits = static_cast<uint32_t>(static_cast<int32_t>(n) + 127) << 23;
  float scale;
  std::memcpy(&scale, &bits, 4);
  return p * scale;
}

KINO_INLINE float fast_sigmoid(float x) { return 1.0f / (1.0f + fast_exp(-x)); }

// The tanh form of GELU is x times this.
KINO_INLINE float fast_gelu_share(float x) {
  constexpr float kRoot = 1.5957691216f;  // 2 * sqrt(2 / pi)
  return fast_sigmoid(kRoot * (x + 0.044715f * x * x * x));
}

}  // namespace kino
