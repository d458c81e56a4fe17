// Softmax attention in bfloat16 without a matrix of logits, forward and backward, for processors with
// AVX-512-BF16. The online softmax of FlashAttention (arXiv:2205.14135, 2307.08691); laid out for wide
// vectors without a matrix unit: queries lie in lanes, so that a maximum or a sum over keys never
// crosses lanes. Other processors, types and biases take LibTorch's attention.
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

#include "parallel.h"
#include "shim.h"
#include "simd.h"

using namespace kino;

#if defined(__x86_64__)
#include <immintrin.h>

#define KINO_BF16 __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,avx2,fma")))
#define KINO_BF16_INLINE static inline __attribute__((always_inline)) KINO_BF16

namespace {

constexpr int64_t kQueries = 48;       // per tile: three vectors of lanes
constexpr int64_t kKeys = 64;          // per block
constexpr int64_t kTilesTogether = 4;  // at most, where threads have enough to do
constexpr float kLog2E = 1.44269504f;
constexpr float kLowest = -1e30f;  // below any logit, but finite, so that differences are numbers

// -- Products. C[m][n] (+)= sum over k of A[m][k] * B[k][n]: A bfloat16 with k innermost, B as pairs of
// neighbouring k next to each other, [K / 2][N] of 32 bits, C float32.

struct Product {
  const uint16_t *a;
  int64_t a_stride;
  const uint32_t *b;
  int64_t b_stride, pairs;
  float *c;
  int64_t c_stride;
};

template <int kRows, int kVectors, bool kAdds>
KINO_BF16_INLINE void multiply_tile(const Product &p, int64_t row, int64_t column) {
  __m512 sums[kRows][kVectors];
  const uint16_t *a = p.a + row * p.a_stride;
  const uint32_t *b = p.b + column;
  float *c = p.c + row * p.c_stride + column;
#pragma clang loop unroll(full)
  for (int r = 0; r < kRows; ++r) {
#pragma clang loop unroll(full)
    for (int v = 0; v < kVectors; ++v) {
      sums[r][v] = kAdds ? _mm512_loadu_ps(c + r * p.c_stride + v * 16) : _mm512_setzero_ps();
    }
  }
  for (int64_t k = 0; k < p.pairs; ++k) {
    __m512bh lanes[kVectors];
#pragma clang loop unroll(full)
    for (int v = 0; v < kVectors; ++v) lanes[v] = (__m512bh)_mm512_loadu_si512(b + k * p.b_stride + v * 16);
#pragma clang loop unroll(full)
    for (int r = 0; r < kRows; ++r) {
      int32_t pair;
      std::memcpy(&pair, a + r * p.a_stride + 2 * k, 4);
      const auto spread = (__m512bh)_mm512_set1_epi32(pair);
#pragma clang loop unroll(full)
      for (int v = 0; v < kVectors; ++v) sums[r][v] = _mm512_dpbf16_ps(sums[r][v], spread, lanes[v]);
    }
  }
#pragma clang loop unroll(full)
  for (int r = 0; r < kRows; ++r) {
#pragma clang loop unroll(full)
    for (int v = 0; v < kVectors; ++v) _mm512_storeu_ps(c + r * p.c_stride + v * 16, sums[r][v]);
  }
}

template <int kVectors, bool kAdds>
KINO_BF16 __attribute__((noinline)) void multiply_columns(const Product &p, int64_t rows, int64_t column) {
  int64_t row = 0;
  for (; row + 8 <= rows; row += 8) multiply_tile<8, kVectors, kAdds>(p, row, column);
  if (row + 4 <= rows) {
    multiply_tile<4, kVectors, kAdds>(p, row, column);
    row += 4;
  }
  for (; row < rows; ++row) multiply_tile<1, kVectors, kAdds>(p, row, column);
}

// `columns` is a multiple of 16.
template <bool kAdds>
KINO_BF16 void multiply(const Product &p, int64_t rows, int64_t columns) {
  int64_t column = 0;
  for (; column + 48 <= columns; column += 48) multiply_columns<3, kAdds>(p, rows, column);
  if (columns - column == 32) multiply_columns<2, kAdds>(p, rows, column);
  if (columns - column == 16) multiply_columns<1, kAdds>(p, rows, column);
}

// -- Layouts.

// Turns a square of 16 x 16 numbers of 32 bits.
KINO_BF16_INLINE void transpose(__m512i r[16]) {
  __m512i t[16];
#pragma clang loop unroll(full)
  for (int i = 0; i < 8; ++i) {
    t[2 * i] = _mm512_unpacklo_epi32(r[2 * i], r[2 * i + 1]);
    t[2 * i + 1] = _mm512_unpackhi_epi32(r[2 * i], r[2 * i + 1]);
  }
#pragma clang loop unroll(full)
  for (int i = 0; i < 4; ++i) {
    r[4 * i] = _mm512_unpacklo_epi64(t[4 * i], t[4 * i + 2]);
    r[4 * i + 1] = _mm512_unpackhi_epi64(t[4 * i], t[4 * i + 2]);
    r[4 * i + 2] = _mm512_unpacklo_epi64(t[4 * i + 1], t[4 * i + 3]);
    r[4 * i + 3] = _mm512_unpackhi_epi64(t[4 * i + 1], t[4 * i + 3]);
  }
#pragma clang loop unroll(full)
  for (int i = 0; i < 4; ++i) {
    t[i] = _mm512_shuffle_i32x4(r[i], r[4 + i], 0x88);
    t[4 + i] = _mm512_shuffle_i32x4(r[8 + i], r[12 + i], 0x88);
    t[8 + i] = _mm512_shuffle_i32x4(r[i], r[4 + i], 0xdd);
    t[12 + i] = _mm512_shuffle_i32x4(r[8 + i], r[12 + i], 0xdd);
  }
#pragma clang loop unroll(full)
  for (int i = 0; i < 4; ++i) {
    r[i] = _mm512_shuffle_i32x4(t[i], t[4 + i], 0x88);
    r[8 + i] = _mm512_shuffle_i32x4(t[i], t[4 + i], 0xdd);
    r[4 + i] = _mm512_shuffle_i32x4(t[8 + i], t[12 + i], 0x88);
    r[12 + i] = _mm512_shuffle_i32x4(t[8 + i], t[12 + i], 0xdd);
  }
}

// Rows of bfloat16 seen as pairs of channels, [count][D / 2], to [D / 2][kQueries]: lanes are rows. Rows
// that are missing become zeros.
KINO_BF16 void pack_lanes(const uint16_t *rows, int64_t stride, int64_t count, int64_t width, uint32_t *out) {
  for (int64_t first = 0; first < kQueries; first += 16) {
    for (int64_t pair = 0; pair < width / 2; pair += 16) {
      const auto mask = static_cast<__mmask16>(width / 2 - pair >= 16 ? 0xFFFF : (1 << (width / 2 - pair)) - 1);
      __m512i r[16];
      for (int64_t i = 0; i < 16; ++i) {
        r[i] = first + i < count ? _mm512_maskz_loadu_epi32(mask, rows + (first + i) * stride + 2 * pair)
                                 : _mm512_setzero_si512();
      }
      transpose(r);
      for (int64_t i = 0; i < std::min<int64_t>(16, width / 2 - pair); ++i) {
        _mm512_storeu_si512(out + (pair + i) * kQueries + first, r[i]);
      }
    }
  }
}

// Sixteen channels of a row of bfloat16, each beside that of the row below; rows from `count` on are zeros.
KINO_BF16_INLINE __m512i row_pair(const uint16_t *rows, int64_t stride, int64_t row, int64_t count, int64_t channel) {
  const auto widened = [&](int64_t index) KINO_BF16 {
    const auto *at = rows + index * stride + channel;
    return index < count ? _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)at)) : _mm512_setzero_si512();
  };
  return _mm512_or_si512(widened(row), _mm512_slli_epi32(widened(row + 1), 16));
}

