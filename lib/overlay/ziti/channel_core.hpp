// The inside of a channel: the table of connection ids, the send queue, the frames. Private to the
// channel's files; everybody else uses channel.hpp.
#pragma once

#include <deque>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "overlay/outbox.hpp"
#include "overlay/ziti/channel.hpp"
#include "overlay/ziti/circuit_crypto.hpp"
#include "overlay/ziti/circuit_stream.hpp"
#include "overlay/ziti/frame.hpp"

namespace simplon::overlay::ziti {

/// What routers do for a message costs more than its bytes; this is what our tunnels read at once.
inline constexpr std::size_t kMaxMessage = 64UL * 1024;
/// Bytes that wait for the transport before circuits have to wait.
inline constexpr std::size_t kSendQueue = 128UL * 1024;
/// What one circuit may add in one turn: a whole message.
inline constexpr std::size_t kCircuitTurn = kMaxMessage;
/// A router that provokes more control frames than this without reading them is cut off.
inline constexpr std::size_t kControlQueue = 1024UL * 1024;
inline constexpr std::size_t kMaxPending = 1024;
inline constexpr std::size_t kMaxConns = 16UL * 1024;
/// Dials that nobody has answered yet, of one channel.
inline constexpr std::size_t kMaxOffers = 1024;
inline constexpr int kReadsPerTurn = 4;

class BindingCore;

/// A request whose reply somebody waits for. Shared by who waits and the channel.
struct Pending {
  explicit Pending(net::Loop& loop) : gate(loop) {}

