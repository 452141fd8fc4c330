// The head that travels on: hop-by-hop fields stripped (RFC 9110 §7.6.1), framing written anew,
// forwarding fields by policy. The rest passes as it came, in its order.
//
// Pure functions that append to `out`; any thread.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "http/framing.hpp"
#include "http/policy.hpp"
#include "http/references.hpp"
#include "http/request_target.hpp"

namespace simplon::http {

/// How a request goes to the upstream.
struct Dispatch {
  const RequestFraming& framing;
  const Destination& to;
  const Policy& policy;
  const Client& client;
  std::string_view via;                    ///< our pseudonym on this way; empty: none is written
  std::string_view upstream_authority;     ///< fills a missing Host
  const References* references = nullptr;  ///< null: they stay as they are
};

/// Always HTTP/1.1.
void append_request(std::string& out, const RequestHead& head, const Dispatch& dispatch);

/// How a response goes to the client.
struct Delivery {
  BodyKind body = BodyKind::none;  ///< as written: until_close only to HTTP/1.0 clients
  std::uint64_t length = 0;
  bool close = false;        ///< say that the connection ends after this message
  bool http_1_0 = false;     ///< the client speaks 1.0: keep-alive must be said
  bool head = false;         ///< answers HEAD: Content-Length is kept, though no body comes
  bool from_target = false;  ///< of a share: the origin may not speak in our name
  // Of final responses only:
  std::string_view date = {};  ///< for one that has none; empty: none is added
  std::span<const HeaderRule> rules = {};
  const References* references = nullptr;  ///< null: they stay as they are
};

void append_response(std::string& out, const ResponseHead& head, const Delivery& delivery);

}  // namespace simplon::http