// Rows of bfloat16 to pairs of neighbouring rows, [ceil(count / 2)][D] of 32 bits, zeros past the end
// up to `total` pairs.
KINO_BF16 void pack_rows(const uint16_t *rows, int64_t stride, int64_t count, int64_t width, uint32_t *out,
                         int64_t total) {
  for (int64_t pair = 0; pair < total; ++pair) {
    for (int64_t c = 0; c < width; c += 16) {
      _mm512_storeu_si512(out + pair * width + c, row_pair(rows, stride, 2 * pair, count, c));
    }
  }
}

// Rows of bfloat16 to columns by blocks, [blocks][D][kKeys], zeros past the end. One long row per column
// would put all columns into the same few lines of the cache.
KINO_BF16 void pack_columns(const uint16_t *rows, int64_t stride, int64_t count, int64_t width, uint16_t *out) {
  for (int64_t first = 0; first < count; first += 32) {
    auto *words = reinterpret_cast<uint32_t *>(out + first / kKeys * kKeys * width + first % kKeys);
    for (int64_t c = 0; c < width; c += 16) {
      __m512i r[16];
      for (int64_t i = 0; i < 16; ++i) r[i] = row_pair(rows, stride, first + 2 * i, count, c);
      transpose(r);
      for (int64_t i = 0; i < 16; ++i) _mm512_storeu_si512(words + (c + i) * (kKeys / 2), r[i]);
    }
  }
}

