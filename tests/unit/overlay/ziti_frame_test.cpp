#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "overlay/ziti/edge_message.hpp"
#include "overlay/ziti/frame.hpp"

namespace simplon::overlay::ziti {
namespace {

using base::Errc;

std::vector<std::byte> bytes_of(std::initializer_list<int> values) {
  std::vector<std::byte> out;
  for (const int value : values) {
    out.push_back(static_cast<std::byte>(value));
  }
  return out;
}

// The two examples of the protocol's description.
const std::vector<std::byte> kHelloExample = bytes_of(
    {0x03, 0x06, 0x09, 0x0C, 0,    0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0x0C, 0,    0,    0,    2,
     0,    0,    0,    0xEA, 0x03, 0, 0, 4, 0,    0,    0,    0x61, 0x62, 0x63, 0x64, 0x6D, 0x65});
const std::vector<std::byte> kFinExample = bytes_of(
    {0x03, 0x06, 0x09, 0x0C, 0x72, 0xED, 0, 0, 5, 0, 0,    0, 0x18, 0, 0, 0, 0, 0, 0, 0, 0xE8, 3,
     0,    0,    4,    0,    0,    0,    7, 0, 0, 0, 0xF2, 3, 0,    0, 4, 0, 0, 0, 1, 0, 0,    0});

struct Seen {
  std::int32_t content;
  std::int32_t sequence;
  std::string token;
  std::optional<std::uint32_t> conn;
  std::optional<std::uint32_t> flags;
  std::string body;
};

struct Collector : FrameSink {
  bool frame(const FrameView& frame) override {
    seen.push_back({.content = frame.content(),
                    .sequence = frame.sequence(),
                    .token = std::string(frame.string(header::kSessionToken)),
                    .conn = frame.number(header::kConnId),
                    .flags = frame.number(header::kFlags),
                    .body = std::string(frame.text())});
    return seen.size() < stop_after;
  }
  std::vector<Seen> seen;
  std::size_t stop_after = 1000;
};

TEST(ZitiFrame, WritesTheHelloOfTheDescription) {
  std::vector<std::byte> out;
  FrameWriter(out, content::kHello, -1).text(header::kSessionToken, "abcd").body("me");
  EXPECT_EQ(out, kHelloExample);
}

TEST(ZitiFrame, WritesTheFinOfTheDescription) {
  std::vector<std::byte> out;
  FrameWriter(out, content::kData, 5).u32(header::kConnId, 7).u32(header::kFlags, 1).end();
  EXPECT_EQ(out, kFinExample);
}

TEST(ZitiFrame, ReadsBothHoweverTheyAreCut) {
  std::vector<std::byte> stream = kHelloExample;
  stream.insert(stream.end(), kFinExample.begin(), kFinExample.end());
  stream.insert(stream.end(), kHelloExample.begin(), kHelloExample.end());
  for (std::size_t piece = 1; piece <= stream.size(); ++piece) {
    FrameParser parser;
    Collector sink;
    std::vector<std::byte> copy = stream;
    for (std::size_t at = 0; at < copy.size(); at += piece) {
      ASSERT_TRUE(
          parser.feed(std::span(copy).subspan(at, std::min(piece, copy.size() - at)), sink));
    }
    ASSERT_EQ(sink.seen.size(), 3U) << piece;
    EXPECT_EQ(sink.seen[0].content, content::kHello);
    EXPECT_EQ(sink.seen[0].sequence, -1);
    EXPECT_EQ(sink.seen[0].token, "abcd");
    EXPECT_EQ(sink.seen[0].body, "me");
    EXPECT_EQ(sink.seen[1].content, content::kData);
    EXPECT_EQ(sink.seen[1].conn, 7U);
    EXPECT_EQ(sink.seen[1].flags, 1U);
    EXPECT_EQ(sink.seen[1].body, "");
    EXPECT_EQ(sink.seen[2].body, "me");
  }
}

TEST(ZitiFrame, ASinkStopsTheParser) {
  std::vector<std::byte> stream = kFinExample;
  stream.insert(stream.end(), kFinExample.begin(), kFinExample.end());
  FrameParser parser;
  Collector sink;
  sink.stop_after = 1;
  EXPECT_TRUE(parser.feed(stream, sink));
  EXPECT_EQ(sink.seen.size(), 1U);
}

TEST(ZitiFrame, HeadersOfAnotherSizeThanTheirTypeAreNone) {
  std::vector<std::byte> out;
  FrameWriter(out, 1, 1)
      .u8(1, 1)
      .u16(2, 0x0102)
      .u32(3, 0x01020304)
      .u64(4, 5)
      .text(5, "")
      .flag(6, false)
      .u8(7, 2)
      .end();
  struct : FrameSink {
    bool frame(const FrameView& frame) override {
      EXPECT_TRUE(frame.flag(1));
      EXPECT_EQ(frame.number(1), std::nullopt);
      EXPECT_EQ(frame.number(2), std::nullopt);
      EXPECT_EQ(frame.number(3), 0x01020304U);
      EXPECT_EQ(frame.number(4), std::nullopt);
      EXPECT_TRUE(frame.has(5));
      EXPECT_FALSE(frame.flag(6));
      EXPECT_FALSE(frame.flag(7));
      EXPECT_FALSE(frame.has(8));
      EXPECT_EQ(frame.string(8), "");
      ++calls;
      return true;
    }
    int calls = 0;
  } sink;
  EXPECT_TRUE(FrameParser().feed(out, sink));
  EXPECT_EQ(sink.calls, 1);
}

std::error_code refused(std::vector<std::byte> stream) {
  std::optional<std::error_code> outcome;
  for (const bool split : {false, true}) {
    FrameParser parser;
    Collector sink;
    base::Result<void> result{};
    if (split) {
      for (std::size_t at = 0; at < stream.size() && result; ++at) {
        result = parser.feed(std::span(stream).subspan(at, 1), sink);
      }
    } else {
      result = parser.feed(stream, sink);
    }
    const auto error = result ? std::error_code() : result.error();
    EXPECT_TRUE(!outcome || *outcome == error);
    outcome = error;
  }
  return *outcome;
}

TEST(ZitiFrame, WhatIsNoFrameIsRefusedAtItsFourthByte) {
  EXPECT_EQ(refused(bytes_of({0x48, 0x54, 0x54, 0x50})), Errc::protocol_error);
  EXPECT_EQ(refused(bytes_of({3, 6, 9, 0x0b, 0})), Errc::protocol_error);
}

TEST(ZitiFrame, AnAnswerAboutVersionsIsTold) {
  EXPECT_EQ(refused(bytes_of({3, 6, 9, 0x0a, 2, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0})),
            Errc::other_version);
}

TEST(ZitiFrame, LengthsBeyondTheLimitsAreRefusedBeforeTheBytesCome) {
  auto head = kHelloExample;
  head.resize(kFrameHeadSize);
  head[14] = std::byte{2};  // headers of 128 KiB
  EXPECT_EQ(refused(head), Errc::protocol_error);
  head = kHelloExample;
  head.resize(kFrameHeadSize);
  head[18] = std::byte{0x11};  // a body of more than 1 MiB
  EXPECT_EQ(refused(head), Errc::protocol_error);
}

TEST(ZitiFrame, HeadersThatDoNotAddUpAreRefused) {
  for (const int size : {3, 5, 0xff}) {
    auto frame = kHelloExample;
    frame[24] = static_cast<std::byte>(size);
    EXPECT_EQ(refused(frame), Errc::protocol_error);
  }
  auto frame = kHelloExample;
  frame[27] = std::byte{0xff};
  EXPECT_EQ(refused(frame), Errc::protocol_error);
}

TEST(ZitiFrame, ABodyOfAMebibytePasses) {
  std::vector<std::byte> out;
  FrameWriter(out, content::kData, 1).u32(header::kConnId, 9).body(std::string(kMaxFrameBody, 'x'));
  FrameParser parser;
  Collector sink;
  EXPECT_TRUE(parser.feed(std::span(out).first(100'000), sink));
  EXPECT_TRUE(parser.feed(std::span(out).subspan(100'000), sink));
  ASSERT_EQ(sink.seen.size(), 1U);
  EXPECT_EQ(sink.seen[0].body.size(), kMaxFrameBody);
}

}  // namespace
}  // namespace simplon::overlay::ziti
