// Softmax attention in bfloat16 and float32 without a matrix of logits, forward and backward, for processors
// with AVX-512-BF16 and AVX-512. The online softmax of FlashAttention (arXiv:2205.14135, 2307.08691); laid out
// for wide vectors: queries lie in lanes, so that a maximum or a sum over keys never crosses lanes. Where there is a
// matrix unit (Intel's AMX), it makes the products of bfloat16. Other processors, types and biases take LibTorch's
// attention.
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

#include "parallel.h"
#include "shim.h"
#include "simd.h"

using namespace kino;

#if defined(__x86_64__)
#include <immintrin.h>

// One target for both types: no compiler makes instructions for bfloat16 out of code for float32.
#define KINO_WIDE_SET "avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,avx2,fma"
#define KINO_WIDE __attribute__((target(KINO_WIDE_SET)))
#define KINO_TILED __attribute__((target(KINO_WIDE_SET ",amx-tile,amx-bf16"), noinline))
#define KINO_WIDE_INLINE static inline __attribute__((always_inline)) KINO_WIDE

namespace {

constexpr int64_t kQueries = 48;       // per tile: three vectors of lanes
constexpr int64_t kKeys = 64;          // per block
constexpr int64_t kTilesTogether = 4;  // at most, where threads have enough to do
constexpr float kLog2E = 1.44269504f;
constexpr float kLowest = -1e30f;  // below any logit, but finite, so that differences are numbers

// -- The types. As many neighbouring numbers as fill 32 bits are a word, which one instruction multiplies.

struct BFloat16 {
  using Number = uint16_t;
  static constexpr int64_t kPerWord = 2;

  // The sums and the products of sixteen words.
  KINO_WIDE_INLINE __m512 added(__m512 sums, __m512i a, __m512i b) {
    return _mm512_dpbf16_ps(sums, (__m512bh)a, (__m512bh)b);
  }
  KINO_WIDE_INLINE void store(Number *to, __m512 x) {
    _mm256_storeu_si256((__m256i *)to, (__m256i)_mm512_cvtneps_pbh(x));
  }
  // Sixteen words of one number each from every row given.
  KINO_WIDE_INLINE __m512i words(const __m512 rows[kPerWord]) {
    const auto low = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(rows[0]));
    const auto high = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(rows[1]));
    return _mm512_or_si512(low, _mm512_slli_epi32(high, 16));
  }
  // The same from memory; rows from `count` on are zeros.
  KINO_WIDE_INLINE __m512i words(const Number *rows, int64_t stride, int64_t count) {
    const auto widened = [&](int64_t row) KINO_WIDE {
      const auto *at = (const __m256i *)(rows + row * stride);
      return row < count ? _mm512_cvtepu16_epi32(_mm256_loadu_si256(at)) : _mm512_setzero_si512();
    };
    return _mm512_or_si512(widened(0), _mm512_slli_epi32(widened(1), 16));
  }
};

struct Float32 {
  using Number = float;
  static constexpr int64_t kPerWord = 1;

  KINO_WIDE_INLINE __m512 added(__m512 sums, __m512i a, __m512i b) {
    return _mm512_fmadd_ps(_mm512_castsi512_ps(a), _mm512_castsi512_ps(b), sums);
  }
  KINO_WIDE_INLINE void store(Number *to, __m512 x) { _mm512_storeu_ps(to, x); }
  KINO_WIDE_INLINE __m512i words(const __m512 rows[kPerWord]) { return _mm512_castps_si512(rows[0]); }
  KINO_WIDE_INLINE __m512i words(const Number *rows, int64_t, int64_t count) {
    return count > 0 ? _mm512_loadu_si512(rows) : _mm512_setzero_si512();
  }
};

// -- Products. C[m][n] (+)= sum over k of A[m][k] * B[k][n]: A with k innermost, B as words of neighbouring k,
// [words][N], C float32.

template <typename T>
struct Product {
  const typename T::Number *a;
  int64_t a_stride;
  const uint32_t *b;
  int64_t b_stride, words;
  float *c;
  int64_t c_stride;
};

