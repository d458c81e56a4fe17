#include "shim.h"

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
                    return at::linear(x, w, b);
                  })))
}
kino_status kino_convolution(const kino_tensor *x, const kino_tensor *weight, const kino_tensor *bias,
                             const int64_t *stride, const int64_t *padding, int32_t spatial,
                             kino_tensor **out) noexcept {
  KINO_GUARD({
    std::vector<int64_t> ones(static_cast<size_t>(spatial), 1);
    std::vector<int64_t> zeros(static_cast<size_t>(spatial), 0);
    give(out, widened(x->value, weight->value, maybe(bias), [&](const auto &x, const auto &w, const auto &b) {
           return at::convolution(x, w, b, list(stride, spatial), list(padding, spatial), ones, false, zeros, 1);
         }));
  })
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
