#include <ATen/core/grad_mode.h>

#include <cmath>
#include <map>

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
  // One pass over each parameter and its moments; those with and without decay apart.
  for (const bool decaying : {false, true}) {
    std::vector<at::Tensor> p, g, m, v, steps;
    for (int32_t i = 0; i < count; ++i) {
      const auto &value = parameters[i]->value;
      if (decays[i] != decaying || !value.grad().defined()) continue;
      p.push_back(value);
      g.push_back(value.grad());
      m.push_back(first[i]->value);
      v.push_back(second[i]->value);
      steps.push_back(at::full({}, static_cast<double>(o.step), value.options().dtype(at::kFloat)));
    }
    if (p.empty()) continue;
    // Gradients are divided by their scale, as if they came from a loss multiplied by it.
    const auto scale = o.gradient_scale == 1 ? c10::optional<at::Tensor>()
                                             : at::full({1}, 1 / o.gradient_scale, p[0].options().dtype(at::kFloat));
    at::_fused_adamw_(p, g, m, v, {}, steps, o.learning_rate, o.beta1, o.beta2, decaying ? o.weight_decay : 0.0,
                      o.epsilon, false, false, scale, c10::nullopt);
  }
}

// The nearest matrices with singular values around 1, by the quintic iteration of Jordan et al. (Muon,
// 2024), for a stack [n, rows, columns] with rows at most columns.
static at::Tensor orthogonalized(at::Tensor x) {
  x = x / (x.norm(2, {1, 2}, true) + 1e-7);
  const double a = 3.4445, b = -4.7750, c = 2.0315;
  constexpr int iterations = 5;
  if (x.size(2) >= 8 * x.size(1)) {
    // A wide matrix is multiplied twice only: its iterates are polynomials in the small x x^T, times x.
    const auto gram = x.bmm(x.transpose(1, 2));
    auto p = at::eye(x.size(1), x.options()).expand_as(gram);
    for (int i = 0; i < iterations; ++i) {
      const auto s = p.bmm(gram).bmm(p);
      p = at::add(at::mul(p, a), at::baddbmm(s, s, s, b, c).bmm(p));
    }
    return p.bmm(x);
  }
  // As in the original, in bfloat16, where that takes half the time.
  if (x.is_cuda() || (x.is_cpu() && kino_cpu_multiplies_bfloat16())) x = x.to(at::kBFloat16);
  for (int i = 0; i < iterations; ++i) {
    const auto s = x.bmm(x.transpose(1, 2));
    x = at::baddbmm(x, at::baddbmm(s, s, s, b, c), x, a, 1);
  }
  return x.to(at::kFloat);
}

static void muon(kino_tensor *const *parameters, kino_tensor *const *momentum, int32_t count,
                 const kino_muon_options &o) {
  c10::NoGradGuard guard;
  // Matrices of one shape go through the iteration together.
  std::map<std::pair<int64_t, int64_t>, std::vector<std::pair<at::Tensor, at::Tensor>>> groups;
  for (int32_t i = 0; i < count; ++i) {
    auto &p = parameters[i]->value;
    const auto &g = p.grad();
    if (!g.defined()) continue;
    TORCH_CHECK(p.dim() >= 2, "muon: expected matrices, found a parameter of ", p.dim(), " axes");
    auto &m = momentum[i]->value;
    const auto gradient = o.gradient_scale == 1 ? g : at::mul(g, o.gradient_scale);
    m.lerp_(gradient, 1 - o.momentum);
    const auto flat = at::lerp(gradient, m, o.momentum).reshape({p.size(0), -1}).to(at::kFloat);
    const int64_t rows = flat.size(0), columns = flat.size(1);
    groups[{std::min(rows, columns), std::max(rows, columns)}].emplace_back(p, rows > columns ? flat.t() : flat);
  }
  for (auto &[shape, members] : groups) {
    std::vector<at::Tensor> stack;
    for (const auto &member : members) stack.push_back(member.second);
    const auto directions = orthogonalized(at::stack(stack));
    const double step = -o.learning_rate * 0.2 * std::sqrt(static_cast<double>(shape.second));
    for (size_t i = 0; i < members.size(); ++i) {
      auto &p = members[i].first;
      const auto direction = directions.select(0, static_cast<int64_t>(i));
      const bool is_tall = p.size(0) > p.numel() / p.size(0);
      p.mul_(1 - o.learning_rate * o.weight_decay);
      p.add_((is_tall ? direction.t() : direction).reshape(p.sizes()), step);
    }
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
    const auto found = gradients(parameters, count);
    if (!found.empty() && !found[0].is_cpu()) {
      // One number to wait for, not one for each.
      const auto norms = at::stack(at::_foreach_norm(found, 2)).to(at::kDouble);
      *out = at::norm(norms).item<double>();
      return KINO_OK;
    }
    for (const auto &g : found) {
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
