#include "base/error.hpp"

namespace simplon::base {
namespace {

const char* text(Errc code) {
  switch (code) {
    case Errc::would_block:
      return "would block";
    case Errc::timed_out:
      return "timed out";
    case Errc::cancelled:
      return "cancelled";
    case Errc::closed:
      return "closed on this side";
    case Errc::reset:
      return "reset by the other side";
    case Errc::truncated:
      return "TLS connection cut without a proper end";
    case Errc::refused:
      return "connection refused";
    case Errc::unreachable:
      return "address unreachable";
    case Errc::name_not_found:
      return "host name not found";
    case Errc::address_in_use:
      return "address already in use";
    case Errc::protocol_error:
      return "protocol error";
    case Errc::limit_exceeded:
      return "limit exceeded";
    case Errc::memory:
      return "memory budget exceeded";
    case Errc::bad_certificate:
      return "certificate not accepted";
    case Errc::handshake_failed:
      return "TLS handshake failed";
    case Errc::no_such_service:
      return "no such service";
    case Errc::not_permitted:
      return "not permitted";
    case Errc::not_hosted:
      return "nobody hosts this service now";
    case Errc::host_refused:
      return "the hosting agent refused";
    case Errc::link_lost:
      return "connection to the overlay lost";
    case Errc::target_refused:
      return "the target refused the connection";
    case Errc::target_unreachable:
      return "the target is unreachable";
    case Errc::target_timed_out:
      return "the target did not answer in time";
    case Errc::draining:
      return "shutting down";
    case Errc::bad_request:
      return "malformed request";
    case Errc::bad_response:
      return "malformed response";
    case Errc::other_version:
      return "another version of HTTP is spoken here";
    case Errc::invalid_argument:
      return "invalid argument";
    case Errc::not_found:
      return "not found";
    case Errc::already_exists:
      return "already exists";
    case Errc::internal:
      return "internal error";
  }
  return "unknown error";
}

class Category final : public std::error_category {
 public:
  const char* name() const noexcept override { return "simplon"; }
  std::string message(int value) const override { return text(static_cast<Errc>(value)); }
};

}  // namespace

const std::error_category& category() noexcept {
  static const Category instance;
  return instance;
}

std::error_code make_error_code(Errc code) noexcept { return {static_cast<int>(code), category()}; }

std::string_view to_string(Hop hop) noexcept {
  switch (hop) {
    case Hop::client:
      return "client";
    case Hop::access:
      return "access";
    case Hop::frontend:
      return "frontend";
    case Hop::overlay:
      return "overlay";
    case Hop::hub:
      return "hub";
    case Hop::share:
      return "share";
    case Hop::target:
      return "target";
  }
  return "unknown";
}

std::string Failure::message() const {
  std::string out(to_string(hop));
  out += ": ";
  out += code.message();
  if (!detail.empty()) {
    out += ": ";
    out += detail;
  }
  return out;
}

}  // namespace simplon::base
