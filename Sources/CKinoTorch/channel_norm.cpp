// Norm over channels with an optional SiLU, one pass forward and one backward, for tensors with
// channels innermost. Anything else takes the plain composition.
#include <torch/csrc/autograd/custom_function.h>

#include "parallel.h"
#include "shim.h"
#include "simd.h"

using namespace kino;

// Sums over channels may be split into lanes.
#pragma clang fp reassociate(on)

namespace {

constexpr float kSmallest = 1e-12f;
constexpr int64_t kBlock = 1024;  // rows per task; fixed, so that sums don't depend on the thread count

template <typename T, bool kSilu>
KINO_INLINE void forward_rows(const T *x, const float *gain, T *y, int64_t rows, int64_t channels) {
  const float root = std::sqrt(static_cast<float>(channels));
  for (int64_t row = 0; row < rows; ++row, x += channels, y += channels) {
    float sum = 0;
#pragma clang loop vectorize(enable)
    for (int64_t c = 0; c < channels; ++c) sum += load(x + c) * load(x + c);
    const float length = std::sqrt(sum);
    // Written so that NaN stays.
    const float scale = root / (length < kSmallest ? kSmallest : length);
    // Safe where y is x: a number depends on no other. The compiler cannot know, and would take it one by one.
#pragma clang loop vectorize(assume_safety)
    for (int64_t c = 0; c < channels; ++c) {
      float n = load(x + c) * scale * gain[c];
      store(y + c, kSilu ? n * fast_sigmoid(n) : n);
    }
  }
}

template <typename T, bool kSilu>
KINO_INLINE void backward_rows(const T *x, const float *gain, const T *dy, T *dx, float *dgain, float *scratch,
                               int64_t rows, int64_t channels) {
  const float root = std::sqrt(static_cast<float>(channels));
  for (int64_t row = 0; row < rows; ++row, x += channels, dy += channels, dx += channels) {
    float sum = 0;
#pragma clang loop vectorize(enable)
    for (int64_t c = 0; c < channels; ++c) sum += load(x + c) * load(x + c);
    const float length = std::sqrt(sum);
    const float safe = length < kSmallest ? kSmallest : length;
    const float scale = root / safe;
    float dot = 0;
#pragma clang loop vectorize(enable)
    for (int64_t c = 0; c < channels; ++c) {
      const float unit = load(x + c) * scale;
      float d = load(dy + c);
      if (kSilu) {
        const float n = unit * gain[c];
        const float s = fast_sigmoid(n);
        d *= s * (1.0f + n * (1.0f - s));
      }
      dgain[c] += d * unit;
      scratch[c] = d * gain[c];
      dot += scratch[c] * load(x + c);
    }
    const float pull = length < kSmallest ? 0.0f : dot / (safe * safe);
#pragma clang loop vectorize(enable)
    for (int64_t c = 0; c < channels; ++c) store(dx + c, scale * (scratch[c] - load(x + c) * pull));
  }
}

at::MemoryFormat channels_innermost(const at::Tensor &x) {
  return x.dim() == 5 ? at::MemoryFormat::ChannelsLast3d : at::MemoryFormat::ChannelsLast;
}

template <typename T>
void forward_typed(const at::Tensor &x, const at::Tensor &gain, at::Tensor &y, bool silu) {
  const int64_t channels = x.size(1), rows = x.numel() / std::max<int64_t>(channels, 1);
  auto *in = static_cast<const T *>(x.const_data_ptr());
  auto *out = static_cast<T *>(y.mutable_data_ptr());
  auto *g = gain.const_data_ptr<float>();
  const auto level = simd();
  parallel_for(0, rows, kBlock, [=](int64_t begin, int64_t end) {
    with_simd(level, [&]() KINO_INLINED {
      const auto *from = in + begin * channels;
      auto *to = out + begin * channels;
      silu ? forward_rows<T, true>(from, g, to, end - begin, channels)
           : forward_rows<T, false>(from, g, to, end - begin, channels);
    });
  });
}

template <typename T>
void backward_typed(const at::Tensor &x, const at::Tensor &gain, const at::Tensor &dy, at::Tensor &dx,
                    at::Tensor &partial, bool silu) {
  const int64_t channels = x.size(1), rows = x.numel() / std::max<int64_t>(channels, 1);
  auto *in = static_cast<const T *>(x.const_data_ptr());
  auto *upstream = static_cast<const T *>(dy.const_data_ptr());
  auto *out = static_cast<T *>(dx.mutable_data_ptr());
  auto *g = gain.const_data_ptr<float>();
  const auto level = simd();
  auto *sums = partial.mutable_data_ptr<float>();
  parallel_for(0, partial.size(0), 1, [=](int64_t begin, int64_t end) {
    std::vector<float> scratch(static_cast<size_t>(channels));
    for (int64_t block = begin; block < end; ++block) {
      const int64_t first = block * kBlock, count = std::min(kBlock, rows - first);
      with_simd(level, [&]() KINO_INLINED {
        const auto *from = in + first * channels, *above = upstream + first * channels;
        auto *to = out + first * channels;
        auto *sum = sums + block * channels;
        silu ? backward_rows<T, true>(from, g, above, to, sum, scratch.data(), count, channels)
             : backward_rows<T, false>(from, g, above, to, sum, scratch.data(), count, channels);
      });
    }
  });
}

at::Tensor flat(const at::Tensor &gain) { return gain.reshape({-1}).to(at::kFloat).contiguous(); }

// y may be x.
void normalize(const at::Tensor &x, const at::Tensor &gain, at::Tensor &y, bool silu) {
  with_type(x.scalar_type(), [&](auto zero) { forward_typed<decltype(zero)>(x, gain, y, silu); });
}

struct ChannelNorm : torch::autograd::Function<ChannelNorm> {
  static at::Tensor forward(torch::autograd::AutogradContext *context, const at::Tensor &input,
                            const at::Tensor &gain, bool silu) {
    auto x = input.contiguous(channels_innermost(input));
    auto g = flat(gain);
    auto y = at::empty_like(x);
    normalize(x, g, y, silu);
    context->save_for_backward({x, g});
    context->saved_data["silu"] = silu;
    context->saved_data["shape"] = gain.sizes().vec();
    return y;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext *context,
                                                 const torch::autograd::variable_list &gradients) {
    auto saved = context->get_saved_variables();
    const auto &x = saved[0];
    const bool silu = context->saved_data["silu"].toBool();
    auto dy = gradients[0].to(x.scalar_type()).contiguous(channels_innermost(x));
    auto dx = at::empty_like(x);
    const int64_t rows = x.numel() / std::max<int64_t>(x.size(1), 1);
    auto partial = at::zeros({(rows + kBlock - 1) / kBlock, x.size(1)}, at::kFloat);
    with_type(x.scalar_type(),
              [&](auto zero) { backward_typed<decltype(zero)>(x, saved[1], dy, dx, partial, silu); });
    return {dx, partial.sum(0).reshape(context->saved_data["shape"].toIntVector()), at::Tensor()};
  }
};

at::Tensor composed(const at::Tensor &x, const at::Tensor &gain, bool silu) {
  auto type = x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  auto wide = x.to(type);
  auto length = at::clamp_min(at::norm(wide, 2, at::IntArrayRef{1}, true), kSmallest);
  auto y = wide / length * std::sqrt(static_cast<double>(x.size(1))) * gain.to(type);
  return (silu ? at::silu(y) : y).to(x.scalar_type());
}

at::Tensor channel_norm(const at::Tensor &x, const at::Tensor &gain, bool silu, bool is_given) {
  TORCH_CHECK((x.dim() == 4 || x.dim() == 5) && gain.numel() == x.size(1), "channel norm: input ", x.sizes(),
              " and gain ", gain.sizes());
  bool fast = x.is_cpu() && (x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16);
  if (!fast) return composed(x, gain, silu);
  if (is_given && x.is_contiguous(channels_innermost(x))) {
    at::Tensor y = x;
    normalize(x, flat(gain), y, silu);
    return y;
  }
  return ChannelNorm::apply(x, gain, silu);
}

}  // namespace

extern "C" kino_status kino_channel_norm(const kino_tensor *x, const kino_tensor *gain, bool silu, bool is_given,
                                         bool plain, kino_tensor **out) noexcept {
  KINO_GUARD(give(out, plain ? composed(x->value, gain->value, silu)
                             : channel_norm(x->value, gain->value, silu, is_given)))
}
