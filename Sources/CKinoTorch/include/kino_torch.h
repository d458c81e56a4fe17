// The C face of LibTorch. Pure C: no C++ type, exception or macro crosses it.
//
// Every function returns a status: 0 is success, anything else a failure whose text
// `kino_last_error` gives, per thread. A result comes by out-pointer and is always NEW: the caller
// owns it and frees it with `kino_tensor_free`. Arguments are BORROWED.
#ifndef KINO_TORCH_H
#define KINO_TORCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#define KINO_NOEXCEPT noexcept
#else
#define KINO_NOEXCEPT
#endif

#if defined(__clang__)
#pragma clang assume_nonnull begin
#endif

typedef struct kino_tensor kino_tensor;
typedef int32_t kino_status;
enum { KINO_OK = 0, KINO_FAILED = 1, KINO_OUT_OF_MEMORY = 2 };

typedef enum {
  KINO_FLOAT32 = 0,
  KINO_FLOAT64 = 1,
  KINO_FLOAT16 = 2,
  KINO_BFLOAT16 = 3,
  KINO_INT64 = 4,
  KINO_INT32 = 5,
  KINO_INT16 = 6,
  KINO_INT8 = 7,
  KINO_UINT8 = 8,
  KINO_BOOL = 9,
} kino_dtype;

typedef enum { KINO_CPU = 0, KINO_CUDA = 1, KINO_MPS = 2 } kino_device_type;
typedef struct {
  int32_t type;
  int32_t index;
} kino_device;

// -- Errors and process state
const char *kino_last_error(void) KINO_NOEXCEPT;
const char *kino_torch_version(void) KINO_NOEXCEPT;
kino_status kino_set_thread_count(int32_t count) KINO_NOEXCEPT;
kino_status kino_thread_count(int32_t *out) KINO_NOEXCEPT;
bool kino_device_available(int32_t type) KINO_NOEXCEPT;
bool kino_cpu_multiplies_bfloat16(void) KINO_NOEXCEPT;
int64_t kino_live_tensor_count(void) KINO_NOEXCEPT;
// Which instructions our own CPU kernels use, never more than the machine has, for tests: 0 any machine's,
// 1 AVX2 with FMA, 2 AVX-512, 3 AVX-512-BF16.
void kino_set_kernel_level(int32_t level) KINO_NOEXCEPT;
int32_t kino_get_kernel_level(void) KINO_NOEXCEPT;

// -- Life
void kino_tensor_free(kino_tensor *_Nullable t) KINO_NOEXCEPT;
kino_status kino_from_bytes(const void *_Nullable bytes, size_t count, const int64_t *_Nullable shape, int32_t rank,
                            int32_t dtype, kino_tensor *_Nullable *_Nonnull out) KINO_NOEXCEPT;
// Borrows `bytes` without a copy; `release(context)` is called once, when the storage dies or on failure.
kino_status kino_from_mapping(void *bytes, const int64_t *_Nullable shape, int32_t rank, int32_t dtype,
                              void (*release)(void *_Nullable), void *_Nullable context,
                              kino_tensor *_Nullable *_Nonnull out) KINO_NOEXCEPT;
kino_status kino_full(double value, const int64_t *_Nullable shape, int32_t rank, int32_t dtype, kino_device device,
                      kino_tensor *_Nullable *_Nonnull out) KINO_NOEXCEPT;
kino_status kino_arange(double start, double end, double step, int32_t dtype,
                        kino_tensor *_Nullable *_Nonnull out) KINO_NOEXCEPT;
// Standard normal (or uniform in [0, 1)) numbers from Philox 4x32-10 counters: element i depends on
// (seed, stream, i) alone.
kino_status kino_random(bool normal, uint64_t seed, uint64_t stream, const int64_t *_Nullable shape, int32_t rank,
                        kino_tensor *_Nullable *_Nonnull out) KINO_NOEXCEPT;
// The four words of one Philox block, before they become numbers.
void kino_random_block(uint64_t seed, uint64_t stream, uint64_t index, uint32_t *words) KINO_NOEXCEPT;
kino_status kino_copy_bytes(const kino_tensor *t, void *_Nullable into, size_t count) KINO_NOEXCEPT;
// Address of the first element of a contiguous CPU tensor.
kino_status kino_data(const kino_tensor *t, void *_Nullable *_Nonnull out) KINO_NOEXCEPT;

