#include <gmock/gmock.h>

#include "overlay/embedded/certificate.hpp"
#include "overlay/ziti/enroll_client.hpp"
#include "overlay/ziti/enroll_jwt.hpp"
#include "unit/overlay/ziti_scripted_controller.hpp"
#include "unit/overlay/ziti_tokens.hpp"

namespace simplon::overlay::ziti::test {
namespace {

using absl::StatusCode;
using net::test::run;
using std::chrono::seconds;
using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

std::int64_t now_plus(std::int64_t by) {
  return std::chrono::duration_cast<seconds>(system_clock::now().time_since_epoch()).count() + by;
}

class ZitiTokenTest : public testing::Test {
 protected:
  json claims{{"iss", "https://ctrl.example:1280"},
              {"sub", "an.identity"},
              {"jti", "0b1d7b7e-1"},
              {"em", "ott"},
              {"exp", now_plus(600)},
              {"aud", {""}}};
  json header{{"alg", "ES256"}, {"typ", "JWT"}};
  const std::string key = *make_private_key();

  std::string token() const { return make_token(header, claims, key); }
  void expect_refused(StatusCode code, const std::string& words) {
    const auto parsed = parse_enroll_token(token(), system_clock::now());
    ASSERT_FALSE(parsed.ok());
    EXPECT_EQ(parsed.status().code(), code) << parsed.status();
    EXPECT_THAT(std::string(parsed.status().message()), HasSubstr(words));
  }
};

TEST_F(ZitiTokenTest, ATokenIsReadWithWhiteSpaceAroundIt) {
  const auto parsed = parse_enroll_token(" " + token() + "\n\n", system_clock::now());
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->controller, "https://ctrl.example:1280/edge/client/v1");
  EXPECT_EQ(parsed->identity, "an.identity");
  EXPECT_EQ(parsed->secret, "0b1d7b7e-1");
  EXPECT_EQ(parsed->method, EnrollMethod::ott);
}

TEST_F(ZitiTokenTest, AlgorithmsThatProveNothingAreRefused) {
  for (const char* name : {"none", "HS256", "HS512", "RS512", "es256", ""}) {
    header["alg"] = name;
    expect_refused(StatusCode::kInvalidArgument, "only RS256, ES256, ES384 and ES512");
  }
  header["alg"] = nullptr;
  expect_refused(StatusCode::kInvalidArgument, "only RS256");
  header = {{"alg", "ES256"}, {"crit", {"exp"}}};
  expect_refused(StatusCode::kInvalidArgument, "extensions");
}

TEST_F(ZitiTokenTest, AnExpiredTokenSaysWhenAndWhatTheClockSays) {
  claims["exp"] = now_plus(-1);
  expect_refused(StatusCode::kPermissionDenied, "this host's clock says");
  claims["exp"] = 1e300;
  expect_refused(StatusCode::kInvalidArgument, "when it expires");
  claims.erase("exp");
  expect_refused(StatusCode::kInvalidArgument, "when it expires");
}

TEST_F(ZitiTokenTest, ATokenOfTheFutureSaysThatTheClockIsBehind) {
  claims["iat"] = now_plus(300);
  expect_refused(StatusCode::kFailedPrecondition, "the clock is behind");
  claims["iat"] = now_plus(20);
  EXPECT_TRUE(parse_enroll_token(token(), system_clock::now()).ok());
}

TEST_F(ZitiTokenTest, TokensForOthersAreNamed) {
  claims["em"] = "erott";
  expect_refused(StatusCode::kInvalidArgument, "a router");
  claims["em"] = "updb";
  expect_refused(StatusCode::kInvalidArgument, "password");
  claims["em"] = "\x01strange";
  expect_refused(StatusCode::kInvalidArgument, "ott, ottca and ca");
  claims["em"] = "ott";
  claims["iss"] = "http://ctrl.example";
  expect_refused(StatusCode::kInvalidArgument, "issuer");
  claims["iss"] = "https://ctrl.example";
  claims["jti"] = "a\nb";
  expect_refused(StatusCode::kInvalidArgument, "one-time secret");
}

TEST_F(ZitiTokenTest, DamagedTextIsNoToken) {
  for (const char* text :
       {"", "a.b", "a.b.c.d", "!!.??.--", "e30.e30.", "e30.e30.AA", "W10.W10.AA"}) {
    EXPECT_FALSE(parse_enroll_token(text, system_clock::now()).ok()) << text;
  }
  EXPECT_FALSE(parse_enroll_token(std::string(kMaxTokenBytes + 1, 'a'), system_clock::now()).ok());
}

TEST(ZitiSignatureTest, EveryAlgorithmIsVerifiedWithItsOwnKindOfKey) {
  const Signer rsa = rsa_signer();
  const Signer p256 = ec_signer("P-256");
  const Signer p384 = ec_signer("P-384");
  const Signer p521 = ec_signer("P-521");
  const std::string text = "header.payload";
  struct Row {
    Signature algorithm;
    const Signer& signer;
    const EVP_MD* digest;
    std::size_t half;
  };
  const Row rows[] = {{Signature::rs256, rsa, EVP_sha256(), 0},
                      {Signature::es256, p256, EVP_sha256(), 32},
                      {Signature::es384, p384, EVP_sha384(), 48},
                      {Signature::es512, p521, EVP_sha512(), 66}};
  for (const Row& row : rows) {
    const auto signature = sign(row.signer.key.get(), row.digest, row.half, text);
    EXPECT_TRUE(verify_signature(row.algorithm, row.signer.der(), text, signature));
    EXPECT_FALSE(verify_signature(row.algorithm, row.signer.der(), text + "x", signature));
    auto damaged = signature;
    damaged[7] ^= 1;
    EXPECT_FALSE(verify_signature(row.algorithm, row.signer.der(), text, damaged));
    EXPECT_FALSE(verify_signature(row.algorithm, row.signer.der(), text, ""));
    for (const Row& other : rows) {
      if (other.algorithm != row.algorithm) {
        EXPECT_FALSE(verify_signature(row.algorithm, other.signer.der(), text, signature));
        EXPECT_FALSE(verify_signature(other.algorithm, row.signer.der(), text, signature));
      }
    }
  }
  EXPECT_FALSE(verify_signature(Signature::es256, "not a certificate", text, "x"));
  // A key that is too short proves nothing.
  const Signer weak = rsa_signer(1024);
  EXPECT_FALSE(verify_signature(Signature::rs256, weak.der(), text,
                                sign(weak.key.get(), EVP_sha256(), 0, text)));
}

class ZitiEnrollTest : public ZitiTokenTest {
 protected:
  ZitiEnrollTest() {
    claims["iss"] = controller.issuer();
    controller.script = [this](const RestCall& call) -> std::optional<RestReply> {
      if (call.path() == "/edge/client/v1/.well-known/est/cacerts") {
        return RestReply{.body = make_bundle(controller.authority.root() + second.root()),
                         .content_type = "application/pkcs7-mime",
                         .headers = {{"Content-Transfer-Encoding", "base64"}}};
      }
      if (call.path() == "/edge/client/v1/enroll") {
        return enrolled(call);
      }
      return std::nullopt;
    };
  }
  RestReply enrolled(const RestCall& call) {
    asked.push_back(call);
    if (query_parameter(call.target, "method") != "ott") {
      return call.peer.empty() ? refusal(401, "UNAUTHORIZED") : reply(200, json::object());
    }
    if (query_parameter(call.target, "token") != "0b1d7b7e-1" || asked.size() > 1) {
      return refusal(404, "INVALID_ENROLLMENT_TOKEN", "The supplied token is not valid");
    }
    return reply(200, {{"cert", controller.authority.certify(call.body, "an.identity")}});
  }
  std::string signed_token() const {
    return make_token(header, claims, controller.shown.private_key);
  }
  absl::StatusOr<IdentityFile> enroll_with(const std::string& jwt, EnrollOptions options = {}) {
    return run(loop, enroll(&loop, jwt, std::move(options), loop.now() + seconds(10)));
  }
  void expect_failure(const absl::StatusOr<IdentityFile>& result, StatusCode code,
                      const std::string& words) {
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.status().code(), code) << result.status();
    EXPECT_THAT(std::string(result.status().message()), HasSubstr(words));
  }

