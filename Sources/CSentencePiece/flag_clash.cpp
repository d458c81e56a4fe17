// LibTorch's libc10 and libsentencepiece both export a variable FLAGS_minloglevel: here an int, there
// an object of 32 bytes. ELF gives both libraries whichever comes first, so that SentencePiece's
// constructor would overwrite the flags after libc10's own, among them the one that turns every
// failed allocation into an abort. The program's own definition comes first of all and has room for
// the object; libc10 reads the number in the first four bytes, which SentencePiece does not use.
#if defined(__ELF__)
#include <cstring>

extern "C" {
__attribute__((used, visibility("default"))) alignas(16) char FLAGS_minloglevel[128];
}

// Runs after the constructors of the libraries.
__attribute__((constructor)) static void set_level_of_libtorch() {
  const int everything = 0;
  std::memcpy(FLAGS_minloglevel, &everything, sizeof everything);
}
#endif
