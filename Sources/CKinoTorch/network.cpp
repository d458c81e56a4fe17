#include "shim.h"

#include <algorithm>

using namespace kino;

static at::Tensor upsample(const at::Tensor &x, at::IntArrayRef size) {
  return size.size() == 3 ? at::upsample_nearest3d(x, size) : at::upsample_nearest2d(x, size);
}

// Calls `product` with a bfloat16 operand and its weights widened to float32 where the processor multiplies
// those faster: without instructions for bfloat16, LibTorch's own products are several times slower. The
// weights stay 16 bits wide in memory; sums are float32 on either path.
template <typename Product>
static at::Tensor widened(const at::Tensor &x, const at::Tensor &weight, const c10::optional<at::Tensor> &bias,
                          const Product &product) {
  const bool is_slow = x.is_cpu() && x.scalar_type() == at::kBFloat16 && weight.scalar_type() == at::kBFloat16 &&
                       !kino_cpu_multiplies_bfloat16();
  if (!is_slow) return product(x, weight, bias);
  const auto wide_bias = bias ? c10::optional<at::Tensor>(bias->to(at::kFloat)) : c10::nullopt;
  return product(x.to(at::kFloat), weight.to(at::kFloat), wide_bias).to(at::kBFloat16);
}

// Whether minimal filtering suits: kernels of 3x3, results at enough positions to pay for the kernels'
// transforms, and no instructions for bfloat16 that would make plain products as fast.
static bool suits_winograd(const at::Tensor &x, const at::Tensor &weight, int64_t frames, int64_t times = 1) {
  constexpr int64_t kFewestTiles = 12;
  const auto type = x.scalar_type();
  if (!x.is_cpu() || type != weight.scalar_type() || x.numel() == 0 || frames < 1) return false;
  if (type != at::kFloat && (type != at::kBFloat16 || kino_cpu_multiplies_bfloat16())) return false;
  if (weight.dim() != x.dim() || weight.size(1) != x.size(1)) return false;
  if (weight.size(-1) != 3 || weight.size(-2) != 3) return false;
  const int64_t inputs = weight.size(1), outputs = weight.size(0);
  if (inputs % 8 != 0 || outputs % 8 != 0 || inputs < 16 || outputs < 16) return false;
  return x.size(0) * frames * ((times * x.size(-2) + 3) / 4) * ((times * x.size(-1) + 3) / 4) >= kFewestTiles;
}

static at::Tensor convolution(const at::Tensor &x, const at::Tensor &weight, const c10::optional<at::Tensor> &bias,
                              at::IntArrayRef stride, at::IntArrayRef padding) {
  const auto is_one = [](int64_t number) { return number == 1; };
  const bool sees_all = std::all_of(stride.begin(), stride.end(), is_one) &&
                        std::all_of(padding.end() - 2, padding.end(), is_one);
  if (x.dim() == 4 && sees_all && suits_winograd(x, weight, 1)) {
    return winograd_convolution(x.unsqueeze(2), {}, weight.unsqueeze(2), bias, 0, 0).squeeze(2);
  }
  if (x.dim() == 5 && sees_all && padding[0] < weight.size(2) &&
      suits_winograd(x, weight, x.size(2) + 2 * padding[0] - weight.size(2) + 1)) {
    return winograd_convolution(x, {}, weight, bias, padding[0], padding[0]);
  }
  const std::vector<int64_t> ones(stride.size(), 1), zeros(stride.size(), 0);
  return widened(x, weight, bias, [&](const auto &x, const auto &w, const auto &b) {
    return at::convolution(x, w, b, stride, padding, ones, false, zeros, 1);
  });
}

// Of pictures [N, C, H, W] doubled by repetition, with kernels of 3x3.
static at::Tensor doubled_convolution(const at::Tensor &x, const at::Tensor &weight,
                                      const c10::optional<at::Tensor> &bias) {
  TORCH_CHECK(x.dim() == 4 && weight.dim() == 4 && weight.size(2) == 3 && weight.size(3) == 3,
              "doubled convolution: input ", x.sizes(), " and kernels ", weight.sizes());
  if (suits_winograd(x, weight, 1, 2)) {
    return winograd_convolution_doubled(x.unsqueeze(2), weight.unsqueeze(2), bias).squeeze(2);
  }
  return convolution(upsample(x, {2 * x.size(2), 2 * x.size(3)}), weight, bias, {1, 1}, {1, 1});
}

