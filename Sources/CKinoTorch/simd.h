// Pieces that the CPU kernels share: run-time choice of instruction set, bfloat16, a vectorisable exp.
//
// A kernel's body is written once, always inlined, and instantiated in wrappers that differ in their
// target attribute alone; `kino::uses_avx512()` picks the wrapper.
#pragma once
#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstring>

#define KINO_INLINE static inline __attribute__((always_inline))
#if defined(__x86_64__)
#define KINO_AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma"), noinline))
#else
#define KINO_AVX512
#endif
#define KINO_INLINED __attribute__((always_inline))

namespace kino {

// Set by tests alone, for the thread that asks; starts as high as it goes. Kernels read it before they
// hand work to other threads.
inline thread_local int32_t kernel_level = INT32_MAX;

inline bool has_avx512() {
#if defined(__x86_64__)
  static const bool present = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                              __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
  return present;
#else
  return false;
#endif
}

inline bool has_avx512_bf16() {
#if defined(__x86_64__)
  static const bool present = has_avx512() && __builtin_cpu_supports("avx512bf16");
  return present;
#else
  return false;
#endif
}

inline bool uses_avx512() { return has_avx512() && kernel_level >= 1; }
inline bool uses_avx512_bf16() { return has_avx512_bf16() && kernel_level >= 2; }

template <typename Body>
KINO_AVX512 void with_avx512(const Body &body) {
  body();
}

// Runs `body`, a lambda marked KINO_INLINED, compiled for the widest instructions or for any machine.
template <typename Body>
KINO_INLINE void with_simd(bool wide, const Body &body) {
  wide ? with_avx512(body) : body();
}

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
