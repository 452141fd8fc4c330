// A net::Stream as Asio's AsyncStream, so that Beast's websocket runs over TCP, TLS, memory and
// overlay streams alike. For the test tools only: the proxy itself never looks into a websocket.
//
// Ownership: shares the stream; the Beast object that holds this one ends it by its destruction.
// Threads: the stream's loop. One read and one write at a time, as Beast does.
// Cancellation: none per operation; a deadline or the end of the stream ends a pending one.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <type_traits>
#include <utility>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/beast/core/role.hpp>
#include <boost/system/error_code.hpp>

#include "net/stream.hpp"

namespace simplon::ctl {

class BeastStream {
 public:
  using executor_type = boost::asio::any_io_executor;

  explicit BeastStream(net::StreamPtr stream) : loop_(stream->loop()), stream_(std::move(stream)) {}
  /// Not attached yet: what is written is kept, for whoever speaks HTTP on the connection.
  explicit BeastStream(net::Loop& loop) : loop_(loop) {}

  executor_type get_executor() const noexcept { return loop_.context().get_executor(); }
  /// Attached only.
  net::Stream& stream() { return *stream_; }

  std::string take_written() { return std::exchange(written_, {}); }
  void attach(net::StreamPtr stream) { stream_ = std::move(stream); }
  /// Ends the stream, if there is one.
  void close() {
    if (stream_) {
      stream_->close();
    }
  }
  void reset() {
    if (stream_) {
      stream_->reset();
    }
  }

  template <class Buffers, class Token>
  auto async_read_some(const Buffers& buffers, Token&& token) {
    boost::asio::mutable_buffer into;
    for (auto at = boost::asio::buffer_sequence_begin(buffers);
         at != boost::asio::buffer_sequence_end(buffers) && into.size() == 0; ++at) {
      into = *at;
    }
    return boost::asio::async_initiate<Token, Signature>(
        [this](auto handler, boost::asio::mutable_buffer space) {
          start(Read{this, {static_cast<std::byte*>(space.data()), space.size()}},
                std::move(handler));
        },
        token, into);
  }

  template <class Buffers, class Token>
  auto async_write_some(const Buffers& buffers, Token&& token) {
    Write from{this, {}, 0};
    for (auto at = boost::asio::buffer_sequence_begin(buffers);
         at != boost::asio::buffer_sequence_end(buffers) && from.count < from.parts.size(); ++at) {
      const boost::asio::const_buffer part = *at;
      if (part.size() > 0) {
        from.parts[from.count++] = {static_cast<const std::byte*>(part.data()), part.size()};
      }
    }
    return boost::asio::async_initiate<Token, Signature>(
        [](auto handler, Write write) { start(write, std::move(handler)); }, token, from);
  }

 private:
  using Signature = void(boost::system::error_code, std::size_t);

  // What is tried, and what is waited for where that would block.
  struct Read {
    static constexpr net::Event event = net::Event::readable;
    BeastStream* self;
    std::span<std::byte> into;

    net::Result<std::size_t> attempt() const {
      if (into.empty()) {
        return 0;
      }
      return self->stream_ ? self->stream_->try_read(into) : base::fail(net::Errc::closed);
    }
    bool ended(std::size_t size) const { return size == 0 && !into.empty(); }
  };

  struct Write {
    static constexpr net::Event event = net::Event::writable;
    BeastStream* self;
    std::array<net::Buffer, 8> parts;
    std::size_t count;

    net::Result<std::size_t> attempt() const {
      const std::span<const net::Buffer> from(parts.data(), count);
      if (count > 0 && self->stream_) {
        return self->stream_->try_write(from);
      }
      std::size_t size = 0;
      for (const net::Buffer part : from) {
        self->written_.append(reinterpret_cast<const char*>(part.data()), part.size());
        size += part.size();
      }
      return size;
    }
    bool ended(std::size_t) const { return false; }
  };

  // A transfer under way; the loop's, until it completes.
  template <class What, class Handler>
  class Transfer final : public net::Operation, public net::Waiter {
   public:
    Transfer(What what, Handler handler)
        : Operation(what.self->loop_),
          loop_(what.self->loop_),
          stream_(what.self->stream_),
          what_(what),
          handler_(std::move(handler)) {}

    void begin() {
      const auto done = what_.attempt();
      if (!done && done.error() == net::Errc::would_block) {
        stream_->wait(What::event, *this);
        return;
      }
      // Never from within the call that asked for it.
      loop_.post([this, done] { complete(done); });
    }

   private:
    void ready(net::Event, std::error_code error) override {
      if (error) {
        return complete(std::unexpected(error));
      }
      const auto done = what_.attempt();
      if (!done && done.error() == net::Errc::would_block) {
        stream_->wait(What::event, *this);
        return;
      }
      complete(done);
    }

    void complete(const net::Result<std::size_t>& done) {
      const net::StreamPtr keep = stream_;  // which may be calling this
      boost::system::error_code error;
      if (!done) {
        error = done.error();
      } else if (what_.ended(*done)) {
        error = boost::asio::error::eof;
      }
      Handler handler = std::move(handler_);
      delete this;
      std::move(handler)(error, done.value_or(0));
    }

    void abandon() override {
      if (stream_) {
        stream_->cancel_wait(What::event);
      }
      delete this;
    }

    net::Loop& loop_;
    net::StreamPtr stream_;
    What what_;
    Handler handler_;
  };

  template <class What, class Handler>
  static void start(What what, Handler handler) {
    (new Transfer<What, Handler>(what, std::move(handler)))->begin();
  }

  net::Loop& loop_;
  net::StreamPtr stream_;
  std::string written_;  // while there is no stream
};

// What Beast's websocket asks of its transport, found by argument-dependent lookup.

inline void beast_close_socket(BeastStream& transport) { transport.reset(); }

inline void teardown(boost::beast::role_type, BeastStream& transport,
                     boost::system::error_code& error) {
  transport.close();
  error = {};
}

template <class Handler>
void async_teardown(boost::beast::role_type, BeastStream& transport, Handler&& handler) {
  transport.close();
  boost::asio::post(transport.get_executor(), [handler = std::forward<Handler>(handler)]() mutable {
    std::move(handler)(boost::system::error_code{});
  });
}

}  // namespace simplon::ctl