// -- Facts
int32_t kino_rank(const kino_tensor *t) KINO_NOEXCEPT;
int64_t kino_size(const kino_tensor *t, int32_t axis) KINO_NOEXCEPT;
int32_t kino_dtype_of(const kino_tensor *t) KINO_NOEXCEPT;
kino_device kino_device_of(const kino_tensor *t) KINO_NOEXCEPT;
bool kino_is_contiguous(const kino_tensor *t) KINO_NOEXCEPT;
bool kino_requires_gradient(const kino_tensor *t) KINO_NOEXCEPT;

// -- Element-wise
typedef enum {
  KINO_NEG, KINO_ABS, KINO_EXP, KINO_LOG, KINO_SQRT, KINO_RSQRT, KINO_SQUARE, KINO_SIN, KINO_COS, KINO_TANH,
  KINO_SIGMOID, KINO_RELU, KINO_SILU, KINO_GELU, KINO_GELU_TANH, KINO_RECIPROCAL, KINO_IS_FINITE, KINO_FLOOR,
  KINO_SOFTPLUS, KINO_LOGICAL_NOT, KINO_ROUND,
} kino_unary_op;
kino_status kino_unary(int32_t op, const kino_tensor *x, kino_tensor *_Nullable *_Nonnull out) KINO_NOEXCEPT;

typedef enum {
  KINO_ADD, KINO_SUB, KINO_MUL, KINO_DIV, KINO_POW, KINO_MAXIMUM, KINO_MINIMUM, KINO_EQUAL, KINO_NOT_EQUAL,
  KINO_LESS, KINO_GREATER,
} kino_binary_op;
kino_status kino_binary(int32_t op, const kino_tensor *a, const kino_tensor *b,
                        kino_tensor *_Nullable *_Nonnull out) KINO_NOEXCEPT;
// `reversed` computes (scalar op x).
kino_status kino_binary_scalar(int32_t op, const kino_tensor *x, double scalar, bool reversed,
                               kino_tensor *_Nullable *_Nonnull out) KINO_NOEXCEPT;
kino_status kino_clamp(const kino_tensor *x, double low, double high,
                       kino_tensor *_Nullable *_Nonnull out) KINO_NOEXCEPT;
kino_status kino_where(const kino_tensor *condition, const kino_tensor *a, const kino_tensor *b,
                       kino_tensor *_Nullable *_Nonnull out) KINO_NOEXCEPT;
kino_status kino_cast(const kino_tensor *x, int32_t dtype, kino_tensor *_Nullable *_Nonnull out) KINO_NOEXCEPT;
kino_status kino_move(const kino_tensor *x, kino_device device, kino_tensor *_Nullable *_Nonnull out) KINO_NOEXCEPT;
kino_status kino_clone(const kino_tensor *x, kino_tensor *_Nullable *_Nonnull out) KINO_NOEXCEPT;

// -- In place, for optimisers and caches: never recorded by autograd.
kino_status kino_assign(kino_tensor *x, const kino_tensor *value) KINO_NOEXCEPT;
kino_status kino_add_in_place(kino_tensor *x, const kino_tensor *y, double scale) KINO_NOEXCEPT;
kino_status kino_scale_in_place(kino_tensor *x, double scale) KINO_NOEXCEPT;
// Whether gradients are off and no other tensor shares the numbers of x.
bool kino_is_alone(const kino_tensor *x) KINO_NOEXCEPT;

// -- Reductions (no axes: over all)
typedef enum { KINO_SUM, KINO_MEAN, KINO_MAX, KINO_MIN, KINO_VARIANCE, KINO_ARGMAX, KINO_ALL, KINO_ANY } kino_reduction;
kino_status kino_reduce(int32_t op, const kino_tensor *x, const int64_t *_Nullable axes, int32_t count, bool keep,
                        kino_tensor *_Nullable *_Nonnull out) KINO_NOEXCEPT;
kino_status kino_softmax(const kino_tensor *x, int64_t axis, kino_tensor *_Nullable *_Nonnull out) KINO_NOEXCEPT;
kino_status kino_cumulative_sum(const kino_tensor *x, int64_t axis,
                                kino_tensor *_Nullable *_Nonnull out) KINO_NOEXCEPT;

// -- Shape
kino_status kino_reshape(const kino_tensor *x, const int64_t *_Nullable shape, int32_t rank,
                         kino_tensor *_Nullable *_Nonnull out) KINO_NOEXCEPT;
kino_status kino_permute(const kino_tensor *x, const int64_t *axes, int32_t count,
                         kino_tensor *_Nullable *_Nonnull out) KINO_NOEXCEPT;
