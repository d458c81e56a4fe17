#include "parallel.h"

#include <ATen/Parallel.h>
#include <dlfcn.h>

#include <algorithm>
#include <atomic>
#include <exception>

namespace kino {
namespace {

// GNU's entry to a parallel region, which LLVM's runtime has too: whichever LibTorch brought along.
using Region = void (*)(void (*)(void *), void *, unsigned, unsigned);

Region region() {
  static const auto found = reinterpret_cast<Region>(dlsym(RTLD_DEFAULT, "GOMP_parallel"));
  return found;
}

struct Job {
  std::atomic<int64_t> next;
  int64_t end, grain;
  c10::function_ref<void(int64_t, int64_t)> body;
  std::atomic_flag has_failed = ATOMIC_FLAG_INIT;
  std::exception_ptr failure;

  void work() noexcept {
    try {
      for (int64_t first = next.fetch_add(grain); first < end; first = next.fetch_add(grain)) {
        body(first, std::min(first + grain, end));
      }
    } catch (...) {
      next.store(end);
      if (!has_failed.test_and_set()) failure = std::current_exception();
    }
  }
};

thread_local bool is_inside = false;

void work(void *job) {
  is_inside = true;
  static_cast<Job *>(job)->work();
  is_inside = false;
}

}  // namespace

void parallel_for(int64_t begin, int64_t end, int64_t grain, c10::function_ref<void(int64_t, int64_t)> body) {
  if (begin >= end) return;
  grain = std::max<int64_t>(1, grain);
  if (end - begin <= grain || is_inside || at::in_parallel_region() || at::get_num_threads() == 1 || !region()) {
    for (int64_t first = begin; first < end; first += grain) body(first, std::min(first + grain, end));
    return;
  }
  Job job{.next = begin, .end = end, .grain = grain, .body = body};
  // Of all threads: asking for fewer would make GNU's runtime build its pool anew.
  region()(work, &job, 0, 0);
  if (job.failure) std::rethrow_exception(job.failure);
}

}  // namespace kino
