// Targets, methods, versions, and what a response may and must carry: behaviours 12 to 14 and 23 to
// 31.
#include "engine_fixture.hpp"

namespace simplon::http {
namespace {

using std::chrono::seconds;
using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

/// Request targets.
using Behaviour12 = Engine;
/// Methods and Max-Forwards.
using Behaviour13 = Engine;
/// Versions.
using Behaviour14 = Engine;
/// HEAD.
using Behaviour23 = Engine;
/// 1xx, 204 and 304.
using Behaviour24 = Engine;
/// 205.
using Behaviour25 = Engine;
/// Bodies that end with the connection.
using Behaviour26 = Engine;
/// Responses that end early.
using Behaviour27 = Engine;
/// Responses that are not valid.
using Behaviour28 = Engine;
/// Interim responses.
using Behaviour29 = Engine;
/// Expect.
using Behaviour30 = Engine;
/// Responses that come before the request has ended.
using Behaviour31 = Engine;

TEST_F(Behaviour12, TargetsTravelByteForByte) {
  for (const std::string target :
       {"/a%2Fb", "//a//b", "/../a/./b", "/;a;b", "/?a=%00&b=/..;", "/caf\xC3\xA9", "/a?b?c",
        "/%zz", "/a\\b", "/{x}|y", "/?", "/a%2e%2E/b", "/http://other/", "/:80", "/'\"<>`^"}) {
    open();
    const std::string request = "GET " + target + " HTTP/1.1\r\nHost: h\r\n\r\n";
    EXPECT_EQ(forwarded(request), request);
  }
}

TEST_F(Behaviour12, TheQueryOfAWebsocketHandshakeTravelsToo) {
  const std::string target = "/chat//;a?room=%2F1&t=a+b%20c&q=?";
  EXPECT_THAT(
      forwarded("GET " + target +
                " HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                "\r\n"),
      AllOf(StartsWith("GET " + target + " HTTP/1.1\r\n"), HasSubstr("Upgrade: websocket\r\n")));
}

TEST_F(Behaviour12, AnAbsoluteTargetTravelsInOriginForm) {
  for (const auto& [absolute, origin_form] : {std::pair<std::string, std::string>{"http://h", "/"},
                                              {"http://h/", "/"},
                                              {"HTTPS://h/a%2Fb//..;c?d=%00", "/a%2Fb//..;c?d=%00"},
                                              {"ws://h/x", "/x"}}) {
    open();
    EXPECT_EQ(forwarded("GET " + absolute + " HTTP/1.1\r\nHost: h\r\n\r\n"),
              "GET " + origin_form + " HTTP/1.1\r\nHost: h\r\n\r\n");
  }
  open();
  EXPECT_THAT(forwarded("OPTIONS http://h HTTP/1.1\r\nHost: h\r\n\r\n"), StartsWith("OPTIONS * "));
}

TEST_F(Behaviour12, AnAsteriskIsForOptionsOnly) {
  EXPECT_THAT(forwarded("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n"), StartsWith("OPTIONS * "));
  for (const std::string method : {"GET", "POST", "options", "HEAD"}) {
    EXPECT_EQ(refusal(method + " * HTTP/1.1\r\nHost: h\r\n\r\n"), 400);
  }
}

TEST_F(Behaviour12, AnAuthorityIsForConnectOnly) {
  EXPECT_EQ(refusal("GET h:80 HTTP/1.1\r\nHost: h\r\n\r\n"), 400);
  EXPECT_EQ(refusal("OPTIONS h:80 HTTP/1.1\r\nHost: h\r\n\r\n"), 400);
  EXPECT_EQ(refusal("CONNECT h:80 HTTP/1.1\r\nHost: h\r\n\r\n"), 405) << "which is for nobody";
}

TEST_F(Behaviour12, RefusesOtherForms) {
  for (const std::string target : {"index.html", "ftp://h/", "http:///p", "http:/h/",
                                   "http://u:p@h/", "/a b", " /", "http://a b/", "http://h:x/",
                                   "?q", "#f", "http://h#f", "http://h?q", "file:///etc/passwd"}) {
    EXPECT_EQ(refusal("GET " + target + " HTTP/1.1\r\nHost: h\r\n\r\n"), 400) << target;
  }
}

TEST_F(Behaviour12, AnAbsoluteTargetNeverChoosesWhereWeConnect) {
  open();
  client_->send("GET http://169.254.169.254/latest HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(origin().take(), "GET /latest HTTP/1.1\r\nHost: 169.254.169.254\r\n\r\n")
      << "to the upstream of the route, as any other request";
}

TEST_F(Behaviour13, MethodsAreCaseSensitiveAndUnknownOnesPass) {
  for (const std::string method : {"get", "PROPFIND", "M-SEARCH", "X!#$%&'*+-.^_`|~9", "Options"}) {
    open();
    const std::string request = method + " / HTTP/1.1\r\nHost: h\r\n\r\n";
    EXPECT_EQ(forwarded(request), request);
  }
  for (const std::string method : {"G(T", "G\xC3\x84T", "", "GE\tT", "GET:"}) {
    EXPECT_EQ(refusal(method + " / HTTP/1.1\r\nHost: h\r\n\r\n"), 400) << method;
  }
  open();
  client_->send("trace / HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_THAT(origin().take(), StartsWith("trace / ")) << "no TRACE";
}

TEST_F(Behaviour13, TraceAndTrackAreRefusedWhateverMaxForwardsSays) {
  for (const std::string method : {"TRACE", "TRACK"}) {
    const std::string line = method + " / HTTP/1.1\r\nHost: h\r\n";
    for (const char* fields : {"\r\n", "Max-Forwards: 0\r\n\r\n", "Max-Forwards: 5\r\n\r\n"}) {
      EXPECT_EQ(refusal(line + fields), 405);
    }
  }
}

TEST_F(Behaviour13, OptionsCountsMaxForwardsDownAndIsAnsweredHereAtZero) {
  EXPECT_THAT(forwarded("OPTIONS / HTTP/1.1\r\nHost: h\r\nMax-Forwards: 1\r\n\r\n"),
              HasSubstr("Max-Forwards: 0\r\n"));
  answered(kOk);
  client_->send("OPTIONS / HTTP/1.1\r\nHost: h\r\nMax-Forwards: 0\r\n\r\n");
  EXPECT_THAT(client_->take(), AllOf(StartsWith("HTTP/1.1 200 OK\r\n"),
                                     HasSubstr("Allow: GET, HEAD, POST, PUT, PATCH, DELETE, "
                                               "OPTIONS\r\n"),
                                     EndsWith("Content-Length: 0\r\n\r\n")));
  EXPECT_EQ(ends_->connects, 1);
  EXPECT_THAT(forwarded("GET / HTTP/1.1\r\nHost: h\r\nMax-Forwards: 0\r\n\r\n"),
              HasSubstr("Max-Forwards: 0\r\n"))
      << "it means nothing there";
}

TEST_F(Behaviour14, AnHttp10ClientGetsNoChunksAndTheEndOfTheConnection) {
  open();
  client_->send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_EQ(answered("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n"),
            "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nok");
  EXPECT_FALSE(client_->gone());
  EXPECT_EQ(answered("1\r\n!\r\n0\r\nX-Sum: 1\r\n\r\n"), "!");
  EXPECT_TRUE(client_->ended());
}

TEST_F(Behaviour14, AnHttp10ClientsConnectionEndsUnlessItAskedForMore) {
  open();
  client_->send("GET / HTTP/1.0\r\n\r\n");
  EXPECT_EQ(origin().take(), "GET / HTTP/1.1\r\nHost: origin:80\r\n\r\n");
  EXPECT_EQ(answered(kOk), "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
  EXPECT_TRUE(client_->ended());
  open();
  client_->send("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n");
  EXPECT_EQ(answered(kOk),
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nok");
  EXPECT_FALSE(client_->gone());
}

TEST_F(Behaviour14, OtherVersionsAreAnsweredAndClosed) {
  for (const std::string version : {"HTTP/1.2", "HTTP/2.0", "HTTP/3.0", "HTTP/0.9", "HTTP/1.9"}) {
    EXPECT_EQ(refusal("GET / " + version + "\r\nHost: h\r\n\r\n"), 505) << version;
  }
  for (const std::string version : {"HTTP/1.10", "http/1.1", "HTTP/1", "HTTP/1.1 ", "HTTP1.1",
                                    "HTTP/11.1", "HTTP/-1.1", "HTTQ/1.1"}) {
    EXPECT_EQ(refusal("GET / " + version + "\r\nHost: h\r\n\r\n"), 400) << version;
  }
  EXPECT_EQ(refusal("GET /\r\n\r\n"), 400) << "HTTP/0.9";
}

TEST_F(Behaviour23, AResponseToHeadHasNoBodyThoughItKeepsItsLength) {
  for (const std::string length : {"99", "0", "7, 7"}) {
    forwarded("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n");
    EXPECT_EQ(
        answered("HTTP/1.1 200 OK\r\nContent-Length: " + length + "\r\n\r\n"),
        "HTTP/1.1 200 OK\r\nContent-Length: " + length.substr(0, length.find(',')) + "\r\n\r\n");
  }
  get();
  EXPECT_EQ(answered(kOk), kOk) << "the connections go on";
  EXPECT_EQ(ends_->origins.size(), 1U);
}

TEST_F(Behaviour23, NeedsNoLengthAndWaitsForNoBody) {
  forwarded("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(answered("HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n"),
            "HTTP/1.1 404 Not Found\r\n\r\n");
  forwarded("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(answered("HTTP/1.1 200 OK\r\nX: y\r\n\r\n"), "HTTP/1.1 200 OK\r\nX: y\r\n\r\n");
  EXPECT_EQ(ends_->released, 2);
}

TEST_F(Behaviour23, ABodyThatAnOriginSendsAllTheSameGoesNowhere) {
  forwarded("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(answered(kOk), "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n");
  EXPECT_EQ(ends_->released, 0);
  EXPECT_TRUE(origin().gone());
}

TEST_F(Behaviour23, OurOwnErrorsHaveNoBodyEither) {
  open();
  ends_->failures = {{base::Hop::share, make_error_code(base::Errc::target_refused), {}}};
  client_->send("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_THAT(client_->take(), AllOf(StartsWith("HTTP/1.1 502 "), EndsWith("\r\n\r\n")));
  EXPECT_EQ(forwarded(kGet), kGet);
}

TEST_F(Behaviour24, A204HasNeitherBodyNorFraming) {
  for (const std::string framing :
       {"", "Content-Length: 0\r\n", "Content-Length: 3\r\n", "Transfer-Encoding: chunked\r\n"}) {
    get();
    EXPECT_EQ(answered("HTTP/1.1 204 No Content\r\n" + framing + "X: y\r\n\r\n"),
              "HTTP/1.1 204 No Content\r\nX: y\r\n\r\n");
    forwarded("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n");
    EXPECT_EQ(answered("HTTP/1.1 204 No Content\r\n" + framing + "X: y\r\n\r\n"),
              "HTTP/1.1 204 No Content\r\nX: y\r\n\r\n");
  }
  EXPECT_EQ(ends_->origins.size(), 1U);
}

TEST_F(Behaviour24, A304KeepsTheLengthOfWhatItStandsForAndHasNoBody) {
  get();
  EXPECT_EQ(answered("HTTP/1.1 304 Not Modified\r\nETag: x\r\nContent-Length: 3\r\n\r\n"),
            "HTTP/1.1 304 Not Modified\r\nETag: x\r\nContent-Length: 3\r\n\r\n");
  get();
  EXPECT_EQ(answered("HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n"),
            "HTTP/1.1 304 Not Modified\r\n\r\n");
  EXPECT_EQ(ends_->released, 2);
}

TEST_F(Behaviour24, ABodyThatAnOriginSendsBehindThemGoesNowhere) {
  for (const std::string status : {"204 No Content", "304 Not Modified"}) {
    open();
    get();
    EXPECT_THAT(answered("HTTP/1.1 " + status + "\r\nContent-Length: 3\r\n\r\nbad"),
                EndsWith("\r\n\r\n"));
    EXPECT_TRUE(origin().gone()) << "and spoils no later response";
    EXPECT_FALSE(client_->gone());
  }
}

TEST_F(Behaviour24, AnInterimResponseHasNoFraming) {
  get();
  EXPECT_EQ(answered("HTTP/1.1 103 Early Hints\r\nContent-Length: 3\r\nLink: x\r\n\r\n"),
            "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n");
  EXPECT_EQ(
      answered("HTTP/1.1 102 Processing\r\nTransfer-Encoding: chunked\r\n\r\n" + std::string(kOk)),
      "HTTP/1.1 102 Processing\r\n\r\n" + std::string(kOk));
}

TEST_F(Behaviour25, A205HasTheLength0) {
  for (const std::string framing : {"", "Content-Length: 0\r\n"}) {
    get();
    EXPECT_EQ(answered("HTTP/1.1 205 Reset Content\r\n" + framing + "\r\n"),
              "HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n");
    EXPECT_FALSE(client_->gone());
  }
}

TEST_F(Behaviour25, ABodyOfItGoesNowhere) {
  for (const std::string framing : {"Content-Length: 3\r\n\r\nbad", "\r\nbad",
                                    "Transfer-Encoding: chunked\r\n\r\n3\r\nbad\r\n0\r\n\r\n"}) {
    open();
    get();
    EXPECT_EQ(answered("HTTP/1.1 205 Reset Content\r\n" + framing),
              "HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n");
    EXPECT_TRUE(origin().gone());
    EXPECT_FALSE(client_->gone());
  }
}

TEST_F(Behaviour26, ABodyUntilTheEndIsForwardedInChunks) {
  for (const std::string version : {"1.0", "1.1"}) {
    open();
    get();
    EXPECT_EQ(answered("HTTP/" + version + " 200 OK\r\n\r\nabc"),
              std::string(kChunkedOk) + "3\r\nabc\r\n");
    EXPECT_EQ(answered("d"), "1\r\nd\r\n");
    origin().end();
    EXPECT_EQ(client_->take(), "0\r\n\r\n");
    EXPECT_FALSE(client_->gone()) << "the client's connection can be used again";
  }
  EXPECT_EQ(ends_->released, 0);
}

TEST_F(Behaviour26, ACutOneDoesNotLookComplete) {
  for (const auto cut : {base::Errc::reset, base::Errc::truncated, base::Errc::link_lost}) {
    open();
    get();
    answered("HTTP/1.0 200 OK\r\n\r\nabc");
    origin().stream().reset(cut);
    EXPECT_EQ(client_->take(), "") << "no last chunk";
    EXPECT_TRUE(client_->gone());
  }
}

TEST_F(Behaviour26, ACutOneIsAResetToAnHttp10Client) {
  open();
  client_->send("GET / HTTP/1.0\r\n\r\n");
  EXPECT_THAT(answered("HTTP/1.0 200 OK\r\n\r\nabc"), EndsWith("\r\n\r\nabc"));
  origin().reset();
  EXPECT_TRUE(client_->failure());
}

TEST_F(Behaviour27, AResponseThatEndsEarlyIsSeenToBeIncomplete) {
  for (const std::string_view response :
       {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf"}) {
    for (const bool reset : {false, true}) {
      const std::string got = answer_for(response);
      EXPECT_THAT(got, AllOf(HasSubstr("half"), Not(HasSubstr("\r\n0\r\n")))) << response;
      if (reset) {
        origin().reset();
      } else {
        origin().close();
      }
      EXPECT_TRUE(client_->gone()) << response;
      EXPECT_EQ(client_->take(), "") << "no last chunk, nothing invented";
    }
  }
  EXPECT_EQ(ends_->released, 0);
}

TEST_F(Behaviour27, AnHttp10ClientIsResetWhereOnlyTheEndTells) {
  open();
  client_->send("GET / HTTP/1.0\r\n\r\n");
  answered("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n");
  origin().end();
  EXPECT_TRUE(client_->failure());
}

TEST_F(Behaviour28, AHeadThatIsNotHttpBecomesA502AndTheOriginIsClosed) {
  for (const std::string_view response :
       {"SSH-2.0-OpenSSH_9.2\r\n", "HTTP/1.1 20 OK\r\n\r\n", "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 099 No\r\n\r\n", "HTTP/1.1 600 No\r\n\r\n", "HTTP/2.0 200 OK\r\n\r\n",
        "\r\nHTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1  200 OK\r\n\r\n", "\x15\x03\x01\x02", "+OK\r\n",
        "J", "HTTP\r\n"}) {
    EXPECT_THAT(answer_for(response), AllOf(StartsWith("HTTP/1.1 502 "), HasSubstr("hop=share")))
        << response;
    EXPECT_TRUE(origin().gone()) << response;
    EXPECT_FALSE(client_->gone()) << "it did nothing wrong";
  }
  EXPECT_EQ(ends_->released, 0);
}

TEST_F(Behaviour28, AFramingThatIsNoneBecomesA502AndTheOriginIsClosed) {
  for (const std::string fields :
       {"Content-Length: 1\r\nContent-Length: 2\r\n", "Content-Length: 1, 2\r\n",
        "Content-Length: +1\r\n", "Content-Length: x\r\n", "Content-Length:\r\n",
        "Content-Length: 9223372036854775808\r\n", "Transfer-Encoding: gzip\r\n",
        "Transfer-Encoding: gzip, chunked\r\n", "Transfer-Encoding: chunked, chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: identity\r\n"}) {
    EXPECT_THAT(answer_for("HTTP/1.1 200 OK\r\n" + fields + "\r\nx"),
                AllOf(StartsWith("HTTP/1.1 502 "), Not(EndsWith("\r\n\r\nx"))))
        << fields;
    EXPECT_TRUE(origin().gone()) << fields;
  }
  EXPECT_THAT(answer_for("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
              StartsWith("HTTP/1.1 502 "));
}

TEST_F(Behaviour28, ABodyThatIsMalformedFromItsFirstByteBecomesA502) {
  EXPECT_THAT(answer_for(std::string(kChunkedOk) + "zz\r\nx", {.hop = base::Hop::share}),
              AllOf(StartsWith("HTTP/1.1 502 "), HasSubstr("Simplon-Error: hop=target;")));
  EXPECT_TRUE(origin().failure());
}

TEST_F(Behaviour29, PassesEveryInterimResponseAsItComes) {
  get();
  const std::string hints = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
  EXPECT_EQ(answered(hints), hints);
  EXPECT_EQ(answered(hints + hints), hints + hints);
  EXPECT_EQ(answered("HTTP/1.1 199 Odd\r\nX: y\r\n\r\n" + std::string(kOk)),
            "HTTP/1.1 199 Odd\r\nX: y\r\n\r\n" + std::string(kOk));
  get();
  EXPECT_EQ(answered("HTTP/1.1 100 Continue\r\n\r\n" + std::string(kOk)),
            "HTTP/1.1 100 Continue\r\n\r\n" + std::string(kOk));
}

TEST_F(Behaviour29, NeverToAnHttp10Client) {
  open();
  client_->send("GET / HTTP/1.0\r\n\r\n");
  EXPECT_EQ(answered("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n"
                     "HTTP/1.1 199 Odd\r\n\r\n"),
            "");
  EXPECT_THAT(answered(kOk), StartsWith("HTTP/1.1 200 OK\r\n"));
}

TEST_F(Behaviour29, ButNotWithoutEnd) {
  get();
  for (int i = 0; i < 64; ++i) {
    EXPECT_THAT(answered("HTTP/1.1 102 Processing\r\n\r\n"), StartsWith("HTTP/1.1 102 "));
  }
  EXPECT_THAT(answered("HTTP/1.1 102 Processing\r\n\r\n"), StartsWith("HTTP/1.1 502 "));
}

TEST_F(Behaviour30, ForwardsTheExpectationAndThe100BeforeTheBody) {
  EXPECT_THAT(forwarded("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-Continue\r\n"
                        "Content-Length: 2\r\n\r\n"),
              HasSubstr("Expect: 100-Continue\r\n"));
  EXPECT_EQ(client_->take(), "") << "the word is the origin's";
  EXPECT_EQ(answered("HTTP/1.1 100 Continue\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  EXPECT_EQ(forwarded("hi"), "hi");
  EXPECT_EQ(answered(kOk), kOk);
  EXPECT_EQ(ends_->released, 1);
}

const std::string kExpecting =
    "POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
const std::string kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

TEST_F(Behaviour30, AClientWhoseOwnTimerIsOverSendsTheBodyWithoutA100) {
  forwarded(kExpecting);
  advance(Timeouts{}.body - seconds(1));
  EXPECT_EQ(forwarded("h"), "h");
  advance(Timeouts{}.body - seconds(1));
  EXPECT_EQ(forwarded("i"), "i") << "the wait for the 100 is not the body's";
  EXPECT_EQ(answered(kOk), kOk);
}

TEST_F(Behaviour30, ForAnOriginThatSaysNothingTheClientIsToldToContinue) {
  forwarded(kExpecting);
  advance(Timeouts{}.body - seconds(1));
  EXPECT_EQ(client_->take(), "");
  advance(seconds(1));
  EXPECT_EQ(client_->take(), kContinue);
  EXPECT_EQ(answered(kContinue), "") << "it has been told";
  EXPECT_EQ(forwarded("hi"), "hi");
  EXPECT_EQ(answered(kOk), kOk);
  EXPECT_EQ(ends_->released, 1);
}

TEST_F(Behaviour30, AnOriginMayTakeAsLongAsItLikesForItsFinalAnswer) {
  forwarded(kExpecting);
  advance(Timeouts{}.body);
  EXPECT_EQ(client_->take(), kContinue);
  EXPECT_EQ(forwarded("hi"), "hi");
  advance(seconds(100'000));
  EXPECT_EQ(answered(kOk), kOk);
}

TEST_F(Behaviour30, AClientThatNeverSendsIsEndedThoughTheOriginIsSilent) {
  for (const bool relayed : {false, true}) {
    open();
    forwarded(kExpecting);
    advance(Timeouts{}.body - seconds(1));
    if (relayed) {
      EXPECT_EQ(answered(kContinue), kContinue);
    } else {
      advance(seconds(1));
      EXPECT_EQ(client_->take(), kContinue);
    }
    advance(Timeouts{}.body - seconds(1));
    EXPECT_EQ(client_->take(), "") << "its time begins anew";
    advance(seconds(1));
    EXPECT_THAT(client_->take(),
                AllOf(StartsWith("HTTP/1.1 408 "), HasSubstr("reason=body_timed_out\r\n")));
    EXPECT_TRUE(client_->ended());
    EXPECT_TRUE(origin().failure());
  }
}

TEST_F(Behaviour30, NorDoesAClientThatReadsNothingHoldIt) {
  open();
  client_->stop_reading(true);
  forwarded(kExpecting);
  const std::string hint =
      "HTTP/1.1 103 Early Hints\r\nLink: " + std::string(8'000, 'x') + "\r\n\r\n";
  for (int i = 0; i < 32; ++i) {
    origin().send(hint);
  }
  advance(Timeouts{}.body);
  advance(Timeouts{}.body);
  EXPECT_TRUE(origin().failure());
}

TEST_F(Behaviour30, WithoutALimitForBodiesBothMayTakeTheirTime) {
  Policy policy;
  policy.timeouts.body = std::chrono::milliseconds(0);
  open(policy);
  forwarded(kExpecting);
  advance(seconds(100'000));
  EXPECT_EQ(answered(kContinue), kContinue);
  advance(seconds(100'000));
  EXPECT_EQ(forwarded("hi"), "hi");
}

TEST_F(Behaviour30, AClientThatWasToldToContinueHasTheTimeOfABody) {
  for (const std::string first : {"", "h"}) {
    open();
    forwarded("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n" +
              first);
    EXPECT_EQ(answered("HTTP/1.1 100 Continue\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
    advance(Timeouts{}.body - seconds(1));
    EXPECT_EQ(client_->take(), "");
    advance(seconds(2));
    EXPECT_THAT(client_->take(), StartsWith("HTTP/1.1 408 ")) << first;
    EXPECT_TRUE(origin().failure());
  }
}

TEST_F(Behaviour30, RelaysAFinalAnswerInsteadOf100AndCloses) {
  for (const std::string status : {"401 Unauthorized", "200 OK", "302 Found"}) {
    open();
    forwarded("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    EXPECT_THAT(answered("HTTP/1.1 " + status + "\r\nContent-Length: 2\r\n\r\nno"),
                AllOf(StartsWith("HTTP/1.1 " + status + "\r\nContent-Length: 2\r\n"),
                      EndsWith("Connection: close\r\n\r\nno")));
    EXPECT_TRUE(client_->ended());
    const int connects = ends_->connects;
    client_->send("hi" + std::string(kGet));
    EXPECT_EQ(ends_->connects, connects) << "whether that is the body nobody can tell";
  }
  EXPECT_EQ(ends_->released, 0);
}

TEST_F(Behaviour30, RefusesOtherExpectationsWith417) {
  for (const std::string expect :
       {"200-ok", "100-continue, x", "100-continue\r\nExpect: 100-continue", ""}) {
    EXPECT_EQ(refused_fields("Content-Length: 2\r\nExpect: " + expect + "\r\n"), 417) << expect;
  }
}

TEST_F(Behaviour30, AnHttp10ClientHasNone) {
  open();
  EXPECT_THAT(forwarded("POST / HTTP/1.0\r\nHost: h\r\nExpect: 100-continue\r\n"
                        "Content-Length: 2\r\n\r\nhi"),
              AllOf(Not(HasSubstr("Expect")), EndsWith("\r\n\r\nhi")));
}

TEST_F(Behaviour31, DeliversAnEarlyRefusalAtOnceAndLingers) {
  for (const std::string status : {"401 Unauthorized", "413 Content Too Large"}) {
    open();
    client_->send("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000000\r\n\r\n");
    client_->send(std::string(30'000, 'x'));
    EXPECT_EQ(answered("HTTP/1.1 " + status + "\r\nContent-Length: 0\r\n\r\n"),
              "HTTP/1.1 " + status + "\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    EXPECT_TRUE(origin().gone());
    client_->send(std::string(300'000, 'x'));
    EXPECT_FALSE(client_->failure());
    EXPECT_FALSE(client_->write_failed()) << "a reset now could destroy the answer";
    advance(seconds(2));
    EXPECT_TRUE(client_->ended());
    client_->send("x");
    EXPECT_TRUE(client_->write_failed());
  }
}

TEST_F(Behaviour31, WhatItReadsOnIsBounded) {
  open();
  client_->send("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000000\r\n\r\n");
  answered("HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n");
  int megabytes = 0;
  while (megabytes < 200 && !client_->write_failed()) {
    client_->send(std::string(1'000'000, 'x'));
    ++megabytes;
  }
  EXPECT_TRUE(client_->write_failed()) << "though no time passed";
}

TEST_F(Behaviour31, DeliversTheAnswerOfAnOriginThatStoppedReading) {
  open();
  client_->send("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000000\r\n\r\n");
  origin().send("HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno");
  origin().close();
  client_->send(std::string(300'000, 'x'));
  EXPECT_THAT(client_->take(), AllOf(StartsWith("HTTP/1.1 403 "), EndsWith("\r\n\r\nno")));
}

TEST_F(Behaviour31, GoesOnWithTheUploadOfAnAnswerThatIsNoRefusal) {
  forwarded("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nab");
  EXPECT_EQ(answered("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nok"),
            "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nok");
  EXPECT_EQ(forwarded("cd"), "cd");
  EXPECT_EQ(answered("ay"), "ay");
  EXPECT_FALSE(client_->gone());
  EXPECT_EQ(ends_->released, 1);
}

}  // namespace
}  // namespace simplon::http
