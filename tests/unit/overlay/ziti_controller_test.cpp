#include <gmock/gmock.h>

#include "overlay/ziti/controller.hpp"
#include "unit/overlay/ziti_scripted_controller.hpp"

namespace simplon::overlay::ziti::test {
namespace {

using base::Errc;
using net::test::run;
using net::test::run_until;
using net::test::start;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class ZitiControllerTest : public testing::Test {
 protected:
  std::unique_ptr<Controller> make(IdentityFile identity) {
    return Controller::make(loop, {.identity = std::move(identity),
                                   .first_retry = milliseconds(5),
                                   .poll_interval = milliseconds(20)})
        .value();
  }
  net::TimePoint soon() { return loop.now() + seconds(10); }
  bool wait_down(Controller& controller) {
    return run_until(loop, [&] { return controller.status().state == LinkState::down; });
  }

  net::Loop loop;
};

TEST_F(ZitiControllerTest, AnIdentityLogsInAndIsKnown) {
  ScriptedController scripted(loop);
  const auto controller = make(scripted.identity("shop"));
  EXPECT_EQ(controller->status().state, LinkState::connecting);
  const auto login = run(loop, controller->logged_in(soon()));
  ASSERT_TRUE(login) << login.error().message();
  EXPECT_EQ(login->identity_name, "shop");
  EXPECT_EQ(login->identity_id, "id-shop");
  EXPECT_EQ(login->controller_version, "v2.0.3");
  EXPECT_FALSE(login->oidc);
  EXPECT_EQ(controller->status().state, LinkState::up);
}

TEST_F(ZitiControllerTest, ServicesOfEveryPageAreFound) {
  ScriptedController scripted(loop);
  for (int i = 0; i < 25; ++i) {
    scripted.add_service(absl::StrCat("service-", i), i % 2 == 0);
  }
  scripted.page_limit = 10;
  const auto controller = make(scripted.identity("shop"));
  const auto found = run(loop, controller->service("service-23", soon()));
  ASSERT_TRUE(found) << found.error().message();
  EXPECT_EQ(found->id, "id-service-23");
  EXPECT_FALSE(found->encrypted);
  EXPECT_TRUE(found->may_dial);
  EXPECT_EQ(scripted.count("GET /edge/client/v1/services"), 3);
}

TEST_F(ZitiControllerTest, AnUnknownServiceSaysWhatToLookAt) {
  ScriptedController scripted(loop);
  const auto controller = make(scripted.identity("shop"));
  const auto found = run(loop, controller->service("nobody", soon()));
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, Errc::no_such_service);
  EXPECT_THAT(found.error().detail, AllOf(HasSubstr("\"nobody\""), HasSubstr("policy")));
}

TEST_F(ZitiControllerTest, AServiceThatIsMadeLaterIsFoundWhenAskedFor) {
  ScriptedController scripted(loop);
  scripted.add_service("first");
  const auto controller = make(scripted.identity("shop"));
  ASSERT_TRUE(run(loop, controller->service("first", soon())));
  scripted.add_service("second");
  EXPECT_TRUE(run(loop, controller->service("second", soon())));
}

TEST_F(ZitiControllerTest, ASessionIsMadeOnceHoweverManyAsk) {
  ScriptedController scripted(loop);
  scripted.add_service("echo");
  scripted.routers = {{.name = "r1", .endpoint = {.host = "127.0.0.1", .port = 3022}}};
  const auto controller = make(scripted.identity("shop"));
  const auto first = start(loop, controller->session("id-echo", SessionType::dial, soon()));
  const auto second = start(loop, controller->session("id-echo", SessionType::dial, soon()));
  ASSERT_TRUE(run_until(loop, [&] { return first->has_value() && second->has_value(); }));
  ASSERT_TRUE(**first && **second);
  EXPECT_EQ((*first)->value().token, (*second)->value().token);
  EXPECT_EQ((*first)->value().routers, scripted.routers);
  EXPECT_EQ(scripted.count("POST /edge/client/v1/sessions"), 1);
  const auto bind = run(loop, controller->session("id-echo", SessionType::bind, soon()));
  ASSERT_TRUE(bind);
  EXPECT_NE(bind->token, (*first)->value().token);
}

TEST_F(ZitiControllerTest, ADroppedSessionIsMadeAgainButNotTwice) {
  ScriptedController scripted(loop);
  scripted.add_service("echo");
  scripted.routers = {{.name = "r1", .endpoint = {.host = "127.0.0.1", .port = 3022}}};
  const auto controller = make(scripted.identity("shop"));
  const auto first = run(loop, controller->session("id-echo", SessionType::dial, soon()));
  controller->drop_session("id-echo", SessionType::dial, "another token");
  EXPECT_EQ(run(loop, controller->session("id-echo", SessionType::dial, soon()))->token,
            first->token);
  controller->drop_session("id-echo", SessionType::dial, first->token);
  EXPECT_NE(run(loop, controller->session("id-echo", SessionType::dial, soon()))->token,
            first->token);
  // This version's second session is good.
  EXPECT_EQ(scripted.count("DELETE /edge/client/v1/sessions/of%20Dial%20id-echo"), 0);
}

TEST_F(ZitiControllerTest, WhereASecondSessionIsDeadTheFirstIsEndedBefore) {
  ScriptedController scripted(loop, {.version = "v2.0.1"});
  scripted.add_service("echo");
  scripted.routers = {{.name = "r1", .endpoint = {.host = "127.0.0.1", .port = 3022}}};
  const auto controller = make(scripted.identity("shop"));
  const auto first = run(loop, controller->session("id-echo", SessionType::dial, soon()));
  controller->drop_session("id-echo", SessionType::dial, first->token);
  ASSERT_TRUE(run(loop, controller->session("id-echo", SessionType::dial, soon())));
  EXPECT_EQ(scripted.count("DELETE /edge/client/v1/sessions/of%20Dial%20id-echo"), 1);
}

TEST_F(ZitiControllerTest, WithoutPermissionASessionIsRefused) {
  ScriptedController scripted(loop);
  const auto controller = make(scripted.identity("shop"));
  const auto session = run(loop, controller->session("id-secret", SessionType::bind, soon()));
  ASSERT_FALSE(session);
  EXPECT_EQ(session.error().code, Errc::not_permitted);
  EXPECT_THAT(session.error().detail, HasSubstr("policy"));
}

TEST_F(ZitiControllerTest, WithoutARouterASessionSaysSo) {
  ScriptedController scripted(loop);
  scripted.add_service("echo");
  const auto controller = make(scripted.identity("shop"));
  const auto session =
      run(loop, controller->session("id-echo", SessionType::dial, loop.now() + seconds(1)));
  ASSERT_FALSE(session);
  EXPECT_EQ(session.error().code, Errc::link_lost);
  EXPECT_THAT(session.error().detail, HasSubstr("no edge router is online"));
}

TEST_F(ZitiControllerTest, AnExpiredLoginIsMadeAgainAndTheCallRepeated) {
  ScriptedController scripted(loop);
  scripted.add_service("echo");
  const auto controller = make(scripted.identity("shop"));
  std::vector<std::string> tokens;
  controller->on_token([&](const ApiSession& session) { tokens.push_back(session.token); });
  ASSERT_TRUE(run(loop, controller->logged_in(soon())));
  scripted.forget();
  const auto found = run(loop, controller->service("echo", soon()));
  EXPECT_TRUE(found) << found.error().message();
  ASSERT_EQ(tokens.size(), 2U);
  EXPECT_NE(tokens[0], tokens[1]);
}

TEST_F(ZitiControllerTest, ALoginIsKeptAliveAndNoticedWhenItEnds) {
  ScriptedController scripted(loop);
  scripted.login_seconds = 1;
  const auto controller = make(scripted.identity("shop"));
  const auto first = run(loop, controller->logged_in(soon()));
  ASSERT_TRUE(run_until(
      loop, [&] { return scripted.count("GET /edge/client/v1/current-api-session") >= 1; }));
  EXPECT_EQ(controller->login()->token, first->token);
  scripted.forget();
  ASSERT_TRUE(run_until(
      loop, [&] { return controller->login() && controller->login()->token != first->token; }));
}

TEST_F(ZitiControllerTest, ALoginThatARouterRefusedIsMadeAgainOnlyIfTheControllerDoesNotKnowIt) {
  ScriptedController scripted(loop);
  const auto controller = make(scripted.identity("shop"));
  const auto first = run(loop, controller->logged_in(soon()));
  EXPECT_FALSE(run(loop, controller->confirm_login("an older one", soon())));
  EXPECT_TRUE(run(loop, controller->confirm_login(first->token, soon())));
  EXPECT_EQ(controller->login()->token, first->token);
  // No answer is no refusal.
  scripted.script = [](const RestCall&) { return RestReply{.status = 503}; };
  EXPECT_TRUE(run(loop, controller->confirm_login(first->token, soon())));
  scripted.script = nullptr;
  scripted.forget();
  EXPECT_FALSE(run(loop, controller->confirm_login(first->token, soon())));
  EXPECT_NE(run(loop, controller->logged_in(soon()))->token, first->token);
}

TEST_F(ZitiControllerTest, AListOfServicesGoesOnWithoutWhoWantedIt) {
  ScriptedController scripted(loop);
  scripted.page_limit = 1;
  for (const char* name : {"a", "b", "c", "d"}) {
    scripted.add_service(name);
  }
  const auto controller = make(scripted.identity("shop"));
  ASSERT_TRUE(run(loop, controller->logged_in(soon())));
  const auto early = run(loop, controller->service("d", loop.now()));
  ASSERT_FALSE(early);
  EXPECT_EQ(early.error().code, Errc::timed_out);
  EXPECT_TRUE(run(loop, controller->service("d", soon())));
  EXPECT_EQ(scripted.count("GET /edge/client/v1/services"), 4);
}

TEST_F(ZitiControllerTest, ManyWhoWantTheSameAreOneQuestion) {
  ScriptedController scripted(loop);
  scripted.add_service("echo");
  const auto controller = make(scripted.identity("shop"));
  ASSERT_TRUE(run(loop, controller->logged_in(soon())));
  scripted.script = [&](const RestCall& call) -> std::optional<RestReply> {
    return call.method == "POST" && call.path().ends_with("/sessions")
               ? std::optional(refusal(404, "NO_EDGE_ROUTERS_AVAILABLE"))
               : std::nullopt;
  };
  std::vector<std::shared_ptr<std::optional<std::expected<ServiceSession, base::Failure>>>> asked;
  for (int i = 0; i < 20; ++i) {
    asked.push_back(
        net::test::start(loop, controller->session("id-echo", SessionType::dial, soon())));
  }
  ASSERT_TRUE(run_until(loop, [&] {
    return std::ranges::all_of(asked, [](const auto& one) { return one->has_value(); });
  }));
  for (const auto& one : asked) {
    EXPECT_FALSE(**one);
  }
  EXPECT_LE(scripted.count("POST /edge/client/v1/sessions"), 4);
  scripted.script = nullptr;
  scripted.routers = {{.name = "r1", .endpoint = {.host = "127.0.0.1", .port = 3022}}};
  ASSERT_TRUE(run_until(loop, [&] {
    return run(loop, controller->session("id-echo", SessionType::dial, soon())).has_value();
  }));
  std::vector<std::shared_ptr<std::optional<std::expected<std::vector<Router>, base::Failure>>>>
      named;
  for (int i = 0; i < 20; ++i) {
    named.push_back(
        net::test::start(loop, controller->routers("id-echo", SessionType::dial, soon())));
  }
  ASSERT_TRUE(run_until(loop, [&] {
    return std::ranges::all_of(named, [](const auto& one) { return one->has_value(); });
  }));
  for (const auto& one : named) {
    EXPECT_TRUE(**one);
  }
  int questions = 0;
  for (const auto& [what, times] : scripted.calls) {
    questions += what.starts_with("GET /edge/client/v1/sessions/") ? times : 0;
  }
  EXPECT_EQ(questions, 1);
}

TEST_F(ZitiControllerTest, AChangeOfServicesIsNoticed) {
  ScriptedController scripted(loop);
  scripted.add_service("echo");
  scripted.routers = {{.name = "r1", .endpoint = {.host = "127.0.0.1", .port = 3022}}};
  const auto controller = make(scripted.identity("shop"));
  ASSERT_TRUE(run(loop, controller->service("echo", soon())));
  ASSERT_TRUE(run(loop, controller->session("id-echo", SessionType::dial, soon())));
  int changes = 0;
  controller->on_services([&] { ++changes; });
  scripted.services.clear();
  scripted.change();
  ASSERT_TRUE(run_until(loop, [&] { return changes == 1; }));
  EXPECT_FALSE(run(loop, controller->service("echo", soon())));
  EXPECT_FALSE(run(loop, controller->session("id-echo", SessionType::dial, soon())));
}

TEST_F(ZitiControllerTest, OidcIsUsedWhereNothingElseIsLeft) {
  ScriptedController scripted(loop, {.version = "v3.0.0", .oidc = true});
  scripted.add_service("echo");
  const auto controller = make(scripted.identity("shop"));
  const auto login = run(loop, controller->logged_in(soon()));
  ASSERT_TRUE(login) << login.error().message();
  EXPECT_TRUE(login->oidc);
  EXPECT_EQ(login->identity_name, "shop");
  EXPECT_TRUE(run(loop, controller->service("echo", soon())));
  EXPECT_EQ(scripted.count("POST /edge/client/v1/authenticate"), 0);
}

TEST_F(ZitiControllerTest, AnOidcLoginIsRefreshedAndToldToTheChannels) {
  ScriptedController scripted(loop, {.version = "v3.0.0", .oidc = true});
  scripted.add_service("echo");
  scripted.login_seconds = 1;
  const auto controller = make(scripted.identity("shop"));
  std::vector<std::string> tokens;
  controller->on_token([&](const ApiSession& session) { tokens.push_back(session.token); });
  ASSERT_TRUE(run_until(loop, [&] { return tokens.size() == 2; }));
  EXPECT_EQ(scripted.count("POST /oidc/login/cert"), 1);
  EXPECT_EQ(controller->login()->token, tokens[1]);
  EXPECT_TRUE(run(loop, controller->service("echo", soon())));
}

TEST_F(ZitiControllerTest, TheLegacyLoginIsUsedWhereBothAreOffered) {
  ScriptedController scripted(loop, {.oidc = true});
  const auto controller = make(scripted.identity("shop"));
  EXPECT_FALSE(run(loop, controller->logged_in(soon()))->oidc);
}

TEST_F(ZitiControllerTest, WhereTheLegacyLoginIsGoneOidcIsTried) {
  ScriptedController scripted(loop, {.oidc = true});
  scripted.script = [](const RestCall& call) -> std::optional<RestReply> {
    if (call.path().ends_with("/authenticate")) {
      return refusal(404, "NOT_FOUND");
    }
    return std::nullopt;
  };
  const auto controller = make(scripted.identity("shop"));
  EXPECT_TRUE(run(loop, controller->logged_in(soon()))->oidc);
}

TEST_F(ZitiControllerTest, AnotherControllerIsUsedWhenOneIsGone) {
  ScriptedController scripted(loop, {.oidc = true});
  ScriptedController gone(loop);
  auto identity = scripted.identity("shop");
  identity.controllers.insert(identity.controllers.begin(), gone.url());
  gone.stop();
  const auto controller = make(std::move(identity));
  const auto login = run(loop, controller->logged_in(soon()));
  ASSERT_TRUE(login) << login.error().message();
  EXPECT_TRUE(login->oidc);
  EXPECT_EQ(login->controller, scripted.url());
}

TEST_F(ZitiControllerTest, ABusyControllerIsAskedAgain) {
  ScriptedController scripted(loop);
  scripted.add_service("echo");
  int refused = 0;
  scripted.script = [&](const RestCall& call) -> std::optional<RestReply> {
    if (call.path().ends_with("/services") && ++refused <= 2) {
      return refused == 1 ? refusal(429, "RATE_LIMITED") : refusal(503, "CLUSTER_NO_LEADER");
    }
    return std::nullopt;
  };
  const auto controller = make(scripted.identity("shop"));
  EXPECT_TRUE(run(loop, controller->service("echo", soon())));
  EXPECT_EQ(refused, 3);
}

TEST_F(ZitiControllerTest, AnIdentityThatIsNotAcceptedIsToldAtOnceAndTriedAgain) {
  ScriptedController scripted(loop);
  bool accepted = false;
  scripted.script = [&](const RestCall& call) -> std::optional<RestReply> {
    if (call.path().ends_with("/authenticate") && !accepted) {
      return refusal(401, "INVALID_AUTH", "The authentication request failed");
    }
    return std::nullopt;
  };
  const auto controller = make(scripted.identity("shop"));
  const auto login = run(loop, controller->logged_in(soon()));
  ASSERT_FALSE(login);
  EXPECT_EQ(login.error().code, Errc::not_permitted);
  EXPECT_THAT(login.error().detail, HasSubstr("another network"));
  EXPECT_EQ(controller->status().state, LinkState::down);
  accepted = true;
  EXPECT_TRUE(run_until(loop, [&] { return controller->status().state == LinkState::up; }));
}

TEST_F(ZitiControllerTest, ASecondFactorIsAClearFailure) {
  ScriptedController scripted(loop);
  scripted.script = [](const RestCall& call) -> std::optional<RestReply> {
    if (call.path().ends_with("/authenticate")) {
      return reply(
          200, {{"token", "half"}, {"authQueries", {{{"typeId", "TOTP"}, {"provider", "ziti"}}}}});
    }
    return std::nullopt;
  };
  const auto controller = make(scripted.identity("shop"));
  const auto login = run(loop, controller->logged_in(soon()));
  ASSERT_FALSE(login);
  EXPECT_THAT(login.error().detail, AllOf(HasSubstr("TOTP ziti"), HasSubstr("second factor")));
}

TEST_F(ZitiControllerTest, AChainWithoutIntermediatesIsNamedWhenItIsRefused) {
  ScriptedController scripted(loop, {.client_certificates = false});
  const Authority intermediate(scripted.authority, "intermediate 7");
  auto identity = scripted.identity("shop");
  const auto own = intermediate.issue("shop");
  identity.key = own.private_key;
  identity.certificate = own.chain;
  const auto controller = make(identity);
  const auto login = run(loop, controller->logged_in(soon()));
  ASSERT_FALSE(login);
  EXPECT_THAT(login.error().detail,
              AllOf(HasSubstr("intermediate certificate"), HasSubstr("intermediate 7")));
}

TEST_F(ZitiControllerTest, HtmlIsNoController) {
  ScriptedController scripted(loop);
  scripted.script = [](const RestCall&) -> std::optional<RestReply> {
    return RestReply{.body = "<html>hello</html>", .content_type = "text/html; charset=utf-8"};
  };
  const auto controller = make(scripted.identity("shop"));
  const auto login = run(loop, controller->logged_in(soon()));
  ASSERT_FALSE(login);
  EXPECT_EQ(login.error().code, Errc::link_lost);
  EXPECT_THAT(login.error().detail, AllOf(HasSubstr("text/html"), HasSubstr(scripted.url())));
}

TEST_F(ZitiControllerTest, TheWrongAuthorityIsNamed) {
  ScriptedController scripted(loop);
  auto identity = scripted.identity("shop");
  identity.ca = Authority("another network").root();
  const auto controller = make(std::move(identity));
  ASSERT_TRUE(wait_down(*controller));
  EXPECT_THAT(controller->status().last_error, HasSubstr("another network than this identity"));
}

TEST_F(ZitiControllerTest, AnIdentityOfAnotherNetworkIsToldSo) {
  ScriptedController scripted(loop);
  ScriptedController other(loop);
  auto identity = other.identity("shop");
  identity.controllers = {scripted.url()};
  identity.ca = scripted.authority.root();
  const auto controller = make(std::move(identity));
  ASSERT_TRUE(wait_down(*controller));
  EXPECT_THAT(controller->status().last_error, HasSubstr("certificate is not accepted"));
}

TEST_F(ZitiControllerTest, AClockThatIsWrongIsNamed) {
  ScriptedController scripted(
      loop, {.certificate = {.subject_alternative = "IP:127.0.0.1", .valid_from = 3000}});
  const auto controller = make(scripted.identity("shop"));
  ASSERT_TRUE(wait_down(*controller));
  EXPECT_THAT(controller->status().last_error,
              AllOf(HasSubstr("not yet valid"), HasSubstr("this host's clock says")));
}

TEST_F(ZitiControllerTest, AControllerThatIsGoneIsNamedWithinSeconds) {
  ScriptedController scripted(loop);
  const auto identity = scripted.identity("shop");
  scripted.stop();
  const auto controller = make(identity);
  const auto login = run(loop, controller->logged_in(soon()));
  ASSERT_FALSE(login);
  EXPECT_EQ(login.error().code, Errc::link_lost);
  EXPECT_THAT(login.error().detail, HasSubstr("not reached"));
}

TEST_F(ZitiControllerTest, ItIsRemovedWhileItWaits) {
  ScriptedController scripted(loop);
  scripted.script = [](const RestCall&) -> std::optional<RestReply> {
    return RestReply{.silent = true};
  };
  auto controller = make(scripted.identity("shop"));
  const auto waiting = start(loop, controller->service("echo", soon()));
  ASSERT_TRUE(run_until(loop, [&] { return scripted.count("GET /edge/client/v1/version") > 0; }));
  controller.reset();
  ASSERT_TRUE(run_until(loop, [&] { return waiting->has_value(); }));
  EXPECT_EQ((*waiting)->error().code, Errc::link_lost);
}

TEST_F(ZitiControllerTest, ItsEndLogsOut) {
  ScriptedController scripted(loop);
  auto controller = make(scripted.identity("shop"));
  ASSERT_TRUE(run(loop, controller->logged_in(soon())));
  ASSERT_EQ(scripted.logins.size(), 1U);
  controller.reset();
  EXPECT_TRUE(run_until(loop, [&] { return scripted.logins.empty(); }));
}

TEST_F(ZitiControllerTest, ConnectionsAreUsedAgain) {
  ScriptedController scripted(loop);
  for (int i = 0; i < 5; ++i) {
    scripted.add_service(absl::StrCat("s", i));
  }
  scripted.routers = {{.name = "r1", .endpoint = {.host = "127.0.0.1", .port = 3022}}};
  const auto controller = make(scripted.identity("shop"));
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(run(loop, controller->session(absl::StrCat("id-s", i), SessionType::dial, soon())));
  }
  EXPECT_LE(scripted.server().connections(), 2);
  // And one that ended meanwhile is not noticed by who asks.
  scripted.server().end_connections();
  EXPECT_TRUE(run(loop, controller->session("id-s1", SessionType::bind, soon())));
}

}  // namespace
}  // namespace simplon::overlay::ziti::test
