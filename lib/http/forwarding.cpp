#include "http/forwarding.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "http/text.hpp"

namespace simplon::http {
namespace {

bool is_forwarding(Name id) {
  return id == Name::x_forwarded_for || id == Name::x_forwarded_host ||
         id == Name::x_forwarded_port || id == Name::x_forwarded_proto || id == Name::forwarded ||
         id == Name::x_real_ip;
}

// Some servers take "X_Forwarded_For" for "X-Forwarded-For".
bool imitates_forwarding(std::string_view name) {
  if (name.find('_') == std::string_view::npos) {
    return false;
  }
  std::string dashed(name);
  std::replace(dashed.begin(), dashed.end(), '_', '-');
  return is_forwarding(name_of(dashed));
}

bool is_hop_by_hop(Name id) {
  switch (id) {
    case Name::connection:
    case Name::keep_alive:
    case Name::proxy_authenticate:
    case Name::proxy_authorization:
    case Name::proxy_connection:
    case Name::te:
    case Name::transfer_encoding:
    case Name::upgrade:
    case Name::http2_settings:
      return true;
    default:
      return false;
  }
}

// The fields that Connection names. A client may not delete what frames, routes or authenticates
// a message, nor what a proxy before us said about it.
class ConnectionOptions {
 public:
  explicit ConnectionOptions(const Fields& fields) {
    for (const Field field : fields) {
      if (field.id == Name::connection) {
        for_each_member(field.value, [this](std::string_view name) {
          if (count_ < kMostConnectionOptions && !is_protected(name_of(name))) {
            names_[count_++] = name;
          }
        });
      }
    }
  }

  bool names(std::string_view name) const {
    return std::any_of(names_.begin(), names_.begin() + static_cast<std::ptrdiff_t>(count_),
                       [name](std::string_view named) { return iequals(named, name); });
  }

 private:
  static bool is_protected(Name id) {
    return is_forwarding(id) || id == Name::host || id == Name::content_length ||
           id == Name::authorization || id == Name::cookie || id == Name::set_cookie ||
           id == Name::simplon_error || id == Name::expect || id == Name::max_forwards;
  }

