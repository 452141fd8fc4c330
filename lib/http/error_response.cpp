#include "http/error_response.hpp"

#include "http/date.hpp"
#include "http/status.hpp"
#include "http/text.hpp"

namespace simplon::http {
namespace {

using base::Errc;

Errc errc_of(const std::error_code& code) noexcept {
  return code.category() == base::category() ? static_cast<Errc>(code.value()) : Errc::internal;
}

void append_json_string(std::string& out, std::string_view text) {
  out += '"';
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else {
      out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    }
  }
  out += '"';
}

}  // namespace

int status_of(const std::error_code& code) noexcept {
  switch (errc_of(code)) {
    case Errc::no_such_service:
    case Errc::not_found:
      return 404;
    case Errc::not_permitted:
      return 403;
    case Errc::not_hosted:
    case Errc::link_lost:
    case Errc::draining:
    case Errc::memory:
    case Errc::limit_exceeded:
      return 503;
    case Errc::timed_out:
    case Errc::target_timed_out:
      return 504;
    case Errc::other_version:
      return 505;
    default:
      return 502;
  }
}

std::string_view reason_of(const std::error_code& code) noexcept {
  switch (errc_of(code)) {
    case Errc::timed_out:
      return "timed_out";
    case Errc::reset:
    case Errc::closed:
    case Errc::cancelled:
      return "reset";
    case Errc::truncated:
      return "truncated";
    case Errc::refused:
      return "refused";
    case Errc::unreachable:
      return "unreachable";
    case Errc::name_not_found:
      return "name_not_found";
    case Errc::protocol_error:
      return "protocol_error";
    case Errc::limit_exceeded:
      return "limit_exceeded";
    case Errc::memory:
      return "memory";
    case Errc::bad_certificate:
      return "bad_certificate";
    case Errc::handshake_failed:
      return "handshake_failed";
    case Errc::no_such_service:
      return "no_such_service";
    case Errc::not_permitted:
      return "not_permitted";
    case Errc::not_hosted:
      return "not_hosted";
    case Errc::host_refused:
      return "host_refused";
    case Errc::link_lost:
      return "link_lost";
    case Errc::target_refused:
      return "target_refused";
    case Errc::target_unreachable:
      return "target_unreachable";
    case Errc::target_timed_out:
      return "target_timed_out";
    case Errc::draining:
      return "draining";
    case Errc::bad_request:
      return "bad_request";
    case Errc::bad_response:
      return "bad_response";
    case Errc::other_version:
      return "version_not_supported";
    case Errc::not_found:
      return "not_found";
    default:
      return "internal";
  }
}

ErrorResponse error_response(const base::Failure& failure) {
  return {status_of(failure.code), failure.hop, reason_of(failure.code), failure.message()};
}

ErrorResponse error_response(const Verdict& verdict, std::string_view what) {
  std::string reason(verdict.reason);
  for (char& c : reason) {
    c = c == '_' ? ' ' : c;
  }
  return {verdict.status, base::Hop::client, verdict.reason,
          std::string(what).append(": ").append(reason)};
}

std::string render(const ErrorResponse& error, const ErrorFormat& format) {
  std::string body;
  if (format.json) {
    body = "{\"status\":" + std::to_string(error.status) + ",\"hop\":";
    append_json_string(body, base::to_string(error.hop));
    body += ",\"reason\":";
    append_json_string(body, error.reason);
    body += ",\"message\":";
    append_json_string(body, error.text);
    body += "}\n";
  } else {
    body.append(reason_phrase(error.status)).append("\n").append(error.text).append("\n");
  }
  std::string out = "HTTP/1.1 " + std::to_string(error.status) + " ";
  out.append(reason_phrase(error.status)).append("\r\n");
  out.append("Simplon-Error: hop=").append(base::to_string(error.hop));
  out.append("; reason=").append(error.reason).append("\r\n");
  out.append("Content-Type: ")
      .append(format.json ? "application/json" : "text/plain; charset=utf-8");
  out.append("\r\nCache-Control: no-store\r\n");
  if (error.status == 503) {
    out += "Retry-After: 1\r\n";
  } else if (error.status == 405) {
    out.append("Allow: ").append(kAllowedMethods).append("\r\n");
  }
  append_field(out, "Date", http_date_now());
  out += "Content-Length: " + std::to_string(body.size()) + "\r\n";
  out += format.close ? "Connection: close\r\n\r\n" : "\r\n";
  if (!format.head) {
    out += body;
  }
  return out;
}

bool prefers_json(const RequestHead& head) {
  const auto accept = head.fields.find(Name::accept);
  if (!accept) {
    return false;
  }
  bool json = false;
  bool decided = false;
  for_each_member(*accept, [&](std::string_view member) {
    const std::string_view type = trim(member.substr(0, member.find(';')));
    if (!decided && (iequals(type, "application/json") || istarts_with(type, "text/"))) {
      decided = true;
      json = iequals(type, "application/json");
    }
  });
  return json;
}

}  // namespace simplon::http
