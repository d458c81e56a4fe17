// Loops over our own kernels' tasks on LibTorch's threads.
//
// ATen's parallel_for is a template that is parallel only where it is compiled with OpenMP, which the
// Swift toolchain's clang has no runtime for; it would silently run on one thread.
#pragma once
#include <c10/util/FunctionRef.h>

#include <cstdint>

namespace kino {

// Calls body(first, last) for parts of begin..<end, each of at most `grain`, until all are done. What a
// part computes must not depend on who computes it. The first exception is thrown again.
void parallel_for(int64_t begin, int64_t end, int64_t grain, c10::function_ref<void(int64_t, int64_t)> body);

}  // namespace kino
