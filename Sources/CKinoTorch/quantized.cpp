// Linear layers over weights of 8 bits: one scale per output channel, found once, and one per row of the
// input, found on the way in. Sums of products are whole numbers, so every instruction set and every
// thread count gives the same.
#include <algorithm>
#include <vector>

#include "parallel.h"
#include "shim.h"
#include "simd.h"

using namespace kino;

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace {

constexpr int64_t kColumns = 64;  // output channels per panel: four vectors of 32 bits
constexpr int64_t kRows = 6;      // per tile
constexpr int64_t kChunk = 240;   // rows per task, a multiple of kRows
constexpr float kLargest = 127.0f;

// Weights of kColumns output channels. Inputs are stored with 128 added, since the instruction multiplies
// unsigned by signed numbers: `start` is minus 128 times the sum of a channel's weights.
struct Panel {
  int32_t start[kColumns];
  float scale[kColumns];
  int8_t weights[];  // [steps][kColumns][4]
};

constexpr int64_t kStepBytes = kColumns * 4;
constexpr int64_t kHeaderSteps = sizeof(Panel) / kStepBytes;

// x * scale to the nearest whole number, ties to even, for results of at most 22 bits.
KINO_INLINE int32_t rounded(float x, float scale) {
  constexpr float kMagic = 12582912.0f;  // 1.5 * 2^23: the sum's lowest bits are the whole number
  const float sum = x * scale + kMagic;
  int32_t bits;
  std::memcpy(&bits, &sum, 4);
  return bits - 0x4B400000;
}

KINO_INLINE uint32_t magnitude(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, 4);
  return bits & 0x7FFFFFFF;
}

// The largest magnitude of a row; NaN if a number is not finite. Magnitudes order as their bits do.
template <typename T>
KINO_INLINE float largest(const T *x, int64_t count) {
  uint32_t bits = 0;
#pragma clang loop vectorize(enable)
  for (int64_t i = 0; i < count; ++i) bits = std::max(bits, magnitude(load(x + i)));
  float value;
  std::memcpy(&value, &bits, 4);
  return bits >= 0x7F800000 ? NAN : value;
}

// -- Weights

template <typename T>
void pack(const T *weight, int64_t inputs, int64_t outputs, int64_t first, Panel &panel) {
  for (int64_t column = 0; column < kColumns; ++column) {
    panel.start[column] = 0;
    panel.scale[column] = 0;
    if (first + column >= outputs) continue;
    const T *row = weight + (first + column) * inputs;
    const float top = largest(row, inputs);
    panel.scale[column] = top / kLargest;
    if (!(top > 0)) continue;
    int32_t sum = 0;
    for (int64_t k = 0; k < inputs; ++k) {
      const int32_t q = std::clamp(rounded(load(row + k), kLargest / top), -127, 127);
      panel.weights[(k / 4 * kColumns + column) * 4 + k % 4] = static_cast<int8_t>(q);
      sum += q;
    }
    panel.start[column] = -128 * sum;
  }
}

// -- Inputs

// One row as bytes with 128 added or as 16-bit numbers, and its scale. A row that is not finite becomes all zeros with
// the scale NaN, so that all of its results are NaN.
template <typename T, typename Number>
KINO_INLINE float quantize_row(const T *x, int64_t count, int64_t padded, Number *out) {
  constexpr int32_t kZero = sizeof(Number) == 1 ? 128 : 0;
  const float top = largest(x, count);
  const float scale = top > 0 ? kLargest / top : 0.0f;
  const bool is_finite = scale <= 3.0e38f;  // a row of denormals would overflow it
#pragma clang loop vectorize(enable)
  for (int64_t i = 0; i < count; ++i) {
    const int32_t q = rounded(top > 0 && is_finite ? load(x + i) : 0.0f, is_finite ? scale : 0.0f);
    out[i] = static_cast<Number>(q + kZero);
  }
  for (int64_t i = count; i < padded; ++i) out[i] = kZero;
  return top != top ? NAN : top / kLargest;
}

// -- Products: sums[r][c] = start[c] + sum over k of x[r][k] * weights[k][c].

void multiply(const uint8_t *x, int64_t stride, int64_t rows, const Panel &panel, int64_t steps, int32_t *sums) {
  for (int64_t r = 0; r < rows; ++r) {
    int32_t *out = sums + r * kColumns;
    std::memcpy(out, panel.start, sizeof panel.start);
    for (int64_t s = 0; s < steps; ++s) {
      for (int64_t c = 0; c < kColumns; ++c) {
        for (int64_t k = 0; k < 4; ++k) {
          out[c] += x[r * stride + s * 4 + k] * panel.weights[(s * kColumns + c) * 4 + k];
        }
      }
    }
  }
}

