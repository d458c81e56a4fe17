// Root-mean-square norm of queries and keys over all heads together, then their rotation by position:
// one pass forward and one backward.
#include <torch/csrc/autograd/custom_function.h>

#include "parallel.h"
#include "shim.h"
#include "simd.h"

using namespace kino;

// Sums over channels may be split into lanes.
#pragma clang fp reassociate(on)

namespace {

constexpr int64_t kTokens = 64;  // per task; fixed, so that sums don't depend on the thread count

// Cosines and sines [L, half], for neighbouring channels of every head; null for a norm alone.
struct Angles {
  const float *cosine, *sine;
  int64_t half;
};

KINO_INLINE void rotate(float *x, const float *cosine, const float *sine, int64_t half, float direction) {
#pragma clang loop vectorize(enable)
  for (int64_t j = 0; j < half; ++j) {
    const float a = x[2 * j], b = x[2 * j + 1], s = sine[j] * direction;
    x[2 * j] = a * cosine[j] - b * s;
    x[2 * j + 1] = a * s + b * cosine[j];
  }
}

KINO_INLINE void rotate_heads(float *x, const Angles &angles, int64_t token, int64_t width, float direction) {
  if (!angles.cosine) return;
  const int64_t at = token * angles.half;
  for (int64_t c = 0; c < width; c += 2 * angles.half) {
    rotate(x + c, angles.cosine + at, angles.sine + at, angles.half, direction);
  }
}

template <typename T>
KINO_INLINE float inverse_root(const T *x, int64_t width, float epsilon) {
  float sum = 0;
#pragma clang loop vectorize(enable)
  for (int64_t c = 0; c < width; ++c) sum += load(x + c) * load(x + c);
  return 1.0f / std::sqrt(sum / static_cast<float>(width) + epsilon);
}

template <typename T>
KINO_INLINE void token_forward(const T *x, const float *weight, const Angles &angles, int64_t token, T *y,
                               float *scratch, int64_t width, float epsilon) {
  const float scale = inverse_root(x, width, epsilon);
#pragma clang loop vectorize(enable)
  for (int64_t c = 0; c < width; ++c) scratch[c] = load(x + c) * scale * weight[c];
  rotate_heads(scratch, angles, token, width, 1);
#pragma clang loop vectorize(enable)
  for (int64_t c = 0; c < width; ++c) store(y + c, scratch[c]);
}

template <typename T>
KINO_INLINE void token_backward(const T *x, const float *weight, const Angles &angles, int64_t token, const T *dy,
                                T *dx, float *dweight, float *scratch, int64_t width, float epsilon) {
  const float scale = inverse_root(x, width, epsilon);
#pragma clang loop vectorize(enable)
  for (int64_t c = 0; c < width; ++c) scratch[c] = load(dy + c);
  rotate_heads(scratch, angles, token, width, -1);
  float dot = 0;
#pragma clang loop vectorize(enable)
  for (int64_t c = 0; c < width; ++c) {
    const float n = load(x + c) * scale;
    dweight[c] += scratch[c] * n;
    scratch[c] *= weight[c];
    dot += scratch[c] * n;
  }
  dot /= static_cast<float>(width);
#pragma clang loop vectorize(enable)
  for (int64_t c = 0; c < width; ++c) store(dx + c, scale * (scratch[c] - load(x + c) * scale * dot));
}

Angles angles(const at::Tensor &cosine, const at::Tensor &sine) {
  if (!cosine.defined()) return {nullptr, nullptr, 1};
  return {cosine.const_data_ptr<float>(), sine.const_data_ptr<float>(), cosine.size(1)};
}

struct RotaryNorm : torch::autograd::Function<RotaryNorm> {
  static at::Tensor forward(torch::autograd::AutogradContext *context, const at::Tensor &input,
                            const at::Tensor &weight, const c10::optional<at::Tensor> &cosines,
                            const c10::optional<at::Tensor> &sines, double epsilon) {
    const auto cosine = cosines.value_or(at::Tensor()), sine = sines.value_or(at::Tensor());
    const auto x = input.contiguous(), w = weight.contiguous();
    auto y = at::empty_like(x);
    const int64_t length = x.size(1), width = x.size(2), rows = x.size(0) * length;
    const auto table = angles(cosine, sine);
    const auto level = simd();
    with_type(x.scalar_type(), [&](auto zero) {
      using T = decltype(zero);
      const auto *in = static_cast<const T *>(x.const_data_ptr());
      const auto *gain = w.const_data_ptr<float>();
      auto *out = static_cast<T *>(y.mutable_data_ptr());
      parallel_for(0, rows, kTokens, [&](int64_t begin, int64_t end) {
        std::vector<float> scratch(static_cast<size_t>(width));
        with_simd(level, [&]() KINO_INLINED {
          for (int64_t row = begin; row < end; ++row) {
            token_forward(in + row * width, gain, table, row % length, out + row * width, scratch.data(), width,
                          static_cast<float>(epsilon));
          }
        });
      });
    });
    context->save_for_backward({x, w, cosine, sine});
    context->saved_data["epsilon"] = epsilon;
    return y;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext *context,
                                                 const torch::autograd::variable_list &gradients) {
    const auto saved = context->get_saved_variables();
    const auto &x = saved[0], &w = saved[1];
    const auto epsilon = static_cast<float>(context->saved_data["epsilon"].toDouble());
    const auto dy = gradients[0].contiguous();
    auto dx = at::empty_like(x);
    const int64_t length = x.size(1), width = x.size(2), rows = x.size(0) * length;
    const int64_t blocks = (rows + kTokens - 1) / kTokens;
    auto partial = at::zeros({blocks, width}, w.options());
    const auto table = angles(saved[2], saved[3]);
    const auto level = simd();
    with_type(x.scalar_type(), [&](auto zero) {
      using T = decltype(zero);
      const auto *in = static_cast<const T *>(x.const_data_ptr()), *upstream = static_cast<const T *>(dy.const_data_ptr());
      const auto *gain = w.const_data_ptr<float>();
      auto *out = static_cast<T *>(dx.mutable_data_ptr());
      auto *sums = partial.mutable_data_ptr<float>();
      parallel_for(0, blocks, 1, [&](int64_t begin, int64_t end) {
        std::vector<float> scratch(static_cast<size_t>(width));
        with_simd(level, [&]() KINO_INLINED {
          for (int64_t block = begin; block < end; ++block) {
            for (int64_t row = block * kTokens; row < std::min((block + 1) * kTokens, rows); ++row) {
              token_backward(in + row * width, gain, table, row % length, upstream + row * width, out + row * width,
                             sums + block * width, scratch.data(), width, epsilon);
            }
          }
        });
      });
    });
    return {dx, partial.sum(0), at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

at::Tensor composed(const at::Tensor &x, const at::Tensor &weight, const at::Tensor &cosine, const at::Tensor &sine,
                    double epsilon) {
  auto y = at::rms_norm(x.to(at::kFloat), {x.size(2)}, weight, epsilon);
  if (!cosine.defined()) return y.to(x.scalar_type());
  const int64_t half = cosine.size(1);
  const auto pairs = y.reshape({x.size(0), x.size(1), -1, half, 2});
  const auto a = pairs.select(-1, 0), b = pairs.select(-1, 1);
  const auto c = cosine.unsqueeze(1), s = sine.unsqueeze(1);  // [L, 1, half]
  return at::stack({a * c - b * s, a * s + b * c}, -1).reshape(x.sizes()).to(x.scalar_type());
}

at::Tensor rotary_norm(const at::Tensor &x, const at::Tensor &weight, const at::Tensor &cosine,
                       const at::Tensor &sine, double epsilon, bool plain) {
  const bool fits = x.dim() == 3 && weight.numel() == x.size(2) &&
                    (!cosine.defined() || (cosine.dim() == 2 && cosine.sizes() == sine.sizes() &&
                                           cosine.size(0) == x.size(1) && cosine.size(1) > 0 &&
                                           x.size(2) % (2 * cosine.size(1)) == 0));
  TORCH_CHECK(fits, "rotary norm: tokens ", x.sizes(), ", weight ", weight.sizes(), ", table ",
              cosine.defined() ? cosine.sizes() : at::IntArrayRef{});
  const bool fast = !plain && x.is_cpu() && (x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16) &&
                    weight.scalar_type() == at::kFloat;
  if (!fast) return composed(x, weight, cosine, sine, epsilon);
  // An autograd function takes no undefined tensor.
  using Table = c10::optional<at::Tensor>;
  const bool turns = cosine.defined();
  return RotaryNorm::apply(x, weight, turns ? Table(cosine.contiguous()) : c10::nullopt,
                           turns ? Table(sine.contiguous()) : c10::nullopt, epsilon);
}

}  // namespace

extern "C" kino_status kino_rotary_norm(const kino_tensor *x, const kino_tensor *weight, const kino_tensor *cosine,
                                        const kino_tensor *sine, double epsilon, bool plain,
                                        kino_tensor **out) noexcept {
  KINO_GUARD(give(out, rotary_norm(x->value, weight->value, cosine ? cosine->value : at::Tensor(),
                                   sine ? sine->value : at::Tensor(), epsilon, plain)))
}
