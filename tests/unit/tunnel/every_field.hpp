// Specs with every field about HTTP chosen, no two values alike: what must survive each layer.
#pragma once

#include "tunnel/spec.hpp"

namespace simplon::tunnel::test {

inline HttpSettings every_setting() {
  using namespace std::chrono_literals;
  return {.timeouts = {.head = 1001ms,
                       .idle = 2s,
                       .connect = 3s,
                       .first_byte = 4s,
                       .body = 0ms,
                       .websocket_idle = 1h,
                       .half_closed = 365 * 24h},
          .limits = {.head_bytes = 9000,
                     .header_fields = 65,
                     .target_bytes = 4096,
                     .request_body_bytes = INT64_MAX,
                     .connections = 17,
                     .connections_per_client = 5},
          .via = false};
}

inline Share every_share() {
  using enum http::HeaderRule::Action;
  return {.service = "s",
          .overlay = "o",
          .target = "http://localhost:3000",
          .open_to_frontends = true,
          .host_header = "app.internal",
          .rewrite_references = true,
          .request_headers = {{set, "X-A", "1"}, {add, "X-A", "\xc3\xa9"}, {remove, "X-B", ""}},
          .response_headers = {{remove, "Server", ""}, {set, "X-A", ""}},
          .peer_header = "Simplon-Peer",
          .http = every_setting(),
          .rank = {.cost = 65535, .precedence = overlay::Precedence::failed}};
}

inline Access every_access() {
  return {.service = "s",
          .overlay = "o",
          .listen = "127.0.0.1:80",
          .http = every_setting(),
          .trusted_proxies = {"10.0.0.0/8", "fd00::/8", "192.0.2.1"}};
}

inline Access every_raw_access() {
  Access out{.service = "s", .overlay = "o", .listen = "127.0.0.1:81", .protocol = Protocol::tcp};
  out.http.timeouts.connect = std::chrono::seconds(1);
  out.http.limits.connections = 2;
  return out;
}

inline Frontend every_frontend() {
  return {.overlay = "o",
          .listen = "127.0.0.1:82",
          .zone = "example.org",
          .http = every_setting(),
          .trusted_proxies = {"none"}};
}

inline std::vector<Spec> every_spec() {
  return {every_share(), every_access(), every_raw_access(), every_frontend()};
}

}  // namespace simplon::tunnel::test
