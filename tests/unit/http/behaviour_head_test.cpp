// What a head says, so that no two readers see two different ones: behaviours 1 to 11, as raw
// bytes. What is refused must not reach an origin, and ends the connection.
#include "engine_fixture.hpp"

namespace simplon::http {
namespace {

using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

/// Connection, and every field that it names, end at each hop.
using Behaviour01 = Engine;
/// Hop-by-hop fields.
using Behaviour02 = Engine;
/// What Connection cannot delete.
using Behaviour03 = Engine;
/// Transfer-Encoding beside Content-Length.
using Behaviour04 = Engine;
/// Transfer codings.
using Behaviour05 = Engine;
/// Content-Length.
using Behaviour06 = Engine;
/// White space before a colon.
using Behaviour07 = Engine;
/// Folded fields.
using Behaviour08 = Engine;
/// Control bytes and line ends.
using Behaviour09 = Engine;
/// What may stand before a request.
using Behaviour10 = Engine;
/// Host.
using Behaviour11 = Engine;

TEST_F(Behaviour01, FieldsThatConnectionNamesStopHereInBothDirections) {
  EXPECT_EQ(
      forwarded("GET / HTTP/1.1\r\nHost: h\r\ncOnnection: , x-HOP ,,keep-alive\r\n"
                "X-Hop: 1\r\nConnection:\r\nCONNECTION: other\r\nOther: 2\r\nX-End: 3\r\n\r\n"),
      "GET / HTTP/1.1\r\nHost: h\r\nX-End: 3\r\n\r\n");
  EXPECT_EQ(answered("HTTP/1.1 200 OK\r\nConnection: X-Hop,\r\nconnection: ,other, keep-alive\r\n"
                     "CONNECTION:\r\nX-Hop: 1\r\nOTHER: 2\r\nX-End: 3\r\nContent-Length: 0\r\n"
                     "\r\n"),
            "HTTP/1.1 200 OK\r\nX-End: 3\r\nContent-Length: 0\r\n\r\n");
}

TEST_F(Behaviour01, EveryFieldOfANameStopsWhereverItStands) {
  EXPECT_EQ(forwarded("GET / HTTP/1.1\r\nX-Hop: 1\r\nHost: h\r\nx-hop: 2\r\nConnection: X-Hop\r\n"
                      "X-HOP: 3\r\nX-Hops: 4\r\n\r\n"),
            "GET / HTTP/1.1\r\nHost: h\r\nX-Hops: 4\r\n\r\n");
  EXPECT_EQ(answered("HTTP/1.1 200 OK\r\nX-Hop: 1\r\nContent-Length: 0\r\nConnection: X-Hop\r\n"
                     "x-hop: 2\r\nX-Hops: 3\r\n\r\n"),
            "HTTP/1.1 200 OK\r\nX-Hops: 3\r\nContent-Length: 0\r\n\r\n");
}

TEST_F(Behaviour01, NoNumberOfNamesHidesAField) {
  const auto naming = [](int others) {
    std::string many = "Connection: ";
    for (int i = 0; i < others; ++i) {
      many += "filler-" + std::to_string(i) + ", ";
    }
    return many + "X-Hop\r\nX-Hop: 1\r\n";
  };
  EXPECT_EQ(forwarded("GET / HTTP/1.1\r\nHost: h\r\n" + naming(30) + "\r\n"), kGet);
  EXPECT_EQ(answered("HTTP/1.1 200 OK\r\n" + naming(30) + "Content-Length: 2\r\n\r\nok"), kOk);
  EXPECT_EQ(refused_fields(naming(100)), 400);
  EXPECT_THAT(answer_for("HTTP/1.1 200 OK\r\n" + naming(100) + "Content-Length: 0\r\n\r\n"),
              StartsWith("HTTP/1.1 502 "));
}

TEST_F(Behaviour02, HopByHopFieldsStopHereInBothDirections) {
  const std::string hop_by_hop =
      "Keep-Alive: timeout=5\r\nproxy-CONNECTION: keep-alive\r\nTE: gzip, deflate\r\n"
      "Upgrade: h2c, irc/6.9\r\nProxy-Authenticate: Basic\r\nProxy-Authorization: Basic x\r\n";
  EXPECT_EQ(forwarded("GET / HTTP/1.1\r\nHost: h\r\n" + hop_by_hop + "\r\n"), kGet);
  EXPECT_EQ(answered("HTTP/1.1 200 OK\r\n" + hop_by_hop + "Content-Length: 2\r\n\r\nok"), kOk);
}

TEST_F(Behaviour02, OfTeOnlyTrailersGoesOn) {
  for (const std::string te : {"trailers", "gzip, Trailers", "deflate;q=0.5\r\nTE: TRAILERS"}) {
    open();
    EXPECT_EQ(forwarded("GET / HTTP/1.1\r\nHost: h\r\nConnection: TE\r\nTE: " + te + "\r\n\r\n"),
              "GET / HTTP/1.1\r\nHost: h\r\nConnection: TE\r\nTE: trailers\r\n\r\n");
  }
}

TEST_F(Behaviour02, ChunksAreFramedAnew) {
  EXPECT_EQ(forwarded(std::string(kPost) + "3\r\none\r\n03\r\ntwo\r\n0\r\n\r\n"),
            std::string(kPost) + "6\r\nonetwo\r\n0\r\n\r\n");
  EXPECT_EQ(answered("HTTP/1.1 200 OK\r\ntransfer-encoding:  Chunked \r\n\r\n"
                     "01\r\no\r\n1\r\nk\r\n000\r\n\r\n"),
            std::string(kChunkedOk) + "2\r\nok\r\n0\r\n\r\n");
  EXPECT_EQ(ends_->outcomes[0].bytes_in, 6U);
  EXPECT_EQ(ends_->outcomes[0].bytes_out, 2U);
}

TEST_F(Behaviour03, ConnectionCannotNameWhatFramesRoutesAuthenticatesOrIsAddedHere) {
  open({}, {.forwarding = Forwarding::append, .address = "192.0.2.1", .peer = {}});
  client_->send(
      "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nAuthorization: a\r\n"
      "Cookie: c\r\nConnection: Host, Content-Length, cookie, AUTHORIZATION, "
      "X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host, X-Forwarded-Port, Forwarded\r\n\r\n"
      "hi");
  const std::string got = origin().take();
  for (const char* kept :
       {"Host: h\r\n", "Content-Length: 2\r\n", "Authorization: a\r\n", "Cookie: c\r\n",
        "X-Forwarded-For: 192.0.2.1\r\n", "X-Forwarded-Proto: http\r\n", "X-Forwarded-Host: h\r\n",
        "X-Forwarded-Port: 80\r\n", "Forwarded: for=192.0.2.1"}) {
    EXPECT_THAT(got, HasSubstr(kept));
  }
  EXPECT_THAT(got, EndsWith("\r\n\r\nhi"));
}

TEST_F(Behaviour03, ConnectionCannotNameWhatAProxyBeforeUsAdded) {
  open();
  const std::string added =
      "X-Forwarded-For: 192.0.2.1\r\nForwarded: for=192.0.2.1\r\nX-Real-IP: 192.0.2.1\r\n";
  client_->send("GET / HTTP/1.1\r\nHost: h\r\n" + added +
                "Connection: X-Forwarded-For, Forwarded, X-Real-IP\r\n\r\n");
  EXPECT_EQ(origin().take(), "GET / HTTP/1.1\r\nHost: h\r\n" + added + "\r\n");
}

TEST_F(Behaviour03, AnOriginCannotUnframeItsResponseOrTakeItsCookiesBack) {
  get();
  EXPECT_EQ(answered("HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nContent-Length: 2\r\n"
                     "Connection: Content-Length, Set-Cookie, Transfer-Encoding\r\n\r\nok"),
            "HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nContent-Length: 2\r\n\r\nok");
}

TEST_F(Behaviour04, RefusesTransferEncodingWithContentLength) {
  EXPECT_EQ(refused_fields("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n"), 400);
  EXPECT_EQ(refused_fields("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n"), 400);
  EXPECT_EQ(refused_fields("content-length: 0\r\nX: y\r\nTRANSFER-ENCODING: Chunked\r\n"), 400);
  EXPECT_EQ(refused_fields("Transfer-Encoding: x\r\nContent-Length: 4\r\n"), 501);
}

TEST_F(Behaviour04, RefusesItFromAnOriginToo) {
  EXPECT_THAT(answer_for("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n"
                         "\r\n0\r\n\r\n"),
              StartsWith("HTTP/1.1 502 "));
  EXPECT_TRUE(origin().gone());
}

TEST_F(Behaviour05, RefusesTransferEncodingOtherThanOneChunked) {
  EXPECT_EQ(refused_fields("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), 400);
  EXPECT_EQ(refused_fields("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n"), 400);
  for (const std::string coding :
       {"chunkedx", "chunked, chunked", "chunked,", ",chunked", "\"chunked\"", "chunked;a=b", "",
        "c hunked", "br", "chunk\xC3\xA9"}) {
    EXPECT_EQ(refused_fields("Transfer-Encoding: " + coding + "\r\n"), 501) << coding;
  }
  EXPECT_EQ(refused_fields("Transfer-Encoding: chunked\v\r\n"), 400);
  EXPECT_EQ(refused_fields("Transfer-Encoding: \fchunked\r\n"), 400);
  EXPECT_EQ(refused_fields("Transfer_Encoding : chunked\r\n"), 400);
}

TEST_F(Behaviour05, RefusesTransferEncodingInHttp10) {
  EXPECT_EQ(refusal("POST / HTTP/1.0\r\nTransfer-Encoding: gzip\r\n\r\n"), 400);
  EXPECT_EQ(refusal("POST / HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n"
                    "Transfer-Encoding: chunked\r\n\r\n"),
            400);
}

TEST_F(Behaviour05, TakesChunkedInAnyCaseWithSpaceAroundIt) {
  for (const std::string coding : {"chunked", "Chunked", "CHUNKED \t", "\t chunKed"}) {
    open();
    EXPECT_EQ(forwarded("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding:" + coding +
                        "\r\n\r\n2\r\nhi\r\n0\r\n\r\n"),
              std::string(kPost) + "2\r\nhi\r\n0\r\n\r\n");
  }
}

TEST_F(Behaviour06, RefusesContentLengthsThatDifferOrAreNoNumber) {
  EXPECT_EQ(refused_fields("Content-Length: 4\r\nContent-Length: 5\r\n"), 400);
  EXPECT_EQ(refused_fields("Content-Length: 4\r\nX: y\r\ncontent-length: 4, 5\r\n"), 400);
  for (const std::string length :
       {"4, 5", "+5", "0x5", "5 5", "5.0", "5e1", "", "\"5\"", "5,", ",5", "5;5", "5\v",
        "\xEF\xBC\x95", "9223372036854775808", "18446744073709551616", "18446744073709551621"}) {
    EXPECT_EQ(refused_fields("Content-Length: " + length + "\r\n"), 400) << length;
  }
  EXPECT_EQ(refused_fields("Content-Length: " + std::string(5'000, '1') + "\r\n"), 400);
}

TEST_F(Behaviour06, ForwardsEqualContentLengthsAsOne) {
  for (const std::string lengths : {"2\r\nContent-Length: 2", "2\r\ncontent-length: 02, 2"}) {
    open();
    EXPECT_EQ(forwarded("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: " + lengths + "\r\n\r\nhi"),
              "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi");
    EXPECT_EQ(answered("HTTP/1.1 200 OK\r\nContent-Length: " + lengths + "\r\n\r\nok"), kOk);
  }
}

TEST_F(Behaviour06, TakesTheLargestLengthThereIs) {
  const std::string request =
      "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9223372036854775807\r\n\r\nhi";
  EXPECT_EQ(forwarded(request), request);
}

TEST_F(Behaviour07, RefusesSpaceBetweenNameAndColonInARequest) {
  EXPECT_EQ(refused_fields("Content-Length\t: 4\r\n"), 400);
  EXPECT_EQ(refused_fields("Transfer-Encoding : chunked\r\n"), 400);
  EXPECT_EQ(refused_fields("X \t : 4\r\n"), 400);
  EXPECT_EQ(refused_fields(" X: 4\r\n"), 400);
  EXPECT_EQ(refused_fields(": 4\r\n"), 400);
  EXPECT_EQ(refusal("GET / HTTP/1.1\r\n Host: h\r\n\r\n"), 400);
}

TEST_F(Behaviour07, StripsItFromAResponse) {
  EXPECT_EQ(answer_for("HTTP/1.1 200 OK\r\nX-A : 1 \r\nContent-Length \t: 2\r\nX-B: : 2\r\n\r\nok"),
            "HTTP/1.1 200 OK\r\nX-A: 1\r\nX-B: : 2\r\nContent-Length: 2\r\n\r\nok");
  EXPECT_EQ(answer_for("HTTP/1.1 200 OK\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n"),
            std::string(kChunkedOk) + "0\r\n\r\n")
      << "what it frames counts";
}

TEST_F(Behaviour07, StripsItWhereverTheResponseIsSplit) {
  const std::string response = "HTTP/1.1 200 OK\r\nX-A  : 1\r\nContent-Length : 2\r\n\r\nok";
  for (std::size_t split = 1; split < response.size(); ++split) {
    open();
    get();
    const std::string first = answered(response.substr(0, split));
    EXPECT_EQ(first + answered(response.substr(split)),
              "HTTP/1.1 200 OK\r\nX-A: 1\r\nContent-Length: 2\r\n\r\nok")
        << split;
  }
}

TEST_F(Behaviour08, RefusesAFoldedFieldOfARequest) {
  for (const std::string fold : {"\r\n 2", "\r\n\t2", "\r\n \r\n 2", "\r\n "}) {
    EXPECT_EQ(refused_fields("X-A: 1" + fold + "\r\n"), 400) << "no client that we know folds";
    EXPECT_EQ(refused_fields("X-A:" + fold + "\r\nX-B: 3\r\n"), 400);
  }
  EXPECT_EQ(refused_fields("Transfer-Encoding:\r\n chunked\r\n"), 400);
  EXPECT_EQ(refused_fields("Transfer-Encoding: chunked\r\n , gzip\r\n"), 400);
  EXPECT_EQ(refused_fields("Content-Length: 1\r\n 1\r\n"), 400);
}

TEST_F(Behaviour08, RefusesItWhereverTheRequestIsSplit) {
  const std::string request = "GET / HTTP/1.1\r\nHost: h\r\nX-A: 1\r\n 2\r\n\r\n";
  for (std::size_t split = 1; split < request.size(); ++split) {
    open();
    client_->send(request.substr(0, split));
    client_->send(request.substr(split));
    EXPECT_THAT(client_->take(), StartsWith("HTTP/1.1 400 ")) << split;
  }
  EXPECT_EQ(ends_->connects, 0);
}

TEST_F(Behaviour08, UnfoldsAFieldOfAResponse) {
  EXPECT_EQ(answer_for("HTTP/1.1 200 OK\r\nX-B: 1\r\n 2\r\n\t \t3\r\nX-C:\r\n 4\r\n"
                       "Content-Length:\r\n 0\r\n\r\n"),
            "HTTP/1.1 200 OK\r\nX-B: 1 2 3\r\nX-C: 4\r\nContent-Length: 0\r\n\r\n");
}

TEST_F(Behaviour09, RefusesControlBytesAndBareLineEndsInARequest) {
  EXPECT_EQ(refused_fields("X: a\rb\r\n"), 400);
  EXPECT_EQ(refused_fields("X: a\r\r\n"), 400);
  EXPECT_EQ(refused_fields("X: a\nContent-Length: 4\r\n"), 400);
  EXPECT_EQ(refused_fields(std::string("X: a\0b\r\n", 8)), 400);
  EXPECT_EQ(refused_fields(std::string("X\0: a\r\n", 7)), 400);
  EXPECT_EQ(refused_fields("X: a\x7f\r\n"), 400);
  EXPECT_EQ(refused_fields("X: a\x01\r\n"), 400);
  EXPECT_EQ(refused_fields("X\x01: a\r\n"), 400);
  EXPECT_EQ(refusal("GET /\x01 HTTP/1.1\r\nHost: h\r\n\r\n"), 400);
  EXPECT_EQ(refusal("GET /\n HTTP/1.1\r\nHost: h\r\n\r\n"), 400);
  EXPECT_EQ(refusal("GET / HTTP/1.1\rHost: h\r\r"), 400);
}

TEST_F(Behaviour09, RefusesABareLfAsALineEnd) {
  EXPECT_EQ(refusal("GET / HTTP/1.1\r\nHost: h\n\n"), 400);
  EXPECT_EQ(refusal("GET / HTTP/1.1\nHost: h\r\n\r\n"), 400);
  EXPECT_EQ(refusal("GET / HTTP/1.1\r\nHost: h\nX: 1\r\n\r\n"), 400);
  EXPECT_EQ(refusal("GET / HTTP/1.1\r\nHost: h\r\n\n"), 400);
}

TEST_F(Behaviour09, ForwardsNoneOfThemFromAnOrigin) {
  for (const auto& field :
       {std::string("X: a\0b\r\n", 8), std::string("X: a\rb\r\n"), std::string("X: a\nb\r\n"),
        std::string("X: a\x7f\r\n"), std::string("X: a\nY: b\r\n"), std::string("X\x01: a\r\n")}) {
    EXPECT_THAT(answer_for("HTTP/1.1 200 OK\r\n" + field + "Content-Length: 0\r\n\r\n"),
                AllOf(StartsWith("HTTP/1.1 502 "), Not(HasSubstr("X"))))
        << testing::PrintToString(field);
    EXPECT_TRUE(origin().gone());
  }
  EXPECT_THAT(answer_for("HTTP/1.1 200 OK\nContent-Length: 0\n\n"), StartsWith("HTTP/1.1 502 "));
}

TEST_F(Behaviour10, SkipsEmptyLinesBeforeARequest) {
  EXPECT_EQ(forwarded("\r\n\r\n" + std::string(kGet)), kGet);
  EXPECT_EQ(answered(kOk), kOk);
  EXPECT_EQ(forwarded("\r\n" + std::string(kGet)), kGet) << "as some clients send behind a POST";
  EXPECT_EQ(answered(kOk), kOk);
  client_->send("\r");
  EXPECT_EQ(forwarded("\n" + std::string(kGet)), kGet);
}

TEST_F(Behaviour10, RefusesJunkBeforeARequest) {
  EXPECT_EQ(refusal("\r\n\r\n\r\n"), 400) << "two are enough";
  EXPECT_EQ(refusal("x\r\n" + std::string(kGet)), 400);
  EXPECT_EQ(refusal(" " + std::string(kGet)), 400);
  EXPECT_EQ(refusal("\t" + std::string(kGet)), 400);
  EXPECT_EQ(refusal("\n" + std::string(kGet)), 400);
  EXPECT_EQ(refusal("\r" + std::string(kGet)), 400);
  EXPECT_EQ(refusal(" \r\n" + std::string(kGet)), 400);
  EXPECT_EQ(refusal(std::string("\0", 1) + std::string(kGet)), 400);
  EXPECT_EQ(refusal("\xEF\xBB\xBF" + std::string(kGet)), 400) << "a byte order mark";
}

TEST_F(Behaviour11, RefusesAMissingRepeatedOrMalformedHost) {
  EXPECT_EQ(refusal("GET / HTTP/1.1\r\nX: y\r\n\r\n"), 400);
  EXPECT_EQ(refusal("GET / HTTP/1.1\r\nHost: h\r\nhost: g\r\n\r\n"), 400);
  EXPECT_EQ(refusal("GET http://h/ HTTP/1.1\r\n\r\n"), 400);
  EXPECT_EQ(refusal("GET / HTTP/1.0\r\nHost: h\r\nHost: h\r\n\r\n"), 400);
  EXPECT_EQ(refusal("GET http://h/ HTTP/1.1\r\nHost: a b\r\n\r\n"), 400) << "others may read it";
  for (const std::string host :
       {"",         "a b",  "a/b", "u@h",      "h:x",    "h:80:80", "h:-1",
        "h:123456", "[::1", "::1", "[]",       "[::1]x", "a,b",     "a\\b",
        "http://h", "h?q",  "h#f", "\xC3\xA4", "h\"",    "<h>",     ":80"}) {
    EXPECT_EQ(refusal("GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n"), 400) << host;
  }
}

TEST_F(Behaviour11, TakesNamesAddressesAndPortsAsTheyAre) {
  for (const std::string host : {"h", "H.Example", "a-b.c_d.example.", "192.0.2.1:8080", "[::1]",
                                 "[2001:DB8::1]:80", "h:", "xn--bcher-kva.example"}) {
    open();
    const std::string request = "GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n";
    EXPECT_EQ(forwarded(request), request);
  }
}

TEST_F(Behaviour11, HostMayBeMissingInHttp10Only) {
  EXPECT_THAT(forwarded("GET / HTTP/1.0\r\n\r\n"), HasSubstr("\r\nHost: origin:80\r\n"));
}

TEST_F(Behaviour11, AnAbsoluteTargetOverridesHost) {
  EXPECT_EQ(forwarded("GET http://H:8080/p?q HTTP/1.1\r\nHost: other\r\n\r\n"),
            "GET /p?q HTTP/1.1\r\nHost: H:8080\r\n\r\n");
  EXPECT_EQ(ends_->hosts.back(), "h");
}

TEST_F(Behaviour11, EveryRequestIsRoutedByItsOwn) {
  open();
  client_->send("GET / HTTP/1.1\r\nHost: A.example:80\r\n\r\n");
  answered(kOk);
  client_->send("GET http://b.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n");
  EXPECT_EQ(ends_->hosts, (std::vector<std::string>{"a.example", "b.example"}));
}

}  // namespace
}  // namespace simplon::http