kino_status kino_contiguous(const kino_tensor *x, kino_tensor *_Nullable *_Nonnull out) KINO_NOEXCEPT;
// Channels-last strides for [N, C, H, W] and [N, C, F, H, W]; the shape stays.
kino_status kino_channels_last(const kino_tensor *x, kino_tensor *_Nullable *_Nonnull out) KINO_NOEXCEPT;
kino_status kino_expand(const kino_tensor *x, const int64_t *shape, int32_t rank,
                        kino_tensor *_Nullable *_Nonnull out) KINO_NOEXCEPT;
kino_status kino_slice(const kino_tensor *x, int64_t axis, int64_t start, int64_t end, int64_t step,
                       kino_tensor *_Nullable *_Nonnull out) KINO_NOEXCEPT;
kino_status kino_select(const kino_tensor *x, int64_t axis, int64_t index,
                        kino_tensor *_Nullable *_Nonnull out) KINO_NOEXCEPT;
kino_status kino_concatenate(const kino_tensor *_Nonnull const *_Nonnull list, int32_t count, int64_t axis,
                             kino_tensor *_Nullable *_Nonnull out) KINO_NOEXCEPT;
kino_status kino_stack(const kino_tensor *_Nonnull const *_Nonnull list, int32_t count, int64_t axis,
                       kino_tensor *_Nullable *_Nonnull out) KINO_NOEXCEPT;
kino_status kino_flip(const kino_tensor *x, int64_t axis, kino_tensor *_Nullable *_Nonnull out) KINO_NOEXCEPT;
kino_status kino_repeat_interleave(const kino_tensor *x, int64_t repeats, int64_t axis,
                                   kino_tensor *_Nullable *_Nonnull out) KINO_NOEXCEPT;
kino_status kino_index_select(const kino_tensor *x, int64_t axis, const kino_tensor *indices,
                              kino_tensor *_Nullable *_Nonnull out) KINO_NOEXCEPT;
typedef enum { KINO_PAD_CONSTANT, KINO_PAD_REPLICATE, KINO_PAD_REFLECT } kino_pad_mode;
// Amounts come in pairs (before, after), last axis first.
kino_status kino_pad(const kino_tensor *x, const int64_t *amounts, int32_t count, int32_t mode, double value,
                     kino_tensor *_Nullable *_Nonnull out) KINO_NOEXCEPT;

// -- Networks
kino_status kino_matmul(const kino_tensor *a, const kino_tensor *b,
                        kino_tensor *_Nullable *_Nonnull out) KINO_NOEXCEPT;
// The X [K, M] with the least |A X - B|, for A [N, K] and B [N, M].
kino_status kino_least_squares(const kino_tensor *a, const kino_tensor *b,
                               kino_tensor *_Nullable *_Nonnull out) KINO_NOEXCEPT;
kino_status kino_linear(const kino_tensor *x, const kino_tensor *weight, const kino_tensor *_Nullable bias,
                        kino_tensor *_Nullable *_Nonnull out) KINO_NOEXCEPT;
// Whether `kino_packed_linear` is taken to be faster than `kino_linear` for this matrix on this processor.
bool kino_packs_matrix(const kino_tensor *weight) KINO_NOEXCEPT;
// Puts a matrix [outputs, inputs] in the order in which `kino_packed_linear` reads it; its type stays.
kino_status kino_pack_matrix(const kino_tensor *weight, kino_tensor *_Nullable *_Nonnull out) KINO_NOEXCEPT;
// As `kino_linear` for `x` of the matrix's type, without a gradient; then the tanh form of GELU if asked.
kino_status kino_packed_linear(const kino_tensor *x, const kino_tensor *packed, const kino_tensor *_Nullable bias,
                               bool applies_gelu, kino_tensor *_Nullable *_Nonnull out) KINO_NOEXCEPT;
// Packs a matrix [outputs, inputs] as 8-bit numbers for `kino_quantized_linear`.
kino_status kino_quantize_matrix(const kino_tensor *weight, kino_tensor *_Nullable *_Nonnull out) KINO_NOEXCEPT;
// As `kino_linear`, without a gradient; then the tanh form of GELU if asked.
kino_status kino_quantized_linear(const kino_tensor *x, const kino_tensor *packed, const kino_tensor *_Nullable bias,
                                  int64_t inputs, int64_t outputs, bool applies_gelu,
                                  kino_tensor *_Nullable *_Nonnull out) KINO_NOEXCEPT;
