#include <gmock/gmock.h>

#include "overlay/ziti/rest_client.hpp"
#include "unit/overlay/ziti_scripted_controller.hpp"

namespace simplon::overlay::ziti::test {
namespace {

using base::Errc;
using net::test::run;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::AllOf;
using testing::HasSubstr;

TEST(ZitiAnswerTest, AnAnswerIsReadHoweverItIsCut) {
  const std::string text =
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Type: Application/JSON\r\n"
      "Transfer-Encoding: chunked\r\n\r\n4\r\n{\"da\r\n7\r\nta\":{}}\r\n0\r\n\r\n";
  for (std::size_t cut = 0; cut < text.size(); ++cut) {
    AnswerReader reader;
    const auto first = reader.put(std::string_view(text).substr(0, cut));
    ASSERT_TRUE(first && !*first) << cut;
    const auto second = reader.put(std::string_view(text).substr(cut));
    ASSERT_TRUE(second && *second) << cut;
    const RestAnswer answer = reader.take();
    EXPECT_EQ(answer.status, 200U);
    EXPECT_EQ(answer.content_type, "application/json");
    EXPECT_EQ(answer.body, "{\"data\":{}}");
    EXPECT_TRUE(answer.keep_alive);
  }
}

TEST(ZitiAnswerTest, ByteByByteIsAsGood) {
  const std::string head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (const std::string& body : {std::string("2\r\n{}\r\n0\r\n\r\n"), std::string("0\r\n\r\n")}) {
    const std::string text = head + body;
    for (std::size_t cut = 0; cut < text.size(); ++cut) {
      AnswerReader reader;
      ASSERT_TRUE(reader.put(std::string_view(text).substr(0, cut))) << cut;
      base::Result<bool> got = false;
      for (std::size_t i = cut; i < text.size() && got && !*got; ++i) {
        got = reader.put(std::string_view(text).substr(i, 1));
      }
      ASSERT_TRUE(got && *got) << cut;
      EXPECT_EQ(reader.take().body, body.size() > 5 ? "{}" : "");
    }
  }
}

TEST(ZitiAnswerTest, AnAnswerThatIsCutOffIsNone) {
  AnswerReader whole;
  ASSERT_TRUE(whole.put("HTTP/1.1 200 OK\r\n\r\nabc"));
  EXPECT_TRUE(whole.end());
  EXPECT_EQ(whole.take().body, "abc");
  AnswerReader cut;
  ASSERT_TRUE(cut.put("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"));
  EXPECT_FALSE(cut.end());
  AnswerReader none;
  EXPECT_FALSE(none.end());
}

TEST(ZitiAnswerTest, GarbageAndGiantsAreRefused) {
  AnswerReader garbage;
  EXPECT_EQ(garbage.put("SSH-2.0-OpenSSH_9.2\r\n").error(), Errc::protocol_error);
  AnswerReader body;
  EXPECT_EQ(body.put("HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n").error(),
            Errc::limit_exceeded);
  AnswerReader head;
  EXPECT_EQ(head.put("HTTP/1.1 200 OK\r\nA: " + std::string(100'000, 'a')).error(),
            Errc::limit_exceeded);
  AnswerReader extension;
  ASSERT_TRUE(extension.put("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;"));
  EXPECT_EQ(extension.put(std::string(100'000, 'a')).error(), Errc::limit_exceeded);
  AnswerReader waiting;
  base::Result<bool> last = false;
  for (int i = 0; i < 20 && last; ++i) {
    last = waiting.put("HTTP/1.1 100 Continue\r\n\r\n");
  }
  EXPECT_FALSE(last);
}

ApiError error_of_answer(unsigned status, std::string body, std::string type = "application/json") {
  const RestAnswer answer{
      .status = status, .content_type = std::move(type), .body = std::move(body)};
  const auto read = read_envelope(answer, "https://ctrl.example");
  EXPECT_FALSE(read);
  return read ? ApiError{} : read.error();
}

TEST(ZitiAnswerTest, ErrorsAreToldWithWhatTheControllerSaysOfThem) {
  const auto error = error_of_answer(
      400, R"({"error":{"code":"COULD_NOT_VALIDATE","message":"invalid document",)"
           R"("cause":{"field":"serviceId","reason":"service not found","value":"x"}},"meta":{}})");
  EXPECT_EQ(error.code, Errc::not_permitted);
  EXPECT_EQ(error.name, "COULD_NOT_VALIDATE");
  EXPECT_THAT(error.words, AllOf(HasSubstr("policy"), HasSubstr("invalid document")));
  EXPECT_FALSE(error.passing());

  const auto posture = error_of_answer(409, R"({"error":{"code":"INVALID_POSTURE"}})");
  EXPECT_EQ(posture.code, Errc::not_permitted);
  EXPECT_THAT(posture.words, HasSubstr("posture check"));

  const auto oauth =
      error_of_answer(400, R"({"error":"invalid_grant","error_description":"expired"})");
  EXPECT_EQ(oauth.name, "invalid_grant");
  EXPECT_TRUE(error_of_answer(429, R"({"error":{"code":"RATE_LIMITED"}})").passing());
  EXPECT_TRUE(error_of_answer(503, "<html>", "text/html").passing());
}

TEST(ZitiAnswerTest, WhatIsNoJsonIsNamed) {
  EXPECT_THAT(error_of_answer(200, "<html>", "text/html").words,
              AllOf(HasSubstr("text/html"), HasSubstr("https://ctrl.example")));
  EXPECT_THAT(error_of_answer(200, "").words, HasSubstr("not JSON"));
  EXPECT_THAT(error_of_answer(200, "[]").words, HasSubstr("not JSON"));
  EXPECT_THAT(error_of_answer(200, "{}").words, HasSubstr("no answer of OpenZiti's API"));
  EXPECT_THAT(error_of_answer(200, R"({"data":7})").words, HasSubstr("no answer"));
  const std::string deep = R"({"data":)" + std::string(100'000, '[');
  EXPECT_THAT(error_of_answer(200, deep).words, HasSubstr("not JSON"));
  // Words of others do not reach a terminal as they are.
  EXPECT_EQ(error_of_answer(400, "{\"error\":{\"code\":\"A\\u001b[1m\"}}").name, "A?[1m");
}

TEST(ZitiValueTest, RoutersThatAreOfUseAreKept) {
  const auto routers = read_routers(json::parse(R"({"edgeRouters":[
      {"name":"a","isOnline":true,"supportedProtocols":{"tls":"tls://r1.example:3022","wss":"x"}},
      {"name":"old","urls":{"tls":"tls:[::1]:3022"}},
      {"name":"off","isOnline":false,"supportedProtocols":{"tls":"tls://r2:1"}},
      {"name":"no","disabled":true,"supportedProtocols":{"tls":"tls://r2:1"}},
      {"name":"web","supportedProtocols":{"wss":"wss://r3:1"}},
      {"name":"bad","supportedProtocols":{"tls":"tls://r3"}}, 7, null]})"));
  ASSERT_EQ(routers.size(), 2U);
  EXPECT_EQ(routers[0], (Router{.name = "a", .endpoint = {.host = "r1.example", .port = 3022}}));
  EXPECT_EQ(routers[1].endpoint.host, "::1");
  EXPECT_TRUE(read_routers(json::parse("[]")).empty());
}

TEST(ZitiValueTest, AServiceIsEncryptedUnlessToldOtherwise) {
  EXPECT_TRUE(read_service(json::parse(R"({"id":"1","name":"a"})"))->encrypted);
  EXPECT_TRUE(
      read_service(json::parse(R"({"id":"1","name":"a","encryptionRequired":"no"})"))->encrypted);
  EXPECT_FALSE(
      read_service(json::parse(R"({"id":"1","name":"a","encryptionRequired":false})"))->encrypted);
  EXPECT_FALSE(read_service(json::parse(R"({"id":"","name":"a"})")));
  EXPECT_FALSE(read_service(json::parse(R"({"id":"1","name":"a\nb"})")));
  const auto permitted =
      read_service(json::parse(R"({"id":"1","name":"a","permissions":["Dial",7],"config":7})"));
  EXPECT_TRUE(permitted->may_dial);
  EXPECT_FALSE(permitted->may_bind);
}

TEST(ZitiValueTest, ClocksThatDifferDoNotMakeALoginUseless) {
  std::string unanswered;
  const auto now = system_clock::now();
  const auto login = read_login(
      json::parse(R"({"token":"t","expirationSeconds":1800,"expiresAt":"2001-01-01T00:00:00Z"})"),
      now, &unanswered);
  ASSERT_TRUE(login);
  EXPECT_EQ(login->lifetime, seconds(180));
  const auto late = read_login(
      json::parse(R"({"token":"t","expirationSeconds":1800,"expiresAt":"2190-01-01T00:00:00Z"})"),
      now, &unanswered);
  EXPECT_EQ(late->lifetime, seconds(1800));
  EXPECT_FALSE(read_login(json::parse(R"({"token":"a\r\nb"})"), now, &unanswered));
}

TEST(ZitiValueTest, VersionsAreRead) {
  const auto version = read_version(
      json::parse(R"({"version":"v3.1.0","capabilities":["HA_CONTROLLER","OIDC_AUTH",1]})"));
  EXPECT_EQ(version.major, 3);
  EXPECT_TRUE(version.oidc);
  EXPECT_EQ(read_version(json::parse(R"({"version":7})")).major, 0);
}

TEST(ZitiValueTest, QueryParametersAreDecoded) {
  EXPECT_EQ(query_parameter("http://a/b?x=1&code=a%2Bb+c&y=%zz#f", "code"), "a+b c");
  EXPECT_EQ(query_parameter("/b?x=1&y=%zz#f", "y"), "%zz");
  EXPECT_EQ(query_parameter("/b?xcode=1", "code"), "");
  EXPECT_EQ(query_parameter("/b", "code"), "");
}

class ZitiRestTest : public testing::Test {
 protected:
  std::shared_ptr<RestClient> client() {
    const auto tls = net::TlsContext::make({.role = net::TlsRole::client,
                                            .trust_roots = authority.root(),
                                            .protocols = {{.name = "http/1.1"}}})
                         .value();
    return std::make_shared<RestClient>(
        loop, net::Endpoint{.host = "127.0.0.1", .port = server.port()}, tls);
  }

  net::Loop loop;
  Authority authority;
  ScriptedServer::Answer answer;
  ScriptedServer server{loop, authority.issue("s", {.subject_alternative = "IP:127.0.0.1"}), "",
                        [this](const RestCall& call) { return answer(call); }};
};

TEST_F(ZitiRestTest, ASilentServerEndsWithTheDeadline) {
  answer = [](const RestCall&) { return RestReply{.silent = true}; };
  const auto rest = client();
  const auto got = run(loop, rest->exchange({.target = "/"}, loop.now() + milliseconds(50)));
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().code, Errc::timed_out);
}

TEST_F(ZitiRestTest, AGiantAnswerIsRefused) {
  answer = [](const RestCall&) { return RestReply{.body = std::string(kMaxAnswerBody + 1, ' ')}; };
  const auto rest = client();
  const auto got = run(loop, rest->exchange({.target = "/"}, loop.now() + seconds(10)));
  ASSERT_FALSE(got);
  EXPECT_THAT(got.error().words, HasSubstr("larger than 4 MiB"));
}

TEST_F(ZitiRestTest, WhatMayNotBeRepeatedNeverTakesAKeptConnection) {
  answer = [](const RestCall&) { return RestReply{.body = "{}"}; };
  const auto rest = client();
  ASSERT_TRUE(run(loop, rest->exchange({.target = "/"}, loop.now() + seconds(10))));
  ASSERT_TRUE(run(loop, rest->exchange({.target = "/"}, loop.now() + seconds(10))));
  EXPECT_EQ(server.connections(), 1);
  ASSERT_TRUE(run(loop, rest->exchange({.method = "POST", .target = "/", .repeatable = false},
                                       loop.now() + seconds(10))));
  EXPECT_EQ(server.connections(), 2);
}

TEST_F(ZitiRestTest, HeadersCannotBeSmuggled) {
  answer = [](const RestCall&) { return RestReply{}; };
  const auto rest = client();
  const auto got = run(loop, rest->exchange({.target = "/", .headers = {{"a", "b\r\nc: d"}}},
                                            loop.now() + seconds(10)));
  EXPECT_EQ(got.error().code, Errc::invalid_argument);
}

TEST_F(ZitiRestTest, ClosingEndsWhatIsUnderWay) {
  bool asked = false;
  answer = [&](const RestCall&) {
    asked = true;
    return RestReply{.silent = true};
  };
  const auto rest = client();
  const auto waiting =
      net::test::start(loop, rest->exchange({.target = "/"}, loop.now() + seconds(10)));
  ASSERT_TRUE(net::test::run_until(loop, [&] { return asked; }));
  rest->close();
  ASSERT_TRUE(net::test::run_until(loop, [&] { return waiting->has_value(); }));
  EXPECT_EQ((*waiting)->error().code, Errc::closed);
}

}  // namespace
}  // namespace simplon::overlay::ziti::test
