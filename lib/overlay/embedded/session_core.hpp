// The inside of a session: the table of streams, the send queue, the frames. Private to
// session*.cpp; everybody else uses session.hpp.
#pragma once

#include <deque>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "overlay/embedded/session.hpp"
#include "overlay/embedded/session_codes.hpp"
#include "overlay/embedded/yamux.hpp"
#include "overlay/outbox.hpp"

namespace simplon::overlay {

/// Bytes that wait for the transport before streams have to wait: enough to keep it busy for a
/// turn, little enough that a small request is not long behind a bulk stream.
inline constexpr std::size_t kSendQueue = 128UL * 1024;
/// What one stream may add in one turn. A batch of this size stays in the second-level cache.
inline constexpr std::size_t kStreamTurn = 64UL * 1024;
/// The first write of a stream (its open, or the status) is taken whole even when the queue is full
/// already, so that it never has to wait; up to kSendQueueHard.
inline constexpr std::size_t kFirstWrite = 8UL * 1024;
inline constexpr std::size_t kSendQueueHard = 1024UL * 1024;
/// A peer that provokes more control frames than this without reading them is cut off.
inline constexpr std::size_t kControlQueue = 1024UL * 1024;
/// Stream numbers are not used again; then it takes another session.
inline constexpr std::uint32_t kLastStream = 0xffff'fff0;
/// Bytes taken from the transport in one read, and reads in one turn.
inline constexpr std::size_t kReadBatch = 64UL * 1024;
inline constexpr int kReadsPerTurn = 4;
/// Windows grow to this many bandwidth-delay products: a window is returned in halves, and the
/// round trip of an idle link, which is what pings see, is shorter than that of a busy one.
inline constexpr double kWindowsPerDelay = 8;
/// Beyond kStalledWindow, where a reader that stops costs more than it should, they grow to so many
/// products, measured over whole round trips, and shrink again when the reader is slower.
inline constexpr double kLongWindows = 2;
/// Up to here windows grow on any link; beyond, to what one of 10 Gbit/s holds.
inline constexpr double kModestWindow = 512 * 1024;
inline constexpr double kFastestLink = 1.25;  // bytes per nanosecond
/// Unanswered pings before a peer is dead: a loop that stood still for long has asked nobody yet.
inline constexpr int kDeadPings = 2;

class SessionStream;

/// An open that waits until earlier ones are acknowledged, with what its stream wrote and ended.
struct HeldOpen {
  std::uint32_t id;
  std::vector<std::byte> bytes;
  bool fin = false;
};

class SessionCore final : public Session,
                          public net::Waiter,
                          public FrameSink,
                          public MemoryBudget::Member,
                          public std::enable_shared_from_this<SessionCore> {
 public:
  SessionCore(net::StreamPtr transport, SessionRole role, SessionOptions options,
              Handlers handlers);
  ~SessionCore() override;
  void begin();

  net::Result<net::StreamPtr> open_stream() override;
  void go_away() override;
  void close() override;
  void reset() override;
  bool alive() const override { return alive_; }
  bool usable() const override {
    return alive_ && !draining_ && !peer_draining_ && next_id_ <= kLastStream;
  }
  SessionStats stats() const override;
  std::optional<net::TimePoint> idle_since() const override;
  net::Loop& loop() const override { return transport_->loop(); }
  const net::Peer* peer() const override { return transport_->peer(); }

  // For streams.
  /// Frames as much of `from` as the stream's window, its turn and the queue allow; 0: none.
  std::size_t take(SessionStream& stream, std::span<const net::Buffer> from);
  bool has_room(const SessionStream& stream) const;
  void park(SessionStream& stream);
  void send_fin(SessionStream& stream);
  /// The stream object goes; FIN was queued. `unread`: bytes of the peer were thrown away.
  void abandon(SessionStream& stream, bool unread);
  void send_reset(const SessionStream& stream, std::uint32_t code);
  void send_credit(std::uint32_t id, std::uint32_t credit);
  void await_flush(SessionStream& stream);
  void forget_flush(SessionStream& stream);
  /// A stream that is out of the table holds bytes for its reader, or does no more.
  void keep_unread(SessionStream& stream) { unread_.insert(&stream); }
  void forget_unread(SessionStream& stream) { unread_.erase(&stream); }
  /// By how much a window may grow whose reader took `drained` bytes in `elapsed`.
  std::uint32_t growth(std::uint32_t window, std::uint32_t drained, net::Duration elapsed);
  /// The same of a window beyond kStalledWindow; less than zero: by how much it has to shrink.
  /// Nothing before a round trip is over.
  std::optional<std::int64_t> long_growth(std::uint32_t window, std::uint64_t drained,
                                          net::Duration elapsed);
  /// The stream holds more than kStalledWindow for its reader, or does no more.
  void watch_reader(SessionStream& stream);
  void unwatch_reader(SessionStream& stream) { swollen_.erase(&stream); }
  MemoryBudget& budget() { return *budget_; }

 private:
  struct Entry {
    SessionStream* stream;  // null: closed here, the peer has not ended its direction yet
    bool unacknowledged;    // a SYN is under way
  };
  using Table = std::unordered_map<std::uint32_t, Entry>;
  enum class Close { flush, now };

  void ready(net::Event event, std::error_code error) override;
  bool shed() override;
  void give_up(SessionStream& stream);
  void check_readers();

  // session_receive.cpp
  void read_transport();
  bool frame(const FrameHeader& header) override;
  bool payload(std::span<const std::byte> bytes, bool last) override;
  bool ping(const FrameHeader& header);
  bool peer_going_away(const FrameHeader& header);
  bool agree_on_windows(const FrameHeader& first);
  bool stream_frame(const FrameHeader& header);
  void inbound(std::uint32_t id);
  bool apply_data(Entry& entry, const FrameHeader& header);
  void apply_fin(std::uint32_t id);
  bool violation();

  // session_send.cpp
  std::size_t hold(SessionStream& stream, std::span<const net::Buffer> from, std::size_t wanted);
  void queue(std::vector<std::byte>& to, const FrameHeader& header);
  void control(const FrameHeader& header);
  void schedule_flush();
  void flush();
  void release_held();
  bool write_transport();
  void serve_parked();
  void wait_flushed();
  void transport_flushed();

  // session.cpp
  Table::iterator erase(Table::iterator at);
  void acknowledged();
  /// One of our numbers whose open has not been sent yet. They are sent in order.
  bool held(std::uint32_t id) const {
    return !held_.empty() && id % 2 == next_id_ % 2 && id >= held_.front().id;
  }
  void drop(std::uint32_t id);
  void linger(std::uint32_t id);
  void end_lingering();
  void keep_alive();
  void end(std::error_code why, std::optional<GoAway> farewell, Close how);
  void finish();

  const net::StreamPtr transport_;
  const SessionRole role_;
  const std::size_t max_streams_;
  const std::size_t max_unacknowledged_;
  const std::shared_ptr<MemoryBudget> budget_;
  std::shared_ptr<Handlers> handlers_;  // shared with the call that is under way

  bool alive_ = true;
  bool finished_ = false;       // the transport is closed
  bool draining_ = false;       // we said go-away
  bool peer_draining_ = false;  // the peer did

  Table streams_;
  std::unordered_set<SessionStream*> unread_;
  struct Reading {
    net::TimePoint since;
    std::uint64_t taken;  // by then
  };
  std::unordered_map<SessionStream*, Reading> swollen_;
  net::Timer reader_timer_;
  std::uint32_t next_id_;
  std::size_t unacknowledged_ = 0;
  std::deque<HeldOpen> held_;  // in the order of their numbers; not all exist any more
  std::size_t held_bytes_ = 0;
  std::deque<std::pair<net::TimePoint, std::uint32_t>> lingering_;
  net::Timer linger_timer_;
  net::TimePoint idle_since_;

  // What a new stream may send and receive; settled by the peer's first frame.
  bool heard_ = false;
  bool simplon_peer_ = false;
  std::uint32_t send_window_ = kInitialWindow;
  std::uint32_t receive_window_ = kInitialWindow;

  FrameParser parser_;
  std::uint32_t current_ = 0;  // whose payload comes; 0: to be thrown away
  bool fin_follows_ = false;   // the current data frame ends the direction

  Outbox out_;
  std::uint64_t flush_mark_ = 0;  // what the transport's pending flush covers
  bool flush_scheduled_ = false;
  bool blocked_ = false;  // waits for the transport to become writable
  bool waits_flushed_ = false;
  std::uint64_t turn_ = 1;
  std::deque<std::uint32_t> parked_;
  std::vector<SessionStream*> flushing_;

  net::Timer ping_timer_;
  std::uint32_t ping_value_ = 0;
  net::TimePoint ping_sent_;
  bool ping_pending_ = false;
  net::TimePoint last_heard_;
  int pings_since_ = 0;     // since then
  net::Timer close_timer_;  // holds the session while its last bytes leave
  SessionStats stats_;
};

class SessionStream final : public net::Stream {
 public:
  SessionStream(std::shared_ptr<SessionCore> session, std::uint32_t id, std::uint32_t send_window,
                std::uint32_t receive_window);
  ~SessionStream() override;