// Columns of float32, [D][kQueries], times a factor per lane, to rows of bfloat16.
KINO_BF16 void unpack_lanes(const float *columns, const float *factors, int64_t count, int64_t width, uint16_t *rows,
                            int64_t stride) {
  for (int64_t first = 0; first < count; first += 16) {
    const auto factor = _mm512_loadu_ps(factors + first);
    for (int64_t c = 0; c < width; c += 16) {
      __m512i r[16];
      for (int64_t i = 0; i < 16; ++i) {
        r[i] = _mm512_castps_si512(_mm512_mul_ps(_mm512_loadu_ps(columns + (c + i) * kQueries + first), factor));
      }
      transpose(r);
      for (int64_t i = 0; i < std::min<int64_t>(16, count - first); ++i) {
        _mm256_storeu_si256((__m256i *)(rows + (first + i) * stride + c),
                            (__m256i)_mm512_cvtneps_pbh(_mm512_castsi512_ps(r[i])));
      }
    }
  }
}

// Two to the power of x: a polynomial on -0.5...0.5, then the exponent. Minus infinity gives zero; NaN
// stays, as the second operand of a maximum.
KINO_BF16_INLINE __m512 exp2(__m512 x) {
  x = _mm512_max_ps(_mm512_set1_ps(-200.0f), x);
  const auto n = _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  const auto r = _mm512_sub_ps(x, n);
  auto p = _mm512_set1_ps(1.3333558e-3f);
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(9.6181291e-3f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(5.5504109e-2f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(2.4022651e-1f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(6.9314718e-1f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f));
  return _mm512_scalef_ps(p, n);
}

KINO_BF16_INLINE __m512i paired(__m512 low, __m512 high) {
  const auto a = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(low));
  const auto b = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(high));
  return _mm512_or_si512(a, _mm512_slli_epi32(b, 16));
}

// -- One head: pointers to its first rows; strides between rows.
struct Head {
  const uint16_t *queries, *keys, *values;
  int64_t query_stride, key_stride, value_stride;
  const float *bias;  // per key, or null
  int64_t query_count, key_count, width;
  float scale;
};

int64_t padded_keys(int64_t count) { return (count + kKeys - 1) / kKeys * kKeys; }

// What a tile of queries has seen so far: its queries packed into lanes, the weighted sums of values, and per
// lane the highest logit and the sum of exponentials.
struct ForwardTile {
  std::vector<uint32_t> queries;
  std::vector<float> sums;
  alignas(64) float highest[kQueries] = {}, total[kQueries] = {};
  explicit ForwardTile(int64_t width) : queries(width / 2 * kQueries), sums(width * kQueries) {}
};

struct ForwardScratch {
  std::vector<ForwardTile> tiles;
  std::vector<uint32_t> weights;
  std::vector<float> logits;
  ForwardScratch(int64_t width, int64_t count)
      : tiles(count, ForwardTile(width)), weights(kKeys / 2 * kQueries), logits(kKeys * kQueries) {}
};

KINO_BF16 void begin_tile(const Head &h, int64_t first, ForwardTile &tile) {
  pack_lanes(h.queries + first * h.query_stride, h.query_stride, std::min(kQueries, h.query_count - first), h.width,
             tile.queries.data());
  std::fill(tile.sums.begin(), tile.sums.end(), 0.0f);
  std::fill_n(tile.highest, kQueries, kLowest);
  std::fill_n(tile.total, kQueries, 0.0f);
}

