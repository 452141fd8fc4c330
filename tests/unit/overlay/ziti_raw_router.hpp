// A router that writes its frames by hand, for one channel under test. Owned by a test, on its
// thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <sodium.h>

#include "net/memory.hpp"
#include "overlay/ziti/channel.hpp"
#include "overlay/ziti/circuit_crypto.hpp"
#include "unit/net/harness.hpp"

namespace simplon::overlay::ziti::test {

using net::test::error_of;
using net::test::read_now;
using net::test::run;
using net::test::settle;

/// What the channel sent.
struct Seen {
  std::int32_t content = 0;
  std::int32_t sequence = 0;
  std::optional<std::uint32_t> conn;
  std::optional<std::uint32_t> reply_for;
  std::uint32_t flags = 0;
  std::string key;
  std::string reflected;
  std::string body;
};

struct RawRouter {
  explicit RawRouter(std::size_t capacity = net::kMemoryCapacity,
                     std::shared_ptr<MemoryBudget> budget = nullptr) {
    EXPECT_GE(sodium_init(), 0);
    auto [near, far] = net::make_memory_pair(loop, capacity);
    wire = far;
    opening = net::test::start(
        loop, Channel::start(near, {.router = {.name = "router-1", .endpoint = {"127.0.0.1", 1}},
                                    .tls = nullptr,
                                    .api_token = "login",
                                    .client_name = "me",
                                    .deadline = loop.now() + std::chrono::seconds(15),
                                    .budget = std::move(budget)}));
    settle(loop);
  }

  /// The Hello's answer, and that of the first probe.
  void greet() {
    const auto hello = frames();
    ASSERT_EQ(hello.size(), 1U);
    send(content::kResult, [&](FrameWriter& frame) {
      frame.u32(header::kReplyFor, static_cast<std::uint32_t>(hello[0].sequence))
          .flag(header::kResultSuccess)
          .flag(header::kSupportsBindSuccess)
          .end();
    });
    ASSERT_TRUE(opening->has_value() && **opening);
    channel = ***opening;
    for (const Seen& frame : frames()) {
      if (frame.content == content::kLatency) {
        reply(content::kResult, frame);
      }
    }
  }

  void send(std::int32_t type, const std::function<void(FrameWriter&)>& fill) {
    std::vector<std::byte> out;
    FrameWriter writer(out, type, ++sequence);
    fill(writer);
    send_bytes(std::string(reinterpret_cast<const char*>(out.data()), out.size()));
  }
  /// An answer without a body.
  void reply(std::int32_t type, const Seen& to, const std::string& key = {},
             const std::string& body = {}) {
    send(type, [&](FrameWriter& frame) {
      frame.u32(header::kReplyFor, static_cast<std::uint32_t>(to.sequence));
      if (to.conn) {
        frame.u32(header::kConnId, *to.conn);
      }
      if (!key.empty()) {
        frame.text(header::kPublicKey, key);
      }
      frame.body(body);
    });
  }
  void data(std::uint32_t to, std::string_view body, std::uint32_t flags = 0) {
    send(content::kData, [&](FrameWriter& frame) {
      frame.u32(header::kConnId, to);
      if (flags != 0) {
        frame.u32(header::kFlags, flags);
      }
      frame.body(body);
    });
  }
  void closed(std::uint32_t which, std::string_view text = "close called") {
    send(content::kStateClosed,
         [&](FrameWriter& frame) { frame.u32(header::kConnId, which).body(text); });
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

  /// The frames that came since the last call.
  std::vector<Seen> frames() {
    struct Sink : FrameSink {
      std::vector<Seen> seen;
      bool frame(const FrameView& frame) override {
        seen.push_back({.content = frame.content(),
                        .sequence = frame.sequence(),
                        .conn = frame.number(header::kConnId),
                        .reply_for = frame.number(header::kReplyFor),
                        .flags = frame.number(header::kFlags).value_or(0),
                        .key = std::string(frame.string(header::kPublicKey)),
                        .reflected = std::string(frame.string(header::kReflected)),
                        .body = std::string(frame.text())});
        return true;
      }
    } sink;
    settle(loop);
    for (std::string bytes; !(bytes = read_now(*wire)).empty(); settle(loop)) {
      EXPECT_TRUE(parser.feed(std::as_writable_bytes(std::span(bytes)), sink));
    }
    return sink.seen;
  }
  /// The only one.
  Seen frame() {
    const auto all = frames();
    EXPECT_EQ(all.size(), 1U);
    return all.empty() ? Seen{} : all.front();
  }
  /// Their content types.
  std::vector<std::int32_t> contents() {
    std::vector<std::int32_t> out;
    for (const Seen& each : frames()) {
      out.push_back(each.content);
    }
    return out;
  }

  using DialOutcome = std::expected<net::StreamPtr, EdgeError>;
  std::shared_ptr<std::optional<DialOutcome>> dial(bool encrypted) {
    auto outcome =
        net::test::start(loop, channel->dial({.session_token = "session",
                                              .encrypted = encrypted,
                                              .caller = "me",
                                              .app_data = {},
                                              .terminator_identity = {},
                                              .marker = {},
                                              .deadline = loop.now() + std::chrono::seconds(15)}));
    settle(loop);
    return outcome;
  }
  /// A circuit that is not encrypted.
  net::StreamPtr plain_circuit() {
    const auto outcome = dial(false);
    const Seen connect = frame();
    conn = connect.conn.value_or(0);
    reply(content::kStateConnected, connect);
    EXPECT_TRUE(outcome->has_value() && **outcome);
    return outcome->has_value() && **outcome ? ***outcome : nullptr;
  }

  base::ManualClock clock;
  net::Loop loop{clock};
  net::StreamPtr wire;
  std::shared_ptr<std::optional<std::expected<std::shared_ptr<Channel>, EdgeError>>> opening;
  std::shared_ptr<Channel> channel;
  FrameParser parser;
  std::int32_t sequence = 0;
  std::uint32_t conn = 0;  // of the last plain circuit
};

}  // namespace simplon::overlay::ziti::test
