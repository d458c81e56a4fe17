// A piece of work whose intermediate results are not kept for the backward pass, but made again there:
// memory for time (arXiv:1604.06174).
#include <torch/csrc/autograd/custom_function.h>

#include <memory>

#include "shim.h"

using namespace kino;

namespace {

// The caller's closure; freed when the last record of it is gone.
struct Body {
  kino_body call;
  void *context;
  void (*release)(void *);

  Body(kino_body call, void *context, void (*release)(void *)) : call(call), context(context), release(release) {}
  Body(const Body &) = delete;
  ~Body() { release(context); }

  at::Tensor operator()(const torch::autograd::variable_list &inputs) const {
    std::vector<kino_tensor *> handles(inputs.size());
    // The callee owns the handles.
    for (size_t i = 0; i < inputs.size(); ++i) give(&handles[i], inputs[i]);
    kino_tensor *out = nullptr;
    call(context, handles.data(), static_cast<int32_t>(handles.size()), &out);
    TORCH_CHECK(out, "recompute: the work gave no result");
    const auto value = out->value;
    kino_tensor_free(out);
    return value;
  }
};

struct Recompute : torch::autograd::Function<Recompute> {
  // A vector would not be taken for variables; a list is.
  static at::Tensor forward(torch::autograd::AutogradContext *context, at::TensorList list,
                            const std::shared_ptr<Body> &body) {
    const auto inputs = list.vec();
    context->save_for_backward(inputs);
    context->saved_data["body"] = c10::IValue::make_capsule(c10::make_intrusive<Held>(body));
    return (*body)(inputs);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext *context,
                                                 const torch::autograd::variable_list &gradients) {
    torch::autograd::variable_list inputs;
    for (const auto &saved : context->get_saved_variables()) {
      inputs.push_back(saved.detach().requires_grad_(saved.requires_grad()));
    }
    const auto held = context->saved_data["body"].toCapsule();
    at::Tensor again;
    {
      at::AutoGradMode recording(true);
      again = (*static_cast<Held *>(held.get())->body)(inputs);
    }
    // Parameters that the work took from outside get their gradients here.
    if (again.requires_grad()) again.backward(gradients[0]);
    torch::autograd::variable_list results;
    for (const auto &input : inputs) results.push_back(input.grad());
    results.emplace_back();  // of the body
    return results;
  }

 private:
  struct Held : torch::CustomClassHolder {
    std::shared_ptr<Body> body;
    explicit Held(std::shared_ptr<Body> body) : body(std::move(body)) {}
  };
};

}  // namespace

extern "C" kino_status kino_recompute(kino_body body, void *context, void (*release)(void *),
                                      kino_tensor *const *inputs, int32_t count, kino_tensor **out) noexcept {
  KINO_GUARD({
    const auto shared = std::make_shared<Body>(body, context, release);
    torch::autograd::variable_list values;
    for (int32_t i = 0; i < count; ++i) values.push_back(inputs[i]->value);
    give(out, Recompute::apply(at::TensorList(values), shared));
  })
}

extern "C" kino_status kino_share(const kino_tensor *x, kino_tensor **out) noexcept {
  KINO_GUARD(give(out, x->value))
}
