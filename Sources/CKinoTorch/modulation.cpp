// What a timestep does to tokens: `norm(x) * (1 + scale) + shift` before a branch, `x + y * gate` after
// it, each in one pass forward and one backward. Rows of modulation are shared by many tokens: token l
// of sample b takes row index[b, l], and they are never spread to one per token.
#include <torch/csrc/autograd/custom_function.h>

#include "parallel.h"
#include "shim.h"
#include "simd.h"

using namespace kino;

// Sums over channels may be split into lanes.
#pragma clang fp reassociate(on)

namespace {

constexpr int64_t kTokens = 64;  // per task; fixed, so that sums don't depend on the thread count

// Rows [B or 1, K, D], the channels next to each other.
struct Rows {
  const float *data;
  int64_t sample_stride, row_stride;

  explicit Rows(const at::Tensor &t)
      : data(t.const_data_ptr<float>()),
        sample_stride(t.size(0) == 1 ? 0 : t.stride(0)),
        row_stride(t.stride(1)) {}
  const float *at(int64_t sample, int64_t row) const { return data + sample * sample_stride + row * row_stride; }
};

// Which row a token takes: by index, its own, or the only one.
struct Choice {
  const int64_t *index;
  int64_t length, rows;

  int64_t row(int64_t sample, int64_t token) const {
    return index ? index[sample * length + token] : (rows == 1 ? 0 : token);
  }
};

struct Shape {
  int64_t batch, length, width, rows, blocks;
  bool has_own_rows;  // every token: then blocks don't share any

  Shape(const at::Tensor &x, const at::Tensor &values, const at::Tensor &index)
      : batch(x.size(0)), length(x.size(1)), width(x.size(2)), rows(values.size(1)),
        blocks((length + kTokens - 1) / kTokens), has_own_rows(!index.defined() && rows == length) {}

  int64_t sum_count() const { return has_own_rows ? 1 : blocks; }
  // Where a task adds up what concerns a row.
  int64_t sum(int64_t task, int64_t sample, int64_t row) const {
    return ((has_own_rows ? sample : task) * rows + row) * width;
  }
};

// Calls body(task, sample, first token, last token) for every block of tokens.
template <typename Body>
void for_blocks(const Shape &s, const Body &body) {
  parallel_for(0, s.batch * s.blocks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      const int64_t sample = task / s.blocks, first = task % s.blocks * kTokens;
      body(task, sample, first, std::min(first + kTokens, s.length));
    }
  });
}

KINO_INLINE void statistics(const float *x, int64_t width, float epsilon, float *mean, float *scale) {
  float sum = 0;
#pragma clang loop vectorize(enable)
  for (int64_t c = 0; c < width; ++c) sum += x[c];
  const float m = sum / static_cast<float>(width);
  float squares = 0;
#pragma clang loop vectorize(enable)
  for (int64_t c = 0; c < width; ++c) squares += (x[c] - m) * (x[c] - m);
  *mean = m;
  *scale = 1.0f / std::sqrt(squares / static_cast<float>(width) + epsilon);
}

template <typename T>
KINO_INLINE void norm_forward(const float *x, const float *shift, const float *scale, T *y, int64_t width,
                              float epsilon) {
  float mean, unit;
  statistics(x, width, epsilon, &mean, &unit);
#pragma clang loop vectorize(enable)
  for (int64_t c = 0; c < width; ++c) store(y + c, (x[c] - mean) * unit * (1.0f + scale[c]) + shift[c]);
}

template <typename T>
KINO_INLINE void norm_backward(const float *x, const float *scale, const T *dy, float *dx, float *dshift,
                               float *dscale, int64_t width, float epsilon) {
  float mean, unit;
  statistics(x, width, epsilon, &mean, &unit);
  float sum = 0, dot = 0;
#pragma clang loop vectorize(enable)
  for (int64_t c = 0; c < width; ++c) {
    const float d = load(dy + c), n = (x[c] - mean) * unit;
    dshift[c] += d;
    dscale[c] += d * n;
    const float g = d * (1.0f + scale[c]);
    dx[c] = g;
    sum += g;
    dot += g * n;
  }
  sum /= static_cast<float>(width);
  dot /= static_cast<float>(width);
#pragma clang loop vectorize(enable)
  for (int64_t c = 0; c < width; ++c) dx[c] = unit * (dx[c] - sum - (x[c] - mean) * unit * dot);
}

