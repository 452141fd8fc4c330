// Session: many streams over one (PROTOCOL.md, "Session"). In production over a TLS 1.3 stream that
// authenticates both sides; the session itself takes any net::Stream.
//
// Ownership: shared. Every stream of a session keeps it alive; when the last owner drops it, the
// transport is reset and the other side sees a lost link. close() ends it in order.
// Threads: everything is for the transport's loop, MemoryBudget excepted.
// Streams: net::Stream with carries_reason(). There is no per-stream send queue: a write goes into
// the session's queue at once or would block, so closing a stream never waits.
// Hostile peers: whatever the peer sends ends the session with a typed error at worst.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "net/stream.hpp"
#include "overlay/embedded/session_memory.hpp"

namespace simplon::overlay {

/// Who opens odd stream numbers: the side that connected.
enum class SessionRole : std::uint8_t { client, server };

/// What every stream of a Simplon session may send before it was granted more; and what the yamux
/// specification says.
inline constexpr std::uint32_t kInitialWindow = 64 * 1024;
inline constexpr std::uint32_t kYamuxWindow = 256 * 1024;
inline constexpr std::uint32_t kMaxWindow = 16 * 1024 * 1024;

/// What a reader that stands still may hold for good: less than 2 MiB with all that is around it.
inline constexpr std::uint32_t kStalledWindow = 1536 * 1024;
/// Of a larger window, which only a long and fast link needs, a reader has to go on taking bytes:
/// so many in this time, or its stream is reset (memory) while it holds more than kStalledWindow.
/// As long as web servers wait for a client that reads nothing.
inline constexpr std::chrono::seconds kStalledReader{60};
inline constexpr std::uint32_t kStalledProgress = 256 * 1024;
/// Credit of such a window is returned in small steps, so that almost all of it is under way.
inline constexpr std::uint32_t kCreditStep = 256 * 1024;

/// A burst of so many clients is taken at once.
inline constexpr std::size_t kMaxHeldOpens = 4096;

inline constexpr std::chrono::seconds kPingInterval{15};
inline constexpr std::chrono::seconds kDeadAfter{45};

struct SessionOptions {
  /// Shared by all sessions of the agent; null: the session has one of its own.
  std::shared_ptr<MemoryBudget> budget;
  /// Open streams of both sides together.
  std::size_t max_streams = 32 * 1024;
  /// Opens that the other side has not acknowledged. Further ones, and their first write, wait for
  /// an acknowledgement, at most kMaxHeldOpens; then open_stream() fails.
  std::size_t max_unacknowledged = 256;
};

struct SessionStats {
  std::optional<net::Duration> rtt;  ///< smoothed; none before the first answer
  std::size_t streams = 0;           ///< open now
  std::uint64_t opened = 0;          ///< by us
  std::uint64_t accepted = 0;        ///< opened by the peer
  std::uint64_t refused = 0;         ///< of the peer's opens, by a limit or while draining
  std::uint64_t bytes_received = 0;  ///< of the transport, frames included
  std::uint64_t bytes_sent = 0;
  bool simplon_peer = false;  ///< the peer announced its initial window
};

class Session {
 public:
  struct Handlers {
    /// The peer opened a stream; it is acknowledged already. Unset: such streams are refused.
    std::move_only_function<void(net::StreamPtr)> inbound;
    /// Called once, from a handler of its own: no stream comes or goes any more. Empty after
    /// close() on this side; link_lost, timed_out (no sign of life), closed (the peer went away
    /// in order), protocol_error, limit_exceeded otherwise.
    std::move_only_function<void(std::error_code)> ended;
  };

  static std::shared_ptr<Session> start(net::StreamPtr transport, SessionRole role,
                                        SessionOptions options, Handlers handlers);
  virtual ~Session() = default;

  /// A new stream, usable at once. Errors: draining (a go-away was sent or received),
  /// limit_exceeded (try again later or on another session), link_lost.
  virtual net::Result<net::StreamPtr> open_stream() = 0;

  /// Asks the peer to open no more streams, and refuses those that still come (draining). Streams
  /// that are open live on. Idempotent.
  virtual void go_away() = 0;

  /// Ends the session: streams fail with link_lost on both sides; what they staged is flushed for
  /// at most net::kCloseTimeout. Idempotent.
  virtual void close() = 0;
  /// The same at once.
  virtual void reset() = 0;

  virtual bool alive() const = 0;
  /// Alive, and no go-away in either direction: open_stream() may work.
  virtual bool usable() const = 0;
  virtual SessionStats stats() const = 0;
  /// Since when no stream is open; nothing while one is.
  virtual std::optional<net::TimePoint> idle_since() const = 0;
  virtual net::Loop& loop() const = 0;
  /// Who the transport proved to be on the other side, or null. Valid while the session exists.
  virtual const net::Peer* peer() const = 0;
};

using SessionPtr = std::shared_ptr<Session>;

}  // namespace simplon::overlay