template <typename T, int kRows, int kVectors, bool kAdds>
KINO_WIDE_INLINE void multiply_tile(const Product<T> &p, int64_t row, int64_t column) {
  __m512 sums[kRows][kVectors];
  const auto *a = p.a + row * p.a_stride;
  const uint32_t *b = p.b + column;
  float *c = p.c + row * p.c_stride + column;
#pragma clang loop unroll(full)
  for (int r = 0; r < kRows; ++r) {
#pragma clang loop unroll(full)
    for (int v = 0; v < kVectors; ++v) {
      sums[r][v] = kAdds ? _mm512_loadu_ps(c + r * p.c_stride + v * 16) : _mm512_setzero_ps();
    }
  }
  for (int64_t k = 0; k < p.words; ++k) {
    __m512i lanes[kVectors];
#pragma clang loop unroll(full)
    for (int v = 0; v < kVectors; ++v) lanes[v] = _mm512_loadu_si512(b + k * p.b_stride + v * 16);
#pragma clang loop unroll(full)
    for (int r = 0; r < kRows; ++r) {
      int32_t word;
      std::memcpy(&word, a + r * p.a_stride + T::kPerWord * k, 4);
      const auto spread = _mm512_set1_epi32(word);
#pragma clang loop unroll(full)
      for (int v = 0; v < kVectors; ++v) sums[r][v] = T::added(sums[r][v], spread, lanes[v]);
    }
  }
#pragma clang loop unroll(full)
  for (int r = 0; r < kRows; ++r) {
#pragma clang loop unroll(full)
    for (int v = 0; v < kVectors; ++v) _mm512_storeu_ps(c + r * p.c_stride + v * 16, sums[r][v]);
  }
}

template <typename T, int kVectors, bool kAdds>
KINO_WIDE __attribute__((noinline)) void multiply_columns(const Product<T> &p, int64_t rows, int64_t column) {
  int64_t row = 0;
  for (; row + 8 <= rows; row += 8) multiply_tile<T, 8, kVectors, kAdds>(p, row, column);
  if (row + 4 <= rows) {
    multiply_tile<T, 4, kVectors, kAdds>(p, row, column);
    row += 4;
  }
  for (; row < rows; ++row) multiply_tile<T, 1, kVectors, kAdds>(p, row, column);
}

// `columns` is a multiple of 16.
template <typename T, bool kAdds>
KINO_WIDE void multiply_wide(const Product<T> &p, int64_t rows, int64_t columns) {
  int64_t column = 0;
  for (; column + 48 <= columns; column += 48) multiply_columns<T, 3, kAdds>(p, rows, column);
  if (columns - column == 32) multiply_columns<T, 2, kAdds>(p, rows, column);
  if (columns - column == 16) multiply_columns<T, 1, kAdds>(p, rows, column);
}

// -- The matrix unit: eight registers, the tiles, of up to 16 rows of 64 bytes. One instruction adds the product of a
// tile of rows of A, 32 numbers each, and a tile of 16 rows of words of B to one of C.

struct TileShapes {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
static_assert(sizeof(TileShapes) == 64);

KINO_TILED void begin_tiles() {
  alignas(64) static constexpr TileShapes shapes;
  _tile_loadconfig(&shapes);
}
KINO_TILED void end_tiles() { _tile_release(); }

// While it lives, this thread's products may use the matrix unit.
class MatrixUnit {
 public:
  explicit MatrixUnit(bool is_used) : is_used_(is_used) {
    if (is_used_) begin_tiles();
  }
  ~MatrixUnit() {
    if (is_used_) end_tiles();
  }
  MatrixUnit(const MatrixUnit &) = delete;
  MatrixUnit &operator=(const MatrixUnit &) = delete;

