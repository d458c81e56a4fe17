#include "shim.h"

using namespace kino;

static at::Tensor unary(int32_t op, const at::Tensor &x) {
  switch (op) {
    case KINO_NEG: return at::neg(x);
    case KINO_ABS: return at::abs(x);
    case KINO_EXP: return at::exp(x);
    case KINO_LOG: return at::log(x);
    case KINO_SQRT: return at::sqrt(x);
    case KINO_RSQRT: return at::rsqrt(x);
    case KINO_SQUARE: return at::mul(x, x);
    case KINO_SIN: return at::sin(x);
    case KINO_COS: return at::cos(x);
    case KINO_TANH: return at::tanh(x);
    case KINO_SIGMOID: return at::sigmoid(x);
    case KINO_RELU: return at::relu(x);
    case KINO_SILU: return at::silu(x);
    case KINO_GELU: return at::gelu(x);
    case KINO_GELU_TANH: return gelu_tanh(x);
    case KINO_RECIPROCAL: return at::reciprocal(x);
    case KINO_IS_FINITE: return at::isfinite(x);
    case KINO_FLOOR: return at::floor(x);
    case KINO_SOFTPLUS: return at::softplus(x);
    case KINO_LOGICAL_NOT: return at::logical_not(x);
    case KINO_ROUND: return at::round(x);
    default: TORCH_CHECK(false, "unknown unary op ", op);
  }
}

static at::Tensor binary(int32_t op, const at::Tensor &a, const at::Tensor &b) {
  switch (op) {
    case KINO_ADD: return at::add(a, b);
    case KINO_SUB: return at::sub(a, b);
    case KINO_MUL: return at::mul(a, b);
    case KINO_DIV: return at::div(a, b);
    case KINO_POW: return at::pow(a, b);
    case KINO_MAXIMUM: return at::maximum(a, b);
    case KINO_MINIMUM: return at::minimum(a, b);
    case KINO_EQUAL: return at::eq(a, b);
    case KINO_NOT_EQUAL: return at::ne(a, b);
    case KINO_LESS: return at::lt(a, b);
    case KINO_GREATER: return at::gt(a, b);
    default: TORCH_CHECK(false, "unknown binary op ", op);
  }
}

static at::Tensor with_scalar(int32_t op, const at::Tensor &x, double s, bool reversed) {
  switch (op) {
    case KINO_ADD: return at::add(x, s);
    case KINO_SUB: return reversed ? at::rsub(x, s) : at::sub(x, s);
    case KINO_MUL: return at::mul(x, s);
    case KINO_DIV: return reversed ? at::mul(at::reciprocal(x), s) : at::div(x, s);
    case KINO_POW: return reversed ? at::pow(s, x) : at::pow(x, s);
    case KINO_MAXIMUM: return at::clamp_min(x, s);
    case KINO_MINIMUM: return at::clamp_max(x, s);
    case KINO_EQUAL: return at::eq(x, s);
    case KINO_NOT_EQUAL: return at::ne(x, s);
    case KINO_LESS: return reversed ? at::gt(x, s) : at::lt(x, s);
    case KINO_GREATER: return reversed ? at::lt(x, s) : at::gt(x, s);
    default: TORCH_CHECK(false, "unknown binary op ", op);
  }
}

static at::Tensor reduce(int32_t op, const at::Tensor &x, at::IntArrayRef axes, bool keep) {
  bool all = axes.empty();
  auto one = [&]() {
    TORCH_CHECK(axes.size() == 1, "this reduction takes one axis or none, found ", axes.size());
    return axes[0];
  };
  switch (op) {
    case KINO_SUM: return all ? at::sum(x) : at::sum(x, axes, keep);
    case KINO_MEAN: return all ? at::mean(x) : at::mean(x, axes, keep);
    case KINO_MAX: return all ? at::max(x) : at::amax(x, axes, keep);
    case KINO_MIN: return all ? at::min(x) : at::amin(x, axes, keep);
    case KINO_VARIANCE: return all ? at::var(x, false) : at::var(x, axes, false, keep);
    case KINO_ARGMAX: return all ? at::argmax(x) : at::argmax(x, one(), keep);
    case KINO_ALL: return all ? at::all(x) : at::all(x, one(), keep);
    case KINO_ANY: return all ? at::any(x) : at::any(x, one(), keep);
    default: TORCH_CHECK(false, "unknown reduction ", op);
  }
}

extern "C" {

kino_status kino_unary(int32_t op, const kino_tensor *x, kino_tensor **out) noexcept {
  KINO_GUARD(give(out, unary(op, x->value)))
}
kino_status kino_binary(int32_t op, const kino_tensor *a, const kino_tensor *b, kino_tensor **out) noexcept {
  KINO_GUARD(give(out, binary(op, a->value, b->value)))
}
kino_status kino_binary_scalar(int32_t op, const kino_tensor *x, double scalar, bool reversed,
                               kino_tensor **out) noexcept {
  KINO_GUARD(give(out, with_scalar(op, x->value, scalar, reversed)))
}
kino_status kino_clamp(const kino_tensor *x, double low, double high, kino_tensor **out) noexcept {
  KINO_GUARD(give(out, at::clamp(x->value, low, high)))
}
kino_status kino_where(const kino_tensor *condition, const kino_tensor *a, const kino_tensor *b,
                       kino_tensor **out) noexcept {
  KINO_GUARD(give(out, at::where(condition->value, a->value, b->value)))
}
kino_status kino_reduce(int32_t op, const kino_tensor *x, const int64_t *axes, int32_t count, bool keep,
                        kino_tensor **out) noexcept {
  KINO_GUARD(give(out, reduce(op, x->value, list(axes, count), keep)))
}
kino_status kino_softmax(const kino_tensor *x, int64_t axis, kino_tensor **out) noexcept {
  KINO_GUARD(give(out, at::softmax(x->value, axis)))
}
kino_status kino_cumulative_sum(const kino_tensor *x, int64_t axis, kino_tensor **out) noexcept {
  KINO_GUARD(give(out, at::cumsum(x->value, axis)))
}
}
