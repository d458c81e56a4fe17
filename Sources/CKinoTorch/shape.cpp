#include <array>

#include "shim.h"

using namespace kino;

static std::vector<at::Tensor> gather(const kino_tensor *const *items, int32_t count) {
  std::vector<at::Tensor> tensors;
  tensors.reserve(static_cast<size_t>(count));
  for (int32_t i = 0; i < count; ++i) tensors.push_back(items[i]->value);
  return tensors;
}

static at::Tensor pad(const at::Tensor &x, at::IntArrayRef amounts, int32_t mode, double value) {
  constexpr std::array<const char *, 3> names = {"constant", "replicate", "reflect"};
  TORCH_CHECK(mode >= 0 && mode < 3, "unknown pad mode ", mode);
  return at::pad(x, amounts, names[static_cast<size_t>(mode)],
                 mode == KINO_PAD_CONSTANT ? c10::optional<double>(value) : c10::nullopt);
}

extern "C" {

kino_status kino_reshape(const kino_tensor *x, const int64_t *shape, int32_t rank, kino_tensor **out) noexcept {
  KINO_GUARD(give(out, at::reshape(x->value, list(shape, rank))))
}
kino_status kino_permute(const kino_tensor *x, const int64_t *axes, int32_t count, kino_tensor **out) noexcept {
  KINO_GUARD(give(out, at::permute(x->value, list(axes, count))))
}
kino_status kino_contiguous(const kino_tensor *x, kino_tensor **out) noexcept {
  KINO_GUARD(give(out, x->value.contiguous()))
}
kino_status kino_channels_last(const kino_tensor *x, kino_tensor **out) noexcept {
  KINO_GUARD(give(out, x->value.contiguous(x->value.dim() == 5 ? at::MemoryFormat::ChannelsLast3d
                                                              : at::MemoryFormat::ChannelsLast)))
}
kino_status kino_expand(const kino_tensor *x, const int64_t *shape, int32_t rank, kino_tensor **out) noexcept {
  KINO_GUARD(give(out, x->value.expand(list(shape, rank))))
}
kino_status kino_slice(const kino_tensor *x, int64_t axis, int64_t start, int64_t end, int64_t step,
                       kino_tensor **out) noexcept {
  KINO_GUARD(give(out, at::slice(x->value, axis, start, end, step)))
}
kino_status kino_select(const kino_tensor *x, int64_t axis, int64_t index, kino_tensor **out) noexcept {
  KINO_GUARD(give(out, at::select(x->value, axis, index)))
}
kino_status kino_concatenate(const kino_tensor *const *items, int32_t count, int64_t axis,
                             kino_tensor **out) noexcept {
  KINO_GUARD(give(out, at::cat(gather(items, count), axis)))
}
kino_status kino_stack(const kino_tensor *const *items, int32_t count, int64_t axis, kino_tensor **out) noexcept {
  KINO_GUARD(give(out, at::stack(gather(items, count), axis)))
}
kino_status kino_flip(const kino_tensor *x, int64_t axis, kino_tensor **out) noexcept {
  KINO_GUARD(give(out, at::flip(x->value, axis)))
}
kino_status kino_repeat_interleave(const kino_tensor *x, int64_t repeats, int64_t axis, kino_tensor **out) noexcept {
  KINO_GUARD(give(out, at::repeat_interleave(x->value, repeats, axis)))
}
kino_status kino_index_select(const kino_tensor *x, int64_t axis, const kino_tensor *indices,
                              kino_tensor **out) noexcept {
  KINO_GUARD(give(out, at::index_select(x->value, axis, indices->value)))
}
kino_status kino_pad(const kino_tensor *x, const int64_t *amounts, int32_t count, int32_t mode, double value,
                     kino_tensor **out) noexcept {
  KINO_GUARD(give(out, pad(x->value, list(amounts, count), mode, value)))
}
}