 private:
  const bool is_used_;
};

constexpr int64_t kTile = 16;  // rows of A and C, words of neighbouring k, columns of B and C

// One, two or four tiles of C.
template <bool kAdds>
KINO_TILED void multiply_square(const Product<BFloat16> &p, int64_t row, int64_t column, bool is_tall, bool is_broad) {
  const int64_t a_stride = p.a_stride * sizeof(uint16_t), b_stride = p.b_stride * sizeof(uint32_t);
  const int64_t c_stride = p.c_stride * sizeof(float);
  const uint16_t *a = p.a + row * p.a_stride;
  const uint32_t *b = p.b + column;
  float *c = p.c + row * p.c_stride + column, *below = c + kTile * p.c_stride;
  if constexpr (kAdds) {
    _tile_loadd(0, c, c_stride);
    if (is_broad) _tile_loadd(1, c + kTile, c_stride);
    if (is_tall) _tile_loadd(2, below, c_stride);
    if (is_tall && is_broad) _tile_loadd(3, below + kTile, c_stride);
  } else {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  }
  for (int64_t k = 0; k < p.words; k += kTile) {
    _tile_loadd(4, a + 2 * k, a_stride);
    _tile_loadd(6, b + k * p.b_stride, b_stride);
    _tile_dpbf16ps(0, 4, 6);
    if (is_broad) {
      _tile_loadd(7, b + k * p.b_stride + kTile, b_stride);
      _tile_dpbf16ps(1, 4, 7);
    }
    if (!is_tall) continue;
    _tile_loadd(5, a + kTile * p.a_stride + 2 * k, a_stride);
    _tile_dpbf16ps(2, 5, 6);
    if (is_broad) _tile_dpbf16ps(3, 5, 7);
  }
  _tile_stored(0, c, c_stride);
  if (is_broad) _tile_stored(1, c + kTile, c_stride);
  if (is_tall) _tile_stored(2, below, c_stride);
  if (is_tall && is_broad) _tile_stored(3, below + kTile, c_stride);
}

// By the matrix unit as far as whole tiles go, the rest by vectors.
template <bool kAdds>
KINO_WIDE void multiply_tiled(const Product<BFloat16> &p, int64_t rows, int64_t columns) {
  const int64_t whole_rows = rows / kTile * kTile, whole_words = p.words / kTile * kTile;
  if (whole_rows == 0 || whole_words == 0) return multiply_wide<BFloat16, kAdds>(p, rows, columns);
  auto whole = p;
  whole.words = whole_words;
  for (int64_t column = 0; column < columns; column += 2 * kTile) {
    for (int64_t row = 0; row < whole_rows; row += 2 * kTile) {
      multiply_square<kAdds>(whole, row, column, row + kTile < whole_rows, column + kTile < columns);
    }
  }
  if (whole_words < p.words) {
    auto rest = p;
    rest.a += 2 * whole_words;
    rest.b += whole_words * p.b_stride;
    rest.words -= whole_words;
    multiply_wide<BFloat16, true>(rest, whole_rows, columns);
  }
  if (whole_rows < rows) {
    auto rest = p;
    rest.a += whole_rows * p.a_stride;
    rest.c += whole_rows * p.c_stride;
    multiply_wide<BFloat16, kAdds>(rest, rows - whole_rows, columns);
  }
}

// `columns` is a multiple of 16; `tiled` if a MatrixUnit is in use.
template <typename T, bool kAdds>
KINO_WIDE_INLINE void multiply(const Product<T> &p, int64_t rows, int64_t columns, bool tiled) {
  if constexpr (T::kPerWord == 2) {
    if (tiled) return multiply_tiled<kAdds>(p, rows, columns);
  }
  multiply_wide<T, kAdds>(p, rows, columns);
}

// -- Layouts.

// Turns a square of 16 x 16 numbers of 32 bits.
KINO_WIDE_INLINE void transpose(__m512i r[16]) {
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

// Rows seen as words of neighbouring channels, [count][D / kPerWord], to [D / kPerWord][kQueries]: lanes are
// rows. Rows that are missing become zeros.
template <typename T>
KINO_WIDE void pack_lanes(const typename T::Number *rows, int64_t stride, int64_t count, int64_t width,
                          uint32_t *out) {
  const int64_t words = width / T::kPerWord;
  for (int64_t first = 0; first < kQueries; first += 16) {
    for (int64_t word = 0; word < words; word += 16) {
      const auto mask = static_cast<__mmask16>(words - word >= 16 ? 0xFFFF : (1 << (words - word)) - 1);
      __m512i r[16];
      for (int64_t i = 0; i < 16; ++i) {
        r[i] = first + i < count ? _mm512_maskz_loadu_epi32(mask, rows + (first + i) * stride + T::kPerWord * word)
                                 : _mm512_setzero_si512();
      }
      transpose(r);
      for (int64_t i = 0; i < std::min<int64_t>(16, words - word); ++i) {
        _mm512_storeu_si512(out + (word + i) * kQueries + first, r[i]);
      }
    }
  }
}

// Rows to words of neighbouring rows, [total][D], zeros past the end.
template <typename T>
KINO_WIDE void pack_rows(const typename T::Number *rows, int64_t stride, int64_t count, int64_t width, uint32_t *out,
                         int64_t total) {
  for (int64_t word = 0; word < total; ++word) {
    const int64_t row = word * T::kPerWord;
    for (int64_t c = 0; c < width; c += 16) {
      _mm512_storeu_si512(out + word * width + c, T::words(rows + row * stride + c, stride, count - row));
    }
  }
}

// Rows to columns by blocks, [blocks][D][kKeys], zeros past the end. One long row per column would put all
// columns into the same few lines of the cache.
template <typename T>
KINO_WIDE void pack_columns(const typename T::Number *rows, int64_t stride, int64_t count, int64_t width,
                            typename T::Number *out) {
  for (int64_t first = 0; first < count; first += 16 * T::kPerWord) {
    auto *words = reinterpret_cast<uint32_t *>(out + first / kKeys * kKeys * width + first % kKeys);
    for (int64_t c = 0; c < width; c += 16) {
      __m512i r[16];
      for (int64_t i = 0; i < 16; ++i) {
        const int64_t row = first + i * T::kPerWord;
        r[i] = T::words(rows + row * stride + c, stride, count - row);
      }
      transpose(r);
      for (int64_t i = 0; i < 16; ++i) _mm512_storeu_si512(words + (c + i) * (kKeys / T::kPerWord), r[i]);
    }
  }
}

// Columns of float32, [D][kQueries], times a factor per lane, to rows.
template <typename T>
KINO_WIDE void unpack_lanes(const float *columns, const float *factors, int64_t count, int64_t width,
                            typename T::Number *rows, int64_t stride) {
  for (int64_t first = 0; first < count; first += 16) {
    const auto factor = _mm512_loadu_ps(factors + first);
    for (int64_t c = 0; c < width; c += 16) {
      __m512i r[16];
      for (int64_t i = 0; i < 16; ++i) {
        r[i] = _mm512_castps_si512(_mm512_mul_ps(_mm512_loadu_ps(columns + (c + i) * kQueries + first), factor));
      }
      transpose(r);
      for (int64_t i = 0; i < std::min<int64_t>(16, count - first); ++i) {
        T::store(rows + (first + i) * stride + c, _mm512_castsi512_ps(r[i]));
      }
    }
  }
}

// Two to the power of x: a polynomial on -0.5...0.5, within a few units of the type's last place, then the
// exponent. Minus infinity gives zero; NaN stays, as the second operand of a maximum.
template <typename T>
KINO_WIDE_INLINE __m512 exp2(__m512 x) {
  x = _mm512_max_ps(_mm512_set1_ps(-200.0f), x);
  const auto n = _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  const auto r = _mm512_sub_ps(x, n);
  auto p = _mm512_set1_ps(1.3333558e-3f);
  if constexpr (T::kPerWord == 1) p = _mm512_fmadd_ps(_mm512_set1_ps(1.5403530e-4f), r, p);
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(9.6181291e-3f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(5.5504109e-2f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(2.4022651e-1f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(6.9314718e-1f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f));
  return _mm512_scalef_ps(p, n);
}

// -- One head: pointers to its first rows; strides between rows.
template <typename T>
struct Head {
  const typename T::Number *queries, *keys, *values;
  int64_t query_stride, key_stride, value_stride;
  const float *bias;  // per key, or null
  int64_t query_count, key_count, width;
  float scale;
  bool tiled;  // whether products are the matrix unit's

  int64_t words() const { return width / T::kPerWord; }
};

// What a tile of queries has seen so far: its queries packed into lanes, the weighted sums of values, and per
// lane the highest logit and the sum of exponentials.
struct ForwardTile {
  std::vector<uint32_t> queries;
  std::vector<float> sums;
  alignas(64) float highest[kQueries] = {}, total[kQueries] = {};
  ForwardTile(int64_t width, int64_t words) : queries(words * kQueries), sums(width * kQueries) {}
};

struct ForwardScratch {
  std::vector<ForwardTile> tiles;
  std::vector<uint32_t> weights;
  std::vector<float> logits;
  // For tiles of queries of so many channels, in so many words.
  ForwardScratch(int64_t width, int64_t words, int64_t count)
      : tiles(count, ForwardTile(width, words)), weights(kKeys * kQueries), logits(kKeys * kQueries) {}
};

template <typename T>
KINO_WIDE void begin_tile(const Head<T> &h, int64_t first, ForwardTile &tile) {
  pack_lanes<T>(h.queries + first * h.query_stride, h.query_stride, std::min(kQueries, h.query_count - first), h.width,
                tile.queries.data());
  std::fill(tile.sums.begin(), tile.sums.end(), 0.0f);
  std::fill_n(tile.highest, kQueries, kLowest);
  std::fill_n(tile.total, kQueries, 0.0f);
}

// Lets a tile see the block of keys that starts at `key`. `value_columns` are packed.
template <typename T>
KINO_WIDE void see_keys(const Head<T> &h, const typename T::Number *value_columns, int64_t key, ForwardTile &tile,
                        ForwardScratch &s) {
  const auto scale = _mm512_set1_ps(h.scale * kLog2E);
  const int64_t keys = std::min(kKeys, h.key_count - key);
  multiply<T, false>({h.keys + key * h.key_stride, h.key_stride, tile.queries.data(), kQueries, h.words(),
                      s.logits.data(), kQueries},
                     keys, kQueries, h.tiled);
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
    rescale[v] = exp2<T>(_mm512_sub_ps(before, peak));
    _mm512_store_ps(tile.highest + v * 16, peak);
    auto sum = _mm512_mul_ps(_mm512_load_ps(tile.total + v * 16), rescale[v]);
    for (int64_t j = 0; j < keys; j += T::kPerWord) {
      __m512 weights[T::kPerWord];
      for (int64_t i = 0; i < T::kPerWord; ++i) {
        weights[i] = j + i < keys ? exp2<T>(_mm512_sub_ps(_mm512_loadu_ps(column + (j + i) * kQueries), peak))
                                  : _mm512_setzero_ps();
        sum = _mm512_add_ps(sum, weights[i]);
      }
      _mm512_storeu_si512(s.weights.data() + j / T::kPerWord * kQueries + v * 16, T::words(weights));
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
  multiply<T, true>({value_columns + key * h.width, kKeys, s.weights.data(), kQueries, divided_up(keys, T::kPerWord),
                     tile.sums.data(), kQueries},
                    h.width, kQueries, h.tiled);
}

// `log_sums` gets the base-2 logarithm of each query's sum of exponentials, for the backward pass.
template <typename T>
KINO_WIDE void end_tile(const Head<T> &h, int64_t first, const ForwardTile &tile, typename T::Number *out,
                        int64_t out_stride, float *log_sums) {
  const int64_t count = std::min(kQueries, h.query_count - first);
  float factors[kQueries];
  for (int64_t i = 0; i < kQueries; ++i) factors[i] = 1 / tile.total[i];
  unpack_lanes<T>(tile.sums.data(), factors, count, h.width, out + first * out_stride, out_stride);
  for (int64_t i = 0; i < count; ++i) log_sums[first + i] = tile.highest[i] + std::log2(tile.total[i]);
}

// Tiles `begin` to `end` of a head's queries. All see a block of keys before the next is read, so that keys and
// values that no cache holds are read once for all of them.
template <typename T>
KINO_WIDE void forward_tiles(const Head<T> &h, const typename T::Number *value_columns, int64_t begin, int64_t end,
                             typename T::Number *out, int64_t out_stride, float *log_sums, ForwardScratch &s) {
  for (int64_t i = begin; i < end; ++i) begin_tile(h, i * kQueries, s.tiles[i - begin]);
  for (int64_t key = 0; key < h.key_count; key += kKeys) {
    for (int64_t i = begin; i < end; ++i) see_keys(h, value_columns, key, s.tiles[i - begin], s);
  }
  for (int64_t i = begin; i < end; ++i) {
    end_tile(h, i * kQueries, s.tiles[i - begin], out, out_stride, log_sums);
  }
}

template <typename T>
struct BackwardScratch {
  std::vector<uint32_t> query_lanes, upstream_lanes, query_rows, upstream_rows, slope_words;
  std::vector<typename T::Number> weights, slopes, key_columns;
  std::vector<float> logits, inner, query_sums, key_sums, value_sums;
  explicit BackwardScratch(const Head<T> &h)
      : query_lanes(h.words() * kQueries), upstream_lanes(h.words() * kQueries),
        query_rows(kQueries / T::kPerWord * h.width), upstream_rows(kQueries / T::kPerWord * h.width),
        slope_words(kKeys / T::kPerWord * kQueries), weights(kKeys * kQueries), slopes(kKeys * kQueries),
        key_columns(h.width * rounded_up(h.key_count, kKeys)), logits(kKeys * kQueries), inner(kKeys * kQueries),
        query_sums(h.width * kQueries), key_sums(h.key_count * h.width), value_sums(h.key_count * h.width) {}
};

template <typename T>
struct HeadGradient {
  const typename T::Number *upstream;
  const float *log_sums, *dots;  // per query
  typename T::Number *queries, *keys, *values;
  int64_t upstream_stride, query_stride, key_stride, value_stride;
};

template <typename T>
KINO_WIDE void scaled(const float *sums, int64_t count, int64_t width, float factor, typename T::Number *rows,
                      int64_t stride) {
  for (int64_t row = 0; row < count; ++row) {
    for (int64_t c = 0; c < width; c += 16) {
      T::store(rows + row * stride + c,
               _mm512_mul_ps(_mm512_loadu_ps(sums + row * width + c), _mm512_set1_ps(factor)));
    }
  }
}

// Weights of a block of keys from its logits, and the slopes of the logits, in both layouts that the
// products need.
template <typename T>
KINO_WIDE void block_slopes(const Head<T> &h, const float *log_sums, const float *dots, int64_t key, int64_t keys,
                            BackwardScratch<T> &s) {
  const auto scale = _mm512_set1_ps(h.scale * kLog2E);
  for (int v = 0; v < 3; ++v) {
    const auto level = _mm512_loadu_ps(log_sums + v * 16), dot = _mm512_loadu_ps(dots + v * 16);
    for (int64_t first = 0; first < keys; first += T::kPerWord) {
      __m512 slopes[T::kPerWord];
      for (int64_t i = 0; i < T::kPerWord; ++i) {
        slopes[i] = _mm512_setzero_ps();
        if (first + i >= keys) continue;
        const int64_t at = (first + i) * kQueries + v * 16;
        auto x = _mm512_fmsub_ps(_mm512_loadu_ps(s.logits.data() + at), scale, level);
        if (h.bias) x = _mm512_add_ps(x, _mm512_set1_ps(h.bias[key + first + i] * kLog2E));
        const auto weight = exp2<T>(x);
        slopes[i] = _mm512_mul_ps(weight, _mm512_sub_ps(_mm512_loadu_ps(s.inner.data() + at), dot));
        T::store(s.weights.data() + at, weight);
        T::store(s.slopes.data() + at, slopes[i]);
      }
      _mm512_storeu_si512(s.slope_words.data() + first / T::kPerWord * kQueries + v * 16, T::words(slopes));
    }
  }
}

template <typename T>
KINO_WIDE void backward_head(const Head<T> &h, const HeadGradient<T> &g) {
  BackwardScratch<T> s(h);
  const int64_t width = h.width, query_words = kQueries / T::kPerWord;
  pack_columns<T>(h.keys, h.key_stride, h.key_count, width, s.key_columns.data());
  for (int64_t first = 0; first < h.query_count; first += kQueries) {
    const int64_t count = std::min(kQueries, h.query_count - first);
    const auto *queries = h.queries + first * h.query_stride, *upstream = g.upstream + first * g.upstream_stride;
    pack_lanes<T>(queries, h.query_stride, count, width, s.query_lanes.data());
    pack_lanes<T>(upstream, g.upstream_stride, count, width, s.upstream_lanes.data());
    pack_rows<T>(queries, h.query_stride, count, width, s.query_rows.data(), query_words);
    pack_rows<T>(upstream, g.upstream_stride, count, width, s.upstream_rows.data(), query_words);
    alignas(64) float log_sums[kQueries] = {}, dots[kQueries] = {};
    std::copy_n(g.log_sums + first, count, log_sums);
    std::copy_n(g.dots + first, count, dots);
    // A lane without a query must not overflow: its gradients are zeros times its weight.
    std::fill(log_sums + count, log_sums + kQueries, 1e30f);
    std::fill(s.query_sums.begin(), s.query_sums.end(), 0.0f);
    for (int64_t key = 0; key < h.key_count; key += kKeys) {
      const int64_t keys = std::min(kKeys, h.key_count - key);
      multiply<T, false>({h.keys + key * h.key_stride, h.key_stride, s.query_lanes.data(), kQueries, h.words(),
                          s.logits.data(), kQueries},
                         keys, kQueries, h.tiled);
      multiply<T, false>({h.values + key * h.value_stride, h.value_stride, s.upstream_lanes.data(), kQueries,
                          h.words(), s.inner.data(), kQueries},
                         keys, kQueries, h.tiled);
      block_slopes(h, log_sums, dots, key, keys, s);
      multiply<T, true>({s.weights.data(), kQueries, s.upstream_rows.data(), width, query_words,
                         s.value_sums.data() + key * width, width},
                        keys, width, h.tiled);
      multiply<T, true>({s.slopes.data(), kQueries, s.query_rows.data(), width, query_words,
                         s.key_sums.data() + key * width, width},
                        keys, width, h.tiled);
      multiply<T, true>({s.key_columns.data() + key * width, kKeys, s.slope_words.data(), kQueries,
                         divided_up(keys, T::kPerWord), s.query_sums.data(), kQueries},
                        width, kQueries, h.tiled);
    }
    alignas(64) float factors[kQueries];
    std::fill(factors, factors + kQueries, h.scale);
    unpack_lanes<T>(s.query_sums.data(), factors, count, width, g.queries + first * g.query_stride, g.query_stride);
  }
  scaled<T>(s.key_sums.data(), h.key_count, width, h.scale, g.keys, g.key_stride);
  scaled<T>(s.value_sums.data(), h.key_count, width, 1, g.values, g.value_stride);
}

// -- Tensors.

// Calls body with the type of the numbers.
template <typename Body>
void with_element(const at::Tensor &t, const Body &body) {
  t.scalar_type() == at::kFloat ? body(Float32()) : body(BFloat16());
}

template <typename T>
const typename T::Number *numbers(const at::Tensor &t) {
  return static_cast<const typename T::Number *>(t.const_data_ptr());
}
template <typename T>
typename T::Number *mutable_numbers(at::Tensor &t) {
  return static_cast<typename T::Number *>(t.mutable_data_ptr());
}

// A result [B, heads, L, D] whose heads lie next to each other, as the layers around want them.
at::Tensor heads_inside(const at::Tensor &like) {
  return at::empty({like.size(0), like.size(2), like.size(1), like.size(3)}, like.options()).transpose(1, 2);
}

int64_t head_offset(const at::Tensor &t, int64_t index) {
  return index / t.size(1) * t.stride(0) + index % t.size(1) * t.stride(1);
}

template <typename T>
Head<T> head(const at::Tensor &q, const at::Tensor &k, const at::Tensor &v, const at::Tensor &bias, double scale,
             bool tiled, int64_t index) {
  const float *row = nullptr;
  if (bias.defined()) row = bias.const_data_ptr<float>() + (bias.size(0) == 1 ? 0 : index / q.size(1) * bias.stride(0));
  return {numbers<T>(q) + head_offset(q, index), numbers<T>(k) + head_offset(k, index),
          numbers<T>(v) + head_offset(v, index), q.stride(2), k.stride(2), v.stride(2), row, q.size(2), k.size(2),
          q.size(3), static_cast<float>(scale), tiled};
}

bool uses_matrix_unit(const at::Tensor &queries) {
  return queries.scalar_type() == at::kBFloat16 && simd() >= Simd::amx_bf16;
}

struct Attention : torch::autograd::Function<Attention> {
  static at::Tensor forward(torch::autograd::AutogradContext *context, const at::Tensor &queries,
                            const at::Tensor &keys, const at::Tensor &values, const c10::optional<at::Tensor> &added,
                            double scale) {
    const auto q = with_unit_stride(queries), k = with_unit_stride(keys), v = with_unit_stride(values);
    const auto bias = added.value_or(at::Tensor());
    auto out = heads_inside(q);
    auto log_sums = at::empty({q.size(0) * q.size(1), q.size(2)}, q.options().dtype(at::kFloat));
    const int64_t heads = q.size(0) * q.size(1), width = q.size(3), padded = rounded_up(k.size(2), kKeys);
    auto columns = at::empty({heads, width, padded}, q.options());
    const int64_t tiles = divided_up(q.size(2), kQueries);
    const int64_t together = std::clamp<int64_t>(heads * tiles / (8 * at::get_num_threads()), 1, kTilesTogether);
    const int64_t groups = divided_up(tiles, together);
    const bool tiled = uses_matrix_unit(q);
    auto *sums = log_sums.mutable_data_ptr<float>();
    with_element(q, [&](auto element) {
      using T = decltype(element);
      auto *packed = mutable_numbers<T>(columns), *target = mutable_numbers<T>(out);
      parallel_for(0, heads, 1, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          pack_columns<T>(numbers<T>(v) + head_offset(v, i), v.stride(2), v.size(2), width, packed + i * width * padded);
        }
      });
      // Many tasks, so that threads of uneven speed end together, but fewer scratch buffers than groups.
      parallel_for(0, heads * groups, std::max<int64_t>(1, heads * groups / 64), [&](int64_t begin, int64_t end) {
        const MatrixUnit unit(tiled);
        ForwardScratch scratch(width, width / T::kPerWord, together);
        for (int64_t task = begin; task < end; ++task) {
          const int64_t i = task / groups, first = task % groups * together;
          forward_tiles(head<T>(q, k, v, bias, scale, tiled, i), packed + i * width * padded, first,
                        std::min(tiles, first + together), target + head_offset(out, i), out.stride(2),
                        sums + i * q.size(2), scratch);
        }
      });
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
    const bool tiled = uses_matrix_unit(q);
    with_element(q, [&](auto element) {
      using T = decltype(element);
      parallel_for(0, q.size(0) * q.size(1), 1, [&](int64_t begin, int64_t end) {
        const MatrixUnit unit(tiled);
        for (int64_t i = begin; i < end; ++i) {
          const HeadGradient<T> gradient = {
              numbers<T>(upstream) + head_offset(upstream, i), log_sums.const_data_ptr<float>() + i * length,
              dots.const_data_ptr<float>() + i * length,       mutable_numbers<T>(dq) + head_offset(dq, i),
              mutable_numbers<T>(dk) + head_offset(dk, i),     mutable_numbers<T>(dv) + head_offset(dv, i),
              upstream.stride(2),                              dq.stride(2),
              dk.stride(2),                                    dv.stride(2)};
          backward_head(head<T>(q, k, v, bias, scale, tiled, i), gradient);
        }
      });
    });
    return {dq, dk, dv, at::Tensor(), at::Tensor()};
  }
};

bool is_fast(const at::Tensor &q, const at::Tensor &k, const at::Tensor &v, const at::Tensor &bias) {
  const auto type = q.scalar_type();
  const auto fits = [&](const at::Tensor &t) {
    return t.dim() == 4 && t.is_cpu() && t.scalar_type() == type && t.size(0) == q.size(0) &&
           t.size(1) == q.size(1) && t.size(3) == q.size(3) && t.numel() > 0;
  };
  const bool is_wide =
      (type == at::kBFloat16 && simd() >= Simd::avx512_bf16) || (type == at::kFloat && simd() >= Simd::avx512);
  if (!is_wide || !fits(q) || !fits(k) || !fits(v) || k.size(2) != v.size(2)) return false;
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