  net::Result<std::size_t> try_read(std::span<std::byte> into) override;
  net::Result<std::size_t> try_write(std::span<const net::Buffer> from) override;
  using net::Stream::try_write;
  void shutdown_send() override;
  bool carries_reason() const override { return true; }
  const net::Peer* peer() const override { return session_->peer(); }

 protected:
  void start_wait(net::Event event) override;
  void stop_wait(net::Event event) override;
  void start_end_watch() override;
  void do_close() override;
  void do_reset(std::error_code reason) override;

 private:
  friend class SessionCore;

  void receive(std::span<const std::byte> bytes);
  void receive_fin();
  void widen(std::uint32_t more_to_send, std::uint32_t more_to_receive);
  bool add_credit(std::uint32_t credit);
  /// The stream is out of the table.
  void detach();
  /// The same, by failure. Bytes that came before the peer's FIN stay readable.
  void fail(std::error_code why);
  void consumed(std::size_t count);
  std::int64_t resize(net::TimePoint now);
  void drop_unread();
  void account(std::size_t before);

  const std::shared_ptr<SessionCore> session_;
  const std::uint32_t id_;
  bool attached_ = true;   // the table knows this object
  bool listed_ = false;    // among the session's unread streams
  bool swollen_ = false;   // among those whose readers are watched
  bool flushing_ = false;  // among those that wait for a flush
  bool sent_fin_ = false;
  bool received_fin_ = false;
  bool parked_ = false;
  bool wrote_ = false;
  HeldOpen* held_ = nullptr;  // in the session's queue
  std::uint32_t send_window_;
  std::uint64_t turn_ = 0;
  std::size_t turn_bytes_ = 0;
  std::uint64_t batch_ = 0;  // its last byte is in this batch of the session
  std::error_code send_failure_;

  std::error_code receive_failure_;
  std::span<const std::byte> direct_;  // payload offered to the waiting reader, unqueued
  ReceiveQueue queue_;
  std::uint32_t window_;       // unread, drained and credit together
  std::uint32_t credit_;       // what the peer may still send
  std::uint32_t drained_ = 0;  // read, not given back yet
  std::uint32_t promised_ = 0;
  net::TimePoint last_grant_;
  net::TimePoint round_start_;
  std::uint64_t round_bytes_ = 0;  // granted since then
  std::uint64_t taken_ = 0;        // read, since ever
};

}  // namespace simplon::overlay
