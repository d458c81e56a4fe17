#include <arpa/inet.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#define USE_C10D_GLOO
#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/variable.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include <condition_variable>
#include <thread>

#include "../CKinoTorch/shim.h"
#include "include/kino_collectives.h"

using namespace kino;
using Milliseconds = std::chrono::milliseconds;

namespace {

Milliseconds milliseconds(double seconds) { return Milliseconds(static_cast<int64_t>(seconds * 1000)); }

// The address by which this machine is seen from another one: that of the way to it.
std::string own_address(const char *host, uint16_t port) {
  addrinfo hints{}, *found = nullptr;
  hints.ai_socktype = SOCK_DGRAM;
  if (getaddrinfo(host, std::to_string(port).c_str(), &hints, &found) != 0) return {};
  std::string address;
  for (auto *place = found; place && address.empty(); place = place->ai_next) {
    const int descriptor = socket(place->ai_family, SOCK_DGRAM, 0);
    if (descriptor < 0) continue;
    sockaddr_storage own{};
    socklen_t length = sizeof(own);
    char text[NI_MAXHOST];
    // Nothing is sent: a datagram socket only looks up its way.
    if (connect(descriptor, place->ai_addr, place->ai_addrlen) == 0 &&
        getsockname(descriptor, reinterpret_cast<sockaddr *>(&own), &length) == 0 &&
        getnameinfo(reinterpret_cast<sockaddr *>(&own), length, text, sizeof(text), nullptr, 0, NI_NUMERICHOST) == 0) {
      address = text;
    }
    close(descriptor);
  }
  freeaddrinfo(found);
  return address;
}

// Waits until a host's name is known: in a cluster that starts, that may take a while.
void require_address(const char *host, uint16_t port, double seconds) {
  const auto end = std::chrono::steady_clock::now() + milliseconds(seconds);
  while (own_address(host, port).empty()) {
    if (std::chrono::steady_clock::now() > end) {
      throw std::runtime_error(std::string(host) + " has no address that can be reached");
    }
    std::this_thread::sleep_for(Milliseconds(500));
  }
}

// Tensors of float32 laid one after another, on the CPU.
at::Tensor flattened(const std::vector<at::Tensor> &list) {
  std::vector<at::Tensor> rows;
  for (const auto &tensor : list) rows.push_back(tensor.detach().reshape({-1}));
  return at::cat(rows).cpu();
}

void spread(const at::Tensor &flat, const std::vector<at::Tensor> &list) {
  int64_t start = 0;
  for (auto tensor : list) {
    tensor.copy_(flat.narrow(0, start, tensor.numel()).view(tensor.sizes()));
    start += tensor.numel();
  }
}

}  // namespace

struct kino_group {
  int32_t rank, size;
  c10::intrusive_ptr<c10d::Store> store;
  c10::intrusive_ptr<c10d::Backend> engine;

  ~kino_group() { stop(); }

  void wait(const c10::intrusive_ptr<c10d::Work> &work) const {
    // The engine's own wait holds nothing of ours, so other threads go on.
    work->wait();
  }

  void watch(double silent_seconds, void (*lost)(void *, int32_t), void *context) {
    auto own = store->clone();
    watcher = std::thread([this, own, silent_seconds, lost, context] {
      int32_t missing = -1;
      try {
        missing = watched(*own, silent_seconds);
      } catch (...) {
        missing = 0;
      }
      if (missing >= 0 && !is_leaving()) lost(context, missing);
    });
  }

  void stop() {
    {
      std::lock_guard<std::mutex> guard(mutex);
      leaving = true;
    }
    changed.notify_all();
    if (watcher.joinable()) watcher.join();
  }

  bool is_leaving() {
    std::lock_guard<std::mutex> guard(mutex);
    return leaving;
  }

 private:
  std::mutex mutex;
  std::condition_variable changed;
  bool leaving = false;
  std::thread watcher;

  static std::string pulse(int32_t rank) { return "pulse/" + std::to_string(rank); }

  // Beats until this process leaves, -1, or another one is lost. Rank 0 listens to all, the others to it: what it
  // has lost is at "lost", plus one.
  int32_t watched(c10d::Store &own, double silent_seconds) {
    using Clock = std::chrono::steady_clock;
    const auto limit = milliseconds(silent_seconds);
    std::vector<std::pair<int64_t, Clock::time_point>> last(rank == 0 ? size : 1, {-1, Clock::now()});
    auto previous = Clock::now();
    for (;;) {
      // Who was stopped and went on has heard nobody meanwhile, which tells nothing of the others.
      const auto now = Clock::now();
      if (now - previous > limit / 2) {
        for (auto &heard : last) heard.second = now;
      }
      previous = now;
      own.add(pulse(rank), 1);
      for (int32_t other = 0; other < static_cast<int32_t>(last.size()); ++other) {
        if (other == rank) continue;
        const auto beats = own.add(pulse(other), 0);
        auto &[count, time] = last[other];
        if (beats != count) {
          count = beats;
          time = Clock::now();
        } else if (Clock::now() - time > limit) {
          if (rank == 0) own.add("lost", other + 1);
          return other;
        }
      }
      if (rank != 0) {
        const auto lost = own.add("lost", 0);
        if (lost > 0) return static_cast<int32_t>(lost - 1);
      }
      std::unique_lock<std::mutex> guard(mutex);
      changed.wait_for(guard, limit / 10, [this] { return leaving; });
      if (leaving) return -1;
    }
  }
};

