#include <ATen/core/grad_mode.h>

#include <cmath>

#include "shim.h"

using namespace kino;

// Returns the gradients of those parameters that have one, with the positions they came from.
static std::vector<at::Tensor> gradients(kino_tensor *const *parameters, int32_t count,
                                         std::vector<int32_t> *positions = nullptr) {
  std::vector<at::Tensor> found;
  for (int32_t i = 0; i < count; ++i) {
    const auto &g = parameters[i]->value.grad();
    if (!g.defined()) continue;
    found.push_back(g);
    if (positions) positions->push_back(i);
  }
  return found;
}

static void adamw(kino_tensor *const *parameters, kino_tensor *const *first, kino_tensor *const *second,
                  const bool *decays, int32_t count, const kino_adamw_options &o) {
  c10::NoGradGuard guard;
  const double correction1 = 1 - std::pow(o.beta1, static_cast<double>(o.step));
  const double correction2 = 1 - std::pow(o.beta2, static_cast<double>(o.step));
  for (int32_t i = 0; i < count; ++i) {
    auto &p = parameters[i]->value;
    const auto &g = p.grad();
    if (!g.defined()) continue;
    auto gradient = o.gradient_scale == 1 ? g : at::mul(g, o.gradient_scale);
    auto &m = first[i]->value;
    auto &v = second[i]->value;
    if (decays[i]) p.mul_(1 - o.learning_rate * o.weight_decay);
    m.lerp_(gradient, 1 - o.beta1);
    v.mul_(o.beta2).addcmul_(gradient, gradient, 1 - o.beta2);
    auto denominator = at::div(v, correction2).sqrt_().add_(o.epsilon);
    p.addcdiv_(m, denominator, -o.learning_rate / correction1);
  }
}

extern "C" {

kino_status kino_set_requires_gradient(kino_tensor *x, bool value) noexcept {
  KINO_GUARD(x->value.requires_grad_(value))
}
kino_status kino_detach(const kino_tensor *x, kino_tensor **out) noexcept { KINO_GUARD(give(out, x->value.detach())) }
kino_status kino_backward(const kino_tensor *loss, const kino_tensor *gradient) noexcept {
  KINO_GUARD(loss->value.backward(gradient ? gradient->value : at::Tensor()))
}
kino_status kino_gradient(const kino_tensor *x, kino_tensor **out) noexcept {
  KINO_GUARD({
    const auto &g = x->value.grad();
    *out = nullptr;
    if (g.defined()) give(out, g);
  })
}
kino_status kino_clear_gradient(kino_tensor *x) noexcept { KINO_GUARD(x->value.mutable_grad() = at::Tensor()) }
bool kino_gradient_enabled(void) noexcept { return at::GradMode::is_enabled(); }
void kino_set_gradient_enabled(bool value) noexcept { at::GradMode::set_enabled(value); }

kino_status kino_adamw(kino_tensor *const *parameters, kino_tensor *const *first, kino_tensor *const *second,
                       const bool *decays, int32_t count, kino_adamw_options options) noexcept {
  KINO_GUARD(adamw(parameters, first, second, decays, count, options))
}
kino_status kino_gradient_norm(kino_tensor *const *parameters, int32_t count, double *out) noexcept {
  KINO_GUARD({
    c10::NoGradGuard guard;
    double total = 0;
    for (const auto &g : gradients(parameters, count)) {
      double norm = at::norm(g.to(at::kFloat)).item<double>();
      total += norm * norm;
    }
    *out = std::sqrt(total);
  })
}
kino_status kino_lerp(kino_tensor *const *averages, kino_tensor *const *values, int32_t count,
                      double weight) noexcept {
  KINO_GUARD({
    c10::NoGradGuard guard;
    for (int32_t i = 0; i < count; ++i) averages[i]->value.lerp_(values[i]->value.to(averages[i]->value.scalar_type()), weight);
  })
}
}
