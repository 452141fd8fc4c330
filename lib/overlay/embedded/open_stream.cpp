#include <utility>

#include "overlay/embedded/open.hpp"

namespace simplon::overlay {
namespace {

using base::Errc;
using base::Hop;
using base::Result;
using net::Event;

// What the dialer holds: the stream below, whose first bytes back are the status. The waits of its
// own users, and their deadlines, are the base class's; below it waits without one.
class OpenedStream final : public net::Stream, private net::Waiter, private net::EndWatcher {
 public:
  OpenedStream(net::StreamPtr below, std::shared_ptr<OpenStatus> status)
      : Stream(below->loop()), below_(std::move(below)), status_(std::move(status)) {}

  ~OpenedStream() override { give_up(); }

  void begin() {
    status_->when_settled([weak = weak_from_this()] {
      if (const auto self = std::static_pointer_cast<OpenedStream>(weak.lock())) {
        self->settled();
      }
    });
    below_->wait(Event::readable, *this);
    below_->watch_end(this);
  }

  Result<std::size_t> try_read(std::span<std::byte> into) override {
    if (closed()) {
      return base::fail(Errc::closed);
    }
    if (pending()) {
      read_status();
    }
    if (pending()) {
      return base::fail(Errc::would_block);
    }
    if (refused()) {
      return std::unexpected(status_->refusal().failure.code);
    }
    return below_->try_read(into);
  }

  Result<std::size_t> try_write(std::span<const net::Buffer> from) override {
    if (closed()) {
      return base::fail(Errc::closed);
    }
    if (refused()) {
      return std::unexpected(status_->refusal().failure.code);
    }
    return below_->try_write(from);
  }
  using Stream::try_write;

  void shutdown_send() override {
    if (!closed()) {
      below_->shutdown_send();
    }
  }
  bool carries_reason() const override { return below_->carries_reason(); }
  const net::Peer* peer() const override { return below_->peer(); }

 protected:
  void start_wait(Event event) override {
    if (refused()) {
      notify(event);
    } else if (event != Event::readable || !pending()) {
      below_->wait(event, *this);
    }  // else: the wait for the status is under way
  }

  void stop_wait(Event event) override {
    if (event != Event::readable || !pending()) {
      below_->cancel_wait(event);
    }
  }

  void start_end_watch() override {
    if (!closed()) {
      below_->watch_end(this);
    }
  }

  void do_close() override {
    const auto keep = shared_from_this();
    give_up();
    below_->close();
  }
  void do_reset(std::error_code reason) override {
    const auto keep = shared_from_this();
    give_up();
    below_->reset(reason);
  }

 private:
  bool pending() const { return status_->state() == OpenStatus::State::pending; }
  bool refused() const { return status_->state() == OpenStatus::State::refused; }

  void ready(Event event, std::error_code error) override {
    const auto keep = shared_from_this();
    if (event != Event::readable || !pending()) {
      notify(event, error);
      return;
    }
    read_status();
    if (pending() && !closed()) {
      below_->wait(Event::readable, *this);
    }
  }

  // Settling calls others, who may drop this stream.
  void read_status() {
    const auto keep = shared_from_this();
    const auto whole = reader_.read(*below_);
    if (!whole) {
      no_status(whole.error());
    } else if (*whole) {
      const auto answer = decode_status(reader_.message());
      if (!answer) {
        no_status(answer.error());
      } else if (answer->has_value()) {
        status_->refuse(**answer);
      } else {
        status_->accept();
      }
    }
  }

  // The stream ended without an answer. Only a refusal by the session itself (limits, draining)
  // says that nobody looked at the bytes.
  void no_status(std::error_code why) {
    Errc code = Errc::host_refused;
    for (const Errc typed :
         {Errc::no_such_service, Errc::not_permitted, Errc::not_hosted, Errc::timed_out,
          Errc::link_lost, Errc::target_refused, Errc::target_unreachable, Errc::target_timed_out,
          Errc::draining, Errc::memory, Errc::limit_exceeded, Errc::protocol_error}) {
      if (why == typed) {
        code = typed;
      }
    }
    if (code == Errc::protocol_error) {
      below_->reset(why);
    }
    const bool untouched = code == Errc::draining || code == Errc::limit_exceeded;
    status_->refuse({.failure = {.hop = code == Errc::link_lost ? Hop::overlay : Hop::share,
                                 .code = code,
                                 .detail = "the stream ended before the host answered"},
                     .not_processed = untouched});
  }