// Lets a tile see the block of keys that starts at `key`. `value_columns` are packed.
KINO_BF16 void see_keys(const Head &h, const uint16_t *value_columns, int64_t key, ForwardTile &tile,
                        ForwardScratch &s) {
  const auto scale = _mm512_set1_ps(h.scale * kLog2E);
  const int64_t keys = std::min(kKeys, h.key_count - key);
  multiply<false>({h.keys + key * h.key_stride, h.key_stride, tile.queries.data(), kQueries, h.width / 2,
                   s.logits.data(), kQueries},
                  keys, kQueries);
  __m512 rescale[3];
  for (int v = 0; v < 3; ++v) {
    float *column = s.logits.data() + v * 16;
    const auto before = _mm512_load_ps(tile.highest + v * 16);
    auto peak = before;
    for (int64_t j = 0; j < keys; ++j) {
      auto x = _mm512_mul_ps(_mm512_loadu_ps(column + j * kQueries), scale);
      if (h.bias) x = _mm512_add_ps(x, _mm512_set1_ps(h.bias[key + j] * kLog2E));
      _mm512_storeu_ps(column + j * kQueries, x);
      peak = _mm512_max_ps(peak, x);
    }
    rescale[v] = exp2(_mm512_sub_ps(before, peak));
    _mm512_store_ps(tile.highest + v * 16, peak);
    auto sum = _mm512_mul_ps(_mm512_load_ps(tile.total + v * 16), rescale[v]);
    for (int64_t j = 0; j < keys; j += 2) {
      const auto a = exp2(_mm512_sub_ps(_mm512_loadu_ps(column + j * kQueries), peak));
      const auto b = j + 1 < keys ? exp2(_mm512_sub_ps(_mm512_loadu_ps(column + (j + 1) * kQueries), peak))
                                  : _mm512_setzero_ps();
      sum = _mm512_add_ps(sum, _mm512_add_ps(a, b));
      _mm512_storeu_si512(s.weights.data() + j / 2 * kQueries + v * 16, paired(a, b));
    }
    _mm512_store_ps(tile.total + v * 16, sum);
  }
  if (key > 0) {
    for (int64_t c = 0; c < h.width; ++c) {
      for (int v = 0; v < 3; ++v) {
        float *at = tile.sums.data() + c * kQueries + v * 16;
        _mm512_storeu_ps(at, _mm512_mul_ps(_mm512_loadu_ps(at), rescale[v]));
      }
    }
  }
  multiply<true>({value_columns + key * h.width, kKeys, s.weights.data(), kQueries, (keys + 1) / 2, tile.sums.data(),
                  kQueries},
                 h.width, kQueries);
}

// `log_sums` gets the base-2 logarithm of each query's sum of exponentials, for the backward pass.
KINO_BF16 void end_tile(const Head &h, int64_t first, const ForwardTile &tile, uint16_t *out, int64_t out_stride,
                        float *log_sums) {
  const int64_t count = std::min(kQueries, h.query_count - first);
  float factors[kQueries];
  for (int64_t i = 0; i < kQueries; ++i) factors[i] = 1 / tile.total[i];
  unpack_lanes(tile.sums.data(), factors, count, h.width, out + first * out_stride, out_stride);
  for (int64_t i = 0; i < count; ++i) log_sums[first + i] = tile.highest[i] + std::log2(tile.total[i]);
}

// Tiles `begin` to `end` of a head's queries. All see a block of keys before the next is read, so that keys and
// values that no cache holds are read once for all of them.
KINO_BF16 void forward_tiles(const Head &h, const uint16_t *value_columns, int64_t begin, int64_t end, uint16_t *out,
                             int64_t out_stride, float *log_sums, ForwardScratch &s) {
  for (int64_t i = begin; i < end; ++i) begin_tile(h, i * kQueries, s.tiles[i - begin]);
  for (int64_t key = 0; key < h.key_count; key += kKeys) {
    for (int64_t i = begin; i < end; ++i) see_keys(h, value_columns, key, s.tiles[i - begin], s);
  }
  for (int64_t i = begin; i < end; ++i) {
    end_tile(h, i * kQueries, s.tiles[i - begin], out, out_stride, log_sums);
  }
}

