#include "overlay/embedded/member.hpp"

#include <algorithm>
#include <utility>

#include <sodium.h>

#include "net/endpoint.hpp"

namespace simplon::overlay {
namespace {

absl::StatusOr<std::shared_ptr<const net::TlsContext>> context(const IdentityFile& identity,
                                                               net::TlsRole role) {
  std::string why;
  auto made =
      net::TlsContext::make({.role = role,
                             .certificate_chain = identity.certificate,
                             .private_key = identity.private_key,
                             .trust_roots = identity.trust_bundle,
                             .protocols = {{.name = kSessionProtocol, .peer_certificate = true}},
                             .protocol_required = true,
                             .peer_certificate = true,
                             .tls13_only = true},
                            &why);
  if (!made) {
    return absl::InvalidArgumentError("identity \"" + identity.name + "\": " + why);
  }
  return *std::move(made);
}

}  // namespace

absl::StatusOr<std::shared_ptr<const Member>> make_member(IdentityFile identity,
                                                          std::shared_ptr<MemoryBudget> budget) {
  for (const std::string& address : identity.addresses) {
    const auto parsed = net::parse_endpoint(address);
    if (!parsed || parsed->port == 0) {
      return absl::InvalidArgumentError("identity \"" + identity.name + "\": \"" + address +
                                        "\" is not an address of a hub");
    }
  }
  const auto grant = read_certificate(identity.certificate);
  const auto spki = spki_of(identity.certificate);
  if (!grant || !spki) {
    return absl::InvalidArgumentError("identity \"" + identity.name +
                                      "\": its certificate is not one of a member");
  }
  auto client = context(identity, net::TlsRole::client);
  if (!client.ok()) {
    return client.status();
  }
  auto server = context(identity, net::TlsRole::server);
  if (!server.ok()) {
    return server.status();
  }
  auto member = std::make_shared<Member>();
  member->self = {.peer = {.name = grant->name, .spki_sha256 = *spki, .certificate = {}},
                  .may_run_frontends = grant->frontend};
  member->expires = grant->not_after;
  member->identity = std::move(identity);
  member->instance.resize(kInstanceBytes);
  randombytes_buf(member->instance.data(), member->instance.size());
  member->client = *std::move(client);
  member->server = *std::move(server);
  member->budget = budget ? std::move(budget) : std::make_shared<MemoryBudget>();
  return std::shared_ptr<const Member>(std::move(member));
}

base::Result<Proven> prove(const net::Stream& session_transport) {
  const net::Peer* const peer = session_transport.peer();
  if (peer == nullptr) {
    return base::fail(base::Errc::bad_certificate);
  }
  const auto grant = read_certificate(peer->certificate);
  if (!grant) {
    return base::fail(base::Errc::bad_certificate);
  }
  Proven proven{.identity = {.peer = *peer, .may_run_frontends = grant->frontend},
                .hub = grant->hub};
  proven.identity.peer.name = grant->name;
  return proven;
}

}  // namespace simplon::overlay
