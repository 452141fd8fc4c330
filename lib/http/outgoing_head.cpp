#include "http/outgoing_head.hpp"

#include <utility>

#include "http/connection.hpp"
#include "http/forwarding.hpp"
#include "http/header_rules.hpp"
#include "http/text.hpp"
#include "http/via.hpp"

namespace simplon::http {
namespace {

void append_framing(std::string& out, BodyKind body, std::uint64_t length) {
  if (body == BodyKind::length) {
    out += "Content-Length: ";
    append_number(out, length);
    out += "\r\n";
  } else if (body == BodyKind::chunked) {
    out += "Transfer-Encoding: chunked\r\n";
  }
}

void append_response_field(std::string& out, const Field& field, const References* references) {
  if (references != nullptr && (field.id == Name::location || field.id == Name::content_location)) {
    append_field(out, field.name, references->towards_client(field.value));
  } else if (references != nullptr && field.id == Name::set_cookie) {
    append_field(out, field.name, references->cookie_towards_client(field.value));
  } else {
    append_field(out, field.name, field.value);
  }
}

}  // namespace

void append_request(std::string& out, const RequestHead& head, const Dispatch& dispatch) {
  const auto& [framing, to, policy, client, via, upstream_authority, references] = dispatch;
  out.append(head.method).append(" ").append(to.target).append(" HTTP/1.1\r\n");
  std::string_view host = to.authority.empty() ? upstream_authority : to.authority;
  if (policy.host_header) {
    host = *policy.host_header;
  }
  append_field(out, "Host", host);

  const ConnectionOptions options(head.fields);
  for (const Field field : head.fields) {
    if (field.id == Name::host || field.id == Name::content_length || is_hop_by_hop(field.id) ||
        options.names(field.name) || !passes(field, client.forwarding) ||
        !survives(field.name, policy.request_headers)) {
      continue;
    }
    // Nobody but us says who the peer is.
    if (!policy.peer_header.empty() && same_variable(field.name, policy.peer_header)) {
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
    if (references != nullptr && (field.id == Name::origin || field.id == Name::referer)) {
      append_field(out, field.name, references->towards_target(field.value));
      continue;
    }
    append_field(out, field.name, field.value);
  }
  append_added(out, policy.request_headers);
  append_framing(out, framing.body, framing.length);
  append_forwarding(out, head, to, client);
  if (!via.empty()) {
    append_via(out, head, via);
  }
  if (!policy.peer_header.empty() && !client.peer.empty()) {
    append_field(out, policy.peer_header, client.peer);
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
  const bool final = head.status / 100 != 1;
  bool kept_length = false;
  bool dated = false;
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
    if (final) {
      dated = dated || field.id == Name::date;
      if (!survives(field.name, delivery.rules)) {
        continue;
      }
    }
    append_response_field(out, field, delivery.references);
  }
  if (final) {
    append_added(out, delivery.rules);
    if (!dated && !delivery.date.empty()) {
      append_field(out, "Date", delivery.date);
    }
  }
  append_framing(out, delivery.body, delivery.length);
  if (head.status == 101) {
    out += "Connection: Upgrade\r\nUpgrade: websocket\r\n";
  } else if (final) {
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

}  // namespace simplon::http
