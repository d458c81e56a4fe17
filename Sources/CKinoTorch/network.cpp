#include "shim.h"

using namespace kino;

static at::Tensor upsample(const at::Tensor &x, at::IntArrayRef size) {
  return size.size() == 3 ? at::upsample_nearest3d(x, size) : at::upsample_nearest2d(x, size);
}

extern "C" {

kino_status kino_matmul(const kino_tensor *a, const kino_tensor *b, kino_tensor **out) noexcept {
  KINO_GUARD(give(out, at::matmul(a->value, b->value)))
}
kino_status kino_least_squares(const kino_tensor *a, const kino_tensor *b, kino_tensor **out) noexcept {
  KINO_GUARD(give(out, std::get<0>(at::linalg_lstsq(a->value, b->value))))
}
kino_status kino_linear(const kino_tensor *x, const kino_tensor *weight, const kino_tensor *bias,
                        kino_tensor **out) noexcept {
  KINO_GUARD(give(out, at::linear(x->value, weight->value, maybe(bias))))
}
kino_status kino_convolution(const kino_tensor *x, const kino_tensor *weight, const kino_tensor *bias,
                             const int64_t *stride, const int64_t *padding, int32_t spatial,
                             kino_tensor **out) noexcept {
  KINO_GUARD({
    std::vector<int64_t> ones(static_cast<size_t>(spatial), 1);
    std::vector<int64_t> zeros(static_cast<size_t>(spatial), 0);
    give(out, at::convolution(x->value, weight->value, maybe(bias), list(stride, spatial), list(padding, spatial),
                              ones, false, zeros, 1));
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