#if defined(__x86_64__)
#define KINO_VNNI __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma")))

template <int kCount>
KINO_VNNI void multiply_vnni(const uint8_t *x, int64_t stride, const Panel &panel, int64_t steps, int32_t *sums) {
  __m512i acc[kCount][4];
#pragma clang loop unroll(full)
  for (int r = 0; r < kCount; ++r) {
#pragma clang loop unroll(full)
    for (int v = 0; v < 4; ++v) acc[r][v] = _mm512_loadu_si512(panel.start + v * 16);
  }
  const int8_t *weights = panel.weights;
  for (int64_t s = 0; s < steps; ++s, weights += kStepBytes) {
    __m512i w[4];
#pragma clang loop unroll(full)
    for (int v = 0; v < 4; ++v) w[v] = _mm512_loadu_si512(weights + v * 64);
#pragma clang loop unroll(full)
    for (int r = 0; r < kCount; ++r) {
      int32_t four;
      std::memcpy(&four, x + r * stride + s * 4, 4);
      const __m512i lanes = _mm512_set1_epi32(four);
#pragma clang loop unroll(full)
      for (int v = 0; v < 4; ++v) acc[r][v] = _mm512_dpbusd_epi32(acc[r][v], lanes, w[v]);
    }
  }
#pragma clang loop unroll(full)
  for (int r = 0; r < kCount; ++r) {
#pragma clang loop unroll(full)
    for (int v = 0; v < 4; ++v) _mm512_storeu_si512(sums + r * kColumns + v * 16, acc[r][v]);
  }
}

using Tile = void (*)(const uint8_t *, int64_t, const Panel &, int64_t, int32_t *);
constexpr Tile kTiles[kRows] = {multiply_vnni<1>, multiply_vnni<2>, multiply_vnni<3>,
                                multiply_vnni<4>, multiply_vnni<5>, multiply_vnni<6>};

constexpr int64_t kStrip = 16;   // columns at a time, two vectors of 32 bits
constexpr int64_t kDepth = 512;  // inputs at a time: a strip of widened weights then fits the first-level cache

// Four inputs of kStrip channels a step, as 16-bit numbers in pairs: [inputs / 2][kStrip][2].
KINO_AVX2 void widen(const int8_t *weights, int64_t steps, int16_t *out) {
  for (int64_t s = 0; s < steps; ++s, weights += kStepBytes, out += 4 * kStrip) {
#pragma clang loop unroll(full)
    for (int64_t half = 0; half < 2; ++half) {
      const auto *from = reinterpret_cast<const __m128i *>(weights + half * 32);
      const auto low = _mm256_castsi256_ps(_mm256_cvtepi8_epi16(_mm_loadu_si128(from)));
      const auto high = _mm256_castsi256_ps(_mm256_cvtepi8_epi16(_mm_loadu_si128(from + 1)));
      const auto first = _mm256_castps_si256(_mm256_shuffle_ps(low, high, 0x88));
      const auto second = _mm256_castps_si256(_mm256_shuffle_ps(low, high, 0xdd));
      auto *to = reinterpret_cast<__m256i *>(out + half * 16);
      _mm256_storeu_si256(to, _mm256_permute4x64_epi64(first, 0xd8));
      _mm256_storeu_si256(to + 2, _mm256_permute4x64_epi64(second, 0xd8));
    }
  }
}

// Products of pairs are added in 32 bits, which cannot overflow, as the 8-bit instruction's 16-bit sums would.
template <int kCount>
KINO_AVX2 void multiply_strip(const int16_t *x, int64_t stride, const int16_t *weights, int64_t pairs, int32_t *sums,
                              bool adds) {
  __m256i acc[kCount][2];
#pragma clang loop unroll(full)
  for (int r = 0; r < kCount; ++r) {
#pragma clang loop unroll(full)
    for (int v = 0; v < 2; ++v) {
      acc[r][v] = adds ? _mm256_loadu_si256((const __m256i *)(sums + r * kColumns + v * 8)) : _mm256_setzero_si256();
    }
  }
  for (int64_t p = 0; p < pairs; ++p, weights += 2 * kStrip) {
    const auto first = _mm256_loadu_si256((const __m256i *)weights);
    const auto second = _mm256_loadu_si256((const __m256i *)(weights + kStrip));
#pragma clang loop unroll(full)
    for (int r = 0; r < kCount; ++r) {
      int32_t pair;
      std::memcpy(&pair, x + r * stride + p * 2, 4);
      const auto lanes = _mm256_set1_epi32(pair);
      acc[r][0] = _mm256_add_epi32(acc[r][0], _mm256_madd_epi16(first, lanes));
      acc[r][1] = _mm256_add_epi32(acc[r][1], _mm256_madd_epi16(second, lanes));
    }
  }
#pragma clang loop unroll(full)
  for (int r = 0; r < kCount; ++r) {
#pragma clang loop unroll(full)
    for (int v = 0; v < 2; ++v) _mm256_storeu_si256((__m256i *)(sums + r * kColumns + v * 8), acc[r][v]);
  }
}