// A matrix that is made row by row: `rows` writes `count` rows from row `first` on, one after another, and is called by
// several threads at once; `release` is called when nobody asks any more.
typedef struct {
  void (*_Nonnull rows)(void *_Nonnull context, int64_t first, int64_t count, float *_Nonnull target);
  void (*_Nonnull release)(void *_Nonnull context);
  void *_Nonnull context;
} kino_unpacking;
// As `kino_linear` for a matrix [outputs, inputs] whose rows are made where they are multiplied, then the tanh form of
// GELU if asked; gradients reach `x` and `bias`. Releases the matrix, also when it fails.
kino_status kino_unpacked_linear(const kino_tensor *x, kino_unpacking matrix, int64_t inputs, int64_t outputs,
                                 const kino_tensor *_Nullable bias, bool applies_gelu,
                                 kino_tensor *_Nullable *_Nonnull out) KINO_NOEXCEPT;
// Two or three spatial axes, by the rank of `x`.
kino_status kino_convolution(const kino_tensor *x, const kino_tensor *weight, const kino_tensor *_Nullable bias,
                             const int64_t *stride, const int64_t *padding, int32_t spatial,
                             kino_tensor *_Nullable *_Nonnull out) KINO_NOEXCEPT;
// Of x [N, C, F, H, W] with kernels [O, C, reach, h, w], h and w odd: every frame sees itself and reach - 1 frames
// before it, those of the past where x has none, then zeros; frames are padded with zeros to keep their size.
kino_status kino_causal_convolution(const kino_tensor *x, const kino_tensor *_Nullable past, const kino_tensor *weight,
                                    const kino_tensor *_Nullable bias,
                                    kino_tensor *_Nullable *_Nonnull out) KINO_NOEXCEPT;
// Of pictures x [N, C, H, W] doubled in height and width by repetition, with kernels [O, C, 3, 3]: [N, O, 2H, 2W].
kino_status kino_doubled_convolution(const kino_tensor *x, const kino_tensor *weight, const kino_tensor *_Nullable bias,
                                     kino_tensor *_Nullable *_Nonnull out) KINO_NOEXCEPT;
kino_status kino_layer_norm(const kino_tensor *x, const kino_tensor *_Nullable weight,
                            const kino_tensor *_Nullable bias, double epsilon,
                            kino_tensor *_Nullable *_Nonnull out) KINO_NOEXCEPT;
kino_status kino_rms_norm(const kino_tensor *x, const kino_tensor *_Nullable weight, double epsilon,
                          kino_tensor *_Nullable *_Nonnull out) KINO_NOEXCEPT;
// x / max(|x|, epsilon), the norm taken along `axis`.
kino_status kino_normalize(const kino_tensor *x, int64_t axis, double epsilon,
                           kino_tensor *_Nullable *_Nonnull out) KINO_NOEXCEPT;
// x / max(|x|, 1e-12) * sqrt(C) * gain over the channels of [N, C, (F,) H, W], then SiLU if asked.
// `is_given`: x is unshared and not read again, so the result may overwrite it. `plain` uses the composition of
// LibTorch's operations instead of the fused kernel, for comparison.
kino_status kino_channel_norm(const kino_tensor *x, const kino_tensor *gain, bool silu, bool is_given, bool plain,
                              kino_tensor *_Nullable *_Nonnull out) KINO_NOEXCEPT;
// layer_norm(x) * (1 + scale) + shift for tokens [B, L, D], float32, as `dtype`. Shift and scale are rows
// [B or 1, K, D]; token l of sample b takes row index[b, l] (int64), or without an index its own (K = L)
// or the only one (K = 1).
kino_status kino_modulated_norm(const kino_tensor *x, const kino_tensor *shift, const kino_tensor *scale,
                                const kino_tensor *_Nullable index, double epsilon, int32_t dtype, bool plain,
                                kino_tensor *_Nullable *_Nonnull out) KINO_NOEXCEPT;
// x + y * gate, float32, with rows as above.
kino_status kino_gated_sum(const kino_tensor *x, const kino_tensor *y, const kino_tensor *gate,
                           const kino_tensor *_Nullable index, bool plain,
                           kino_tensor *_Nullable *_Nonnull out) KINO_NOEXCEPT;