struct kino_reducer {
  struct Bucket {
    std::vector<size_t> members;
    size_t pending = 0;
    at::Tensor flat;
    c10::intrusive_ptr<c10d::Work> work;
  };
  // Told when a parameter's gradient is complete.
  struct Hook : torch::autograd::PostAccumulateGradHook {
    kino_reducer *owner;
    size_t parameter;
    Hook(kino_reducer *owner, size_t parameter) : owner(owner), parameter(parameter) {}
    void operator()(const torch::autograd::Variable &) override { owner->arrived(parameter); }
  };

  kino_group *group;
  std::vector<at::Tensor> parameters;
  std::vector<Bucket> buckets;
  std::vector<size_t> bucket_of;
  std::mutex mutex;
  size_t next = 0;
  bool running = false;
  std::exception_ptr failure;

  kino_reducer(kino_group *group, std::vector<at::Tensor> list, int64_t bytes)
      : group(group), parameters(std::move(list)), bucket_of(parameters.size()) {
    // The backward pass comes to the last parameters first.
    int64_t filled = bytes;
    for (size_t i = parameters.size(); i-- > 0;) {
      const int64_t own = parameters[i].numel() * 4;
      if (filled + own > bytes) {
        buckets.emplace_back();
        filled = 0;
      }
      filled += own;
      buckets.back().members.push_back(i);
      bucket_of[i] = buckets.size() - 1;
      torch::autograd::impl::set_post_acc_grad_hooks(parameters[i], std::make_unique<Hook>(this, i));
    }
  }

  ~kino_reducer() {
    for (const auto &parameter : parameters) torch::autograd::impl::set_post_acc_grad_hooks(parameter, nullptr);
  }

  void begin() {
    std::lock_guard<std::mutex> guard(mutex);
    for (auto &bucket : buckets) bucket.pending = bucket.members.size();
    next = 0;
    running = true;
    failure = nullptr;
  }

  // Buckets go out in their order, so that all processes send the same ones at the same time.
  void arrived(size_t parameter) {
    std::lock_guard<std::mutex> guard(mutex);
    if (!running || failure) return;
    auto &bucket = buckets[bucket_of[parameter]];
    if (bucket.pending > 0) --bucket.pending;
    try {
      while (next < buckets.size() && buckets[next].pending == 0) send(buckets[next++]);
    } catch (...) {
      failure = std::current_exception();
    }
  }

  void finish() {
    c10::NoGradGuard none;
    std::lock_guard<std::mutex> guard(mutex);
    running = false;
    if (failure) std::rethrow_exception(failure);
    while (next < buckets.size()) send(buckets[next++]);
    const auto present = at::zeros({static_cast<int64_t>(parameters.size())}, at::kFloat);
    for (size_t i = 0; i < parameters.size(); ++i) {
      if (parameters[i].grad().defined()) present[static_cast<int64_t>(i)] = 1;
    }
    std::vector<at::Tensor> flags{present};
    c10d::AllreduceOptions options;
    options.reduceOp = c10d::ReduceOp::MAX;
    group->wait(group->engine->allreduce(flags, options));
    const auto *is_present = present.const_data_ptr<float>();
    for (auto &bucket : buckets) {
      group->wait(bucket.work);
      int64_t start = 0;
      for (const size_t i : bucket.members) {
        auto &parameter = parameters[i];
        if (is_present[i] > 0) {
          const auto sum = bucket.flat.narrow(0, start, parameter.numel()).view(parameter.sizes());
          if (!parameter.grad().defined()) parameter.mutable_grad() = at::empty_like(parameter.detach());
          parameter.mutable_grad().copy_(sum);
        }
        start += parameter.numel();
      }
      bucket.flat.reset();
      bucket.work.reset();
    }
  }