  net::Loop loop;
  ScriptedController controller{loop, {.client_certificates = false}};
  const Authority second{"second root"};
  std::vector<RestCall> asked;
};

TEST_F(ZitiEnrollTest, ATokenBecomesAnIdentity) {
  std::string kept;
  EnrollOptions options;
  options.keep_key = [&](const std::string& pem) {
    EXPECT_TRUE(asked.empty());  // before the token is used
    kept = pem;
    return absl::OkStatus();
  };
  const auto identity = enroll_with(signed_token(), std::move(options));
  ASSERT_TRUE(identity.ok()) << identity.status();
  EXPECT_EQ(identity->key, kept);
  EXPECT_THAT(kept, StartsWith("-----BEGIN PRIVATE KEY-----"));
  EXPECT_EQ(identity->controllers, std::vector<std::string>{controller.url()});
  EXPECT_EQ(count_certificates(identity->ca), 2U);
  ASSERT_EQ(asked.size(), 1U);
  EXPECT_EQ(asked[0].header("content-type"), "application/x-pem-file");
  EXPECT_EQ(asked[0].header("accept"), "application/json");
  EXPECT_THAT(asked[0].body, StartsWith("-----BEGIN CERTIFICATE REQUEST-----"));
  EXPECT_TRUE(key_matches(identity->certificate, identity->key));
}