// rms_norm(x) * weight for [B, L, D], then a turn of channels 2j and 2j + 1 of every head by the angle at
// [l, j] of the table [L, head / 2]; without a table the norm alone.
kino_status kino_rotary_norm(const kino_tensor *x, const kino_tensor *weight, const kino_tensor *_Nullable cosine,
                             const kino_tensor *_Nullable sine, double epsilon, bool plain,
                             kino_tensor *_Nullable *_Nonnull out) KINO_NOEXCEPT;
kino_status kino_embedding(const kino_tensor *weight, const kino_tensor *indices,
                           kino_tensor *_Nullable *_Nonnull out) KINO_NOEXCEPT;
// Queries, keys, values [B, heads, L, D]; bias broadcastable to [B, heads, Lq, Lk]; scale 0 is 1/sqrt(D).
kino_status kino_attention(const kino_tensor *q, const kino_tensor *k, const kino_tensor *v,
                           const kino_tensor *_Nullable bias, double scale,
                           kino_tensor *_Nullable *_Nonnull out) KINO_NOEXCEPT;
kino_status kino_upsample_nearest(const kino_tensor *x, const int64_t *size, int32_t spatial,
                                  kino_tensor *_Nullable *_Nonnull out) KINO_NOEXCEPT;
kino_status kino_resize_area(const kino_tensor *x, int64_t height, int64_t width,
                             kino_tensor *_Nullable *_Nonnull out) KINO_NOEXCEPT;

// -- Autograd
kino_status kino_set_requires_gradient(kino_tensor *x, bool value) KINO_NOEXCEPT;
kino_status kino_detach(const kino_tensor *x, kino_tensor *_Nullable *_Nonnull out) KINO_NOEXCEPT;
kino_status kino_backward(const kino_tensor *loss, const kino_tensor *_Nullable gradient) KINO_NOEXCEPT;
// `*out` is NULL where no gradient has been accumulated.
kino_status kino_gradient(const kino_tensor *x, kino_tensor *_Nullable *_Nonnull out) KINO_NOEXCEPT;
kino_status kino_clear_gradient(kino_tensor *x) KINO_NOEXCEPT;
// Another handle of the same tensor.
kino_status kino_share(const kino_tensor *x, kino_tensor *_Nullable *_Nonnull out) KINO_NOEXCEPT;
// Work on tensors; it owns the handles it is given and gives one away, or leaves `*out` NULL when it fails.
typedef void (*kino_body)(void *_Nullable context, kino_tensor *_Nonnull const *_Nonnull inputs, int32_t count,
                          kino_tensor *_Nullable *_Nonnull out);
// Runs `body` now and, for the gradients, again in the backward pass; `release(context)` is called once.
kino_status kino_recompute(kino_body body, void *_Nullable context, void (*release)(void *_Nullable),
                           kino_tensor *_Nonnull const *_Nonnull inputs, int32_t count,
                           kino_tensor *_Nullable *_Nonnull out) KINO_NOEXCEPT;
bool kino_gradient_enabled(void) KINO_NOEXCEPT;
void kino_set_gradient_enabled(bool value) KINO_NOEXCEPT;

// -- Optimiser: one pass over every parameter. Parameters without a gradient are left alone.
typedef struct {
  double learning_rate, beta1, beta2, epsilon, weight_decay, gradient_scale;
  int64_t step;
} kino_adamw_options;
kino_status kino_adamw(kino_tensor *_Nonnull const *_Nonnull parameters, kino_tensor *_Nonnull const *_Nonnull first,
                       kino_tensor *_Nonnull const *_Nonnull second, const bool *decays, int32_t count,
                       kino_adamw_options options) KINO_NOEXCEPT;
typedef struct {
  double learning_rate, momentum, weight_decay, gradient_scale;
} kino_muon_options;
// Parameters of two axes or more, seen as [first axis, all others].
kino_status kino_muon(kino_tensor *_Nonnull const *_Nonnull parameters, kino_tensor *_Nonnull const *_Nonnull momentum,
                      int32_t count, kino_muon_options options) KINO_NOEXCEPT;
// Square root of the sum of squares of all gradients.
kino_status kino_gradient_norm(kino_tensor *_Nonnull const *_Nonnull parameters, int32_t count,
                               double *out) KINO_NOEXCEPT;
// average += (value - average) * weight
kino_status kino_lerp(kino_tensor *_Nonnull const *_Nonnull averages, kino_tensor *_Nonnull const *_Nonnull values,
                      int32_t count, double weight) KINO_NOEXCEPT;

#if defined(__clang__)
#pragma clang assume_nonnull end
#endif

#ifdef __cplusplus
}
#endif
#endif
