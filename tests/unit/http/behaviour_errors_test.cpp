// What a client is told when there is no answer: behaviours 40 and 41.
#include "engine_fixture.hpp"
#include "http/error_response.hpp"

namespace simplon::http {
namespace {

using base::Errc;
using base::Hop;
using std::chrono::seconds;
using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

/// Which failure is which status.
using Behaviour40 = Engine;
/// How an error looks.
using Behaviour41 = Engine;

const std::string kGetJson = "GET / HTTP/1.1\r\nHost: h\r\nAccept: application/json\r\n\r\n";

TEST_F(Behaviour40, AnOriginThatIsDownIsA502) {
  for (const Errc code : {Errc::target_refused, Errc::target_unreachable, Errc::refused,
                          Errc::unreachable, Errc::reset, Errc::bad_certificate}) {
    ends_->failures = {{Hop::target, make_error_code(code), {}}};
    EXPECT_THAT(exchange(kGet),
                AllOf(StartsWith("HTTP/1.1 502 Bad Gateway\r\n"), Not(HasSubstr("Retry-After"))))
        << make_error_code(code).message();
  }
}

TEST_F(Behaviour40, AnOverlayThatIsNotThereIsA503ToBeTriedAgain) {
  for (const Errc code :
       {Errc::not_hosted, Errc::link_lost, Errc::draining, Errc::memory, Errc::limit_exceeded}) {
    ends_->failures = {{Hop::overlay, make_error_code(code), {}}};
    EXPECT_THAT(exchange(kGet), AllOf(StartsWith("HTTP/1.1 503 Service Unavailable\r\n"),
                                      HasSubstr("\r\nRetry-After: ")))
        << make_error_code(code).message();
  }
}

TEST_F(Behaviour40, AnOriginThatDoesNotTakeTheConnectionIsA504) {
  for (const Errc code : {Errc::target_timed_out, Errc::timed_out}) {
    ends_->failures = {{Hop::target, make_error_code(code), {}}};
    EXPECT_THAT(exchange(kGet), StartsWith("HTTP/1.1 504 Gateway Timeout\r\n"));
  }
}

TEST_F(Behaviour40, AServiceThatDoesNotExistOrIsNotForUsIsNot) {
  ends_->failures = {{Hop::overlay, make_error_code(Errc::no_such_service), {}},
                     {Hop::share, make_error_code(Errc::not_permitted), {}}};
  EXPECT_THAT(exchange(kGet), StartsWith("HTTP/1.1 404 Not Found\r\n"));
  EXPECT_THAT(exchange(kGet), StartsWith("HTTP/1.1 403 Forbidden\r\n"));
  EXPECT_THAT(exchange("GET / HTTP/1.1\r\nHost: unknown\r\n\r\n"), StartsWith("HTTP/1.1 404 "));
  EXPECT_EQ(ends_->connects, 2);
}

TEST_F(Behaviour40, TheAnswerComesAtOnceAndTheConnectionGoesOn) {
  ends_->failures = {{Hop::target, make_error_code(Errc::target_refused), {}}};
  EXPECT_THAT(exchange(kGet), StartsWith("HTTP/1.1 502 ")) << "no time has passed";
  EXPECT_EQ(ends_->connects, 1) << "nor was it tried again";
  EXPECT_EQ(forwarded(kGet), kGet);
  EXPECT_EQ(answered(kOk), kOk);
}

TEST_F(Behaviour41, IsSmallTextThatNamesHopAndReason) {
  ends_->failures = {{Hop::target, make_error_code(Errc::target_refused), {}}};
  const std::string answer = exchange(kGet);
  EXPECT_THAT(answer, AllOf(StartsWith("HTTP/1.1 502 Bad Gateway\r\n"
                                       "Simplon-Error: hop=target; reason=target_refused\r\n"),
                            HasSubstr("Content-Type: text/plain; charset=utf-8\r\n"),
                            HasSubstr("Cache-Control: no-store\r\n")));
  const std::string body = answer.substr(answer.find("\r\n\r\n") + 4);
  EXPECT_FALSE(body.empty());
  EXPECT_LT(answer.size(), 512U);
  EXPECT_THAT(answer, HasSubstr("Content-Length: " + std::to_string(body.size()) + "\r\n"));
}

TEST_F(Behaviour41, IsJsonWhereAcceptAsksForIt) {
  ends_->failures = {{Hop::target, make_error_code(Errc::target_timed_out), {}},
                     {Hop::overlay, make_error_code(Errc::not_hosted), "\"a\\b\"\n"}};
  const std::string answer = exchange(kGetJson);
  EXPECT_THAT(answer, AllOf(HasSubstr("Content-Type: application/json\r\n"),
                            HasSubstr("\r\n\r\n{\"status\":504,\"hop\":\"target\","
                                      "\"reason\":\"target_timed_out\",\"message\":\""),
                            EndsWith("\"}\n")));
  EXPECT_THAT(exchange(kGetJson), EndsWith("\\\"a\\\\b\\\" \"}\n")) << "whatever the text";
}

TEST_F(Behaviour41, ReadsAcceptAsAListInItsOrder) {
  for (const auto& [accept, json] : {std::pair<std::string, bool>{"application/json", true},
                                     {"Application/JSON;q=0.9, text/html", true},
                                     {"*/*, application/json", true},
                                     {"text/html, application/json", false},
                                     {"*/*", false},
                                     {"application/jsonx", false}}) {
    ends_->failures = {{Hop::target, make_error_code(Errc::target_refused), {}}};
    EXPECT_EQ(exchange("GET / HTTP/1.1\r\nHost: h\r\nAccept: " + accept + "\r\n\r\n")
                  .contains("application/json"),
              json)
        << accept;
  }
}

TEST_F(Behaviour41, RefusalsOfBadRequestsLookTheSame) {
  open();
  EXPECT_THAT(exchange("GET / HTTP/1.1\r\nHost: h\r\nHost: g\r\nAccept: application/json\r\n\r\n"),
              AllOf(StartsWith("HTTP/1.1 400 Bad Request\r\n"
                               "Simplon-Error: hop=client; reason=repeated_host\r\n"),
                    HasSubstr("{\"status\":400,\"hop\":\"client\"")));
}

TEST_F(Behaviour41, TellsTheOriginsErrorFromOurs) {
  const std::string theirs = "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 2\r\n\r\nno";
  open({.hop = Hop::share});
  get();
  EXPECT_EQ(answered(theirs), theirs) << "no Simplon-Error: the origin said it";
}

TEST_F(Behaviour41, AnOriginCannotSpeakInOurName) {
  const std::string response =
      "HTTP/1.1 502 Bad Gateway\r\nSimplon-Error: hop=share; reason=target_refused\r\n"
      "Content-Length: 0\r\n\r\n";
  EXPECT_EQ(answer_for(response, {.hop = Hop::access}), response) << "the share's word";
  EXPECT_EQ(answer_for(response, {.hop = Hop::share}),
            "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n");
  EXPECT_EQ(answer_for("HTTP/1.1 103 Early Hints\r\nsimplon-error: x\r\n\r\n", {.hop = Hop::share}),
            "HTTP/1.1 103 Early Hints\r\n\r\n");
}

TEST_F(Behaviour41, WhatTheFarEndSaysIsPassedOn) {
  ends_->refusal = [] {
    return base::Failure{Hop::share, make_error_code(Errc::not_permitted), {}};
  };
  get();
  origin().close();
  EXPECT_THAT(client_->take(),
              AllOf(StartsWith("HTTP/1.1 403 "), HasSubstr("hop=share; reason=not_permitted")));
}

}  // namespace
}  // namespace simplon::http
