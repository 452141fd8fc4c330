#include "overlay/embedded/enroll.hpp"

#include <algorithm>
#include <utility>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <simplon/link/v1/link.pb.h>

#include "base/printable.hpp"
#include "net/tcp.hpp"
#include "net/tls.hpp"
#include "overlay/embedded/control_message.hpp"
#include "overlay/embedded/session_codes.hpp"

namespace simplon::overlay {
namespace {

using base::Errc;
using link::v1::EnrollRequest;
using link::v1::EnrollResponse;

constexpr const char* kProtocol = "simplon-enroll/1";
// Of what the hub says for people.
constexpr std::size_t kMaxDetail = 256;
// Addresses are tried again when an answer was lost: the hub gives the same one for the same key.
constexpr int kRounds = 2;

struct Exchange {
  Token token;
  IdentityRequest own;
  std::shared_ptr<const net::TlsContext> context;
};

/// What one address came to.
struct Outcome {
  absl::StatusOr<IdentityFile> result;
  bool final = false;  ///< the hub itself answered: other addresses would say the same
  bool lost = false;   ///< the hub may have answered, but it did not arrive
};

Outcome unreached(const std::error_code& why) {
  return {.result = absl::UnavailableError(why.message())};
}

Outcome not_the_hub(std::string_view why) {
  return {.result = absl::PermissionDeniedError(
              absl::StrCat("not the hub that made the token: ", std::string(why)))};
}

Outcome refused(const link::v1::Failed& failed) {
  const std::string detail = base::printable(failed.detail(), kMaxDetail);
  switch (from_wire(failed.code())) {
    case Errc::not_permitted:
      return {.result = absl::PermissionDeniedError(detail), .final = true};
    case Errc::limit_exceeded:
      return {.result = absl::ResourceExhaustedError(detail), .final = true};
    case Errc::bad_request:
      return {.result = absl::InvalidArgumentError(detail), .final = true};
    default:
      return {.result = absl::UnavailableError(detail)};
  }
}

// What the hub sent, checked as a stranger's: it must be what the token promised.
Outcome accepted(const Exchange& exchange, const EnrollResponse& response) {
  IdentityFile identity{.name = exchange.token.name,
                        .certificate = response.certificate(),
                        .private_key = exchange.own.private_key,
                        .trust_bundle = response.trust_bundle(),
                        .addresses = {response.addresses().begin(), response.addresses().end()}};
  const auto root = spki_of(identity.trust_bundle);
  if (!root || *root != exchange.token.root_spki) {
    return not_the_hub("it sent another network's root");
  }
  auto checked = parse_identity(to_json(identity));
  if (!checked.ok()) {
    // The hub's addresses are the one part that the token has too.
    identity.addresses = exchange.token.addresses;
    checked = parse_identity(to_json(identity));
  }
  if (!checked.ok()) {
    return not_the_hub("its answer does not work");
  }
  return {.result = *std::move(checked), .final = true};
}

net::awaitable<Outcome> ask(net::StreamPtr stream, std::shared_ptr<const Exchange> exchange,
                            net::TimePoint deadline) {
  stream->set_deadline(net::Direction::receive, deadline);
  stream->set_deadline(net::Direction::send, deadline);
  EnrollRequest request;
  request.set_secret(exchange->token.secret);
  request.set_certificate_request(exchange->own.request);
  const auto bytes = encode_message(request);
  if (!bytes) {
    co_return Outcome{.result = absl::InternalError("the request is too long"), .final = true};
  }
  const auto sent = co_await net::write_all(*stream, net::as_buffer(*bytes));
  EnrollResponse response;
  auto got = base::Result<bool>(false);
  if (sent) {
    got = co_await read_message(stream, &response);
  }
  stream->close();
  if (!sent || !got || !*got) {
    auto outcome = unreached(!sent  ? sent.error()
                             : !got ? got.error()
                                    : make_error_code(Errc::truncated));
    outcome.lost = true;
    co_return outcome;
  }
  co_return response.has_failed() ? refused(response.failed()) : accepted(*exchange, response);
}

net::awaitable<Outcome> enroll_at(net::Loop& loop, std::string address,
                                  std::shared_ptr<const Exchange> exchange,
                                  net::TimePoint deadline) {
  const auto endpoint = net::parse_endpoint(address);
  if (!endpoint) {
    co_return unreached(endpoint.error());
  }
  auto transport = co_await net::connect_tcp(loop, endpoint->host, endpoint->port, deadline);
  if (!transport) {
    co_return unreached(transport.error());
  }
  std::string why;
  auto stream = co_await net::tls_connect(*std::move(transport), exchange->context,
                                          /*server_name=*/"", deadline, &why);
  if (!stream) {
    co_return stream.error() == Errc::bad_certificate ? not_the_hub(why)
                                                      : unreached(stream.error());
  }
  const net::Peer* const peer = (*stream)->peer();
  const auto grant = peer != nullptr ? read_certificate(peer->certificate)
                                     : base::Result<Grant>(base::fail(Errc::bad_certificate));
  if (!grant || !grant->hub) {
    (*stream)->reset();
    co_return not_the_hub("a member without the rights of a hub");
  }
  const auto outcome = co_await ask(*stream, std::move(exchange), deadline);
  co_return outcome;
}

// One status of what every address said.
absl::Status summary(const std::vector<absl::Status>& failures,
                     const std::vector<std::string>& addresses, bool late) {
  std::vector<std::string> parts;
  auto code = late ? absl::StatusCode::kDeadlineExceeded : absl::StatusCode::kUnavailable;
  for (std::size_t i = 0; i < failures.size(); ++i) {
    parts.push_back(absl::StrCat(addresses[i], ": ", failures[i].message()));
    if (absl::IsPermissionDenied(failures[i])) {
      code = absl::StatusCode::kPermissionDenied;
    }
  }
  return absl::Status(code, absl::StrCat("no hub enrolled us: ", absl::StrJoin(parts, "; ")));
}

}  // namespace

absl::StatusOr<IdentityRequest> make_identity_request(std::string_view name) {
  auto key = make_private_key();
  if (!key) {
    return absl::InternalError("a private key cannot be made");
  }
  auto request = make_request(*key, name);
  if (!request) {
    return absl::InvalidArgumentError(absl::StrCat(
        "name ", std::string(name), ": 1 to 63 of a-z, 0-9 and hyphens, none at either end"));
  }
  return IdentityRequest{.private_key = *std::move(key), .request = *std::move(request)};
}

net::awaitable<absl::StatusOr<IdentityFile>> enroll(net::Loop& loop, Token token,
                                                    net::TimePoint deadline) {
  auto own = make_identity_request(token.name);
  if (!own.ok()) {
    co_return own.status();
  }
  std::string why;
  auto context = net::TlsContext::make({.role = net::TlsRole::client,
                                        .pinned_root = token.root_spki,
                                        .protocols = {{.name = kProtocol}},
                                        .protocol_required = true,
                                        .tls13_only = true},
                                       &why);
  if (!context || token.root_spki.empty() || token.addresses.empty()) {
    co_return absl::InvalidArgumentError("join token: without address or root");
  }
  const auto exchange = std::make_shared<const Exchange>(
      Exchange{.token = std::move(token), .own = *std::move(own), .context = *std::move(context)});
  std::vector<absl::Status> failures;
  for (int round = 0; round < kRounds; ++round) {
    failures.clear();
    bool lost = false;
    for (const std::string& address : exchange->token.addresses) {
      const auto until = std::min(deadline, loop.now() + kEnrollDeadline);
      auto outcome = co_await enroll_at(loop, address, exchange, until);
      if (outcome.result.ok() || outcome.final) {
        co_return std::move(outcome.result);
      }
      lost = lost || outcome.lost;
      failures.push_back(outcome.result.status());
      if (loop.now() >= deadline) {
        co_return summary(failures, exchange->token.addresses, /*late=*/true);
      }
    }
    if (!lost) {
      break;
    }
  }
  co_return summary(failures, exchange->token.addresses, /*late=*/false);
}

}  // namespace simplon::overlay
