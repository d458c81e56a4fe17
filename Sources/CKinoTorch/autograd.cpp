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

// The nearest matrix with singular values around 1, by the quintic iteration of Jordan et al. (Muon, 2024).
static at::Tensor orthogonalized(const at::Tensor &gradient) {
  auto x = gradient.reshape({gradient.size(0), -1}).to(at::kFloat);
  const bool is_tall = x.size(0) > x.size(1);
  if (is_tall) x = x.t();
  x = x / (x.norm() + 1e-7);
  const double a = 3.4445, b = -4.7750, c = 2.0315;
  constexpr int iterations = 5;
  if (x.size(1) >= 2 * x.size(0)) {
    // A wide matrix is multiplied once: its iterates are polynomials in the small x x^T, times x.
    const auto gram = x.mm(x.t());
    auto p = at::eye(x.size(0), x.options());
    for (int i = 0; i < iterations; ++i) {
      const auto s = p.mm(gram).mm(p);
      p = at::add(at::mul(p, a), at::addmm(at::mul(s, b), s, s, 1, c).mm(p));
    }
    x = p.mm(x);
  } else {
    if (x.is_cpu()) x = x.to(at::kBFloat16);  // as in the original; half the time of float32
    for (int i = 0; i < iterations; ++i) {
      const auto s = x.mm(x.t());
      x = at::addmm(x, at::addmm(s, s, s, b, c), x, a, 1);
    }
  }
  return (is_tall ? x.t() : x).to(at::kFloat).reshape(gradient.sizes());
}

static void muon(kino_tensor *const *parameters, kino_tensor *const *momentum, int32_t count,
                 const kino_muon_options &o) {
  c10::NoGradGuard guard;
  for (int32_t i = 0; i < count; ++i) {
    auto &p = parameters[i]->value;
    const auto &g = p.grad();
    if (!g.defined()) continue;
    TORCH_CHECK(p.dim() >= 2, "muon: expected matrices, found a parameter of ", p.dim(), " axes");
    auto &m = momentum[i]->value;
    const auto gradient = o.gradient_scale == 1 ? g : at::mul(g, o.gradient_scale);
    m.lerp_(gradient, 1 - o.momentum);
    const auto direction = orthogonalized(at::lerp(gradient, m, o.momentum));
    const double rows = static_cast<double>(p.size(0)), columns = static_cast<double>(p.numel()) / rows;
    p.mul_(1 - o.learning_rate * o.weight_decay);
    p.add_(direction, -o.learning_rate * 0.2 * std::sqrt(std::max(rows, columns)));
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
kino_status kino_muon(kino_tensor *const *parameters, kino_tensor *const *momentum, int32_t count,
                      kino_muon_options options) noexcept {
  KINO_GUARD(muon(parameters, momentum, count, options))
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
