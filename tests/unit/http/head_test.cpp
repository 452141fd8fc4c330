#include "http/head.hpp"

#include <string>

#include <gtest/gtest.h>

namespace simplon::http {
namespace {

// Feeds `text` in pieces of `step` bytes, as a connection would: what was consumed is dropped.
template <class Parser, class Head>
std::expected<std::size_t, Verdict> feed(Parser& parser, std::string_view text, std::size_t step,
                                         Head& head) {
  std::size_t begin = 0;
  for (std::size_t end = std::min(step, text.size());; end = std::min(end + step, text.size())) {
    const auto parsed = parser.parse(text.substr(begin, end - begin), head);
    if (!parsed) {
      return std::unexpected(parsed.error());
    }
    begin += parsed->consumed;
    if (parsed->done || end == text.size()) {
      return begin;
    }
  }
}

int status_for(std::string_view text, const Limits& limits = {}) {
  RequestParser parser(limits);
  RequestHead head;
  const auto fed = feed(parser, text, text.size(), head);
  return fed ? 200 : fed.error().status;
}

TEST(RequestHead, IsTheSameAtEverySplitOfTheInput) {
  const std::string text =
      "\r\nPOST /a%2Fb;c//..?x=\xC3\xA9 HTTP/1.1\r\nHost: h\r\nX-A:  1 \r\nx-a: "
      "2\r\nEmpty:\r\n\r\n";
  for (std::size_t step = 1; step <= text.size(); ++step) {
    RequestParser parser(Limits{});
    RequestHead head;
    const auto fed = feed(parser, text, step, head);
    ASSERT_TRUE(fed) << step;
    EXPECT_EQ(*fed, text.size());
    EXPECT_EQ(head.method, "POST");
    EXPECT_EQ(head.target, "/a%2Fb;c//..?x=\xC3\xA9");
    EXPECT_EQ(head.minor, 1);
    ASSERT_EQ(head.fields.size(), 4U);
    EXPECT_EQ(head.fields[0].id, Name::host);
    EXPECT_EQ(head.fields[1].name, "X-A");
    EXPECT_EQ(head.fields[1].value, "1");
    EXPECT_EQ(head.fields[2].name, "x-a");
    EXPECT_EQ(head.fields[3].value, "");
  }
}

TEST(RequestHead, LeavesBytesBehindItAlone) {
  RequestParser parser(Limits{});
  RequestHead head;
  const std::string_view text = "GET / HTTP/1.1\r\nHost: h\r\n\r\nGET /next";
  const auto parsed = parser.parse(text, head);
  ASSERT_TRUE(parsed && parsed->done);
  EXPECT_EQ(text.substr(parsed->consumed), "GET /next");
  parser.reset();
  EXPECT_FALSE(parser.started());
}

TEST(RequestHead, ToleratesTwoEmptyLinesBeforeTheRequestAndNoMore) {
  EXPECT_EQ(status_for("\r\n\r\nGET / HTTP/1.1\r\n\r\n"), 200);
  EXPECT_EQ(status_for("\r\n\r\n\r\nGET / HTTP/1.1\r\n\r\n"), 400);
  EXPECT_EQ(status_for("\nGET / HTTP/1.1\r\n\r\n"), 400);
  EXPECT_EQ(status_for(" GET / HTTP/1.1\r\n\r\n"), 400);
}

TEST(RequestHead, RefusesWhatIsNotTheGrammar) {
  EXPECT_EQ(status_for("GET / HTTP/1.1\r\nHost : h\r\n\r\n"), 400) << "space before the colon";
  EXPECT_EQ(status_for("GET / HTTP/1.1\r\nA: b\rc\r\n\r\n"), 400) << "bare CR";
  EXPECT_EQ(status_for(std::string("GET / HTTP/1.1\r\nA: b\0c\r\n\r\n", 26)), 400) << "NUL";
  EXPECT_EQ(status_for("GET / HTTP/1.1\r\nA: b\nB: c\r\n\r\n"), 400) << "bare LF";
  EXPECT_EQ(status_for("GET / HTTP/1.1\nA: b\n\n"), 400) << "bare LF as line end";
  EXPECT_EQ(status_for("GET  / HTTP/1.1\r\n\r\n"), 400) << "two spaces";
  EXPECT_EQ(status_for("G@T / HTTP/1.1\r\n\r\n"), 400);
  EXPECT_EQ(status_for("\x16\x03\x01\x02"), 400) << "TLS";
}

TEST(RequestHead, AnswersOtherVersionsWith505) {
  EXPECT_EQ(status_for("GET / HTTP/1.2\r\n\r\n"), 505);
  EXPECT_EQ(status_for("GET / HTTQ/1.1\r\n\r\n"), 400);
}

TEST(ResponseHead, UnfoldsAContinuedFieldToOneSpace) {
  ResponseParser parser(Limits{});
  ResponseHead head;
  ASSERT_TRUE(parser.parse("HTTP/1.1 200 OK\r\nA: b\r\n  c\r\n\r\n", head));
  EXPECT_EQ(head.fields.find("a"), "b c");
}

TEST(RequestHead, PassesUnknownMethodsWithTheirCase) {
  RequestParser parser(Limits{});
  RequestHead head;
  ASSERT_TRUE(parser.parse("Mk-Thing / HTTP/1.1\r\n\r\n", head));
  EXPECT_EQ(head.method, "Mk-Thing");
}

// The parser has its own table of them, by Beast's ids.
TEST(RequestHead, KnowsEveryFieldThatIsTreatedInSomeWay) {
  int known = 0;
  for (const std::string name : {"Accept",
                                 "Authorization",
                                 "Connection",
                                 "Content-Location",
                                 "Cookie",
                                 "Date",
                                 "Expect",
                                 "Forwarded",
                                 "HTTP2-Settings",
                                 "Keep-Alive",
                                 "Location",
                                 "Max-Forwards",
                                 "Origin",
                                 "Proxy-Authenticate",
                                 "Proxy-Authorization",
                                 "Proxy-Connection",
                                 "Referer",
                                 "Set-Cookie",
                                 "Simplon-Error",
                                 "TE",
                                 "Trailer",
                                 "Upgrade",
                                 "Via",
                                 "X-Forwarded-For",
                                 "X-Forwarded-Host",
                                 "X-Forwarded-Port",
                                 "X-Forwarded-Proto",
                                 "X-Real-IP",
                                 "Server"}) {
    RequestParser parser{Limits{}};
    RequestHead head;
    ASSERT_TRUE(parser.parse("GET / HTTP/1.1\r\nHost: h\r\n" + name + ": 1\r\n\r\n", head));
    EXPECT_EQ(head.fields[1].id, name_of(name)) << name;
    known += name_of(name) == Name::other ? 0 : 1;
  }
  EXPECT_EQ(known, 28);
}

TEST(RequestHead, IsBoundedInBytesTargetAndFields) {
  const Limits limits{.head_bytes = 2048, .target_bytes = 256, .fields = 8};
  const std::string request = "GET / HTTP/1.1\r\n";
  EXPECT_EQ(status_for("GET /" + std::string(300, 'a') + " HTTP/1.1\r\n\r\n", limits), 414);
  EXPECT_EQ(status_for("GET /" + std::string(400, 'a'), limits), 414) << "line not finished";
  EXPECT_EQ(status_for(request + "A: " + std::string(3000, 'a'), limits), 431);
  std::string many = request;
  for (int i = 0; i < 9; ++i) {
    many += "A: b\r\n";
  }
  EXPECT_EQ(status_for(many + "\r\n", limits), 431);
  RequestParser parser(limits);
  RequestHead head;
  const std::string drip = request + std::string(2, 'A') + ": " + std::string(2100, 'b');
  EXPECT_EQ(feed(parser, drip, 7, head).error().status, 431) << "byte by byte as well";
}

TEST(ResponseHead, TellsStatusReasonAndFields) {
  ResponseParser parser(Limits{});
  ResponseHead head;
  const auto parsed = parser.parse("HTTP/1.0 404 Not \xC3\xA4 there\r\nA: b\r\n\r\nbody", head);
  ASSERT_TRUE(parsed && parsed->done);
  EXPECT_EQ(head.status, 404);
  EXPECT_EQ(head.reason, "Not \xC3\xA4 there");
  EXPECT_EQ(head.minor, 0);
}

TEST(ResponseHead, NeedsNoReasonAndNoSpaceBeforeIt) {
  for (const std::string text : {"HTTP/1.1 204\r\nA: b\r\n\r\n", "HTTP/1.1 204 \r\nA: b\r\n\r\n"}) {
    for (std::size_t step = 1; step <= text.size(); ++step) {
      ResponseParser parser(Limits{});
      ResponseHead head;
      const auto fed = feed(parser, text, step, head);
      ASSERT_TRUE(fed) << step;
      EXPECT_EQ(*fed, text.size());
      EXPECT_EQ(head.status, 204);
      EXPECT_EQ(head.reason, "");
      EXPECT_EQ(head.fields.find("a"), "b");
    }
  }
}

TEST(ResponseHead, LosesSpaceBeforeColonsAtEverySplit) {
  for (const std::string line : {"HTTP/1.1 200 OK", "HTTP/1.1 200", "HTTP/1.0 200 "}) {
    const std::string text =
        line + "\r\nA : 1\r\nContent-Length\t :2\r\nB: x\r\n y : z\r\nC  :\r\n\r\n";
    for (std::size_t step = 1; step <= text.size() + 1; ++step) {
      ResponseParser parser(Limits{});
      ResponseHead head;
      const auto fed = feed(parser, text + "body", step, head);
      ASSERT_TRUE(fed) << step;
      EXPECT_EQ(*fed, text.size());
      EXPECT_EQ(head.status, 200);
      ASSERT_EQ(head.fields.size(), 4U) << step;
      EXPECT_EQ(head.fields[0].name, "A");
      EXPECT_EQ(head.fields[0].value, "1");
      EXPECT_EQ(head.fields[1].id, Name::content_length);
      EXPECT_EQ(head.fields[2].value, "x y : z");
      EXPECT_EQ(head.fields[3].name, "C");
    }
  }
}

TEST(ResponseHead, IsRefusedWith502WhenMalformed) {
  for (const std::string_view text :
       {"HTTP/1.1 20\r\n\r\n", "HTTP/1.1 2000\r\n\r\n", "HTTP/2.0 200\r\n\r\n",
        "HTTP/1.1 099 x\r\n\r\n", "HTTP/1.1 600 x\r\n\r\n", "SSH-2.0-x\r\n",
        "HTTP/1.1 200 OK\r\nA b : c\r\n\r\n", "\r\nHTTP/1.1 200 OK\r\n\r\n"}) {
    ResponseParser parser(Limits{});
    ResponseHead head;
    const auto parsed = parser.parse(text, head);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().status, 502);
  }
}

}  // namespace
}  // namespace simplon::http