  // By the host's answer, or from outside by a deadline.
  void settled() {
    if (closed()) {
      return;
    }
    if (refused()) {
      for (const Event event : {Event::readable, Event::writable, Event::flushed}) {
        below_->cancel_wait(event);
        notify_later(event);
      }
    } else if (waiting(Event::readable)) {
      below_->wait(Event::readable, *this);
    } else {
      below_->cancel_wait(Event::readable);
    }
  }

  // Before the host's answer the wait for it tells.
  void ended() override {
    if (!pending()) {
      tell_end_watcher();
    }
  }

  void give_up() {
    below_->watch_end(nullptr);
    for (const Event event : {Event::readable, Event::writable, Event::flushed}) {
      below_->cancel_wait(event);
    }
    if (pending()) {
      status_->refuse({.failure = {.hop = Hop::overlay,
                                   .code = Errc::cancelled,
                                   .detail = "closed on this side before the host answered"},
                       .not_processed = false});
    }
  }

  const net::StreamPtr below_;
  const std::shared_ptr<OpenStatus> status_;
  MessageReader reader_;
};

class StreamInbound final : public Inbound {
 public:
  StreamInbound(net::StreamPtr stream, OpenRequest request, Identity from)
      : stream_(std::move(stream)), request_(std::move(request)), from_(std::move(from)) {}

  ~StreamInbound() override {
    if (!answered_) {
      reject({.failure = {.hop = Hop::share,
                          .code = Errc::host_refused,
                          .detail = "the host let go of the stream"},
              .not_processed = false});
    }
  }

  net::Loop& loop() const override { return stream_->loop(); }
  const Identity& from() const override { return from_; }
  StreamKind kind() const override { return request_.kind; }
  const std::string& connection_id() const override { return request_.connection_id; }
  const std::string& on_behalf_of() const override { return request_.on_behalf_of; }
  net::StreamPtr stream() const override { return stream_; }

  void accept() override {
    if (!std::exchange(answered_, true)) {
      write(encode_accept());
    }
  }

  void reject(const Refusal& refusal) override {
    if (!std::exchange(answered_, true)) {
      if (write(encode_refusal(refusal))) {
        stream_->close();
      }
    }
  }

 private:
  // The first write of a stream is taken whole; a stream that does not is dead or overloaded.
  bool write(const std::string& status) {
    const auto put = stream_->try_write(net::as_buffer(status));
    if (!put || *put != status.size()) {
      stream_->reset(Errc::limit_exceeded);
      return false;
    }
    return true;
  }

  const net::StreamPtr stream_;
  const OpenRequest request_;
  const Identity from_;
  bool answered_ = false;
};

}  // namespace

Result<Opened> start_open(net::StreamPtr stream, const OpenRequest& request) {
  const auto message = encode_open(request);
  if (!message) {
    return std::unexpected(message.error());
  }
  const auto put = stream->try_write(net::as_buffer(*message));
  if (!put || *put != message->size()) {
    const std::error_code why =
        put || put.error() == Errc::would_block ? Errc::limit_exceeded : put.error();
    stream->reset(why);
    return std::unexpected(why);
  }
  auto status = std::make_shared<OpenStatus>();
  const auto opened = std::make_shared<OpenedStream>(std::move(stream), status);
  opened->begin();
  return Opened{.stream = opened, .status = std::move(status)};
}

net::awaitable<Result<OpenRequest>> read_open(net::StreamPtr stream, net::TimePoint deadline) {
  stream->set_deadline(net::Direction::receive, deadline);
  MessageReader reader;
  while (true) {
    const auto whole = reader.read(*stream);
    if (!whole) {
      co_return std::unexpected(whole.error());
    }
    if (*whole) {
      break;
    }
    if (const auto error = co_await net::wait(*stream, Event::readable)) {
      co_return std::unexpected(error);
    }
  }
  stream->clear_deadline(net::Direction::receive);
  co_return decode_open(reader.message());
}

std::unique_ptr<Inbound> make_inbound(net::StreamPtr stream, OpenRequest request, Identity from) {
  return std::make_unique<StreamInbound>(std::move(stream), std::move(request), std::move(from));
}

}  // namespace simplon::overlay