  /// Called while the reply is dispatched; what it returns is the request's failure.
  std::move_only_function<std::optional<EdgeError>(const FrameView&)> reply;
  std::optional<EdgeError> error;
  net::Gate gate;  // the reply is there, or will not come
};

class ChannelCore final : public Channel,
                          public net::Waiter,
                          public FrameSink,
                          public MemoryBudget::Member {
 public:
  ChannelCore(net::StreamPtr transport, Options options);
  ~ChannelCore() override;
  net::awaitable<std::expected<void, EdgeError>> begin();

  net::awaitable<std::expected<net::StreamPtr, EdgeError>> dial(DialRequest request) override;
  net::awaitable<std::expected<std::shared_ptr<Binding>, EdgeError>> bind(
      BindRequest request, DialHandler handler) override;
  net::awaitable<std::expected<void, EdgeError>> update_token(std::string jwt) override;
  void on_lost(std::move_only_function<void(const EdgeError&)> lost) override;
  bool up() const override { return alive_; }
  std::size_t circuits() const override { return conns_.size() - bindings_; }
  std::optional<std::chrono::nanoseconds> latency() const override { return latency_; }
  const Router& router() const override { return options_.router; }
  void close() override;

  net::Loop& loop() const { return transport_->loop(); }
  /// At once, without a word.
  void abandon();

  // For circuits.
  /// Takes as much of `from` as the circuit's turn and the queue allow; 0: none.
  std::size_t take(CircuitStream& stream, std::span<const net::Buffer> from);
  bool has_room(const CircuitStream& stream) const;
  void park(CircuitStream& stream);
  /// Where messages of a circuit go; they leave in order.
  std::vector<std::byte>& data_batch(CircuitStream& stream);
  std::int32_t next_sequence();
  void drop(std::uint32_t id);
  void await_flush(CircuitStream& stream);
  void forget_flush(CircuitStream& stream);
  void stall(CircuitStream& stream);
  void resume(CircuitStream& stream);
  void keep_unread(CircuitStream& stream) { unread_.insert(&stream); }
  void forget_unread(CircuitStream& stream) { unread_.erase(&stream); }
  MemoryBudget& budget() { return *budget_; }

  // For bindings and offers.
  net::StreamPtr accept(Offer& offer);
  void reject(Offer& offer, std::string_view text);
  void unbind(const BindingCore& binding);
  /// A control frame: before all data that is not under way yet. Call sent_control() after it.
  FrameWriter control(std::int32_t content) {
    return FrameWriter(out_.control(), content, next_sequence());
  }
  void sent_control();

 private:
  /// What a connection id stands for: one of these, or a dial that is under way.
  struct Conn {
    CircuitStream* stream = nullptr;
    BindingCore* binding = nullptr;
    Offer* offer = nullptr;
    std::int32_t request = 0;  // the Connect or Bind that made it
  };
  enum class Close { flush, now };

  void ready(net::Event event, std::error_code error) override;
  bool shed() override;

  // channel_receive.cpp
  void read_transport();
  EdgeError lost_by(std::error_code error, bool in_order) const;
  bool frame(const FrameView& frame) override;
  bool reply(const FrameView& frame);
  bool answer(std::int32_t sequence, const FrameView& frame);
  void state_closed(const FrameView& frame);
  void incoming_dial(const FrameView& frame);
  void refuse_dial(const FrameView& frame, std::string_view text);
  void inspect(const FrameView& frame);
  void say_closed(std::uint32_t id);
  void say_closed_again(std::uint32_t id);

  // channel_send.cpp
  void schedule_flush();
  void flush();
  bool write_transport();
  void serve_parked();
  void wait_flushed();
  void transport_flushed();

  // channel_stall.cpp
  bool others_wait() const { return circuits() > stalled_.size(); }
  std::optional<net::TimePoint> patience(const CircuitStream& stream) const;
  void watch_stalled();
  void reset_stalled();

  // channel.cpp
  std::optional<EdgeError> busy() const;
  void add(std::uint32_t id, Conn conn);
  /// Waits for the reply to `sequence`. When time or the caller ends the wait, nobody does any
  /// more.
  net::awaitable<std::expected<void, EdgeError>> answered(std::shared_ptr<Pending> pending,
                                                          std::int32_t sequence,
                                                          net::TimePoint deadline);
  std::optional<EdgeError> dialed(const FrameView& frame, std::uint32_t id,
                                  const std::optional<KeyPair>& keys, net::StreamPtr& stream);
  void probe();
  void probe_over();
  void end(EdgeError why, Close how);
  void finish();
  std::shared_ptr<ChannelCore> self() {
    return std::static_pointer_cast<ChannelCore>(shared_from_this());
  }

  const net::StreamPtr transport_;
  const Options options_;
  const std::shared_ptr<MemoryBudget> budget_;

  bool alive_ = true;
  bool finished_ = false;      // the transport is closed
  bool greeted_ = false;       // the Hello was answered
  bool trusted_ = false;       // an edge message came: the router has accepted our token
  bool bind_success_ = false;  // the router tells when a binding is established
  bool reading_ = false;
  net::TimePoint greeted_at_;
  EdgeError lost_;
  std::move_only_function<void(const EdgeError&)> on_lost_;

  std::unordered_map<std::uint32_t, Conn> conns_;
  std::size_t bindings_ = 0;
  std::size_t offers_ = 0;
  std::uint32_t next_id_ = 1;
  std::unordered_set<CircuitStream*> unread_;   // out of the table
  std::unordered_set<CircuitStream*> stalled_;  // not empty: no reading
  bool others_waited_ = false;                  // when stalls were last looked at
  net::Timer stall_timer_;

  std::unordered_map<std::int32_t, std::shared_ptr<Pending>> pending_;
  std::int32_t sequence_ = 0;
  FrameParser parser_;

  Outbox out_;
  std::uint64_t flush_mark_ = 0;  // what the transport's pending flush covers
  bool flush_scheduled_ = false;
  bool blocked_ = false;  // waits for the transport to become writable
  bool waits_flushed_ = false;
  std::uint64_t turn_ = 1;
  std::deque<std::uint32_t> parked_;
  std::vector<CircuitStream*> flushing_;

  net::Timer probe_timer_;
  std::int32_t probe_sequence_ = 0;  // of the one under way
  net::TimePoint probe_sent_;
  net::TimePoint last_heard_;
  std::optional<std::chrono::nanoseconds> latency_;
  net::Timer close_timer_;  // holds the channel while its last bytes leave
};

/// A binding on its channel. The table points at it while it is there.
class BindingCore final : public Binding, public std::enable_shared_from_this<BindingCore> {
 public:
  BindingCore(std::shared_ptr<ChannelCore> channel, std::uint32_t id, BindRequest request,
              DialHandler handler);
  ~BindingCore() override { close(); }

  bool established() const override { return established_ && !ended_; }
  std::optional<EdgeError> ended() const override { return ended_; }
  void on_change(std::function<void()> changed) override { changed_ = std::move(changed); }
  void set_health(bool passing) override;
  void update(const Rank& rank) override;
  void close() override;

 private:
  friend class ChannelCore;

  void establish();
  void end(EdgeError why);
  void tell();

  const std::shared_ptr<ChannelCore> channel_;
  const std::uint32_t id_;
  const BindRequest request_;
  const std::optional<KeyPair> keys_;
  std::shared_ptr<DialHandler> handler_;
  std::function<void()> changed_;
  std::optional<EdgeError> ended_;
  bool attached_ = true;  // the table knows this object
  bool established_ = false;
};

/// A dial of somebody to a binding of ours.
struct Offer {
  explicit Offer(std::shared_ptr<ChannelCore> over)
      : channel(std::move(over)), timer(channel->loop()) {}

  const std::shared_ptr<ChannelCore> channel;
  std::uint32_t binding = 0;
  std::uint32_t conn = 0;
  std::int32_t sequence = 0;  // of the Dial
  std::optional<CircuitKeys> keys;
  std::string dialer_id;
  std::string dialer_name;
  std::string caller;
  std::string app_data;
  std::string circuit;
  bool open = true;  // in the table, not answered
  net::Timer timer;
};

}  // namespace simplon::overlay::ziti
