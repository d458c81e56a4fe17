// The arithmetic of convolution by minimal filtering (Winograd, 1980; Lavin and Gray, 2015): 4x4 results of a
// 3x3 kernel from 36 products instead of 144.
//
// Polynomials are evaluated at 0, at both roots of 1/2 and of 2, and at infinity. Pairs of reciprocals keep
// rounding near that of plain sums; the usual whole numbers lose twice as much.
#pragma once
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "simd.h"

#pragma clang fp contract(fast)

namespace kino::winograd {

constexpr int kTile = 4;                 // results along a side
constexpr int kPatch = 6;                // inputs along a side
constexpr int kPoints = kPatch * kPatch; // products per channel
constexpr int64_t kLanes = 8;            // channels that a transform takes at a time
constexpr int64_t kColumns = 16;         // outputs that a product takes at a time
constexpr int64_t kMostRows = 12;        // rows that a product takes at a time, at most

constexpr float kLow = 0.70710678f, kHigh = 1.41421356f;  // the positive roots

using Lanes = float __attribute__((vector_size(32), aligned(4)));
using Columns = float __attribute__((vector_size(64), aligned(4)));
using Halves = uint16_t __attribute__((vector_size(16), aligned(2)));
using Words = uint32_t __attribute__((vector_size(32), aligned(4)));

KINO_INLINE void read(const float *p, Lanes &x) { std::memcpy(&x, p, sizeof x); }
KINO_INLINE void read(const uint16_t *p, Lanes &x) {
  Halves halves;
  std::memcpy(&halves, p, sizeof halves);
  const Words words = __builtin_convertvector(halves, Words) << 16;
  std::memcpy(&x, &words, sizeof x);
}
KINO_INLINE void write(float *p, const Lanes &x) { std::memcpy(p, &x, sizeof x); }
KINO_INLINE void write(uint16_t *p, const Lanes &x) {
  for (int64_t i = 0; i < kLanes; ++i) store(p + i, x[i]);
}

// Writes `run` of kMost vectors.
template <int64_t kMost, typename Vector>
KINO_INLINE void write_run(float *p, const Vector *x, int64_t run) {
  if (run == kMost) {
    // In place, not by a call for each.
#pragma clang loop unroll(full)
    for (int64_t r = 0; r < kMost; ++r) __builtin_memcpy_inline(p + r * (sizeof(Vector) / 4), x + r, sizeof(Vector));
  } else {
    std::memcpy(p, x, static_cast<size_t>(run) * sizeof(Vector));
  }
}

// -- One side of each transform; `s` is the distance from one element to the next.

KINO_INLINE void evaluate_input(const Lanes *d, Lanes *out, int from, int to) {
  const Lanes even_low = d[4 * from] - 2.0f * d[2 * from], odd_low = kLow * (d[3 * from] - 2.0f * d[from]);
  const Lanes even_high = d[4 * from] - 0.5f * d[2 * from], odd_high = kHigh * (d[3 * from] - 0.5f * d[from]);
  out[0 * to] = d[0] - 2.5f * d[2 * from] + d[4 * from];
  out[1 * to] = even_low + odd_low;
  out[2 * to] = even_low - odd_low;
  out[3 * to] = even_high + odd_high;
  out[4 * to] = even_high - odd_high;
  out[5 * to] = d[from] - 2.5f * d[3 * from] + d[5 * from];
}

KINO_INLINE void interpolate_output(const Lanes *m, Lanes *out, int s) {
  const Lanes low = m[1 * s] + m[2 * s], low_odd = kLow * (m[1 * s] - m[2 * s]);
  const Lanes high = m[3 * s] + m[4 * s], high_odd = kHigh * (m[3 * s] - m[4 * s]);
  out[0 * s] = m[0 * s] + low + high;
  out[1 * s] = low_odd + high_odd;
  out[2 * s] = 0.5f * low + 2.0f * high;
  out[3 * s] = 0.5f * low_odd + 2.0f * high_odd + m[5 * s];
}

// The transpose of `interpolate_output`.
KINO_INLINE void evaluate_gradient(const Lanes *y, Lanes *out, int s) {
  const Lanes even_low = y[0 * s] + 0.5f * y[2 * s], odd_low = kLow * (y[1 * s] + 0.5f * y[3 * s]);
  const Lanes even_high = y[0 * s] + 2.0f * y[2 * s], odd_high = kHigh * (y[1 * s] + 2.0f * y[3 * s]);
  const Lanes first = y[0 * s], last = y[3 * s];
  out[0 * s] = first;
  out[1 * s] = even_low + odd_low;
  out[2 * s] = even_low - odd_low;
  out[3 * s] = even_high + odd_high;
  out[4 * s] = even_high - odd_high;
  out[5 * s] = last;
}

template <typename Vector>
KINO_INLINE void evaluate_kernel(const Vector *g, Vector *out, int from, int to) {
  const Vector even_low = (g[0] + 0.5f * g[2 * from]) * (-2.0f / 3.0f), odd_low = g[from] * (kLow * -2.0f / 3.0f);
  const Vector even_high = (g[0] + 2.0f * g[2 * from]) * (1.0f / 6.0f), odd_high = g[from] * (kHigh / 6.0f);
  out[0 * to] = g[0];
  out[1 * to] = even_low + odd_low;
  out[2 * to] = even_low - odd_low;
  out[3 * to] = even_high + odd_high;
  out[4 * to] = even_high - odd_high;
  out[5 * to] = g[2 * from];
}

// The transpose of `evaluate_kernel`.
template <typename Vector>
KINO_INLINE void gather_kernel(const Vector *u, Vector *out, int from, int to) {
  const Vector low = (u[1 * from] + u[2 * from]) * (-2.0f / 3.0f), high = (u[3 * from] + u[4 * from]) * (1.0f / 6.0f);
  out[0 * to] = u[0] + low + high;
  out[1 * to] = (u[1 * from] - u[2 * from]) * (kLow * -2.0f / 3.0f) + (u[3 * from] - u[4 * from]) * (kHigh / 6.0f);
  out[2 * to] = 0.5f * low + 2.0f * high + u[5 * from];
}

// -- Products

// c[r][0..<16] = (adds ? c : 0) + the sum over k of a[r][k] * b[k][0..<16], with kCount rows r.
template <int kCount>
KINO_INLINE void multiply_rows(const float *a, int64_t a_row, int64_t a_step, const float *b, int64_t b_step,
                               int64_t count, float *c, int64_t c_row, bool adds) {
  Columns sum[kCount];
#pragma clang loop unroll(full)
  for (int r = 0; r < kCount; ++r) {
    sum[r] = Columns{};
    if (adds) std::memcpy(&sum[r], c + r * c_row, sizeof(Columns));
  }
#pragma clang loop unroll_count(2)
  for (int64_t k = 0; k < count; ++k, a += a_step, b += b_step) {
    Columns column;
    std::memcpy(&column, b, sizeof column);
#pragma clang loop unroll(full)
    for (int r = 0; r < kCount; ++r) sum[r] += a[r * a_row] * column;
  }
#pragma clang loop unroll(full)
  for (int r = 0; r < kCount; ++r) std::memcpy(c + r * c_row, &sum[r], sizeof(Columns));
}

// Rows at a time: as many sums as the registers hold.
template <typename Body>
KINO_INLINE void with_rows(Simd level, const Body &body) {
#if defined(__x86_64__)
  if (level >= Simd::avx512) return with_avx512([&]() KINO_INLINED { body(std::integral_constant<int, 12>{}); });
  if (level >= Simd::avx2) return with_avx2([&]() KINO_INLINED { body(std::integral_constant<int, 6>{}); });
  body(std::integral_constant<int, 2>{});
#else
  body(std::integral_constant<int, 6>{});
#endif
}

}  // namespace kino::winograd
