// Makes the products of float32 matrices repeatable on Intel's processors.
//
// MKL, which LibTorch brings along, sums in an order that depends on the thread count and on where a
// matrix lies in memory, unless told before its first call to be strict about it. Being so costs no time
// that we could measure. On other processors its default is repeatable already, and strictness might
// choose slower kernels.
#include <cstdlib>

#if defined(__x86_64__) && defined(__linux__)
__attribute__((constructor)) static void make_products_repeatable() {
  // A choice that the user made stays.
  if (__builtin_cpu_is("intel")) setenv("MKL_CBWR", "AUTO,STRICT", 0);
}
#endif
