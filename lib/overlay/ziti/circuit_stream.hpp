// CircuitStream: a circuit of a channel as a net::Stream. Private to the channel's files.
//
// Ownership: shared; holds its channel, whose table points back at it while the circuit exists.
// There is no send queue of its own: a write goes into the channel's batch at once or would block,
// so closing never waits. StateClosed is sent exactly once, unless the router sent it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "net/stream.hpp"
#include "overlay/embedded/session_memory.hpp"
#include "overlay/ziti/circuit_crypto.hpp"
#include "overlay/ziti/circuit_window.hpp"
#include "overlay/ziti/frame.hpp"

namespace simplon::overlay::ziti {

class ChannelCore;

class CircuitStream final : public net::Stream {
 public:
  /// Without keys the circuit is not encrypted.
  CircuitStream(std::shared_ptr<ChannelCore> channel, std::uint32_t id,
                const std::optional<CircuitKeys>& keys);
  ~CircuitStream() override;

  net::Result<std::size_t> try_read(std::span<std::byte> into) override;
  net::Result<std::size_t> try_write(std::span<const net::Buffer> from) override;
  using net::Stream::try_write;
  void shutdown_send() override;

 protected:
  void start_wait(net::Event event) override;
  void stop_wait(net::Event event) override;
  void start_end_watch() override;
  void do_close() override;
  void do_reset(std::error_code reason) override;

 private:
  friend class ChannelCore;

  /// The circuit is in the table: the crypto header goes out.
  void begin();
  /// Appends one message of at most kMaxMessage bytes.
  void message(std::vector<std::byte>& to, net::Buffer plain);
  /// Appends a message without a body.
  void bare_message(std::vector<std::byte>& to, std::uint32_t flags);
  void announce(FrameWriter& writer, std::uint32_t flags);
  void grant(std::uint64_t limit);
  void granted(std::uint64_t limit);

  void data(const FrameView& frame);
  bool deliver_parts(net::Buffer parts);
  void receive(net::Buffer bytes);
  void receive_fin();
  /// The router's StateClosed.
  void peer_closed();

  /// Ends both directions from here, without FIN.
  void abort(std::error_code why);
  /// Sends StateClosed and leaves the table.
  void send_closed();
  /// The table knows this object no more.
  void detach();
  /// The same, by failure. Bytes that came before the peer's FIN stay readable.
  void fail(std::error_code why);
  void drop_unread();
  void account(std::size_t before);
  bool unread() const { return !queue_.empty() || !direct_.empty(); }

  const std::shared_ptr<ChannelCore> channel_;
  const std::uint32_t id_;
  std::optional<Sealer> sealer_;
  std::optional<Opener> opener_;
  CircuitWindow window_;
  bool attached_ = true;         // the table knows this object
  bool listed_ = false;          // among the channel's unread streams
  bool flushing_ = false;        // among those that wait for a flush
  bool stalled_ = false;         // its unread bytes stop the channel's reading
  bool announced_ = false;       // a Data message went out
  net::TimePoint stalled_at_{};  // or since when others wait
  net::TimePoint stands_since_{};
  net::TimePoint resumed_at_{};
  net::Duration held_up_{};        // others, by earlier stalls, less what was forgiven
  bool sends_fin_always_ = false;  // the peer announced it
  bool sent_fin_ = false;
  bool received_fin_ = false;
  bool parked_ = false;
  std::uint64_t turn_ = 0;
  std::size_t turn_bytes_ = 0;
  std::uint64_t batch_ = 0;  // its last byte is in this batch of the channel
  std::error_code send_failure_;
  std::error_code receive_failure_;
  net::Buffer direct_;  // offered to the waiting reader, unqueued
  ReceiveQueue queue_;
};

}  // namespace simplon::overlay::ziti
