// What every file of the shim shares: the handle, and the guard that keeps exceptions inside.
#pragma once
#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <torch/headeronly/version.h>

#include <atomic>
#include <cstdint>
#include <string>

#include "include/kino_torch.h"

#if TORCH_VERSION_MAJOR < 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR < 6)
#error "Kino needs LibTorch 2.6 or newer: run scripts/bootstrap"
#endif

struct kino_tensor {
  at::Tensor value;
};

namespace kino {

extern std::atomic<int64_t> live;
kino_status fail(const char *text, kino_status status = KINO_FAILED) noexcept;
kino_status fail_current() noexcept;

inline void give(kino_tensor **out, at::Tensor value) {
  *out = new kino_tensor{std::move(value)};
  live.fetch_add(1, std::memory_order_relaxed);
}

inline at::IntArrayRef list(const int64_t *values, int32_t count) {
  return at::IntArrayRef(values, static_cast<size_t>(count));
}

inline c10::optional<at::Tensor> maybe(const kino_tensor *t) {
  return t ? c10::optional<at::Tensor>(t->value) : c10::nullopt;
}

at::ScalarType scalar_type(int32_t dtype);
at::Device device(kino_device device);

// Calls body with a zero of the type that a CPU kernel reads: float, or the bits of bfloat16.
template <typename Body>
void with_type(at::ScalarType type, const Body &body) {
  type == at::kFloat ? body(float{}) : body(uint16_t{});
}

// The tensor, or a copy whose last axis lies next to each other.
inline at::Tensor with_unit_stride(const at::Tensor &t) { return t.stride(-1) == 1 ? t : t.contiguous(); }

// Whether x [..., inputs] and weights [outputs, inputs] are multiplied faster by oneDNN than by LibTorch's linear layer.
bool suits_onednn(const at::Tensor &x, const at::Tensor &weight, const c10::optional<at::Tensor> &bias);
at::Tensor onednn_linear(const at::Tensor &x, const at::Tensor &weight, const c10::optional<at::Tensor> &bias);

at::Tensor gelu_tanh(const at::Tensor &x);  // by our kernel on the CPU

// Of frames [N, C, F, H, W] with kernels [O, C, reach, 3, 3], one zero around each frame: `before` frames of zeros
// those of the past unless it is undefined, those of x, `after` frames of zeros. Zeros and past together are fewer
// than reach; C and O are multiples of 8; the past has no gradient. On the CPU, float32 or bfloat16.
at::Tensor winograd_convolution(const at::Tensor &x, const at::Tensor &past, const at::Tensor &weight,
                                const c10::optional<at::Tensor> &bias, int64_t before, int64_t after);

// The same of single frames whose height and width are doubled by repetition, without making those.
at::Tensor winograd_convolution_doubled(const at::Tensor &x, const at::Tensor &weight,
                                        const c10::optional<at::Tensor> &bias);

// Whether nothing else sees the numbers of x, so that a result may take their place: never in borrowed memory, which
// may be a file's.
inline bool is_alone(const at::Tensor &x) {
  return !c10::GradMode::is_enabled() && x.use_count() == 1 && x.storage().use_count() == 1 &&
         x.storage().allocator() != nullptr;
}

}  // namespace kino

// Runs the body; anything it throws becomes a status and a text.
#define KINO_GUARD(...)        \
  try {                        \
    __VA_ARGS__;               \
    return KINO_OK;            \
  } catch (...) {              \
    return kino::fail_current(); \
  }