void multiply_avx2(const int16_t *x, int64_t stride, int64_t rows, const Panel &panel, int64_t steps, int32_t *sums) {
  constexpr decltype(&multiply_strip<1>) kStrips[kRows] = {multiply_strip<1>, multiply_strip<2>, multiply_strip<3>,
                                                           multiply_strip<4>, multiply_strip<5>, multiply_strip<6>};
  alignas(64) int16_t widened[kDepth * kStrip];
  for (int64_t first = 0; first < steps; first += kDepth / 4) {
    const int64_t count = std::min(kDepth / 4, steps - first);
    for (int64_t column = 0; column < kColumns; column += kStrip) {
      widen(panel.weights + first * kStepBytes + column * 4, count, widened);
      for (int64_t row = 0; row < rows; row += kRows) {
        kStrips[std::min(kRows, rows - row) - 1](x + row * stride + first * 4, stride, widened, count * 2,
                                                 sums + row * kColumns + column, first > 0);
      }
    }
  }
}
#endif

enum class Product { portable, avx2, vnni };

Product product() {
#if defined(__x86_64__)
  static const bool has_vnni = __builtin_cpu_supports("avx512vnni");
  if (has_vnni && simd() >= Simd::avx512) return Product::vnni;
  if (simd() >= Simd::avx2) return Product::avx2;
#endif
  return Product::portable;
}

// Multiplies at most kChunk rows.
void multiply_rows(Product kind, const uint8_t *x, int64_t stride, int64_t rows, const Panel &panel, int64_t steps,
                   int32_t *sums) {
  for (int64_t row = 0; row < rows; row += kRows) {
    const int64_t count = std::min(kRows, rows - row);
    const uint8_t *from = x + row * stride;
    int32_t *to = sums + row * kColumns;
#if defined(__x86_64__)
    if (kind == Product::vnni) {
      kTiles[count - 1](from, stride, panel, steps, to);
      continue;
    }
#endif
    multiply(from, stride, count, panel, steps, to);
  }
}

void multiply_rows([[maybe_unused]] Product kind, const int16_t *x, int64_t stride, int64_t rows, const Panel &panel,
                   int64_t steps, int32_t *sums) {
#if defined(__x86_64__)
  multiply_avx2(x, stride, rows, panel, steps, sums);
#endif
}

// -- Results

struct Finish {
  const Panel &panel;
  const float *bias;  // of the panel's channels, or null
  int64_t columns;
  bool applies_gelu;
};

template <typename T>
KINO_INLINE void finish(const int32_t *sums, float scale, const Finish &f, T *out) {
  float values[kColumns];
#pragma clang loop vectorize(enable)
  for (int64_t c = 0; c < kColumns; ++c) values[c] = static_cast<float>(sums[c]) * (scale * f.panel.scale[c]);
  if (f.bias) {
    for (int64_t c = 0; c < f.columns; ++c) values[c] += f.bias[c];
  }
  if (f.applies_gelu) {
#pragma clang loop vectorize(enable)
    for (int64_t c = 0; c < kColumns; ++c) values[c] *= fast_gelu_share(values[c]);
  }
  for (int64_t c = 0; c < f.columns; ++c) store(out + c, values[c]);
}

const Panel &panel_at(const at::Tensor &packed, int64_t index) {
  return *reinterpret_cast<const Panel *>(static_cast<const int8_t *>(packed.const_data_ptr()) +
                                          index * packed.stride(0));
}

at::Tensor quantized_matrix(const at::Tensor &matrix) {
  TORCH_CHECK(matrix.dim() == 2 && matrix.is_cpu(), "quantize: expected a matrix on the CPU, found ", matrix.sizes());
  // Sums of products must fit 32 bits.
  TORCH_CHECK(matrix.size(1) <= 65536, "quantize: expected at most 65536 inputs, found ", matrix.size(1));
  const auto type = matrix.scalar_type() == at::kBFloat16 ? at::kBFloat16 : at::kFloat;
  const auto weight = matrix.detach().to(type).contiguous();
  const int64_t outputs = weight.size(0), inputs = weight.size(1);
  const int64_t panels = divided_up(outputs, kColumns);
  auto packed = at::zeros({panels, kHeaderSteps + divided_up(inputs, 4), kStepBytes}, at::kChar);
  with_type(type, [&](auto zero) {
    using T = decltype(zero);
    const auto *from = static_cast<const T *>(weight.const_data_ptr());
    parallel_for(0, panels, 1, [&](int64_t begin, int64_t end) {
      for (int64_t p = begin; p < end; ++p) {
        pack(from, inputs, outputs, p * kColumns, const_cast<Panel &>(panel_at(packed, p)));
      }
    });
  });
  return packed;
}