  std::array<std::string_view, kMostConnectionOptions> names_;
  std::size_t count_ = 0;
};

void append_field(std::string& out, std::string_view name, std::string_view value) {
  out.append(name).append(": ").append(value).append("\r\n");
}

void append_number(std::string& out, std::uint64_t number) {
  std::array<char, 20> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
  out.append(digits.data(), end);
}

void append_framing(std::string& out, BodyKind body, std::uint64_t length) {
  if (body == BodyKind::length) {
    out += "Content-Length: ";
    append_number(out, length);
    out += "\r\n";
  } else if (body == BodyKind::chunked) {
    out += "Transfer-Encoding: chunked\r\n";
  }
}

// One field with all values that came under its name, and ours behind them.
void append_joined(std::string& out, std::string_view name, const Fields& fields, Name id,
                   std::string_view ours) {
  out.append(name).append(": ");
  for (const Field field : fields) {
    if (field.id == id && !field.value.empty()) {
      out.append(field.value).append(", ");
    }
  }
  out.append(ours).append("\r\n");
}

// for=, with IPv6 and ports in quotes (RFC 7239 §6).
std::string forwarded_element(const Destination& to, const Policy& policy) {
  std::string element = "for=";
  if (!policy.client_address) {
    element += "unknown";
  } else if (policy.client_address->find(':') != std::string::npos) {
    element.append("\"[").append(*policy.client_address).append("]\"");
  } else {
    element += *policy.client_address;
  }
  if (!to.authority.empty()) {
    element.append(";host=\"").append(to.authority).append("\"");
  }
  element.append(";proto=").append(policy.scheme);
  return element;
}

void append_forwarding(std::string& out, const RequestHead& head, const Destination& to,
                       const Policy& policy) {
  static const Fields kNone;
  const Fields& before = policy.forwarding == Forwarding::append ? head.fields : kNone;
  if (policy.client_address) {
    append_joined(out, "X-Forwarded-For", before, Name::x_forwarded_for, *policy.client_address);
  }
  // What the first proxy saw stays true for those behind it.
  if (!before.find(Name::x_forwarded_proto)) {
    append_field(out, "X-Forwarded-Proto", policy.scheme);
  }
  if (!before.find(Name::x_forwarded_host) && !to.authority.empty()) {
    append_field(out, "X-Forwarded-Host", to.authority);
  }
  if (!before.find(Name::x_forwarded_port)) {
    const bool tls = policy.scheme == "https" || policy.scheme == "wss";
    append_field(out, "X-Forwarded-Port", to.port.empty() ? (tls ? "443" : "80") : to.port);
  }
  append_joined(out, "Forwarded", before, Name::forwarded, forwarded_element(to, policy));
}

// Whether a forwarding field of the client goes out in the general pass over the fields.
bool passes(Name id, Forwarding forwarding) {
  switch (forwarding) {
    case Forwarding::pass:
      return true;
    case Forwarding::append:  // the joined ones are written by append_forwarding
      return id != Name::x_forwarded_for && id != Name::forwarded;
    case Forwarding::replace:
      return false;
  }
  return false;
}

}  // namespace

void append_request(std::string& out, const RequestHead& head, const RequestFraming& framing,
                    const Destination& to, const Policy& policy,
                    std::string_view upstream_authority) {
  out.append(head.method).append(" ").append(to.target).append(" HTTP/1.1\r\n");
  std::string_view host = to.authority.empty() ? upstream_authority : to.authority;
  if (policy.host_header) {
    host = *policy.host_header;
  }
  append_field(out, "Host", host);

  const ConnectionOptions options(head.fields);
  for (const Field field : head.fields) {
    if (field.id == Name::host || field.id == Name::content_length || is_hop_by_hop(field.id) ||
        options.names(field.name)) {
      continue;
    }
    if (is_forwarding(field.id)
            ? !passes(field.id, policy.forwarding)
            : policy.forwarding == Forwarding::replace && imitates_forwarding(field.name)) {
      continue;
    }
    // Of a 1.0 client no interim response may be asked for.
    if (field.id == Name::expect && !framing.continues) {
      continue;
    }
    if (field.id == Name::max_forwards && head.method == "OPTIONS") {
      if (const auto hops = parse_decimal(field.value); hops && *hops > 0) {
        out += "Max-Forwards: ";
        append_number(out, *hops - 1);
        out += "\r\n";
      }
      continue;
    }
    append_field(out, field.name, field.value);
  }
  append_framing(out, framing.body, framing.length);
  if (policy.forwarding != Forwarding::pass) {
    append_forwarding(out, head, to, policy);
  }
  if (framing.upgrade) {
    out += "Connection: Upgrade\r\nUpgrade: websocket\r\n";
  } else if (framing.trailers) {
    out += "Connection: TE\r\nTE: trailers\r\n";
  }
  out += "\r\n";
}

void append_response(std::string& out, const ResponseHead& head, const Delivery& delivery) {
  out += "HTTP/1.1 ";
  append_number(out, static_cast<std::uint64_t>(head.status));
  out.append(" ").append(head.reason).append("\r\n");
  const ConnectionOptions options(head.fields);
  bool kept_length = false;
  for (const Field field : head.fields) {
    if (field.id == Name::content_length) {
      // Of the body that a GET would bring; once, though the origin said it twice.
      if ((delivery.head || head.status == 304) && !std::exchange(kept_length, true)) {
        append_field(out, field.name, field.value.substr(0, field.value.find(',')));
      }
      continue;
    }
    if (is_hop_by_hop(field.id) || options.names(field.name) ||
        (field.id == Name::simplon_error && delivery.from_target)) {
      continue;
    }
    append_field(out, field.name, field.value);
  }
  append_framing(out, delivery.body, delivery.length);
  if (head.status == 101) {
    out += "Connection: Upgrade\r\nUpgrade: websocket\r\n";
  } else if (head.status / 100 != 1) {
    if (head.status == 426 && head.fields.lists(Name::upgrade, "websocket")) {
      out += "Connection: Upgrade\r\nUpgrade: websocket\r\n";  // RFC 9110 §15.5.22
    }
    if (delivery.close) {
      out += "Connection: close\r\n";
    } else if (delivery.http_1_0) {
      out += "Connection: keep-alive\r\n";
    }
  }
  out += "\r\n";
}

std::string_view reason_phrase(int status) noexcept {
  switch (status) {
    case 100:
      return "Continue";
    case 101:
      return "Switching Protocols";
    case 102:
      return "Processing";
    case 103:
      return "Early Hints";
    case 200:
      return "OK";
    case 204:
      return "No Content";
    case 400:
      return "Bad Request";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 206:
      return "Partial Content";
    case 301:
      return "Moved Permanently";
    case 302:
      return "Found";
    case 304:
      return "Not Modified";
    case 307:
      return "Temporary Redirect";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 417:
      return "Expectation Failed";
    case 426:
      return "Upgrade Required";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Status";
  }
}

}  // namespace simplon::http
