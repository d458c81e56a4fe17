// Counter-based random numbers: Philox 4x32-10 (Salmon et al., "Parallel random numbers: as easy as
// 1, 2, 3", SC 2011), then Box-Muller in double precision. Element i depends on (seed, stream, i)
// alone, so neither device nor thread count can change it.

#include <array>
#include <cmath>

#include "parallel.h"
#include "shim.h"

using namespace kino;

namespace {

using Block = std::array<uint32_t, 4>;

Block philox(uint64_t seed, uint64_t stream, uint64_t counter) {
  Block c = {static_cast<uint32_t>(counter), static_cast<uint32_t>(counter >> 32), static_cast<uint32_t>(stream),
             static_cast<uint32_t>(stream >> 32)};
  uint32_t k0 = static_cast<uint32_t>(seed), k1 = static_cast<uint32_t>(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    uint64_t p0 = uint64_t{0xD2511F53} * c[0], p1 = uint64_t{0xCD9E8D57} * c[2];
    c = {static_cast<uint32_t>(p1 >> 32) ^ c[1] ^ k0, static_cast<uint32_t>(p1),
         static_cast<uint32_t>(p0 >> 32) ^ c[3] ^ k1, static_cast<uint32_t>(p0)};
    k0 += 0x9E3779B9;
    k1 += 0xBB67AE85;
  }
  return c;
}

void fill(float *values, int64_t count, bool normal, uint64_t seed, uint64_t stream) {
  constexpr double unit = 1.0 / 4294967296.0;
  constexpr double turn = 6.283185307179586476925;
  parallel_for(0, (count + 3) / 4, 4096, [=](int64_t begin, int64_t end) {
    for (int64_t block = begin; block < end; ++block) {
      Block bits = philox(seed, stream, static_cast<uint64_t>(block));
      float four[4];
      if (normal) {
        for (int pair = 0; pair < 2; ++pair) {
          double radius = std::sqrt(-2 * std::log((bits[2 * pair] + 0.5) * unit));
          double angle = turn * ((bits[2 * pair + 1] + 0.5) * unit);
          four[2 * pair] = static_cast<float>(radius * std::cos(angle));
          four[2 * pair + 1] = static_cast<float>(radius * std::sin(angle));
        }
      } else {
        // 24 bits: every value is exact in a float and below one.
        for (int i = 0; i < 4; ++i) four[i] = static_cast<float>(bits[i] >> 8) * (1.0f / 16777216.0f);
      }
      int64_t first = block * 4;
      for (int64_t i = 0; i < 4 && first + i < count; ++i) values[first + i] = four[i];
    }
  });
}

}  // namespace

extern "C" void kino_random_block(uint64_t seed, uint64_t stream, uint64_t index, uint32_t *words) noexcept {
  const Block block = philox(seed, stream, index);
  for (size_t i = 0; i < block.size(); ++i) words[i] = block[i];
}

extern "C" kino_status kino_random(bool normal, uint64_t seed, uint64_t stream, const int64_t *shape, int32_t rank,
                                   kino_tensor **out) noexcept {
  KINO_GUARD({
    auto t = at::empty(list(shape, rank), at::TensorOptions().dtype(at::kFloat));
    fill(t.data_ptr<float>(), t.numel(), normal, seed, stream);
    give(out, t);
  })
}
