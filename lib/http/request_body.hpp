// The body of a request on its way to the upstream: pumped beside the reading of the response, so
// that early answers, 100-continue and two-way streaming work, and kept for a second attempt while
// that is possible.
//
// Owned by its exchange and, while it is pumped, by the pump's coroutine. The exchange stops the
// pump before it ends. Threads: the client's loop.
// Cancellation: stop(); or the end of either stream.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "http/body_batch.hpp"
#include "http/wire.hpp"

namespace simplon::http {

class RequestBody : public std::enable_shared_from_this<RequestBody> {
 public:
  enum class State : std::uint8_t {
    idle,           ///< not being pumped
    pumping,        ///< the coroutine runs
    complete,       ///< all of it was sent
    refused,        ///< fault() says why; the upstream was reset
    client_lost,    ///< the client ended in the middle; the upstream was reset
    upstream_lost,  ///< the upstream takes no more; it may have answered
  };

  /// The policy outlives the pump.
  RequestBody(std::shared_ptr<Inlet> client, const RequestFraming& framing, const Policy& policy);

  /// Writes the head, and with it what an earlier attempt has sent of the body, or all of a small
  /// body that is here already. `keep`: another attempt may follow.
  net::awaitable<net::Result<void>> begin(net::StreamPtr upstream, std::string_view head,
                                          bool keep);

  /// Whom the pump tells; nobody any more after disown().
  struct Events {
    std::function<void()> ended;
    /// The client has waited for a `100 Continue` as long as a body may take: gives it one. False
    /// where that cannot be.
    std::function<bool()> invite;
  };
  /// Pumps the rest, if there is one, until it ends.
  void pump(net::StreamPtr upstream, Events events);
  /// Waits for the end of the pump; false if it goes on at `deadline`.
  net::awaitable<bool> join(net::TimePoint deadline);
  /// Ends the pump without harm to the streams.
  net::awaitable<void> stop();
  /// Calls nobody any more.
  void disown() { events_ = {}; }

  /// The response has begun: from now on the client may be silent for as long as it likes.
  void be_patient();
  /// A `100 Continue` went to the client: it is its turn now.
  void invited();
  /// What was sent will not be sent again.
  void forget_sent();

  State state() const { return state_; }
  bool complete() const { return state_ == State::complete; }
  /// The client has ended its direction: whether the body will never be complete, with all that it
  /// has sent and nobody has read. False where that is too much to tell.
  bool cut_short() const;
  /// The client's bytes were all read, whether or not the upstream took them.
  bool read() const { return decoder_.done(); }
  bool replayable() const { return replayable_; }
  Verdict fault() const { return fault_; }
  std::uint64_t bytes() const { return bytes_; }

 private:
  static net::awaitable<void> run(std::shared_ptr<RequestBody> self, net::StreamPtr upstream);
  net::awaitable<State> transfer(net::StreamPtr upstream);
  net::awaitable<std::optional<State>> read_more();
  /// From now on the deadline is the client's.
  void begin_wait();
  std::span<net::Buffer> frame(std::string_view prefix);

  std::shared_ptr<Inlet> client_;
  RequestFraming framing_;
  Timeouts timeouts_;
  BodyDecoder decoder_;
  BodyBatch batch_;
  std::size_t in_work_ = 0;  // bytes of the inlet that were decoded and are being written
  State state_ = State::idle;
  Verdict fault_;
  std::uint64_t bytes_ = 0;
  std::string sent_;  // as written; while replayable_
  bool replayable_ = true;
  bool patient_ = false;       // no deadline for the client
  net::TimePoint wait_began_;  // for the client
  net::Duration waited_{};     // before that, since it last sent kBodyStride
  std::size_t came_ = 0;       // of that
  bool expecting_ = false;     // it waits for a `100 Continue`, and has sent nothing
  bool stopping_ = false;
  net::StreamPtr upstream_;  // while pumping
  std::optional<net::Gate> ended_gate_;
  Events events_;
};

}  // namespace simplon::http
