#include "http/prefixed_stream.hpp"

#include <algorithm>
#include <utility>

namespace simplon::http {
namespace {

using net::Event;

class PrefixedStream final : public net::Stream, private net::Waiter, private net::EndWatcher {
 public:
  PrefixedStream(net::StreamPtr inner, std::string_view prefix)
      : Stream(inner->loop()), inner_(std::move(inner)), prefix_(prefix) {
    inner_->clear_deadline(net::Direction::receive);
    inner_->clear_deadline(net::Direction::send);
    inner_->watch_end(this);
  }

  ~PrefixedStream() override { forget_waits(); }

  net::Result<std::size_t> try_read(std::span<std::byte> into) override {
    if (used_ == prefix_.size()) {
      return inner_->try_read(into);
    }
    if (closed()) {
      return base::fail(base::Errc::closed);
    }
    const auto left = net::as_buffer(prefix_).subspan(used_);
    const std::size_t count = std::min(into.size(), left.size());
    std::copy_n(left.begin(), count, into.begin());
    used_ += count;
    return count;
  }

  net::Result<std::size_t> try_write(std::span<const net::Buffer> from) override {
    return inner_->try_write(from);
  }

  void shutdown_send() override { inner_->shutdown_send(); }
  bool carries_reason() const override { return inner_->carries_reason(); }
  const net::Peer* peer() const override { return inner_->peer(); }

 protected:
  void start_wait(Event event) override {
    if (event == Event::readable && used_ < prefix_.size()) {
      notify(event);
    } else {
      inner_->wait(event, *this);
    }
  }
  void stop_wait(Event event) override { inner_->cancel_wait(event); }
  void start_end_watch() override {
    if (!closed()) {
      inner_->watch_end(this);
    }
  }
  void do_close() override {
    forget_waits();
    inner_->close();
  }
  void do_reset(std::error_code reason) override {
    forget_waits();
    inner_->reset(reason);
  }

 private:
  void ready(Event event, std::error_code error) override { notify(event, error); }

  // Who holds the inner stream cut it, or the peer did.
  void ended() override {
    const auto keep = shared_from_this();
    if (inner_->closed()) {
      reset();
    } else {
      tell_end_watcher();
    }
  }

  void forget_waits() {
    inner_->watch_end(nullptr);
    for (const Event event : {Event::readable, Event::writable, Event::flushed}) {
      inner_->cancel_wait(event);
    }
  }

  net::StreamPtr inner_;
  std::string prefix_;
  std::size_t used_ = 0;
};

}  // namespace

net::StreamPtr with_prefix(net::StreamPtr inner, std::string_view prefix) {
  if (prefix.empty()) {
    return inner;
  }
  return std::make_shared<PrefixedStream>(std::move(inner), prefix);
}

}  // namespace simplon::http
