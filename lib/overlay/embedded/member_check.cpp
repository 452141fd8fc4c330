#include "overlay/embedded/member_check.hpp"

#include <algorithm>
#include <utility>

#include <absl/strings/str_cat.h>

#include "net/tcp.hpp"
#include "net/tls.hpp"
#include "overlay/embedded/certificate.hpp"
#include "overlay/embedded/member.hpp"
#include "overlay/identity_dates.hpp"

namespace simplon::overlay {
namespace {

using State = CheckStep::State;

// An address that does not answer for so long is as good as gone.
constexpr std::chrono::seconds kStepLimit{10};
// Hubs are tried one after another, none any more after this time.
constexpr std::chrono::seconds kAllLimit{30};

net::awaitable<CheckStep> check_hub(net::Loop* loop, std::string address,
                                    std::shared_ptr<const net::TlsContext> tls) {
  const auto endpoint = net::parse_endpoint(address);
  if (!endpoint) {
    co_return broken("hub", address + ": is no address", "join again with a new token");
  }
  const net::TimePoint start = loop->now();
  const net::TimePoint deadline = start + kStepLimit;
  auto tcp = co_await net::connect_tcp(*loop, endpoint->host, endpoint->port, deadline);
  if (!tcp) {
    co_return broken("hub", absl::StrCat(address, ": ", tcp.error().message()),
                     "is the hub's agent running, and reachable from here at that address?");
  }
  std::string why;
  auto secured = co_await net::tls_connect(std::move(*tcp), std::move(tls), {}, deadline, &why);
  if (!secured) {
    co_return broken(
        "hub",
        absl::StrCat(address, ": TLS: ", secured.error().message(), why.empty() ? "" : ": ", why),
        "another hub, or another program, may listen there: join again with a token "
        "of the hub that is meant");
  }
  (*secured)->close();
  co_return CheckStep{.hop = "hub",
                      .latency = loop->now() - start,
                      .message = address + ": answers, with a certificate of this network",
                      .advice = {},
                      .connection_id = {}};
}

}  // namespace

net::awaitable<void> check_member(net::Loop* loop, IdentityFile identity, CheckReport report) {
  const auto grant = read_certificate(identity.certificate);
  CheckStep step = grant ? check_dates({.subject = grant->name,
                                        .not_before = grant->not_before,
                                        .not_after = grant->not_after},
                                       std::chrono::system_clock::now())
                         : broken("identity", "the certificate in the identity file does not parse",
                                  "join again with a new token");
  const bool useless = step.state == State::failed;
  if (!report(std::move(step)) || useless) {
    co_return;
  }
  const auto tls = net::TlsContext::make({.role = net::TlsRole::client,
                                          .certificate_chain = identity.certificate,
                                          .private_key = identity.private_key,
                                          .trust_roots = identity.trust_bundle,
                                          .protocols = {{.name = std::string(kSessionProtocol)}},
                                          .protocol_required = true,
                                          .tls13_only = true});
  if (!tls) {
    report(broken("identity", "key and certificate of the identity file do not work",
                  "join again with a new token"));
    co_return;
  }
  std::vector<CheckStep> tried;
  tried.reserve(identity.addresses.size());
  const net::TimePoint last = loop->now() + kAllLimit;
  for (const std::string& address : identity.addresses) {
    if (loop->now() >= last) {
      tried.push_back(broken("hub", address + ": not tried, those before it took too long",
                             "do packets get through to any of them from this host?"));
    } else {
      tried.push_back(co_await check_hub(loop, address, *tls));
    }
  }
  // One address that works is enough.
  const bool enough = std::ranges::find(tried, State::passed, &CheckStep::state) != tried.end();
  for (CheckStep& one : tried) {
    const bool bad = one.state == State::failed;
    if (bad && enough) {
      one.state = State::warned;
    }
    if (!report(std::move(one)) || (bad && !enough)) {
      co_return;
    }
  }
}

}  // namespace simplon::overlay
