// The tanh form of GELU as x * sigmoid(2u): LibTorch's takes tanh in double steps for bfloat16.
#include <torch/csrc/autograd/custom_function.h>

#include "parallel.h"
#include "shim.h"
#include "simd.h"

namespace kino {
namespace {

constexpr int64_t kBlock = 16384;
constexpr float kRoot = 1.5957691216f;  // 2 * sqrt(2 / pi)
constexpr float kCubic = 0.044715f;

template <typename T>
KINO_INLINE void forward(const T *x, T *y, int64_t count) {
#pragma clang loop vectorize(enable)
  for (int64_t i = 0; i < count; ++i) {
    const float v = load(x + i);
    store(y + i, v * fast_gelu_share(v));
  }
}

template <typename T>
KINO_INLINE void backward(const T *x, const T *dy, T *dx, int64_t count) {
#pragma clang loop vectorize(enable)
  for (int64_t i = 0; i < count; ++i) {
    const float v = load(x + i), s = fast_gelu_share(v);
    const float slope = s + v * s * (1.0f - s) * kRoot * (1.0f + 3.0f * kCubic * v * v);
    store(dx + i, load(dy + i) * slope);
  }
}

struct GELU : torch::autograd::Function<GELU> {
  static at::Tensor forward(torch::autograd::AutogradContext *context, const at::Tensor &input) {
    const auto x = input.contiguous();
    auto y = at::empty_like(x);
    const auto level = simd();
    with_type(x.scalar_type(), [&](auto zero) {
      using T = decltype(zero);
      const auto *in = static_cast<const T *>(x.const_data_ptr());
      auto *out = static_cast<T *>(y.mutable_data_ptr());
      parallel_for(0, x.numel(), kBlock, [&](int64_t begin, int64_t end) {
        with_simd(level, [&]() KINO_INLINED { kino::forward(in + begin, out + begin, end - begin); });
      });
    });
    context->save_for_backward({x});
    return y;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext *context,
                                                 const torch::autograd::variable_list &gradients) {
    const auto x = context->get_saved_variables()[0];
    const auto dy = gradients[0].to(x.scalar_type()).contiguous();
    auto dx = at::empty_like(x);
    const auto level = simd();
    with_type(x.scalar_type(), [&](auto zero) {
      using T = decltype(zero);
      const auto *in = static_cast<const T *>(x.const_data_ptr());
      const auto *upstream = static_cast<const T *>(dy.const_data_ptr());
      auto *out = static_cast<T *>(dx.mutable_data_ptr());
      parallel_for(0, x.numel(), kBlock, [&](int64_t begin, int64_t end) {
        with_simd(level,
                  [&]() KINO_INLINED { kino::backward(in + begin, upstream + begin, out + begin, end - begin); });
      });
    });
    return {dx};
  }
};

}  // namespace

at::Tensor gelu_tanh(const at::Tensor &x) {
  const bool fast = x.is_cpu() && (x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16);
  return fast ? GELU::apply(x) : at::gelu(x, "tanh");
}

}  // namespace kino
