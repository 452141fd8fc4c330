#include <set>

#include <gmock/gmock.h>

#include "overlay/ziti/refusals.hpp"

namespace simplon::overlay::ziti {
namespace {

using base::Errc;
using base::Hop;
using testing::HasSubstr;
using testing::Not;

struct Case {
  const char* text;
  Errc code;
  const char* says;
};

// What routers and controllers say, and what a person reads.
const std::vector<Case> kCases{
    {"Invalid Session", Errc::link_lost, "the session for it is not valid any more"},
    {"invalid session", Errc::link_lost, "the session for it is not valid any more"},
    {"rejecting bind, invalid session type. expected Bind, got Dial", Errc::link_lost,
     "wrong type for a dial"},
    {"no such service session token", Errc::link_lost, "the router does not know the session"},
    {"failed to create service token from JWT: token is expired", Errc::link_lost,
     "compare the clocks"},
    {"token is malformed: token contains an invalid number of segments", Errc::link_lost,
     "cannot read the session's token"},
    {"service abc has no terminators", Errc::not_hosted, "none of its hosts is connected"},
    {"encryption required on service, initiator did not send public header", Errc::not_permitted,
     "one side brought no key"},
    {"no access to service abc", Errc::not_permitted, "a service policy"},
    {"posture checks failed", Errc::not_permitted, "answers no posture checks"},
    {"no controller available, cannot create circuit", Errc::link_lost, "no controller to ask"},
    {"exceeded maximum [2] retries creating circuit [c] (failed to establish connection with "
     "terminator address t. error: (rejected))",
     Errc::host_refused, "look at the host's own log"},
    {"failed to establish connection with terminator address t. error: (timeout)", Errc::timed_out,
     "no answer in time"},
    {"session closed", Errc::link_lost, "the network ended the session"},
    {"session ended", Errc::link_lost, "the network ended the session"},
    {"service session removed", Errc::link_lost, "the network ended the session"},
    {"dial access lost", Errc::not_permitted, "the right to dial it was taken away"},
    {"bind access lost", Errc::not_permitted, "the right to host it was taken away"},
    {"invalid token", Errc::host_refused, "does not know the session that this dial came through"},
    {"no listener for conn id [4]", Errc::not_hosted, "does not host it any more"},
    {"something new", Errc::link_lost, "look at the router's log"},
};

TEST(ZitiRefusals, EachTextOfTheNetworkHasItsMeaningAndAdvice) {
  for (const Case& row : kCases) {
    const Refusal refusal = dial_refusal(refusal_of(row.text), "web");
    EXPECT_EQ(refusal.failure.code, row.code) << row.text;
    EXPECT_EQ(refusal.failure.hop, Hop::overlay);
    EXPECT_TRUE(refusal.not_processed);
    EXPECT_THAT(refusal.failure.detail, HasSubstr(row.says)) << row.text;
    EXPECT_THAT(refusal.failure.detail, HasSubstr(row.text)) << "the network's own words";
    EXPECT_THAT(refusal.failure.detail, testing::StartsWith("\"web\": "));
    EXPECT_THAT(refusal.failure.detail, HasSubstr("; ")) << "advice";
  }
}

TEST(ZitiRefusals, EveryKindHasASentenceOfItsOwn) {
  std::set<std::string> sentences;
  constexpr int kLast = static_cast<int>(EdgeErrorKind::other);
  for (int kind = 0; kind <= kLast; ++kind) {
    sentences.insert(
        explain({.kind = static_cast<EdgeErrorKind>(kind)}, Attempted::dial, "web").detail);
  }
  EXPECT_EQ(sentences.size(), static_cast<std::size_t>(kLast) + 1);
}

TEST(ZitiRefusals, AHostReadsOtherWordsThanADialer) {
  const EdgeError denied{.kind = EdgeErrorKind::not_permitted};
  EXPECT_THAT(explain(denied, Attempted::host, "web").detail, HasSubstr("may not host it"));
  EXPECT_THAT(explain(denied, Attempted::dial, "web").detail, HasSubstr("may not dial it"));
}

TEST(ZitiRefusals, AHostsRejectionSurvivesTheNetworksWords) {
  for (const Errc code : {Errc::host_refused, Errc::not_permitted, Errc::target_refused,
                          Errc::target_timed_out, Errc::draining, Errc::memory}) {
    const Refusal said{.failure = {.hop = Hop::share, .code = code, .detail = "port 80 (tcp): no"}};
    const std::string wrapped =
        "exceeded maximum [2] retries creating circuit [3xWw] (failed to establish connection with "
        "terminator address 7nd. error: (" +
        encode_rejection(said) + "))";
    const Refusal read = dial_refusal(refusal_of(wrapped), "web");
    EXPECT_EQ(read.failure.code, code);
    EXPECT_EQ(read.failure.detail, "port 80 [tcp]: no");
    EXPECT_TRUE(read.not_processed);
  }
}

TEST(ZitiRefusals, ATargetsFailureIsTheTargets) {
  const Refusal said{.failure = {.hop = Hop::target, .code = Errc::target_refused}};
  EXPECT_EQ(decode_rejection(encode_rejection(said))->failure.hop, Hop::target);
  const Refusal own{.failure = {.hop = Hop::share, .code = Errc::draining}};
  EXPECT_EQ(decode_rejection(encode_rejection(own))->failure.hop, Hop::share);
}

TEST(ZitiRefusals, AReasonOfALaterVersionIsStillARefusal) {
  const auto read = decode_rejection("error: (simplon: moon_phase: come back later)");
  ASSERT_TRUE(read);
  EXPECT_EQ(read->failure.code, Errc::host_refused);
  EXPECT_EQ(read->failure.detail, "come back later");
  EXPECT_EQ(decode_rejection("simplon: draining")->failure.code, Errc::draining);
}

TEST(ZitiRefusals, WhatAHostSaidIsShownHoweverItIsWrapped) {
  const Refusal refusal = dial_refusal(
      refusal_of(
          "exceeded maximum [2] retries creating circuit [c/pLkq2mZxB] (error creating route "
          "for [s/pLkq2mZxB] on [r/" +
          std::string(100, 'r') +
          "] (failed to establish connection with terminator address 7nd. error: (come back "
          "on monday)))"),
      "web");
  EXPECT_EQ(refusal.failure.code, Errc::host_refused);
  EXPECT_THAT(refusal.failure.detail, HasSubstr("exceeded maximum [2] retries"));
  EXPECT_THAT(refusal.failure.detail, HasSubstr("come back on monday"));
}

TEST(ZitiRefusals, OtherTextsAreNoHostsRejection) {
  EXPECT_EQ(decode_rejection(""), std::nullopt);
  EXPECT_EQ(decode_rejection("simplon"), std::nullopt);
  EXPECT_EQ(decode_rejection("rejected"), std::nullopt);
}

TEST(ZitiRefusals, ARejectionIsShortAndPrintable) {
  const std::string text = encode_rejection(
      {.failure = {.code = Errc::host_refused, .detail = std::string(5000, '\n') + "x"}});
  EXPECT_LT(text.size(), 256U);
  EXPECT_THAT(text, Not(HasSubstr("\n")));
}

}  // namespace
}  // namespace simplon::overlay::ziti