// Frames of x [N, C, F, H, W] seen by kernels of any reach: those of the past come first, before them zeros.
static at::Tensor causal_convolution(const at::Tensor &x, const at::Tensor &past, const at::Tensor &weight,
                                     const c10::optional<at::Tensor> &bias) {
  TORCH_CHECK(x.dim() == 5 && weight.dim() == 5, "causal convolution: input ", x.sizes(), " and kernels ",
              weight.sizes());
  const int64_t missing = weight.size(2) - 1 - (past.defined() ? past.size(2) : 0);
  TORCH_CHECK(missing >= 0, "causal convolution: kernels of ", weight.size(2), " frames and a past of ",
              past.size(2));
  const bool is_learnt = past.defined() && past.requires_grad() && c10::GradMode::is_enabled();
  if (!is_learnt && suits_winograd(x, weight, x.size(2))) {
    return winograd_convolution(x, past, weight, bias, missing, 0);
  }
  std::vector<at::Tensor> frames;
  auto sizes = x.sizes().vec();
  sizes[2] = missing;
  if (missing > 0) frames.push_back(at::zeros(sizes, x.options()).contiguous(at::MemoryFormat::ChannelsLast3d));
  if (past.defined()) frames.push_back(past);
  frames.push_back(x);
  return convolution(at::cat(frames, 2), weight, bias, {1, 1, 1}, {0, weight.size(3) / 2, weight.size(4) / 2});
}

extern "C" {

kino_status kino_matmul(const kino_tensor *a, const kino_tensor *b, kino_tensor **out) noexcept {
  KINO_GUARD(give(out, widened(a->value, b->value, c10::nullopt,
                               [](const auto &x, const auto &y, const auto &) { return at::matmul(x, y); })))
}
kino_status kino_least_squares(const kino_tensor *a, const kino_tensor *b, kino_tensor **out) noexcept {
  KINO_GUARD(give(out, std::get<0>(at::linalg_lstsq(a->value, b->value))))
}
kino_status kino_linear(const kino_tensor *x, const kino_tensor *weight, const kino_tensor *bias,
                        kino_tensor **out) noexcept {
  KINO_GUARD(give(out, widened(x->value, weight->value, maybe(bias), [](const auto &x, const auto &w, const auto &b) {
                    return suits_onednn(x, w, b) ? onednn_linear(x, w, b) : at::linear(x, w, b);
                  })))
}
kino_status kino_convolution(const kino_tensor *x, const kino_tensor *weight, const kino_tensor *bias,
                             const int64_t *stride, const int64_t *padding, int32_t spatial,
                             kino_tensor **out) noexcept {
  KINO_GUARD(give(out, convolution(x->value, weight->value, maybe(bias), list(stride, spatial), list(padding, spatial))))
}
kino_status kino_causal_convolution(const kino_tensor *x, const kino_tensor *past, const kino_tensor *weight,
                                    const kino_tensor *bias, kino_tensor **out) noexcept {
  KINO_GUARD(give(out, causal_convolution(x->value, past ? past->value : at::Tensor(), weight->value, maybe(bias))))
}
kino_status kino_doubled_convolution(const kino_tensor *x, const kino_tensor *weight, const kino_tensor *bias,
                                     kino_tensor **out) noexcept {
  KINO_GUARD(give(out, doubled_convolution(x->value, weight->value, maybe(bias))))
}
kino_status kino_layer_norm(const kino_tensor *x, const kino_tensor *weight, const kino_tensor *bias, double epsilon,
                            kino_tensor **out) noexcept {
  KINO_GUARD(give(out, at::layer_norm(x->value, {x->value.size(-1)}, maybe(weight), maybe(bias), epsilon)))
}
kino_status kino_rms_norm(const kino_tensor *x, const kino_tensor *weight, double epsilon,
                          kino_tensor **out) noexcept {
  KINO_GUARD(give(out, at::rms_norm(x->value, {x->value.size(-1)}, maybe(weight), epsilon)))
}
kino_status kino_normalize(const kino_tensor *x, int64_t axis, double epsilon, kino_tensor **out) noexcept {
  KINO_GUARD({
    auto length = at::norm(x->value, 2, at::IntArrayRef{axis}, true);
    give(out, at::div(x->value, at::clamp_min(length, epsilon)));
  })
}
kino_status kino_embedding(const kino_tensor *weight, const kino_tensor *indices, kino_tensor **out) noexcept {
  KINO_GUARD(give(out, at::embedding(weight->value, indices->value)))
}
kino_status kino_upsample_nearest(const kino_tensor *x, const int64_t *size, int32_t spatial,
                                  kino_tensor **out) noexcept {
  KINO_GUARD(give(out, upsample(x->value, list(size, spatial))))
}
kino_status kino_resize_area(const kino_tensor *x, int64_t height, int64_t width, kino_tensor **out) noexcept {
  KINO_GUARD(give(out, at::adaptive_avg_pool2d(x->value, {height, width})))
}
}
