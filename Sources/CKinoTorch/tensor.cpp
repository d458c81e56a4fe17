#include <ATen/Parallel.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif
#include <c10/core/impl/alloc_cpu.h>

#include <cstring>
#include <memory>
#include <new>

#include "shim.h"
#include "simd.h"

namespace kino {

std::atomic<int64_t> live{0};
static thread_local std::string last_error;

kino_status fail(const char *text, kino_status status) noexcept {
  try {
    last_error = text;
  } catch (...) {
  }
  return status;
}

kino_status fail_current() noexcept {
  try {
    throw;
  } catch (const c10::OutOfMemoryError &error) {
    return fail(error.what_without_backtrace(), KINO_OUT_OF_MEMORY);
  } catch (const c10::Error &error) {
    const char *text = error.what_without_backtrace();
    bool memory = std::strstr(text, "not enough memory") || std::strstr(text, "out of memory") ||
                  std::strstr(text, "can't allocate memory");
    return fail(text, memory ? KINO_OUT_OF_MEMORY : KINO_FAILED);
  } catch (const std::bad_alloc &) {
    return fail("out of memory", KINO_OUT_OF_MEMORY);
  } catch (const std::exception &error) {
    return fail(error.what());
  } catch (...) {
    return fail("unknown failure inside LibTorch");
  }
}

at::ScalarType scalar_type(int32_t dtype) {
  switch (dtype) {
    case KINO_FLOAT32: return at::kFloat;
    case KINO_FLOAT64: return at::kDouble;
    case KINO_FLOAT16: return at::kHalf;
    case KINO_BFLOAT16: return at::kBFloat16;
    case KINO_INT64: return at::kLong;
    case KINO_INT32: return at::kInt;
    case KINO_INT16: return at::kShort;
    case KINO_INT8: return at::kChar;
    case KINO_UINT8: return at::kByte;
    case KINO_BOOL: return at::kBool;
    default: TORCH_CHECK(false, "unknown dtype ", dtype);
  }
}

static int32_t dtype_code(at::ScalarType type) {
  switch (type) {
    case at::kFloat: return KINO_FLOAT32;
    case at::kDouble: return KINO_FLOAT64;
    case at::kHalf: return KINO_FLOAT16;
    case at::kBFloat16: return KINO_BFLOAT16;
    case at::kLong: return KINO_INT64;
    case at::kInt: return KINO_INT32;
    case at::kShort: return KINO_INT16;
    case at::kChar: return KINO_INT8;
    case at::kByte: return KINO_UINT8;
    case at::kBool: return KINO_BOOL;
    default: return -1;
  }
}

at::Device device(kino_device device) {
  switch (device.type) {
    case KINO_CUDA: return at::Device(at::kCUDA, static_cast<c10::DeviceIndex>(device.index));
    case KINO_MPS: return at::Device(at::kMPS, static_cast<c10::DeviceIndex>(device.index));
    default: return at::Device(at::kCPU);
  }
}

}  // namespace kino

using namespace kino;

extern "C" {

const char *kino_last_error(void) noexcept { return last_error.c_str(); }
const char *kino_torch_version(void) noexcept { return TORCH_VERSION; }
int64_t kino_live_tensor_count(void) noexcept { return live.load(); }

void kino_set_kernel_level(int32_t level) noexcept { kernel_level = level; }
int32_t kino_get_kernel_level(void) noexcept { return static_cast<int32_t>(simd()); }

kino_status kino_set_thread_count(int32_t count) noexcept { KINO_GUARD(at::set_num_threads(count)) }
kino_status kino_thread_count(int32_t *out) noexcept { KINO_GUARD(*out = at::get_num_threads()) }

bool kino_device_available(int32_t type) noexcept {
  try {
    if (type == KINO_CUDA) return at::hasCUDA();
    if (type == KINO_MPS) return at::hasMPS();
    return type == KINO_CPU;
  } catch (...) {
    return false;
  }
}

bool kino_cpu_multiplies_bfloat16() noexcept {
#if defined(__x86_64__)
  if (!__builtin_cpu_supports("avx512bf16")) return false;
  // Intel's vector unit takes twice the time for it that it takes for float32; its matrix unit does not.
  unsigned a = 0, b = 0, c = 0, d = 0;
  const bool has_matrix_unit = __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d & (1u << 22));
  return !__builtin_cpu_is("intel") || has_matrix_unit;
#else
  return false;
#endif
}

