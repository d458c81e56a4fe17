// Products of rows with weights, x W^T + b, by oneDNN where LibTorch's own way is slower: for float32 it takes MKL,
// which uses half the width of the vectors of processors that are not Intel's, and for bfloat16 it puts weights into
// oneDNN's order anew at every call. Packed weights are put in order once.
#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/csrc/autograd/custom_function.h>

#include "shim.h"
#include "simd.h"

namespace kino {
namespace {

// oneDNN's operations, which LibTorch exposes only by name, and not in every build.
struct Operations {
  c10::optional<c10::OperatorHandle> multiply, pack;

  static const Operations &shared() {
    static const Operations found{find("mkldnn::_linear_pointwise", 6), find("mkldnn::_reorder_linear_weight", 2)};
    return found;
  }
  bool are_there() const { return multiply && pack; }

 private:
  // Only with the arguments that the calls below give.
  static c10::optional<c10::OperatorHandle> find(const char *name, size_t arguments) {
    const auto found = c10::Dispatcher::singleton().findSchema({name, ""});
    return found && found->schema().arguments().size() == arguments ? found : c10::nullopt;
  }
};

at::Tensor called(const c10::OperatorHandle &operation, torch::jit::Stack arguments) {
  operation.callBoxed(arguments);
  return std::move(arguments[0]).toTensor();
}

at::Tensor multiplied(const at::Tensor &x, const at::Tensor &weight, const c10::optional<at::Tensor> &bias,
                      bool applies_gelu = false) {
  const c10::List<c10::optional<at::Scalar>> scalars;
  return called(*Operations::shared().multiply,
                {x, weight, bias, applies_gelu ? "gelu" : "none", scalars, applies_gelu ? "tanh" : ""});
}

struct Linear : torch::autograd::Function<Linear> {
  static at::Tensor forward(torch::autograd::AutogradContext *context, const at::Tensor &x, const at::Tensor &weight,
                            const c10::optional<at::Tensor> &bias) {
    context->save_for_backward({x, weight});
    context->saved_data["bias"] = bias.has_value();
    return multiplied(x, weight, bias);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext *context,
                                                 const torch::autograd::variable_list &gradients) {
    const auto saved = context->get_saved_variables();
    const auto &x = saved[0], &weight = saved[1];
    // oneDNN has fast kernels for dense operands alone.
    const auto dy = gradients[0].reshape({-1, weight.size(0)}).contiguous();
    at::Tensor dx, dweight, dbias;
    if (context->needs_input_grad(0)) dx = multiplied(dy, weight.t(), {}).reshape(x.sizes());
    if (context->needs_input_grad(1)) {
      const auto rows = x.reshape({-1, weight.size(1)}).contiguous();
      // The first operand is turned in memory: the narrower costs less.
      dweight = rows.size(1) < dy.size(1) ? multiplied(rows.t(), dy.t(), {}).t().contiguous()
                                          : multiplied(dy.t(), rows.t(), {});
    }
    // Without a bias there is no third input to ask about.
    if (context->saved_data["bias"].toBool() && context->needs_input_grad(2)) dbias = dy.sum(0);
    return {dx, dweight, dbias};
  }
};

// Whether MKL's products of float32 leave speed unused; on Intel's processors they were not found to.
bool beats_mkl(Simd level, Simd lowest) {
#if defined(__x86_64__)
  return level >= lowest && !__builtin_cpu_is("intel") && Operations::shared().are_there();
#else
  return false;
#endif
}

// Whether packed weights of this type are multiplied faster than plain ones. For AVX2 that was measured with oneDNN
// held to it on a processor that has more.
bool packs(at::ScalarType type) {
  if (type == at::kFloat) return beats_mkl(highest_simd(), Simd::avx2);
  return type == at::kBFloat16 && kino_cpu_multiplies_bfloat16() && Operations::shared().are_there();
}

at::Tensor packed_linear(const at::Tensor &x, const at::Tensor &packed, const c10::optional<at::Tensor> &bias,
                         bool applies_gelu) {
  TORCH_CHECK(x.is_cpu() && x.dim() >= 1 && x.size(-1) == packed.size(1) && x.scalar_type() == packed.scalar_type(),
              "packed linear: expected an input [..., ", packed.size(1), "] of ", packed.scalar_type(),
              " on the CPU, found ", x.sizes(), " of ", x.scalar_type());
  TORCH_CHECK(!bias || (bias->dim() == 1 && bias->size(0) == packed.size(0) && bias->scalar_type() == x.scalar_type()),
              "packed linear: expected a bias of ", packed.size(0), " numbers of ", x.scalar_type());
  if (x.numel() == 0) {
    auto sizes = x.sizes().vec();
    sizes.back() = packed.size(0);
    return at::empty(sizes, x.options());
  }
  c10::NoGradGuard guard;
  // oneDNN does not look at a bias's strides.
  return multiplied(x, packed, bias ? c10::optional<at::Tensor>(bias->contiguous()) : bias, applies_gelu);
}

}  // namespace

bool suits_onednn(const at::Tensor &x, const at::Tensor &weight, const c10::optional<at::Tensor> &bias) {
  const auto fits = [](const at::Tensor &t) { return t.is_cpu() && t.scalar_type() == at::kFloat && t.numel() > 0; };
  return beats_mkl(simd(), Simd::avx512) && fits(x) && fits(weight) && x.dim() >= 2 &&
         weight.dim() == 2 && weight.is_contiguous() && x.size(-1) == weight.size(1) &&
         (!bias || (fits(*bias) && bias->dim() == 1 && bias->size(0) == weight.size(0) && bias->is_contiguous()));
}

at::Tensor onednn_linear(const at::Tensor &x, const at::Tensor &weight, const c10::optional<at::Tensor> &bias) {
  return Linear::apply(x, weight, bias);
}

}  // namespace kino

using namespace kino;

extern "C" {

bool kino_packs_matrix(const kino_tensor *weight) noexcept {
  const auto &w = weight->value;
  return w.is_cpu() && w.dim() == 2 && w.numel() > 0 && packs(w.scalar_type());
}
kino_status kino_pack_matrix(const kino_tensor *weight, kino_tensor **out) noexcept {
  KINO_GUARD({
    TORCH_CHECK(kino_packs_matrix(weight), "pack: nothing is won by packing ", weight->value.sizes(), " of ",
                weight->value.scalar_type());
    c10::NoGradGuard guard;
    give(out, called(*Operations::shared().pack, {weight->value.detach().contiguous(), c10::nullopt}));
  })
}
kino_status kino_packed_linear(const kino_tensor *x, const kino_tensor *packed, const kino_tensor *bias,
                               bool applies_gelu, kino_tensor **out) noexcept {
  KINO_GUARD(give(out, packed_linear(x->value, packed->value, maybe(bias), applies_gelu)))
}
}