struct LinearShape {
  int64_t rows, inputs, outputs;

  int64_t steps() const { return divided_up(inputs, 4); }
  int64_t padded() const { return steps() * 4; }
};

// The product with packed weights; Number is what the instruction set multiplies.
template <typename Number, typename T>
void multiply_quantized(const T *x, const LinearShape &shape, Product kind, const at::Tensor &packed,
                        const float *bias, bool applies_gelu, T *result) {
  const int64_t rows = shape.rows, padded = shape.padded(), steps = shape.steps();
  auto numbers = at::empty({rows, padded}, sizeof(Number) == 1 ? at::kByte : at::kShort);
  auto scales = at::empty({rows}, at::kFloat);
  auto *quantized = static_cast<Number *>(numbers.mutable_data_ptr());
  auto *scale = scales.mutable_data_ptr<float>();
  const auto level = simd();
  parallel_for(0, rows, 16, [&](int64_t begin, int64_t end) {
    with_simd(level, [&]() KINO_INLINED {
      for (int64_t r = begin; r < end; ++r) {
        scale[r] = quantize_row(x + r * shape.inputs, shape.inputs, padded, quantized + r * padded);
      }
    });
  });
  // A task keeps one panel in the second-level cache and passes rows by it.
  const int64_t chunks = divided_up(rows, kChunk);
  parallel_for(0, packed.size(0) * chunks, 1, [&](int64_t begin, int64_t end) {
    alignas(64) int32_t sums[kChunk * kColumns];
    for (int64_t task = begin; task < end; ++task) {
      const int64_t index = task / chunks, first = task % chunks * kChunk, column = index * kColumns;
      const int64_t count = std::min(kChunk, shape.rows - first);
      const Panel &panel = panel_at(packed, index);
      const Finish last{panel, bias ? bias + column : nullptr, std::min(kColumns, shape.outputs - column),
                        applies_gelu};
      multiply_rows(kind, quantized + first * padded, padded, count, panel, steps, sums);
      with_simd(level, [&]() KINO_INLINED {
        for (int64_t r = 0; r < count; ++r) {
          finish(sums + r * kColumns, scale[first + r], last, result + (first + r) * shape.outputs + column);
        }
      });
    }
  });
}

at::Tensor quantized_linear(const at::Tensor &input, const at::Tensor &packed, const c10::optional<at::Tensor> &bias,
                            int64_t inputs, int64_t outputs, bool applies_gelu) {
  TORCH_CHECK(input.is_cpu() && input.dim() >= 1 && input.size(-1) == inputs,
              "quantized linear: expected an input [..., ", inputs, "] on the CPU, found ", input.sizes());
  TORCH_CHECK(input.scalar_type() == at::kFloat || input.scalar_type() == at::kBFloat16,
              "quantized linear: expected float32 or bfloat16, found ", input.scalar_type());
  TORCH_CHECK(!bias || bias->numel() == outputs, "quantized linear: expected a bias of ", outputs);
  c10::NoGradGuard guard;
  const auto x = input.contiguous();
  const LinearShape shape{x.numel() / std::max<int64_t>(1, inputs), inputs, outputs};
  auto sizes = x.sizes().vec();
  sizes.back() = outputs;
  auto result = at::empty(sizes, x.options());
  const auto offsets = bias ? bias->to(at::kFloat).contiguous() : at::Tensor();
  const float *bias_values = bias ? offsets.const_data_ptr<float>() : nullptr;
  const auto kind = product();
  with_type(x.scalar_type(), [&](auto zero) {
    using T = decltype(zero);
    const auto multiply = kind == Product::avx2 ? multiply_quantized<int16_t, T> : multiply_quantized<uint8_t, T>;
    multiply(static_cast<const T *>(x.const_data_ptr()), shape, kind, packed, bias_values, applies_gelu,
             static_cast<T *>(result.mutable_data_ptr()));
  });
  return result;
}

}  // namespace

extern "C" {

kino_status kino_quantize_matrix(const kino_tensor *weight, kino_tensor **out) noexcept {
  KINO_GUARD(give(out, quantized_matrix(weight->value)))
}
kino_status kino_quantized_linear(const kino_tensor *x, const kino_tensor *packed, const kino_tensor *bias,
                                  int64_t inputs, int64_t outputs, bool applies_gelu,
                                  kino_tensor **out) noexcept {
  KINO_GUARD(give(out, quantized_linear(x->value, packed->value, maybe(bias), inputs, outputs, applies_gelu)))
}
}
