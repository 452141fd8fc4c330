// Sessions for tests: two that talk to each other over a memory stream, or one that talks to a peer
// that writes its frames by hand. Owned by a test, on its thread.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "net/memory.hpp"
#include "overlay/embedded/session.hpp"
#include "overlay/embedded/session_codes.hpp"
#include "overlay/embedded/yamux.hpp"
#include "unit/net/harness.hpp"

namespace simplon::overlay::test {

using base::Errc;
using net::StreamPtr;
using net::test::pattern;
using net::test::Probe;
using net::test::read_now;
using net::test::settle;

/// Writes without end, as fast as the stream takes it; counts.
class Flood final : public net::Waiter {
 public:
  explicit Flood(StreamPtr stream) : stream_(std::move(stream)) { pump(); }
  ~Flood() { stream_->cancel_wait(net::Event::writable); }
  std::size_t written = 0;
  std::size_t largest = 0;  // in one try

 private:
  void ready(net::Event, std::error_code) override { pump(); }
  void pump() {
    while (true) {
      const auto put = stream_->try_write(bytes_);
      if (!put) {
        if (put.error() == Errc::would_block) {
          stream_->wait(net::Event::writable, *this);
        }
        return;
      }
      written += *put;
      largest = std::max(largest, *put);
    }
  }
  StreamPtr stream_;
  std::vector<std::byte> bytes_ = std::vector<std::byte>(256 * 1024);
};

/// One side's session and what it told.
struct End {
  SessionPtr session;
  std::vector<StreamPtr> inbound;
  std::optional<std::error_code> ended;

  void start(StreamPtr transport, SessionRole role, SessionOptions options = {}) {
    session = Session::start(
        std::move(transport), role, std::move(options),
        {.inbound = [this](StreamPtr stream) { inbound.push_back(std::move(stream)); },
         .ended = [this](std::error_code why) { ended = why; }});
  }
  StreamPtr open() {
    auto stream = session->open_stream();
    EXPECT_TRUE(stream) << stream.error().message();
    return stream ? *stream : nullptr;
  }
};

struct SessionPair {
  explicit SessionPair(SessionOptions options = {}, std::size_t capacity = net::kMemoryCapacity) {
    auto [near, far] = net::make_memory_pair(loop, capacity);
    client.start(near, SessionRole::client, options);
    server.start(far, SessionRole::server, options);
    settle(loop);
  }

  /// A stream of the client and its other end.
  std::pair<StreamPtr, StreamPtr> connect() {
    auto here = client.open();
    settle(loop);
    EXPECT_FALSE(server.inbound.empty());
    auto there = server.inbound.back();
    server.inbound.pop_back();
    return {here, there};
  }

  base::ManualClock clock;
  net::Loop loop{clock};
  End client;
  End server;
};

/// Speaks yamux by hand to a session under test.
struct RawPeer {
  explicit RawPeer(SessionRole role, SessionOptions options = {}) {
    auto [near, far] = net::make_memory_pair(loop);
    wire = far;
    end.start(near, role, std::move(options));
    settle(loop);
  }

  void send(const FrameHeader& header, std::string_view payload = {}) {
    const FrameBytes bytes = encode_frame(header);
    send_bytes(std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()) += payload);
  }
  void send_bytes(std::string_view bytes) {
    while (!bytes.empty()) {
      const auto put = wire->try_write(net::as_buffer(bytes));
      if (!put) {
        break;
      }
      bytes.remove_prefix(*put);
      settle(loop);
    }
  }
  void data(std::uint32_t stream, std::string_view payload, std::uint16_t flags = 0) {
    send({.type = FrameType::data,
          .flags = flags,
          .stream = stream,
          .length = static_cast<std::uint32_t>(payload.size())},
         payload);
  }
  void update(std::uint32_t stream, std::uint16_t flags, std::uint32_t length = 0) {
    send({.type = FrameType::window_update, .flags = flags, .stream = stream, .length = length});
  }

  /// The frames that came since the last call; their payloads follow one another in `received`.
  std::vector<FrameHeader> frames() {
    struct Sink : FrameSink {
      std::vector<FrameHeader> headers;
      std::string payloads;
      bool frame(const FrameHeader& header) override {
        headers.push_back(header);
        return true;
      }
      bool payload(std::span<const std::byte> bytes, bool) override {
        payloads.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
        return true;
      }
    } sink;
    for (std::string bytes; !(bytes = read_now(*wire)).empty(); settle(loop)) {
      EXPECT_TRUE(parser.feed(net::as_buffer(bytes), sink));
    }
    received = std::move(sink.payloads);
    return sink.headers;
  }

  base::ManualClock clock;
  net::Loop loop{clock};
  StreamPtr wire;
  End end;
  FrameParser parser;
  std::string received;
};

inline std::error_code read_error(net::Stream& stream) {
  std::array<std::byte, 1024> into{};
  const auto got = stream.try_read(into);
  return got ? std::error_code() : got.error();
}
inline bool at_end(net::Stream& stream) {
  std::array<std::byte, 1024> into{};
  const auto got = stream.try_read(into);
  return got && *got == 0;
}
inline bool write(net::Stream& stream, std::string_view text) {
  const auto put = stream.try_write(net::as_buffer(text));
  return put && *put == text.size();
}

}  // namespace simplon::overlay::test
