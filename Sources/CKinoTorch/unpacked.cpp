// Linear layers over weights that are unpacked where they are multiplied: a task makes the float32 rows of one panel,
// multiplies all inputs by them on its own thread, and forgets them.
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

#include "parallel.h"
#include "shim.h"
#include "simd.h"

using namespace kino;

namespace {

// Output channels per panel, whatever the thread count, so that sums are always formed alike. Wide enough that a
// product's copy of its inputs into the caches costs little beside it.
constexpr int64_t kPanel = 192;
// Rows that a thread unpacks at a time where all work on one panel.
constexpr int64_t kRows = 16;

// A matrix [outputs, inputs] that is made row by row; lives as long as a gradient may need it.
struct Matrix : torch::CustomClassHolder {
  kino_unpacking source;
  int64_t inputs, outputs;

  Matrix(const kino_unpacking &source, int64_t inputs, int64_t outputs)
      : source(source), inputs(inputs), outputs(outputs) {}
  ~Matrix() override { source.release(source.context); }

  at::Tensor panel(int64_t first, int64_t count, at::ScalarType type) const {
    auto values = at::empty({count, inputs}, at::kFloat);
    auto *target = values.mutable_data_ptr<float>();
    parallel_for(0, count, kRows, [&](int64_t begin, int64_t end) {
      source.rows(source.context, first + begin, end - begin, target + begin * inputs);
    });
    return values.to(type);
  }
};

// x W^T + b of rows x.
at::Tensor multiplied(const at::Tensor &x, const Matrix &matrix, const at::Tensor &bias) {
  auto result = at::empty({x.size(0), matrix.outputs}, x.options());
  parallel_for(0, divided_up(matrix.outputs, kPanel), 1, [&](int64_t begin, int64_t end) {
    c10::NoGradGuard guard;
    for (int64_t first = begin * kPanel; first < std::min(end * kPanel, matrix.outputs); first += kPanel) {
      const int64_t count = std::min(kPanel, matrix.outputs - first);
      const auto panel = matrix.panel(first, count, x.scalar_type());
      auto columns = result.narrow(1, first, count);
      const auto offset = bias.narrow(0, first, count);
      if (x.scalar_type() == at::kFloat) {
        at::addmm_out(columns, offset, x, panel.t());
      } else {
        columns.copy_(at::linear(x, panel, offset));
      }
    }
  });
  return result;
}

struct Linear : torch::autograd::Function<Linear> {
  static at::Tensor forward(torch::autograd::AutogradContext *context, const at::Tensor &x,
                            const c10::intrusive_ptr<Matrix> &matrix, const at::Tensor &bias) {
    context->saved_data["matrix"] = c10::IValue::make_capsule(matrix);
    return multiplied(x, *matrix, bias);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext *context,
                                                 const torch::autograd::variable_list &gradients) {
    const auto holder = context->saved_data["matrix"].toCapsule();
    const auto &matrix = static_cast<const Matrix &>(*holder);
    const auto &dy = gradients[0];
    at::Tensor dx, dbias;
    if (context->needs_input_grad(0)) {
      dx = at::zeros({dy.size(0), matrix.inputs}, dy.options());
      for (int64_t first = 0; first < matrix.outputs; first += kPanel) {
        const int64_t count = std::min(kPanel, matrix.outputs - first);
        dx.addmm_(dy.narrow(1, first, count), matrix.panel(first, count, dy.scalar_type()));
      }
    }
    if (context->needs_input_grad(1)) dbias = dy.sum(0);
    return {dx, at::Tensor(), dbias};
  }
};

at::Tensor unpacked_linear(const at::Tensor &input, const c10::intrusive_ptr<Matrix> &matrix,
                           const c10::optional<at::Tensor> &bias, bool applies_gelu) {
  TORCH_CHECK(input.is_cpu() && input.dim() >= 1 && input.size(-1) == matrix->inputs,
              "unpacked linear: expected an input [..., ", matrix->inputs, "] on the CPU, found ", input.sizes());
  TORCH_CHECK(input.scalar_type() == at::kFloat || input.scalar_type() == at::kBFloat16,
              "unpacked linear: expected float32 or bfloat16, found ", input.scalar_type());
  TORCH_CHECK(!bias || (bias->dim() == 1 && bias->size(0) == matrix->outputs),
              "unpacked linear: expected a bias of ", matrix->outputs);
  auto sizes = input.sizes().vec();
  sizes.back() = matrix->outputs;
  const auto x = input.reshape({-1, matrix->inputs}).contiguous();
  const auto offsets = bias ? bias->to(x.scalar_type()) : at::zeros({matrix->outputs}, x.options());
  const auto result = Linear::apply(x, matrix, offsets);
  return (applies_gelu ? gelu_tanh(result) : result).view(sizes);
}

}  // namespace

extern "C" {

kino_status kino_unpacked_linear(const kino_tensor *x, kino_unpacking source, int64_t inputs, int64_t outputs,
                                 const kino_tensor *bias, bool applies_gelu, kino_tensor **out) noexcept {
  KINO_GUARD({
    const auto matrix = c10::make_intrusive<Matrix>(source, inputs, outputs);
    give(out, unpacked_linear(x->value, matrix, maybe(bias), applies_gelu));
  })
}
}
