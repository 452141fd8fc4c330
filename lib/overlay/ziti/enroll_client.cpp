#include "overlay/ziti/enroll_client.hpp"

#include <algorithm>
#include <memory>
#include <utility>

#include <absl/strings/ascii.h>
#include <absl/strings/str_cat.h>

#include "net/tcp.hpp"
#include "overlay/embedded/certificate.hpp"
#include "overlay/ziti/enroll_jwt.hpp"
#include "overlay/ziti/rest_client.hpp"

namespace simplon::overlay::ziti {
namespace {

using base::Errc;

const net::TlsProtocol kHttp{.name = "http/1.1"};

absl::Status status_of(const ApiError& error, std::string_view doing) {
  const std::string text = absl::StrCat(std::string(doing), ": ", error.words);
  if (error.code == Errc::timed_out) {
    return absl::DeadlineExceededError(text);
  }
  if (error.code == Errc::not_permitted || error.code == Errc::no_such_service) {
    return absl::PermissionDeniedError(text);
  }
  return absl::UnavailableError(text);
}

/// What an enrollment holds on to, from step to step.
struct Enrollment {
  EnrollToken token;
  EnrollOptions options;
  ApiAddress address;
  net::TimePoint deadline;
  std::shared_ptr<RestClient> client;
};

// The certificate that the token's signature proves, and a client that accepts no other.
net::awaitable<absl::Status> find_controller(net::Loop& loop, std::shared_ptr<Enrollment> at) {
  const net::Endpoint server = at->address.server;
  const std::string where = net::to_string(server);
  auto transport = co_await net::connect_tcp(loop, server.host, server.port, at->deadline);
  if (!transport) {
    co_return absl::UnavailableError(
        absl::StrCat("controller ", where, ": not reached: ", transport.error().message()));
  }
  std::string why;
  const auto leaf =
      co_await net::fetch_leaf(*std::move(transport), server.host, {kHttp}, at->deadline, &why);
  if (!leaf) {
    co_return absl::UnavailableError(absl::StrCat(
        "controller ", where, ": no TLS: ", why.empty() ? leaf.error().message() : why));
  }
  if (auto verified = at->token.verify(*leaf); !verified.ok()) {
    co_return verified;
  }
  auto context = net::TlsContext::make({.role = net::TlsRole::client,
                                        .certificate_chain = at->options.certificate,
                                        .private_key = at->options.key,
                                        .pinned_leaf = *leaf,
                                        .protocols = {kHttp}},
                                       &why);
  if (!context) {
    co_return absl::InvalidArgumentError(absl::StrCat("certificate and key: ", why));
  }
  at->client = std::make_shared<RestClient>(loop, server, *std::move(context));
  co_return absl::OkStatus();
}

net::awaitable<absl::StatusOr<std::string>> fetch_authorities(std::shared_ptr<Enrollment> at) {
  RestRequest request{.target = at->address.path + "/.well-known/est/cacerts",
                      .accept = "application/pkcs7-mime"};
  const auto answer = co_await at->client->exchange(std::move(request), at->deadline);
  constexpr std::string_view kDoing = "the network's authorities";
  if (!answer) {
    co_return status_of(answer.error(), kDoing);
  }
  if (answer->status != 200) {
    const auto error = read_envelope(*answer, at->token.controller);
    co_return error ? absl::UnavailableError("the controller did not send its authorities")
                    : status_of(error.error(), kDoing);
  }
  std::string base64 = answer->body;
  std::erase_if(base64, [](unsigned char c) { return absl::ascii_isspace(c); });
  const auto pem = read_pkcs7(base64);
  if (!pem) {
    co_return absl::UnavailableError(
        absl::StrCat("the network's authorities: ", at->token.controller, " answered with ",
                     answer->content_type.empty() ? "something" : printable(answer->content_type),
                     " that is no list of certificates; check the address"));
  }
  co_return *pem;
}

// The new certificate of an answer; of old controllers it is the PEM itself.
absl::StatusOr<std::string> read_certificate(const RestAnswer& answer, const EnrollToken& token) {
  if (token.method != EnrollMethod::ott) {
    // The certificate is ours already; the answer says that it is known now, and little else.
    const bool done = answer.status == 200 && answer.body.empty();
    const auto said = read_envelope(answer, token.controller, /*whole=*/true);
    return done || said ? absl::StatusOr<std::string>("") : status_of(said.error(), "enrollment");
  }
  const auto body = absl::StripLeadingAsciiWhitespace(answer.body);
  if (answer.status == 200 && body.substr(0, 10) == "-----BEGIN") {
    return answer.body;
  }
  const auto data = read_envelope(answer, token.controller);
  if (!data) {
    return status_of(data.error(), "enrollment");
  }
  return text_at(*data, "cert");
}

net::awaitable<absl::StatusOr<std::string>> use_token(std::shared_ptr<Enrollment> at,
                                                      std::string csr) {
  std::string target = at->address.path + "/enroll";
  if (at->token.method == EnrollMethod::ca) {
    target += "?method=ca";
  } else {
    const bool ott = at->token.method == EnrollMethod::ott;
    target +=
        absl::StrCat("?method=", ott ? "ott" : "ottca", "&token=", url_escape(at->token.secret));
  }
  RestRequest request{.method = "POST",
                      .target = std::move(target),
                      .body = std::move(csr),
                      .content_type = "application/x-pem-file",
                      .repeatable = false};
  const auto answer = co_await at->client->exchange(std::move(request), at->deadline);
  if (!answer) {
    auto status = status_of(answer.error(), "enrollment");
    co_return absl::Status(
        status.code(),
        absl::StrCat(status.message(),
                     ". The answer was lost: if the token counts as used now, ask for a new one"));
  }
  co_return read_certificate(*answer, at->token);
}

net::awaitable<absl::StatusOr<IdentityFile>> run(net::Loop& loop, std::shared_ptr<Enrollment> at) {
  if (auto found = co_await find_controller(loop, at); !found.ok()) {
    co_return found;
  }
  auto authorities = co_await fetch_authorities(at);
  if (!authorities.ok()) {
    co_return authorities.status();
  }
  IdentityFile identity{.controllers = {at->token.controller},
                        .key = at->options.key,
                        .certificate = at->options.certificate,
                        .ca = *std::move(authorities)};
  std::string csr;
  if (at->token.method == EnrollMethod::ott) {
    auto key = make_private_key();
    auto request = key ? make_csr(*key, at->token.identity)
                       : base::Result<std::string>(base::fail(Errc::internal));
    if (!request) {
      co_return absl::InternalError("a private key and its request cannot be made");
    }
    identity.key = *std::move(key);
    csr = *std::move(request);
    if (at->options.keep_key) {
      if (auto kept = at->options.keep_key(identity.key); !kept.ok()) {
        co_return kept;
      }
    }
  }
  auto certificate = co_await use_token(at, std::move(csr));
  if (!certificate.ok()) {
    co_return certificate.status();
  }
  if (at->token.method == EnrollMethod::ott) {
    identity.certificate = *std::move(certificate);
  }
  auto checked = parse_identity(to_json(identity), {});
  if (!checked.ok()) {
    co_return absl::UnavailableError(absl::StrCat(
        "enrollment: the controller's answer does not work: ", checked.status().message()));
  }
  co_return checked;
}

}  // namespace

net::awaitable<absl::StatusOr<IdentityFile>> enroll(net::Loop* loop, std::string jwt,
                                                    EnrollOptions options,
                                                    net::TimePoint deadline) {
  auto token = parse_enroll_token(jwt, std::chrono::system_clock::now());
  if (!token.ok()) {
    co_return token.status();
  }
  if (token->method == EnrollMethod::ott) {
    options.key.clear();
    options.certificate.clear();
  } else if (options.key.empty() || options.certificate.empty()) {
    co_return absl::FailedPreconditionError(
        "enrollment token: it is for a certificate of an authority that the network knows: give "
        "that certificate and its key too");
  } else if (!key_matches(options.certificate, options.key)) {
    co_return absl::InvalidArgumentError("the key is not the certificate's");
  }
  const auto address = split_url(token->controller);
  if (!address) {
    co_return absl::InvalidArgumentError("enrollment token: its issuer is not a controller");
  }
  const auto at = std::make_shared<Enrollment>(Enrollment{.token = *std::move(token),
                                                          .options = std::move(options),
                                                          .address = *address,
                                                          .deadline = deadline,
                                                          .client = nullptr});
  auto identity = co_await run(*loop, at);
  if (at->client) {
    at->client->close();
  }
  co_return identity;
}

}  // namespace simplon::overlay::ziti