 private:
  void send(Bucket &bucket) {
    c10::NoGradGuard none;
    std::vector<at::Tensor> gradients;
    for (const size_t i : bucket.members) {
      const auto &gradient = parameters[i].grad();
      gradients.push_back(gradient.defined() ? gradient.to(at::kFloat) : at::zeros_like(parameters[i].detach()));
    }
    bucket.flat = flattened(gradients);
    std::vector<at::Tensor> list{bucket.flat};
    bucket.work = group->engine->allreduce(list, c10d::AllreduceOptions());
  }
};

extern "C" {

kino_status kino_group_join(kino_group_options o, kino_group **out) noexcept {
  KINO_GUARD({
    require_address(o.host, o.port, std::min(o.join_seconds, 30.0));
    c10d::TCPStoreOptions store;
    store.port = o.port;
    store.isServer = o.hosts_store && o.rank == 0;
    store.numWorkers = o.hosts_store ? std::optional<size_t>(o.size) : std::nullopt;
    store.waitWorkers = o.hosts_store;
    store.timeout = milliseconds(o.join_seconds);
    auto group = std::make_unique<kino_group>();
    group->rank = o.rank;
    group->size = o.size;
    group->store = c10::make_intrusive<c10d::PrefixStore>(o.name, c10::make_intrusive<c10d::TCPStore>(o.host, store));
    auto engine = c10d::ProcessGroupGloo::Options::create(milliseconds(o.answer_seconds));
    const auto address = own_address(o.host, o.port);
    engine->devices.push_back(address.empty() ? c10d::ProcessGroupGloo::createDefaultDevice()
                                              : c10d::ProcessGroupGloo::createDeviceForHostname(address));
    group->engine = c10::make_intrusive<c10d::ProcessGroupGloo>(group->store, o.rank, o.size, engine);
    *out = group.release();
  })
}
void kino_group_leave(kino_group *group) noexcept { delete group; }
kino_status kino_group_watch(kino_group *group, double silent_seconds, void (*lost)(void *, int32_t),
                             void *context) noexcept {
  KINO_GUARD(group->watch(silent_seconds, lost, context))
}
void kino_group_unwatch(kino_group *group) noexcept { group->stop(); }
kino_status kino_group_barrier(kino_group *group) noexcept {
  KINO_GUARD(group->wait(group->engine->barrier(c10d::BarrierOptions())))
}
kino_status kino_group_all_reduce(kino_group *group, kino_tensor *x, bool maximum) noexcept {
  KINO_GUARD({
    c10::NoGradGuard none;
    const auto flat = x->value.detach().contiguous().cpu();
    std::vector<at::Tensor> list{flat};
    c10d::AllreduceOptions options;
    options.reduceOp = maximum ? c10d::ReduceOp::MAX : c10d::ReduceOp::SUM;
    group->wait(group->engine->allreduce(list, options));
    x->value.copy_(flat);
  })
}
kino_status kino_group_broadcast(kino_group *group, kino_tensor *const *list, int32_t count, int32_t root,
                                 int64_t bytes) noexcept {
  KINO_GUARD({
    c10::NoGradGuard none;
    for (int32_t start = 0; start < count;) {
      std::vector<at::Tensor> part;
      int64_t filled = 0;
      do {
        part.push_back(list[start]->value.detach());
        filled += list[start++]->value.numel() * 4;
      } while (start < count && filled + list[start]->value.numel() * 4 <= bytes);
      std::vector<at::Tensor> flat{flattened(part)};
      c10d::BroadcastOptions options;
      options.rootRank = root;
      group->wait(group->engine->broadcast(flat, options));
      if (group->rank != root) spread(flat[0], part);
    }
  })
}
kino_status kino_group_all_gather(kino_group *group, const kino_tensor *x, kino_tensor **out) noexcept {
  KINO_GUARD({
    c10::NoGradGuard none;
    std::vector<at::Tensor> input{x->value.detach().contiguous().cpu()};
    std::vector<std::vector<at::Tensor>> output(1);
    for (int32_t i = 0; i < group->size; ++i) output[0].push_back(at::empty_like(input[0]));
    group->wait(group->engine->allgather(output, input, c10d::AllgatherOptions()));
    give(out, at::stack(output[0]));
  })
}

kino_status kino_reducer_create(kino_group *group, kino_tensor *const *parameters, int32_t count, int64_t bytes,
                                kino_reducer **out) noexcept {
  KINO_GUARD({
    std::vector<at::Tensor> list;
    for (int32_t i = 0; i < count; ++i) list.push_back(parameters[i]->value);
    *out = new kino_reducer(group, std::move(list), bytes);
  })
}
void kino_reducer_free(kino_reducer *reducer) noexcept { delete reducer; }
kino_status kino_reducer_begin(kino_reducer *reducer) noexcept { KINO_GUARD(reducer->begin()) }
kino_status kino_reducer_finish(kino_reducer *reducer) noexcept { KINO_GUARD(reducer->finish()) }
}