template <typename T>
KINO_INLINE void gate_forward(const float *x, const T *y, const float *gate, float *out, int64_t width) {
#pragma clang loop vectorize(enable)
  for (int64_t c = 0; c < width; ++c) out[c] = x[c] + load(y + c) * gate[c];
}

template <typename T>
KINO_INLINE void gate_backward(const float *d, const T *y, const float *gate, T *dy, float *dgate, int64_t width) {
#pragma clang loop vectorize(enable)
  for (int64_t c = 0; c < width; ++c) {
    store(dy + c, d[c] * gate[c]);
    dgate[c] += d[c] * load(y + c);
  }
}

// The sums of every block, [B, blocks, K, D], to [B, K, D], or [1, K, D] where samples share the rows.
at::Tensor gathered(const at::Tensor &partial, const at::Tensor &values) {
  auto sum = partial.sum(1);
  return values.size(0) == 1 ? sum.sum(0, true) : sum;
}

struct ModulatedNorm : torch::autograd::Function<ModulatedNorm> {
  static at::Tensor forward(torch::autograd::AutogradContext *context, const at::Tensor &input,
                            const at::Tensor &shift, const at::Tensor &scale,
                            const c10::optional<at::Tensor> &given, double epsilon, at::ScalarType type) {
    const auto index = given.value_or(at::Tensor());
    const auto x = input.contiguous(), a = with_unit_stride(shift), b = with_unit_stride(scale);
    auto y = at::empty(x.sizes(), x.options().dtype(type));
    const Shape s(x, b, index);
    const Rows shifts(a), scales(b);
    const Choice choice{index.defined() ? index.const_data_ptr<int64_t>() : nullptr, s.length, s.rows};
    const auto level = simd();
    with_type(type, [&](auto zero) {
      using T = decltype(zero);
      const auto *in = x.const_data_ptr<float>();
      auto *out = static_cast<T *>(y.mutable_data_ptr());
      for_blocks(s, [&](int64_t, int64_t sample, int64_t first, int64_t last) {
        with_simd(level, [&]() KINO_INLINED {
          for (int64_t l = first; l < last; ++l) {
            const int64_t at = (sample * s.length + l) * s.width, row = choice.row(sample, l);
            norm_forward(in + at, shifts.at(sample, row), scales.at(sample, row), out + at, s.width,
                         static_cast<float>(epsilon));
          }
        });
      });
    });
    context->save_for_backward({x, b, index});
    context->saved_data["epsilon"] = epsilon;
    return y;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext *context,
                                                 const torch::autograd::variable_list &gradients) {
    const auto saved = context->get_saved_variables();
    const auto &x = saved[0], &b = saved[1], &index = saved[2];
    const auto dy = gradients[0].contiguous();
    const auto epsilon = static_cast<float>(context->saved_data["epsilon"].toDouble());
    const Shape s(x, b, index);
    const Rows scales(b);
    const Choice choice{index.defined() ? index.const_data_ptr<int64_t>() : nullptr, s.length, s.rows};
    auto dx = at::empty_like(x);
    auto partial = at::zeros({2, s.batch, s.sum_count(), s.rows, s.width}, x.options());
    const auto level = simd();
    with_type(dy.scalar_type(), [&](auto zero) {
      using T = decltype(zero);
      const auto *in = x.const_data_ptr<float>();
      const auto *upstream = static_cast<const T *>(dy.const_data_ptr());
      auto *out = dx.mutable_data_ptr<float>();
      auto *shifts = partial.mutable_data_ptr<float>(), *sums = shifts + partial.stride(0);
      for_blocks(s, [&](int64_t task, int64_t sample, int64_t first, int64_t last) {
        with_simd(level, [&]() KINO_INLINED {
          for (int64_t l = first; l < last; ++l) {
            const int64_t at = (sample * s.length + l) * s.width, row = choice.row(sample, l);
            const int64_t sum = s.sum(task, sample, row);
            norm_backward(in + at, scales.at(sample, row), upstream + at, out + at, shifts + sum, sums + sum, s.width,
                          epsilon);
          }
        });
      });
    });
    return {dx, gathered(partial.select(0, 0), b), gathered(partial.select(0, 1), b),
            at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

struct GatedSum : torch::autograd::Function<GatedSum> {
  static at::Tensor forward(torch::autograd::AutogradContext *context, const at::Tensor &residual,
                            const at::Tensor &branch, const at::Tensor &gate,
                            const c10::optional<at::Tensor> &given) {
    const auto index = given.value_or(at::Tensor());
    const auto x = residual.contiguous(), y = branch.contiguous(), g = with_unit_stride(gate);
    auto sum = at::empty_like(x);
    const Shape s(x, g, index);
    const Rows gates(g);
    const Choice choice{index.defined() ? index.const_data_ptr<int64_t>() : nullptr, s.length, s.rows};
    const auto level = simd();
    with_type(y.scalar_type(), [&](auto zero) {
      using T = decltype(zero);
      const auto *in = x.const_data_ptr<float>();
      const auto *added = static_cast<const T *>(y.const_data_ptr());
      auto *out = sum.mutable_data_ptr<float>();
      for_blocks(s, [&](int64_t, int64_t sample, int64_t first, int64_t last) {
        with_simd(level, [&]() KINO_INLINED {
          for (int64_t l = first; l < last; ++l) {
            const int64_t at = (sample * s.length + l) * s.width;
            gate_forward(in + at, added + at, gates.at(sample, choice.row(sample, l)), out + at, s.width);
          }
        });
      });
    });
    context->save_for_backward({y, g, index});
    return sum;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext *context,
                                                 const torch::autograd::variable_list &gradients) {
    const auto saved = context->get_saved_variables();
    const auto &y = saved[0], &g = saved[1], &index = saved[2];
    const auto d = gradients[0].contiguous();
    const Shape s(y, g, index);
    const Rows gates(g);
    const Choice choice{index.defined() ? index.const_data_ptr<int64_t>() : nullptr, s.length, s.rows};
    auto dy = at::empty_like(y);
    auto partial = at::zeros({s.batch, s.sum_count(), s.rows, s.width}, d.options());
    const auto level = simd();
    with_type(y.scalar_type(), [&](auto zero) {
      using T = decltype(zero);
      const auto *upstream = d.const_data_ptr<float>();
      const auto *added = static_cast<const T *>(y.const_data_ptr());
      auto *out = static_cast<T *>(dy.mutable_data_ptr());
      auto *sums = partial.mutable_data_ptr<float>();
      for_blocks(s, [&](int64_t task, int64_t sample, int64_t first, int64_t last) {
        with_simd(level, [&]() KINO_INLINED {
          for (int64_t l = first; l < last; ++l) {
            const int64_t at = (sample * s.length + l) * s.width, row = choice.row(sample, l);
            gate_backward(upstream + at, added + at, gates.at(sample, row), out + at,
                          sums + s.sum(task, sample, row), s.width);
          }
        });
      });
    });
    return {d, dy, gathered(partial, g), at::Tensor()};
  }
};

// Rows spread to the tokens that take them, [B, L, D], or as they are where they broadcast.
at::Tensor spread(const at::Tensor &values, const at::Tensor &index) {
  if (!index.defined()) return values;
  const auto rows = values.expand({index.size(0), values.size(1), values.size(2)});
  // Elsewhere the gradients of thousands of tokens would queue up at the few rows that they took.
  if (!rows.is_cpu()) return at::one_hot(index, values.size(1)).to(rows.scalar_type()).bmm(rows);
  return rows.gather(1, index.unsqueeze(-1).expand({index.size(0), index.size(1), values.size(2)}));
}

void check_rows(const at::Tensor &x, const at::Tensor &values, const at::Tensor &index) {
  const bool fits = x.dim() == 3 && values.dim() == 3 && values.size(2) == x.size(2) &&
                    (values.size(0) == x.size(0) || values.size(0) == 1) &&
                    (index.defined() ? index.sizes() == x.sizes().slice(0, 2)
                                     : values.size(1) == 1 || values.size(1) == x.size(1));
  TORCH_CHECK(fits, "modulation: tokens ", x.sizes(), ", rows ", values.sizes(), ", index ",
              index.defined() ? index.sizes() : at::IntArrayRef{});
  TORCH_CHECK(!index.defined() || index.scalar_type() == at::kLong, "modulation: an index of ", index.scalar_type(),
              ", expected int64");
  // Out of range would read beyond the rows; other devices check on their own.
  if (index.defined() && index.is_cpu() && index.numel() > 0) {
    TORCH_CHECK(index.min().item<int64_t>() >= 0 &&
                    index.max().item<int64_t>() < values.size(1),
                "modulation: an index is outside of the ", values.size(1), " rows");
  }
}

// An autograd function takes no undefined tensor.
c10::optional<at::Tensor> optional(const at::Tensor &index) {
  return index.defined() ? c10::optional<at::Tensor>(index.contiguous()) : c10::nullopt;
}

bool is_plain_type(at::ScalarType type) { return type == at::kFloat || type == at::kBFloat16; }

at::Tensor modulated_norm(const at::Tensor &x, const at::Tensor &shift, const at::Tensor &scale,
                          const at::Tensor &index, double epsilon, at::ScalarType type, bool plain) {
  check_rows(x, shift, index);
  TORCH_CHECK(shift.sizes() == scale.sizes(), "modulation: shift ", shift.sizes(), ", scale ", scale.sizes());
  const bool fast = !plain && x.is_cpu() && x.scalar_type() == at::kFloat && shift.scalar_type() == at::kFloat &&
                    scale.scalar_type() == at::kFloat && is_plain_type(type);
  if (fast) {
    return ModulatedNorm::apply(x, shift, scale, optional(index), epsilon, type);
  }
  const auto normed = at::layer_norm(x, {x.size(-1)}, {}, {}, epsilon);
  return (normed * (spread(scale, index) + 1) + spread(shift, index)).to(type);
}

at::Tensor gated_sum(const at::Tensor &x, const at::Tensor &y, const at::Tensor &gate, const at::Tensor &index,
                     bool plain) {
  check_rows(x, gate, index);
  TORCH_CHECK(x.sizes() == y.sizes(), "gated sum: ", x.sizes(), " and ", y.sizes());
  const bool fast = !plain && x.is_cpu() && x.scalar_type() == at::kFloat && gate.scalar_type() == at::kFloat &&
                    is_plain_type(y.scalar_type());
  if (fast) return GatedSum::apply(x, y, gate, optional(index));
  return x + y * spread(gate, index);
}

}  // namespace

extern "C" {
kino_status kino_modulated_norm(const kino_tensor *x, const kino_tensor *shift, const kino_tensor *scale,
                                const kino_tensor *index, double epsilon, int32_t dtype, bool plain,
                                kino_tensor **out) noexcept {
  KINO_GUARD(give(out, modulated_norm(x->value, shift->value, scale->value, index ? index->value : at::Tensor(),
                                      epsilon, scalar_type(dtype), plain)))
}
kino_status kino_gated_sum(const kino_tensor *x, const kino_tensor *y, const kino_tensor *gate,
                           const kino_tensor *index, bool plain, kino_tensor **out) noexcept {
  KINO_GUARD(give(out, gated_sum(x->value, y->value, gate->value, index ? index->value : at::Tensor(), plain)))
}
}
