#include "http/body.hpp"

#include <string>

#include <gtest/gtest.h>

namespace simplon::http {
namespace {

struct Decoded {
  std::string body;
  std::string rest;
  bool done = false;
  int status = 200;
  Fields trailers;
};

Decoded decode(BodyDecoder decoder, std::string_view text, std::size_t step) {
  Decoded result;
  std::size_t begin = 0;
  std::size_t end = 0;
  while (!decoder.done() && (begin < end || end < text.size())) {
    end = begin == end ? std::min(end + step, text.size()) : end;
    const auto piece = decoder.decode(text.substr(begin, end - begin));
    if (!piece) {
      result.status = piece.error().status;
      return result;
    }
    result.body += piece->payload;
    begin += piece->consumed;
  }
  result.done = decoder.done();
  result.rest = text.substr(begin);
  result.trailers = decoder.trailers();
  return result;
}

Decoded chunked(std::string_view text, std::size_t step = 4096, const Limits& limits = {}) {
  return decode(BodyDecoder(BodyKind::chunked, 0, limits), text, step);
}

TEST(ChunkedBody, IsTheSameAtEverySplitOfTheInput) {
  const std::string text =
      "5\r\nhello\r\n00A ; a=\"x;\\\"y\" ;b\r\n0123456789\r\n0\r\nX-Sum: 1\r\nx-b:\r\n\r\nGET "
      "/next";
  for (std::size_t step = 1; step <= text.size(); ++step) {
    const Decoded decoded = chunked(text, step);
    EXPECT_EQ(decoded.status, 200);
    EXPECT_TRUE(decoded.done) << step;
    EXPECT_EQ(decoded.body, "hello0123456789");
    EXPECT_EQ(decoded.rest, "GET /next");
    ASSERT_EQ(decoded.trailers.size(), 2U);
    EXPECT_EQ(decoded.trailers[0].value, "1");
  }
}

TEST(ChunkedBody, RefusesSizesThatAreNotPlainHexadecimal) {
  for (const std::string_view text :
       {"0x5\r\nhello\r\n", "-5\r\n", "+5\r\n", " 5\r\n", "\r\n", ";a\r\n", "5g\r\n", "5\n",
        "5 x\r\n", "5\r5", "g\r\n", "FFFFFFFFFFFFFFFF\r\n", "00000000000000005\r\n",
        "8000000000000000\r\n", "5\r\nhelloX\r\n", "5\r\nhello\n", "5;a=\"x\r\n"}) {
    EXPECT_EQ(chunked(text).status, 400) << text;
    EXPECT_EQ(chunked(text, 1).status, 400) << text;
  }
}

TEST(ChunkedBody, BoundsItsLinesAndTrailers) {
  const Limits limits{.trailer_bytes = 64, .trailers = 2, .chunk_line_bytes = 32};
  EXPECT_EQ(chunked("5;" + std::string(40, 'a'), 3, limits).status, 400);
  EXPECT_EQ(chunked("0\r\nA: " + std::string(80, 'a'), 3, limits).status, 431);
  EXPECT_EQ(chunked("0\r\nA: b\r\nA: b\r\nA: b\r\n", 3, limits).status, 431);
  EXPECT_EQ(chunked("0\r\nA : b\r\n\r\n").status, 400);
  EXPECT_EQ(chunked("0\r\nA: b\r\n c\r\n\r\n").status, 400) << "folded";
  EXPECT_EQ(chunked("0\r\nA: b\n\r\n").status, 400) << "bare LF";
}

TEST(ChunkedBody, IsLimitedInTotalWhereAsked) {
  EXPECT_EQ(chunked("5\r\nhello\r\n6\r\nworlds\r\n0\r\n\r\n", 9, Limits{.body_bytes = 10}).status,
            413);
}

TEST(LengthBody, EndsAtItsLengthAndLeavesTheRest) {
  const Decoded decoded = decode(BodyDecoder(BodyKind::length, 5, {}), "helloGET", 3);
  EXPECT_TRUE(decoded.done);
  EXPECT_EQ(decoded.body, "hello");
  EXPECT_TRUE(BodyDecoder(BodyKind::length, 0, {}).done());
  BodyDecoder cut(BodyKind::length, 5, {});
  ASSERT_TRUE(cut.decode("hell"));
  EXPECT_FALSE(cut.end_of_input());
}

TEST(UntilCloseBody, EndsWithTheInputOnly) {
  BodyDecoder decoder(BodyKind::until_close, 0, {});
  EXPECT_EQ(decoder.decode("any")->payload, "any");
  EXPECT_FALSE(decoder.done());
  EXPECT_TRUE(decoder.end_of_input());
}

TEST(Trailers, NeverCarryWhatFramesRoutesOrAuthenticates) {
  for (const std::string_view name :
       {"Content-Length", "transfer-encoding", "Host", "Authorization", "Cookie", "Set-Cookie",
        "Connection", "X-Forwarded-For", "Trailer", "TE", "Content-Type", "Cache-Control",
        "X_Forwarded_For", "X-Real-IP", "True-Client-IP", "X-Client-IP", "Proxy-Anything",
        "Simplon-Error", "Expect"}) {
    EXPECT_FALSE(may_trail(name)) << name;
  }
  EXPECT_TRUE(may_trail("X-Checksum"));
  EXPECT_TRUE(may_trail("grpc-status"));
  EXPECT_TRUE(may_trail("Digest"));
}

TEST(ChunkFraming, WritesSizesInHexadecimal) {
  EXPECT_EQ(ChunkHead(10).text(), "a\r\n");
  EXPECT_EQ(ChunkHead(65536).text(), "10000\r\n");
  Fields trailers;
  trailers.add("X-Sum", "1");
  trailers.add("Content-Length", "9");
  std::string out;
  append_last_chunk(out, trailers);
  EXPECT_EQ(out, "0\r\nX-Sum: 1\r\n\r\n");
}

}  // namespace
}  // namespace simplon::http
