// Where LibTorch's tensors on the CPU get their memory: small ones from its own allocator, large ones here.
//
// Mapping large tensors anew costs a decoder a tenth of its time in page faults, and GNU's allocator, which keeps freed
// ones, leaves holes between the frames that a stream remembers: a third more memory. Here blocks that were given back
// serve the next tensor of their size, and go when keeping them would take more than tensors alone have taken before.
#include <c10/core/CPUAllocator.h>
#include <c10/core/impl/alloc_cpu.h>

#if defined(__unix__) || defined(__APPLE__)
#include <sys/mman.h>

#include <algorithm>
#include <list>
#include <mutex>
#include <unordered_map>

namespace {

constexpr size_t kSmallestBlock = size_t{2} << 20;
constexpr size_t kGrain = size_t{512} << 10;  // coarse, so that tensors of nearly one size share blocks

struct Block {
  void *start;
  size_t size;
};

class BlockAllocator final : public c10::Allocator {
 public:
  static BlockAllocator &shared() {
    static auto *const allocator = new BlockAllocator;  // outlives every tensor
    return *allocator;
  }

  c10::DataPtr allocate(size_t count) override {
    if (count < kSmallestBlock) return plain_->allocate(count);
    const size_t size = (count + kGrain - 1) / kGrain * kGrain;
    void *start = take(size);
    if (!start) return plain_->allocate(count);  // which says that memory is out
    return {start, start, &give_back, c10::Device(c10::DeviceType::CPU)};
  }

  c10::DeleterFnPtr raw_deleter() const override { return &give_back; }

  void copy_data(void *to, const void *from, size_t count) const override { default_copy_data(to, from, count); }

 private:
  static void give_back(void *start) {
    if (!shared().keep(start)) c10::free_cpu(start);
  }

  void *take(size_t size) {
    const std::lock_guard guard(mutex_);
    void *start = reused(size);
    if (!start) {
      while (!kept_.empty() && used_ + kept_bytes_ + size > most_used_) drop_oldest();
      start = mapped(size);
      while (!start && !kept_.empty()) {
        drop_oldest();
        start = mapped(size);
      }
      if (!start) return nullptr;
    }
    sizes_[start] = size;
    used_ += size;
    most_used_ = std::max(most_used_, used_);
    return start;
  }

  // Whether the block is one of ours.
  bool keep(void *start) {
    const std::lock_guard guard(mutex_);
    const auto found = sizes_.find(start);
    if (found == sizes_.end()) return false;
    used_ -= found->second;
    kept_bytes_ += found->second;
    kept_.push_back({start, found->second});
    sizes_.erase(found);
    return true;
  }

  // The block of this size that was given back last, its pages being the likeliest in a cache.
  void *reused(size_t size) {
    for (auto block = kept_.rbegin(); block != kept_.rend(); ++block) {
      if (block->size != size) continue;
      void *start = block->start;
      kept_.erase(std::next(block).base());
      kept_bytes_ -= size;
      return start;
    }
    return nullptr;
  }

  void drop_oldest() {
    const Block block = kept_.front();
    kept_.pop_front();
    kept_bytes_ -= block.size;
    munmap(block.start, block.size);
  }

  static void *mapped(size_t size) {
    void *start = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0);
    if (start == MAP_FAILED) return nullptr;
#if defined(MADV_HUGEPAGE)
    madvise(start, size, MADV_HUGEPAGE);  // a hint
#endif
    return start;
  }

  c10::Allocator *const plain_ = c10::GetDefaultCPUAllocator();
  std::mutex mutex_;
  std::unordered_map<void *, size_t> sizes_;  // of blocks in use
  std::list<Block> kept_;                     // the one given back longest ago first
  size_t used_ = 0, kept_bytes_ = 0, most_used_ = 0;
};

__attribute__((constructor)) void serve_tensors() {
  constexpr uint8_t kOverDefault = 1;
  c10::SetCPUAllocator(&BlockAllocator::shared(), kOverDefault);
}

}  // namespace
#endif