struct BackwardScratch {
  std::vector<uint32_t> query_lanes, upstream_lanes, query_rows, upstream_rows, pairs;
  std::vector<uint16_t> weights, slopes, key_columns;
  std::vector<float> logits, inner, query_sums, key_sums, value_sums;
  BackwardScratch(int64_t width, int64_t key_count)
      : query_lanes(width / 2 * kQueries), upstream_lanes(width / 2 * kQueries), query_rows(kQueries / 2 * width),
        upstream_rows(kQueries / 2 * width), pairs(kKeys / 2 * kQueries), weights(kKeys * kQueries),
        slopes(kKeys * kQueries), key_columns(width * padded_keys(key_count)), logits(kKeys * kQueries),
        inner(kKeys * kQueries), query_sums(width * kQueries), key_sums(key_count * width),
        value_sums(key_count * width) {}
};

struct HeadGradient {
  const uint16_t *upstream;
  const float *log_sums, *dots;  // per query
  uint16_t *queries, *keys, *values;
  int64_t upstream_stride, query_stride, key_stride, value_stride;
};

KINO_BF16 void narrow(const float *sums, int64_t count, int64_t width, float factor, uint16_t *rows, int64_t stride) {
  for (int64_t row = 0; row < count; ++row) {
    for (int64_t c = 0; c < width; c += 16) {
      const auto x = _mm512_mul_ps(_mm512_loadu_ps(sums + row * width + c), _mm512_set1_ps(factor));
      _mm256_storeu_si256((__m256i *)(rows + row * stride + c), (__m256i)_mm512_cvtneps_pbh(x));
    }
  }
}

// Weights of a block of keys from its logits, and the slopes of the logits, in both layouts that the
// products need.
KINO_BF16 void block_slopes(const Head &h, const float *log_sums, const float *dots, int64_t key, int64_t keys,
                            BackwardScratch &s) {
  const auto scale = _mm512_set1_ps(h.scale * kLog2E);
  for (int v = 0; v < 3; ++v) {
    const auto level = _mm512_loadu_ps(log_sums + v * 16), dot = _mm512_loadu_ps(dots + v * 16);
    auto before = _mm512_setzero_ps();
    for (int64_t j = 0; j < keys; ++j) {
      const int64_t at = j * kQueries + v * 16;
      auto x = _mm512_fmsub_ps(_mm512_loadu_ps(s.logits.data() + at), scale, level);
      if (h.bias) x = _mm512_add_ps(x, _mm512_set1_ps(h.bias[key + j] * kLog2E));
      const auto weight = exp2(x);
      const auto slope = _mm512_mul_ps(weight, _mm512_sub_ps(_mm512_loadu_ps(s.inner.data() + at), dot));
      _mm256_storeu_si256((__m256i *)(s.weights.data() + at), (__m256i)_mm512_cvtneps_pbh(weight));
      _mm256_storeu_si256((__m256i *)(s.slopes.data() + at), (__m256i)_mm512_cvtneps_pbh(slope));
      if (j % 2 == 1 || j + 1 == keys) {
        const auto pair = j % 2 == 1 ? paired(before, slope) : paired(slope, _mm512_setzero_ps());
        _mm512_storeu_si512(s.pairs.data() + j / 2 * kQueries + v * 16, pair);
      }
      before = slope;
    }
  }
}

