#include "overlay/ziti/network_check.hpp"

#include <algorithm>
#include <utility>

#include <absl/strings/str_cat.h>
#include <absl/time/time.h>

#include "net/tcp.hpp"
#include "overlay/identity_dates.hpp"
#include "overlay/ziti/certificate.hpp"
#include "overlay/ziti/channel.hpp"
#include "overlay/ziti/rest_client.hpp"
#include "overlay/ziti/rest_values.hpp"

namespace simplon::overlay::ziti {
namespace {

using State = CheckStep::State;
using std::chrono::nanoseconds;
using std::chrono::seconds;
using std::chrono::system_clock;

// One step: a host that does not answer for so long is as good as gone.
constexpr seconds kStepLimit{10};
// Alternatives are tried one after another, none any more after this time.
constexpr seconds kAllLimit{30};
// A clock that is further off makes certificates and tokens of the other side "not valid yet".
constexpr seconds kClockTolerance{60};
// Of a network with very many routers.
constexpr std::size_t kMaxRoutersTried = 32;

const char kControllerAdvice[] =
    "is the controller running there, and does a firewall or proxy stand between? Its address "
    "comes from the identity file";

const char kLoginAdvice[] =
    "the controller's administrator sees whether it still knows this identity";

struct Measured {
  CheckStep step;
  net::StreamPtr stream;
};

nanoseconds since(const net::Loop& loop, net::TimePoint start) {
  return std::chrono::duration_cast<nanoseconds>(loop.now() - start);
}

std::string shown(nanoseconds time) {
  const auto us = std::chrono::ceil<std::chrono::microseconds>(time).count();
  return us < 10'000 ? absl::StrCat(us, " us") : absl::StrCat(us / 1000, " ms");
}

// A connection to one address, and TLS on it.
net::awaitable<Measured> reach(net::Loop* loop, std::string hop, net::Endpoint at,
                               std::shared_ptr<const net::TlsContext> tls, std::string advice) {
  const std::string place = net::to_string(at);
  const net::TimePoint deadline = loop->now() + kStepLimit;
  const net::TimePoint start = loop->now();
  auto tcp = co_await net::connect_tcp(*loop, at.host, at.port, deadline);
  if (!tcp) {
    co_return Measured{
        broken(hop, absl::StrCat(place, ": ", tcp.error().message()), std::move(advice)), nullptr};
  }
  const nanoseconds connected = since(*loop, start);
  const net::TimePoint shaking = loop->now();
  std::string why;
  auto secured =
      co_await net::tls_connect(std::move(*tcp), std::move(tls), at.host, deadline, &why);
  if (!secured) {
    const bool certificate = secured.error() == base::Errc::bad_certificate;
    co_return Measured{
        broken(
            hop,
            absl::StrCat(place, ": TLS: ", secured.error().message(), why.empty() ? "" : ": ", why),
            certificate ? "its certificate must be of the network that the identity file is "
                          "of, for this address, and valid by this host's clock"
                        : "something else than OpenZiti may listen there; look at the address"),
        nullptr};
  }
  co_return Measured{{.hop = std::move(hop),
                      .latency = since(*loop, start),
                      .message = absl::StrCat(place, ": connected in ", shown(connected),
                                              ", TLS in ", shown(since(*loop, shaking))),
                      .advice = {},
                      .connection_id = {}},
                     net::StreamPtr(std::move(*secured))};
}

std::shared_ptr<const net::TlsContext> context_for(const IdentityFile& identity,
                                                   std::string protocol) {
  auto made = net::TlsContext::make({.role = net::TlsRole::client,
                                     .certificate_chain = identity.certificate,
                                     .private_key = identity.key,
                                     .trust_roots = identity.ca,
                                     .trust_intermediates = true,
                                     .protocols = {{.name = std::move(protocol)}}});
  return made ? *std::move(made) : nullptr;
}

CheckStep check_identity(const IdentityFile& identity) {
  const auto dates = dates_of(identity.certificate);
  if (!dates) {
    return broken("identity", "the certificate in the identity file does not parse",
                  "add the overlay again with a whole file");
  }
  CheckStep step = check_dates(*dates, system_clock::now());
  if (const auto gap = chain_gap(identity); gap && step.state == State::passed) {
    absl::StrAppend(&step.message, "; ", *gap);
  }
  return step;
}

// Its version, and whether its clock is ours.
CheckStep judge_api(const std::string& url, const RestAnswer& answer, nanoseconds took) {
  const auto data = read_envelope(answer, url);
  if (!data) {
    return broken("controller API", data.error().words, kControllerAdvice);
  }
  CheckStep step{.hop = "controller API",
                 .latency = took,
                 .message = absl::StrCat(url, ": ", read_version(*data).version),
                 .advice = {},
                 .connection_id = {}};
  const auto ahead = clock_difference(answer.date, system_clock::now());
  if (ahead && (*ahead > kClockTolerance || *ahead < -kClockTolerance)) {
    step.state = State::warned;
    absl::StrAppend(&step.message, ", its clock is ", std::abs(ahead->count()), " s ",
                    ahead->count() > 0 ? "ahead of" : "behind", " this host's");
    step.advice = "set the clock that is wrong: certificates and tokens are valid by it";
  }
  return step;
}

net::awaitable<CheckStep> check_api(net::Loop* loop, std::string url, ApiAddress address,
                                    std::shared_ptr<const net::TlsContext> tls) {
  const auto client = std::make_shared<RestClient>(*loop, address.server, std::move(tls));
  const net::TimePoint start = loop->now();
  auto answer =
      co_await client->exchange({.target = address.path + "/version"}, start + kStepLimit);
  client->close();
  co_return answer ? judge_api(url, *answer, since(*loop, start))
                   : broken("controller API", answer.error().words, kControllerAdvice);
}

// One that does not work is no failure while another does.
net::awaitable<std::vector<CheckStep>> check_controller(
    net::Loop* loop, std::string url, std::shared_ptr<const net::TlsContext> tls) {
  std::vector<CheckStep> out;
  auto address = split_url(url);
  if (!address || tls == nullptr) {
    out.push_back(broken("controller", "the identity file does not work",
                         "add the overlay again with a whole file"));
    co_return out;
  }
  auto reached = co_await reach(loop, "controller", address->server, tls, kControllerAdvice);
  const bool works = reached.stream != nullptr;
  if (works) {
    reached.stream->close();
  }
  out.push_back(std::move(reached.step));
  if (works) {
    out.push_back(co_await check_api(loop, url, *std::move(address), std::move(tls)));
  }
  co_return out;
}

CheckStep not_tried(std::string hop, const std::string& place) {
  return broken(std::move(hop), place + ": not tried, those before it took too long",
                "do packets get through to any of them from this host?");
}

bool failed(const std::vector<CheckStep>& steps) {
  return std::ranges::find(steps, State::failed, &CheckStep::state) != steps.end();
}

// Reports alternatives, of which one that works is enough. False: none does, or nobody listens.
bool report_any(std::vector<std::vector<CheckStep>> alternatives, const CheckReport& report) {
  const bool enough = std::ranges::any_of(
      alternatives, [](const std::vector<CheckStep>& steps) { return !failed(steps); });
  for (auto& steps : alternatives) {
    for (CheckStep& step : steps) {
      const bool ends = step.state == State::failed && !enough;
      if (step.state == State::failed && enough) {
        step.state = State::warned;
      }
      if (!report(std::move(step)) || ends) {
        return false;
      }
    }
  }
  return enough;
}

CheckStep judge_services(const std::vector<Service>& services, nanoseconds took) {
  const auto dial = std::ranges::count(services, true, &Service::may_dial);
  const auto host = std::ranges::count(services, true, &Service::may_bind);
  CheckStep step{
      .hop = "services",
      .latency = took,
      .message = absl::StrCat(services.size(), services.size() == 1 ? " service" : " services",
                              ": ", dial, " to dial, ", host, " to host"),
      .advice = {},
      .connection_id = {}};
  if (services.empty()) {
    step.state = State::warned;
    step.message = "no service for this identity";
    step.advice = "make a service, and a service policy that names this identity";
  }
  return step;
}

// A channel of its own: TCP, TLS, Hello.
net::awaitable<CheckStep> check_router(net::Loop* loop, OwnRouter own,
                                       std::shared_ptr<const net::TlsContext> tls,
                                       std::string token, std::string client) {
  const std::string hop = "router " + own.router.name;
  if (!own.online) {
    co_return broken(hop, "the controller says that it is offline",
                     "look at the router and its log");
  }
  auto reached = co_await reach(loop, hop, own.router.endpoint, std::move(tls),
                                "the router must be reachable from here at that address");
  if (reached.stream == nullptr) {
    co_return std::move(reached.step);
  }
  const net::TimePoint start = loop->now();
  const auto channel =
      co_await Channel::start(std::move(reached.stream), {.router = own.router,
                                                          .tls = nullptr,
                                                          .api_token = std::move(token),
                                                          .client_name = std::move(client),
                                                          .deadline = start + kStepLimit});
  if (!channel) {
    co_return broken(hop, "Hello: " + channel.error().text,
                     "look at the router's log; is its link to the controller up?");
  }
  reached.step.latency = since(*loop, start);
  absl::StrAppend(&reached.step.message, ", Hello in ", shown(*reached.step.latency));
  (*channel)->close();
  co_return std::move(reached.step);
}

CheckStep judge_hosted(const HostedService& service) {
  const std::string hop = absl::StrCat("service \"", service.name, "\"");
  if (service.terminators == 0) {
    return broken(
        hop, service.status.last_error.empty() ? "no terminator yet" : service.status.last_error,
        "wait some seconds and look again");
  }
  CheckStep step{.hop = hop,
                 .latency = {},
                 .message = absl::StrCat(service.terminators,
                                         service.terminators == 1 ? " terminator" : " terminators"),
                 .advice = {},
                 .connection_id = {}};
  if (!service.status.last_error.empty()) {
    CheckStep why = broken(hop, service.status.last_error);
    step.state = State::warned;
    absl::StrAppend(&step.message, "; ", why.message);
    step.advice = std::move(why.advice);
  }
  return step;
}

CheckStep judge_login(const ApiSession& session) {
  return {.hop = "login",
          .latency = {},
          .message = absl::StrCat(session.oidc ? "oidc" : "legacy", " session of \"",
                                  session.identity_name, "\" since ", utc(session.since), " at ",
                                  session.controller),
          .advice = {},
          .connection_id = {}};
}

template <class T>
using Asked = net::awaitable<std::expected<T, base::Failure>>;

template <class T>
Asked<T> given_up_on() {
  co_return std::unexpected(base::Failure{.hop = base::Hop::overlay,
                                          .code = base::Errc::link_lost,
                                          .detail = "the overlay was removed meanwhile"});
}

// The controller is not kept while it answers: one that is given up meanwhile ends its questions.
template <class T, class Question>
Asked<T> ask(const CheckSubject& subject, const Question& question) {
  const auto controller = subject.controller.lock();
  return controller != nullptr ? question(*controller) : given_up_on<T>();
}

}  // namespace

std::optional<seconds> clock_difference(std::string_view date, system_clock::time_point now) {
  absl::Time theirs;
  std::string why;
  if (!absl::ParseTime("%a, %d %b %Y %H:%M:%S GMT", {date.data(), date.size()}, &theirs, &why)) {
    return std::nullopt;
  }
  return std::chrono::duration_cast<seconds>(absl::ToChronoTime(theirs) -
                                             std::chrono::floor<seconds>(now));
}

net::awaitable<void> check_network(CheckSubject subject, CheckReport report) {
  net::Loop& loop = *subject.loop;
  CheckStep identity = check_identity(subject.identity);
  if (identity.state == State::failed) {
    identity.state = State::warned;  // networks may take it all the same: the login shows it
  }
  if (!report(std::move(identity))) {
    co_return;
  }
  const auto rest_tls = context_for(subject.identity, "http/1.1");
  std::vector<std::vector<CheckStep>> controllers;
  controllers.reserve(subject.identity.controllers.size());
  const net::TimePoint last_controller = loop.now() + kAllLimit;
  for (const std::string& url : subject.identity.controllers) {
    if (loop.now() >= last_controller) {
      controllers.push_back({not_tried("controller", url)});
    } else {
      controllers.push_back(co_await check_controller(&loop, url, rest_tls));
    }
  }
  if (!report_any(std::move(controllers), report)) {
    co_return;
  }
  const auto session = co_await ask<ApiSession>(
      subject, [&loop](Controller& at) { return at.logged_in(loop.now() + kStepLimit); });
  if (!session) {
    report(broken("login", words_of(session.error()), kLoginAdvice));
    co_return;
  }
  if (!report(judge_login(*session))) {
    co_return;
  }
  const net::TimePoint asked = loop.now();
  const auto services = co_await ask<std::vector<Service>>(
      subject, [asked](Controller& at) { return at.services(asked + kStepLimit); });
  if (!services) {
    report(broken("services", words_of(services.error())));
    co_return;
  }
  if (!report(judge_services(*services, since(loop, asked)))) {
    co_return;
  }
  auto routers = co_await ask<std::vector<OwnRouter>>(
      subject, [&loop](Controller& at) { return at.own_routers(loop.now() + kStepLimit); });
  if (!routers) {
    report(broken("routers", words_of(routers.error())));
    co_return;
  }
  if (routers->empty()) {
    report(broken("routers", "the network has no edge router for this identity",
                  "make an edge router policy that names the identity and a router"));
    co_return;
  }
  routers->resize(std::min(routers->size(), kMaxRoutersTried));
  const auto router_tls = context_for(subject.identity, "ziti-edge");
  std::vector<std::vector<CheckStep>> reached;
  reached.reserve(routers->size());
  const net::TimePoint last_router = loop.now() + kAllLimit;
  for (const OwnRouter& own : *routers) {
    if (loop.now() >= last_router) {
      reached.push_back({not_tried("router " + own.router.name, to_string(own.router.endpoint))});
    } else {
      reached.push_back(
          {co_await check_router(&loop, own, router_tls, session->token, subject.client_name)});
    }
  }
  if (!report_any(std::move(reached), report)) {
    co_return;
  }
  for (const HostedService& service : subject.hosted()) {
    CheckStep step = judge_hosted(service);
    const bool last = step.state == State::failed;
    if (!report(std::move(step)) || last) {
      co_return;
    }
  }
}

}  // namespace simplon::overlay::ziti
