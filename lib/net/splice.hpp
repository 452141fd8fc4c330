// splice: two streams become one path. Whatever arrives on one goes out on the other, both ways,
// until both directions have ended or one of the streams failed.
//
// Ownership: a splice owns itself and both streams, and ends both: close() when both directions
// ended in order, reset() otherwise. Nothing else may read, write or wait on them meanwhile.
// Threads: both streams are of one loop; everything happens there.
// Cancellation: reset either stream (the other is reset too, the splice ends with `closed`), or
// cancel the coroutine. A splice that is left when its loop ends is dropped.
//
// A splice is a callback object, not two coroutines, and takes its buffers only when bytes are
// there: an idle path costs a few hundred bytes.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <system_error>

#include "net/async.hpp"
#include "net/stream.hpp"

namespace simplon::net {

/// 64 MiB of all loops together: so much is beside the overlays' memory budget at most, and
/// kSmallBuffer for each direction of each connection, whose number tunnels limit.
inline constexpr std::size_t kMaxStanding = 1024;
inline constexpr std::size_t kSmallBuffer = 4UL * 1024;

/// Bytes that went through, updated as they go. May be shared by many splices of many loops.
struct SpliceCounters {
  std::atomic<std::uint64_t> forward{0};   ///< a to b
  std::atomic<std::uint64_t> backward{0};  ///< b to a
};

struct SpliceOptions {
  /// Without a byte in either direction for so long, both streams are reset (timed_out). Zero:
  /// never.
  Duration idle_timeout{};
  std::shared_ptr<SpliceCounters> counters;  ///< may be null
};

struct SpliceResult {
  enum class Cause : std::uint8_t {
    ended,      ///< both directions, in order; `error` is empty
    a_failed,   ///< `error` is what its read or write failed with
    b_failed,   ///< the same
    idle,       ///< `error` is timed_out
    cancelled,  ///< the coroutine was; `error` is cancelled
  };
  std::uint64_t forward = 0;   ///< bytes that b took from a
  std::uint64_t backward = 0;  ///< bytes that a took from b
  Cause cause = Cause::ended;
  std::error_code error;
};

/// An end of stream of one side becomes shutdown_send() of the other, and the other direction lives
/// on; a failure of one side becomes reset(reason) of the other. Deadlines that were set on the
/// streams are cleared first. A slow reader holds the other side's writer back: at most one buffer
/// is held for each direction, of 64 KiB; of kSmallBuffer when kMaxStanding directions of the
/// process stand still on one already.
awaitable<SpliceResult> splice(StreamPtr a, StreamPtr b, SpliceOptions options = {});

/// The same with a callback, which is called once, from a later handler of the loop.
void start_splice(StreamPtr a, StreamPtr b, SpliceOptions options,
                  std::move_only_function<void(SpliceResult)> done);

}  // namespace simplon::net