KINO_BF16 void backward_head(const Head &h, const HeadGradient &g) {
  BackwardScratch s(h.width, h.key_count);
  const int64_t width = h.width;
  pack_columns(h.keys, h.key_stride, h.key_count, width, s.key_columns.data());
  for (int64_t first = 0; first < h.query_count; first += kQueries) {
    const int64_t count = std::min(kQueries, h.query_count - first);
    const auto *queries = h.queries + first * h.query_stride, *upstream = g.upstream + first * g.upstream_stride;
    pack_lanes(queries, h.query_stride, count, width, s.query_lanes.data());
    pack_lanes(upstream, g.upstream_stride, count, width, s.upstream_lanes.data());
    pack_rows(queries, h.query_stride, count, width, s.query_rows.data(), kQueries / 2);
    pack_rows(upstream, g.upstream_stride, count, width, s.upstream_rows.data(), kQueries / 2);
    alignas(64) float log_sums[kQueries] = {}, dots[kQueries] = {};
    std::copy_n(g.log_sums + first, count, log_sums);
    std::copy_n(g.dots + first, count, dots);
    // A lane without a query must not overflow: its gradients are zeros times its weight.
    std::fill(log_sums + count, log_sums + kQueries, 1e30f);
    std::fill(s.query_sums.begin(), s.query_sums.end(), 0.0f);
    for (int64_t key = 0; key < h.key_count; key += kKeys) {
      const int64_t keys = std::min(kKeys, h.key_count - key);
      multiply<false>({h.keys + key * h.key_stride, h.key_stride, s.query_lanes.data(), kQueries, width / 2,
                       s.logits.data(), kQueries},
                      keys, kQueries);
      multiply<false>({h.values + key * h.value_stride, h.value_stride, s.upstream_lanes.data(), kQueries, width / 2,
                       s.inner.data(), kQueries},
                      keys, kQueries);
      block_slopes(h, log_sums, dots, key, keys, s);
      multiply<true>({s.weights.data(), kQueries, s.upstream_rows.data(), width, kQueries / 2,
                      s.value_sums.data() + key * width, width},
                     keys, width);
      multiply<true>({s.slopes.data(), kQueries, s.query_rows.data(), width, kQueries / 2,
                      s.key_sums.data() + key * width, width},
                     keys, width);
      multiply<true>({s.key_columns.data() + key * width, kKeys, s.pairs.data(), kQueries, (keys + 1) / 2,
                      s.query_sums.data(), kQueries},
                     width, kQueries);
    }
    alignas(64) float factors[kQueries];
    std::fill(factors, factors + kQueries, h.scale);
    unpack_lanes(s.query_sums.data(), factors, count, width, g.queries + first * g.query_stride, g.query_stride);
  }
  narrow(s.key_sums.data(), h.key_count, width, h.scale, g.keys, g.key_stride);
  narrow(s.value_sums.data(), h.key_count, width, 1, g.values, g.value_stride);
}

// -- Tensors.

const uint16_t *words(const at::Tensor &t) { return static_cast<const uint16_t *>(t.const_data_ptr()); }
uint16_t *mutable_words(at::Tensor &t) { return static_cast<uint16_t *>(t.mutable_data_ptr()); }

// A result [B, heads, L, D] whose heads lie next to each other, as the layers around want them.
at::Tensor heads_inside(const at::Tensor &like) {
  return at::empty({like.size(0), like.size(2), like.size(1), like.size(3)}, like.options()).transpose(1, 2);
}

int64_t head_offset(const at::Tensor &t, int64_t index) {
  return index / t.size(1) * t.stride(0) + index % t.size(1) * t.stride(1);
}

Head head(const at::Tensor &q, const at::Tensor &k, const at::Tensor &v, const at::Tensor &bias, double scale,
          int64_t index) {
  const float *row = nullptr;
  if (bias.defined()) row = bias.const_data_ptr<float>() + (bias.size(0) == 1 ? 0 : index / q.size(1) * bias.stride(0));
  return {words(q) + head_offset(q, index), words(k) + head_offset(k, index), words(v) + head_offset(v, index),
          q.stride(2), k.stride(2), v.stride(2), row, q.size(2), k.size(2), q.size(3), static_cast<float>(scale)};
}