TEST_F(ZitiEnrollTest, AnAnswerOfBarePemIsReadToo) {
  auto usual = controller.script;
  controller.script = [&](const RestCall& call) -> std::optional<RestReply> {
    if (call.path() == "/edge/client/v1/enroll") {
      return RestReply{.body = controller.authority.certify(call.body, "an.identity"),
                       .content_type = "application/x-pem-file"};
    }
    return usual(call);
  };
  EXPECT_TRUE(enroll_with(signed_token()).ok());
}

TEST_F(ZitiEnrollTest, AForgedTokenIsRefusedBeforeAnythingIsTold) {
  expect_failure(enroll_with(token()), StatusCode::kPermissionDenied,
                 "not signed by the controller");
  EXPECT_TRUE(controller.calls.empty());
  EXPECT_TRUE(asked.empty());
}

TEST_F(ZitiEnrollTest, ATokenWithAnotherTextIsForged) {
  const std::string good = signed_token();
  claims["sub"] = "somebody.else";
  const std::string other = signed_token();
  const std::string mixed = other.substr(0, other.rfind('.')) + good.substr(good.rfind('.'));
  expect_failure(enroll_with(mixed), StatusCode::kPermissionDenied, "forged");
}

TEST_F(ZitiEnrollTest, AnExpiredTokenIsRefusedAtOnce) {
  claims["exp"] = now_plus(-10);
  expect_failure(enroll_with(signed_token()), StatusCode::kPermissionDenied, "expired at");
  EXPECT_EQ(controller.server().connections(), 0);
}

TEST_F(ZitiEnrollTest, AUsedTokenIsToldSo) {
  ASSERT_TRUE(enroll_with(signed_token()).ok());
  expect_failure(enroll_with(signed_token()), StatusCode::kPermissionDenied, "used already");
}

