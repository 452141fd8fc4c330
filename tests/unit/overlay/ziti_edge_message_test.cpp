#include <vector>

#include <gtest/gtest.h>

#include "overlay/ziti/edge_message.hpp"

namespace simplon::overlay::ziti {
namespace {

using Kind = EdgeErrorKind;

struct Refusal {
  std::string body;
  std::optional<std::uint32_t> code;
  std::string details;
};

EdgeError read(const Refusal& refusal) {
  std::vector<std::byte> out;
  FrameWriter writer(out, content::kStateClosed, 1);
  if (refusal.code) {
    writer.u32(header::kErrorCode, *refusal.code);
  }
  if (!refusal.details.empty()) {
    writer.text(header::kStructuredError, refusal.details);
  }
  writer.body(refusal.body);
  struct : FrameSink {
    bool frame(const FrameView& frame) override {
      error = refusal_of(frame);
      return true;
    }
    EdgeError error;
  } sink;
  EXPECT_TRUE(FrameParser().feed(out, sink));
  return sink.error;
}

TEST(ZitiRefusal, TextsAreUnderstood) {
  const std::vector<std::pair<std::string, Kind>> texts{
      {"Invalid Session", Kind::invalid_session},
      {"invalid session", Kind::invalid_session},
      {"no such service session token", Kind::invalid_session},
      {"unable to get service token either by JWT parsing or id lookup", Kind::invalid_session},
      {"failed to create service token from JWT: x", Kind::invalid_session},
      {"incorrect session type", Kind::invalid_session},
      {"rejecting bind, invalid session type. expected Bind, got Dial", Kind::invalid_session},
      {"token is malformed: token contains an invalid number of segments", Kind::invalid_session},
      {"encryption required on service, initiator did not send public header",
       Kind::encryption_missing},
      {"service 5x has no terminators", Kind::no_terminators},
      {"service 5x has no terminators for instanceId x", Kind::no_terminators},
      {"no access to service abc", Kind::not_permitted},
      {"no controller available, cannot create circuit", Kind::no_controller},
      {"exceeded maximum [2] retries creating circuit [c] (x: failed to establish connection with "
       "terminator address t. error: (invalid session))",
       Kind::host_refused},
      {"exceeded maximum [2] retries creating circuit [c] (x: failed to establish connection with "
       "terminator address t. error: (timeout waiting for dial response))",
       Kind::timed_out},
      {"failed to establish connection with terminator address t. error: (simplon: target timed "
       "out: x)",
       Kind::host_refused},
      {"session closed", Kind::revoked},
      {"session ended", Kind::revoked},
      {"service session removed", Kind::revoked},
      {"dial access lost", Kind::revoked},
      {"bind access lost", Kind::revoked},
      {"no listener for conn id [3]", Kind::host_refused},
      {"found a newer terminator for listener id", Kind::other},
      {"close called", Kind::other},
  };
  for (const auto& [text, kind] : texts) {
    EXPECT_EQ(to_string(refusal_of(text).kind), to_string(kind)) << text;
    EXPECT_EQ(refusal_of(text).text, text);
  }
}

TEST(ZitiRefusal, SessionsAreMadeAnewWhereThatHelps) {
  EXPECT_TRUE(refusal_of("invalid session").new_session);
  EXPECT_TRUE(refusal_of("invalid session").retry);
  EXPECT_TRUE(refusal_of("session ended").new_session);
  EXPECT_FALSE(refusal_of("no terminators").new_session);
  EXPECT_TRUE(refusal_of("no terminators").retry);
  EXPECT_FALSE(refusal_of("no access to service").retry);
}

TEST(ZitiRefusal, ACodeIsBetterThanWords) {
  EXPECT_EQ(read({.body = "words", .code = 3}).kind, Kind::invalid_session);
  EXPECT_EQ(read({.body = "words", .code = 2}).kind, Kind::login_refused);
  EXPECT_EQ(read({.body = "words", .code = 8}).kind, Kind::no_terminators);
  EXPECT_EQ(read({.body = "words", .code = 14}).kind, Kind::not_permitted);
  EXPECT_EQ(read({.body = "words", .code = 15}).kind, Kind::posture);
  EXPECT_EQ(read({.body = "no terminators", .code = 4'000'000'000}).kind, Kind::no_terminators);
}

TEST(ZitiRefusal, TheStructuredErrorSaysWhatToDo) {
  const auto again = read({.body = "", .details = R"({"message":"m","code":14,"retryHint":2})"});
  EXPECT_EQ(again.kind, Kind::not_permitted);
  EXPECT_EQ(again.text, "m");
  EXPECT_TRUE(again.retry);
  EXPECT_TRUE(again.new_session);
  const auto never = read({.body = "invalid session", .details = R"({"code":3,"retryHint":3})"});
  EXPECT_EQ(never.kind, Kind::invalid_session);
  EXPECT_FALSE(never.retry);
}

TEST(ZitiRefusal, WhatIsNoStructuredErrorIsPassedOver) {
  for (const std::string details :
       {"{", "[]", "\"x\"", R"({"code":"3","retryHint":[],"message":7})", R"({"code":-3})",
        R"({"code":1e99})", "{\"message\":\"\xff\"}"}) {
    EXPECT_EQ(read({.body = "no terminators", .details = details}).kind, Kind::no_terminators)
        << details;
  }
  const std::string deep(10'000, '[');
  EXPECT_EQ(read({.body = "no terminators", .details = deep}).kind, Kind::no_terminators);
}

TEST(ZitiRefusal, APeersWordsAreBoundedAndPrintable) {
  const auto error = refusal_of(std::string(100'000, 'x') + "no terminators");
  EXPECT_EQ(error.text.size(), kMaxErrorText);
  EXPECT_EQ(refusal_of("a\n\x1b[2J\xc3\xa9\x7f").text, "a??[2J\xc3\xa9?");
  EXPECT_FALSE(read({}).text.empty());
}

}  // namespace
}  // namespace simplon::overlay::ziti