struct Attention : torch::autograd::Function<Attention> {
  static at::Tensor forward(torch::autograd::AutogradContext *context, const at::Tensor &queries,
                            const at::Tensor &keys, const at::Tensor &values, const c10::optional<at::Tensor> &added,
                            double scale) {
    const auto q = with_unit_stride(queries), k = with_unit_stride(keys), v = with_unit_stride(values);
    const auto bias = added.value_or(at::Tensor());
    auto out = heads_inside(q);
    auto log_sums = at::empty({q.size(0) * q.size(1), q.size(2)}, q.options().dtype(at::kFloat));
    const int64_t heads = q.size(0) * q.size(1), width = q.size(3), padded = padded_keys(k.size(2));
    auto columns = at::empty({heads, width, padded}, q.options());
    auto *packed = mutable_words(columns);
    parallel_for(0, heads, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        pack_columns(words(v) + head_offset(v, i), v.stride(2), v.size(2), width, packed + i * width * padded);
      }
    });
    const int64_t tiles = (q.size(2) + kQueries - 1) / kQueries;
    const int64_t together = std::clamp<int64_t>(heads * tiles / (8 * at::get_num_threads()), 1, kTilesTogether);
    const int64_t groups = (tiles + together - 1) / together;
    auto *target = mutable_words(out);
    auto *sums = log_sums.mutable_data_ptr<float>();
    // Many tasks, so that threads of uneven speed end together, but fewer scratch buffers than groups.
    parallel_for(0, heads * groups, std::max<int64_t>(1, heads * groups / 64), [&](int64_t begin, int64_t end) {
      ForwardScratch scratch(width, together);
      for (int64_t task = begin; task < end; ++task) {
        const int64_t i = task / groups, first = task % groups * together;
        forward_tiles(head(q, k, v, bias, scale, i), packed + i * width * padded, first,
                      std::min(tiles, first + together), target + head_offset(out, i), out.stride(2),
                      sums + i * q.size(2), scratch);
      }
    });
    context->save_for_backward({q, k, v, bias, out, log_sums});
    context->saved_data["scale"] = scale;
    return out;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext *context,
                                                 const torch::autograd::variable_list &gradients) {
    const auto saved = context->get_saved_variables();
    const auto &q = saved[0], &k = saved[1], &v = saved[2], &bias = saved[3], &out = saved[4], &log_sums = saved[5];
    const auto upstream = with_unit_stride(gradients[0]);
    const auto dots = (upstream.to(at::kFloat) * out).sum(-1).contiguous();  // [B, heads, Lq]
    auto dq = heads_inside(q), dk = heads_inside(k), dv = heads_inside(v);
    const double scale = context->saved_data["scale"].toDouble();
    const int64_t length = q.size(2);
    parallel_for(0, q.size(0) * q.size(1), 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        backward_head(head(q, k, v, bias, scale, i),
                      {words(upstream) + head_offset(upstream, i), log_sums.const_data_ptr<float>() + i * length,
                       dots.const_data_ptr<float>() + i * length, mutable_words(dq) + head_offset(dq, i),
                       mutable_words(dk) + head_offset(dk, i), mutable_words(dv) + head_offset(dv, i),
                       upstream.stride(2), dq.stride(2), dk.stride(2), dv.stride(2)});
      }
    });
    return {dq, dk, dv, at::Tensor(), at::Tensor()};
  }
};

bool is_fast(const at::Tensor &q, const at::Tensor &k, const at::Tensor &v, const at::Tensor &bias) {
  const auto fits = [&](const at::Tensor &t) {
    return t.dim() == 4 && t.is_cpu() && t.scalar_type() == at::kBFloat16 && t.size(0) == q.size(0) &&
           t.size(1) == q.size(1) && t.size(3) == q.size(3) && t.numel() > 0;
  };
  if (simd() < Simd::avx512_bf16 || !fits(q) || !fits(k) || !fits(v) || k.size(2) != v.size(2)) return false;
  if (q.size(3) % 16 != 0 || q.size(3) > 256) return false;
  return !bias.defined() ||
         (bias.dim() == 4 && bias.size(1) == 1 && bias.size(2) == 1 && bias.size(3) == k.size(2) && bias.is_cpu() &&
          (bias.size(0) == 1 || bias.size(0) == q.size(0)) && !bias.requires_grad() &&
          (bias.scalar_type() == at::kFloat || bias.scalar_type() == at::kBFloat16));
}

}  // namespace
#endif

static at::Tensor attention(const at::Tensor &q, const at::Tensor &k, const at::Tensor &v, const at::Tensor &bias,
                            double scale) {
  const auto optional = bias.defined() ? c10::optional<at::Tensor>(bias) : c10::nullopt;
#if defined(__x86_64__)
  if (is_fast(q, k, v, bias)) {
    const auto row = bias.defined() ? c10::optional<at::Tensor>(bias.to(at::kFloat).contiguous()) : c10::nullopt;
    return Attention::apply(q, k, v, row, scale == 0 ? 1 / std::sqrt(static_cast<double>(q.size(3))) : scale);
  }
#endif
  // LibTorch's fast path wants the channels of a head next to each other.
  return at::scaled_dot_product_attention(with_unit_stride(q), with_unit_stride(k), with_unit_stride(v), optional, 0.0,
                                          false, scale == 0 ? c10::nullopt : c10::optional<double>(scale));
}

extern "C" kino_status kino_attention(const kino_tensor *q, const kino_tensor *k, const kino_tensor *v,
                                      const kino_tensor *bias, double scale, kino_tensor **out) noexcept {
  KINO_GUARD(give(out, attention(q->value, k->value, v->value, bias ? bias->value : at::Tensor(), scale)))
}