TEST_F(ZitiEnrollTest, AKeyThatCannotBeKeptLeavesTheTokenUnused) {
  EnrollOptions options;
  options.keep_key = [](const std::string&) { return absl::ResourceExhaustedError("disk full"); };
  expect_failure(enroll_with(signed_token(), std::move(options)), StatusCode::kResourceExhausted,
                 "disk full");
  EXPECT_TRUE(asked.empty());
}

TEST_F(ZitiEnrollTest, HtmlIsNoListOfCertificates) {
  controller.script = [](const RestCall&) -> std::optional<RestReply> {
    return RestReply{.body = "<html>", .content_type = "text/html"};
  };
  expect_failure(enroll_with(signed_token()), StatusCode::kUnavailable, "text/html");
}

TEST_F(ZitiEnrollTest, ACertificateForAnotherKeyIsNoAnswer) {
  auto usual = controller.script;
  controller.script = [&](const RestCall& call) -> std::optional<RestReply> {
    if (call.path() == "/edge/client/v1/enroll") {
      return reply(200, {{"cert", controller.authority.issue("x").chain}});
    }
    return usual(call);
  };
  expect_failure(enroll_with(signed_token()), StatusCode::kUnavailable, "does not work");
}

TEST_F(ZitiEnrollTest, NobodyThereIsNamed) {
  const std::string jwt = signed_token();
  controller.stop();
  expect_failure(enroll_with(jwt), StatusCode::kUnavailable, "not reached");
}

TEST_F(ZitiEnrollTest, TokensOfOtherAuthoritiesNeedTheirCertificate) {
  claims["em"] = "ottca";
  expect_failure(enroll_with(signed_token()), StatusCode::kFailedPrecondition, "give");
  const auto own = controller.authority.issue("device");
  EnrollOptions mixed{.key = *make_private_key(), .certificate = own.chain, .keep_key = {}};
  expect_failure(enroll_with(signed_token(), std::move(mixed)), StatusCode::kInvalidArgument,
                 "not the certificate's");
}

TEST(ZitiEnrollCaTest, ACertificateOfAnAuthorityIsEnrolledAsItIs) {
  net::Loop loop;
  ScriptedController controller(loop);
  std::string target;
  controller.script = [&](const RestCall& call) -> std::optional<RestReply> {
    if (call.path().ends_with("/cacerts")) {
      return RestReply{.body = make_bundle(controller.authority.root()),
                       .content_type = "application/pkcs7-mime"};
    }
    EXPECT_EQ(call.peer, "device");
    EXPECT_EQ(call.body, "");
    target = call.target;
    return RestReply{.body = "{}"};
  };
  const auto own = controller.authority.issue("device");
  for (const std::string method : {"ottca", "ca"}) {
    const json claims{{"iss", controller.issuer()},
                      {"sub", "id"},
                      {"jti", "token 1"},
                      {"em", method},
                      {"exp", now_plus(600)}};
    // Reading the controller's certificate shows none of ours: this server wants one even then.
    const std::string jwt = make_token({{"alg", "ES256"}}, claims, controller.shown.private_key);
    const auto identity = run(
        loop, enroll(&loop, jwt, {.key = own.private_key, .certificate = own.chain, .keep_key = {}},
                     loop.now() + seconds(10)));
    ASSERT_TRUE(identity.ok()) << identity.status();
    EXPECT_EQ(identity->certificate, own.chain);
    EXPECT_EQ(target, method == "ca" ? "/edge/client/v1/enroll?method=ca"
                                     : "/edge/client/v1/enroll?method=ottca&token=token%201");
  }
}

TEST(ZitiBundleTest, WhatIsNoBundleIsRefused) {
  EXPECT_FALSE(read_pkcs7(""));
  EXPECT_FALSE(read_pkcs7("!!!"));
  EXPECT_FALSE(read_pkcs7("AAAA"));
  std::string empty = make_bundle("");
  std::erase(empty, '\n');
  EXPECT_FALSE(read_pkcs7(empty));
}

}  // namespace
}  // namespace simplon::overlay::ziti::test
