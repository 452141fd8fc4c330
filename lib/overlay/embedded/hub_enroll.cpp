// The hub's side of an enrollment (PROTOCOL.md, "Enrollment").
#include <absl/status/statusor.h>
#include <simplon/link/v1/link.pb.h>
#include <sodium.h>

#include "base/log.hpp"
#include "overlay/embedded/control_message.hpp"
#include "overlay/embedded/hub_core.hpp"
#include "overlay/embedded/session_codes.hpp"

namespace simplon::overlay {
namespace {

using base::Errc;
using link::v1::EnrollRequest;
using link::v1::EnrollResponse;

constexpr std::size_t kSecretBytes = 32;

EnrollResponse failed(Errc code, std::string_view detail) {
  EnrollResponse out;
  out.mutable_failed()->set_code(to_wire(code));
  out.mutable_failed()->set_detail(std::string(detail));
  return out;
}

EnrollResponse failed(const absl::Status& why) {
  const std::string detail(why.message());
  switch (why.code()) {
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kAlreadyExists:
      return failed(Errc::not_permitted, detail);
    case absl::StatusCode::kInvalidArgument:
      return failed(Errc::bad_request, detail);
    default:
      base::log().error("hub: enrollment: {}", detail);
      return failed(Errc::internal, "the hub could not store the member");
  }
}

EnrollResponse enroll(HubCore& core, const EnrollRequest& request) {
  if (request.secret().size() != kSecretBytes) {
    return failed(Errc::bad_request, "a secret has 32 bytes");
  }
  const auto spki = spki_of(request.certificate_request());
  if (!spki) {
    return failed(Errc::bad_request, "not a certificate request");
  }
  std::string hash(crypto_hash_sha256_BYTES, '\0');
  crypto_hash_sha256(reinterpret_cast<unsigned char*>(hash.data()),
                     reinterpret_cast<const unsigned char*>(request.secret().data()),
                     request.secret().size());
  const auto certificate = core.store->redeem(
      hash, *spki, std::chrono::system_clock::now(), [&](const std::string& name, bool frontend) {
        return core.issue(request.certificate_request(), name, frontend);
      });
  if (!certificate.ok()) {
    return failed(certificate.status());
  }
  EnrollResponse out;
  out.set_certificate(*certificate);
  out.set_trust_bundle(core.store->authority().certificate);
  for (const std::string& address : core.addresses) {
    out.add_addresses(address);
  }
  return out;
}

}  // namespace

net::awaitable<void> serve_enrollment(std::shared_ptr<HubCore> core, net::StreamPtr stream,
                                      std::string source) {
  const net::TimePoint deadline = core->loop.now() + kHandshakeDeadline;
  stream->set_deadline(net::Direction::receive, deadline);
  stream->set_deadline(net::Direction::send, deadline);
  EnrollRequest request;
  const auto got = co_await read_message(stream, &request, kMaxEnrollRequest);
  if (core->stopped) {
    stream->reset();
    co_return;
  }
  EnrollResponse response;
  if (!core->gate->may_enroll(source, core->loop.now())) {
    response = failed(Errc::limit_exceeded, "too many failed enrollments; try again in a minute");
  } else if (!got || !*got) {
    response = failed(Errc::bad_request, "not an enrollment request");
  } else {
    response = enroll(*core, request);
  }
  if (response.has_failed()) {
    core->gate->enrollment_failed(source, core->loop.now());
    refuse(*core, source, "to enroll: " + response.failed().detail());
  } else {
    base::log().info("hub: enrolled a member from {}", source);
  }
  if (const auto bytes = encode_message(response)) {
    (void)co_await net::write_all(*stream, net::as_buffer(*bytes));
  }
  stream->close();
}

}  // namespace simplon::overlay
