#include "overlay/embedded/yamux.hpp"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "net/stream.hpp"

namespace simplon::overlay {
namespace {

using base::Errc;

FrameBytes bytes_of(std::string_view text) {
  FrameBytes bytes{};
  std::ranges::copy(std::as_bytes(std::span(text)), bytes.begin());
  return bytes;
}

struct Collector : FrameSink {
  bool frame(const FrameHeader& header) override {
    headers.push_back(header);
    return !stop;
  }
  bool payload(std::span<const std::byte> bytes, bool last) override {
    text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    ends += last ? 1 : 0;
    return true;
  }
  std::vector<FrameHeader> headers;
  std::string text;
  int ends = 0;
  bool stop = false;
};

TEST(Yamux, AFrameIsTwelveBytesInNetworkOrder) {
  const FrameBytes bytes = encode_frame({.type = FrameType::window_update,
                                         .flags = frame_flag::kSyn | frame_flag::kRst,
                                         .stream = 0x01020304,
                                         .length = 0xa0b0c0d0});
  EXPECT_EQ(bytes, bytes_of(std::string_view("\0\1\0\x09\1\2\3\4\xa0\xb0\xc0\xd0", 12)));
  EXPECT_EQ(decode_frame(bytes).value().length, 0xa0b0c0d0);
}

TEST(Yamux, FramesReadBackAsThemselves) {
  for (const FrameHeader header :
       {FrameHeader{.type = FrameType::data, .flags = frame_flag::kFin, .stream = 7, .length = 99},
        FrameHeader{.type = FrameType::window_update, .stream = 0, .length = 65536},
        FrameHeader{.type = FrameType::ping, .flags = frame_flag::kAck, .length = 12345},
        FrameHeader{.type = FrameType::go_away, .length = 2}}) {
    EXPECT_EQ(decode_frame(encode_frame(header)).value(), header);
  }
}

TEST(Yamux, WhatTheSpecificationDoesNotKnowIsAProtocolError) {
  const auto broken = [](const FrameHeader& header, auto change) {
    FrameBytes bytes = encode_frame(header);
    change(bytes);
    const auto result = decode_frame(bytes);
    return !result && result.error() == Errc::protocol_error;
  };
  const auto as_is = [](FrameBytes&) {};
  const FrameHeader data{.type = FrameType::data, .stream = 1, .length = 1};
  EXPECT_FALSE(broken(data, as_is));
  EXPECT_TRUE(broken(data, [](FrameBytes& b) { b[0] = std::byte{1}; }));
  EXPECT_TRUE(broken(data, [](FrameBytes& b) { b[1] = std::byte{4}; }));
  EXPECT_TRUE(broken(data, [](FrameBytes& b) { b[3] = std::byte{16}; }));
  EXPECT_TRUE(broken(data, [](FrameBytes& b) { b[2] = std::byte{1}; }));
  EXPECT_TRUE(broken({.type = FrameType::data, .stream = 0}, as_is));
  EXPECT_TRUE(
      broken({.type = FrameType::data, .stream = 1, .length = kMaxFramePayload + 1}, as_is));
  EXPECT_TRUE(broken({.type = FrameType::ping, .stream = 1}, as_is));
  EXPECT_TRUE(broken({.type = FrameType::go_away, .stream = 1}, as_is));
  EXPECT_TRUE(broken({.type = FrameType::window_update, .flags = frame_flag::kSyn}, as_is));
}

TEST(Yamux, AParserTakesFramesInAnyPieces) {
  std::string wire;
  const auto add = [&wire](const FrameHeader& header, std::string_view payload = {}) {
    const FrameBytes bytes = encode_frame(header);
    wire.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    wire += payload;
  };
  add({.type = FrameType::data, .stream = 1, .length = 5}, "hello");
  add({.type = FrameType::data, .stream = 1, .length = 0});
  add({.type = FrameType::ping, .length = 3});
  add({.type = FrameType::data, .stream = 3, .length = 6}, " world");
  for (std::size_t piece = 1; piece <= wire.size(); ++piece) {
    Collector found;
    FrameParser parser;
    for (std::size_t at = 0; at < wire.size(); at += piece) {
      const std::string part = wire.substr(at, piece);
      ASSERT_TRUE(parser.feed(net::as_buffer(part), found));
    }
    EXPECT_EQ(found.headers.size(), 4U);
    EXPECT_EQ(found.text, "hello world");
    EXPECT_EQ(found.ends, 2);
  }
}

TEST(Yamux, ASinkStopsTheParser) {
  const FrameBytes ping = encode_frame({.type = FrameType::ping});
  std::string wire(reinterpret_cast<const char*>(ping.data()), ping.size());
  wire += wire;
  Collector found;
  found.stop = true;
  FrameParser parser;
  EXPECT_TRUE(parser.feed(net::as_buffer(wire), found));
  EXPECT_EQ(found.headers.size(), 1U);
}

}  // namespace
}  // namespace simplon::overlay