void kino_tensor_free(kino_tensor *t) noexcept {
  if (!t) return;
  delete t;
  live.fetch_sub(1, std::memory_order_relaxed);
}

kino_status kino_from_bytes(const void *bytes, size_t count, const int64_t *shape, int32_t rank, int32_t dtype,
                            kino_tensor **out) noexcept {
  KINO_GUARD({
    auto t = at::empty(list(shape, rank), at::TensorOptions().dtype(scalar_type(dtype)));
    TORCH_CHECK(t.nbytes() == count, "expected ", t.nbytes(), " bytes, found ", count);
    if (count) std::memcpy(t.mutable_data_ptr(), bytes, count);
    give(out, t);
  })
}

kino_status kino_from_mapping(void *bytes, const int64_t *shape, int32_t rank, int32_t dtype,
                              void (*release)(void *), void *context, kino_tensor **out) noexcept {
  KINO_GUARD({
    auto owner = std::shared_ptr<void>(context, release);
    auto t = at::from_blob(bytes, list(shape, rank), [owner](void *) {},
                           at::TensorOptions().dtype(scalar_type(dtype)));
    give(out, t);
  })
}

kino_status kino_full(double value, const int64_t *shape, int32_t rank, int32_t dtype, kino_device where,
                      kino_tensor **out) noexcept {
  KINO_GUARD(give(out, at::full(list(shape, rank), value,
                                at::TensorOptions().dtype(scalar_type(dtype)).device(device(where)))))
}

kino_status kino_arange(double start, double end, double step, int32_t dtype, kino_tensor **out) noexcept {
  KINO_GUARD(give(out, at::arange(start, end, step, at::TensorOptions().dtype(scalar_type(dtype)))))
}

kino_status kino_copy_bytes(const kino_tensor *t, void *into, size_t count) noexcept {
  KINO_GUARD({
    auto source = t->value.detach().to(at::kCPU).contiguous();
    TORCH_CHECK(source.nbytes() == count, "expected room for ", source.nbytes(), " bytes, found ", count);
    if (count) std::memcpy(into, source.const_data_ptr(), count);
  })
}

kino_status kino_data(const kino_tensor *t, void **out) noexcept {
  KINO_GUARD({
    TORCH_CHECK(t->value.is_cpu() && t->value.is_contiguous(), "data needs a contiguous CPU tensor");
    *out = t->value.data_ptr();
  })
}

int32_t kino_rank(const kino_tensor *t) noexcept { return static_cast<int32_t>(t->value.dim()); }
int64_t kino_size(const kino_tensor *t, int32_t axis) noexcept { return t->value.sizes()[static_cast<size_t>(axis)]; }
int32_t kino_dtype_of(const kino_tensor *t) noexcept { return dtype_code(t->value.scalar_type()); }
bool kino_is_contiguous(const kino_tensor *t) noexcept { return t->value.is_contiguous(); }
bool kino_requires_gradient(const kino_tensor *t) noexcept { return t->value.requires_grad(); }

kino_device kino_device_of(const kino_tensor *t) noexcept {
  auto d = t->value.device();
  int32_t type = d.is_cuda() ? KINO_CUDA : d.is_mps() ? KINO_MPS : KINO_CPU;
  return {type, d.has_index() ? d.index() : 0};
}

kino_status kino_cast(const kino_tensor *x, int32_t dtype, kino_tensor **out) noexcept {
  KINO_GUARD(give(out, x->value.to(scalar_type(dtype))))
}
kino_status kino_move(const kino_tensor *x, kino_device where, kino_tensor **out) noexcept {
  KINO_GUARD(give(out, x->value.to(device(where))))
}
kino_status kino_clone(const kino_tensor *x, kino_tensor **out) noexcept { KINO_GUARD(give(out, x->value.clone())) }

kino_status kino_assign(kino_tensor *x, const kino_tensor *value) noexcept {
  KINO_GUARD({
    c10::NoGradGuard guard;
    x->value.copy_(value->value);
  })
}
kino_status kino_add_in_place(kino_tensor *x, const kino_tensor *y, double scale) noexcept {
  KINO_GUARD({
    c10::NoGradGuard guard;
    x->value.add_(y->value, scale);
  })
}
kino_status kino_scale_in_place(kino_tensor *x, double scale) noexcept {
  KINO_GUARD({
    c10::NoGradGuard guard;
    x->value.mul_(scale);
  })
}
bool kino_is_alone(const kino_tensor *x) noexcept { return is_alone(x->value); }
}
