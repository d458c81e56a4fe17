// The C face of c10d, LibTorch's engine of collectives: what processes that train together say to each other.
//
// As in kino_torch.h: every function returns a status, 0 for success, results are owned by the caller, arguments are borrowed.
// All processes of a group must make the same calls in the same order; each call waits for the others.
#ifndef KINO_COLLECTIVES_H
#define KINO_COLLECTIVES_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifndef KINO_NOEXCEPT
#ifdef __cplusplus
#define KINO_NOEXCEPT noexcept
#else
#define KINO_NOEXCEPT
#endif
#endif

#if defined(__clang__)
#pragma clang assume_nonnull begin
#endif

struct kino_tensor;  // of kino_torch.h

typedef struct kino_group kino_group;
typedef struct {
  const char *host;
  uint16_t port;
  // Whether rank 0 keeps the store where processes meet; otherwise somebody else does, as torchrun's agent.
  bool hosts_store;
  // Keeps meetings at one store apart.
  const char *name;
  int32_t rank, size;
  // How long to wait for all to come, and for an answer of another process.
  double join_seconds, answer_seconds;
} kino_group_options;
int32_t kino_group_join(kino_group_options options, kino_group *_Nullable *_Nonnull out) KINO_NOEXCEPT;
// Says that this process ends as it should, and frees the group.
void kino_group_leave(kino_group *_Nullable group) KINO_NOEXCEPT;
// Calls `lost` once, on a thread of its own, when a process has been silent for so long without having left, or
// rank 0's store can't be reached.
int32_t kino_group_watch(kino_group *group, double silent_seconds, void (*lost)(void *_Nullable, int32_t rank),
                             void *_Nullable context) KINO_NOEXCEPT;
// Ends watching and being watched: what the others do from now on is their own matter.
void kino_group_unwatch(kino_group *group) KINO_NOEXCEPT;
int32_t kino_group_barrier(kino_group *group) KINO_NOEXCEPT;
// In place: the sum, or the maximum, over all processes.
int32_t kino_group_all_reduce(kino_group *group, struct kino_tensor *x, bool maximum) KINO_NOEXCEPT;
// In place: float32 tensors take the values of those of one process, sent in pieces of about `bytes`.
int32_t kino_group_broadcast(kino_group *group, struct kino_tensor *_Nonnull const *_Nonnull list, int32_t count,
                                 int32_t root, int64_t bytes) KINO_NOEXCEPT;
// The tensors of all processes along a new first axis.
int32_t kino_group_all_gather(kino_group *group, const struct kino_tensor *x,
                                  struct kino_tensor *_Nullable *_Nonnull out) KINO_NOEXCEPT;

// Sums gradients over processes in buckets, each sent as soon as the backward pass has made it.
typedef struct kino_reducer kino_reducer;
int32_t kino_reducer_create(kino_group *group, struct kino_tensor *_Nonnull const *_Nonnull parameters, int32_t count,
                                int64_t bytes, kino_reducer *_Nullable *_Nonnull out) KINO_NOEXCEPT;
void kino_reducer_free(kino_reducer *_Nullable reducer) KINO_NOEXCEPT;
// The next backward pass is the last one before `kino_reducer_finish`; its buckets are sent while it runs.
int32_t kino_reducer_begin(kino_reducer *reducer) KINO_NOEXCEPT;
// Sends the rest, waits, and gives every parameter that has a gradient in any process their sum.
int32_t kino_reducer_finish(kino_reducer *reducer) KINO_NOEXCEPT;

#if defined(__clang__)
#pragma clang assume_nonnull end
#endif

#ifdef __cplusplus
}
#endif
#endif
