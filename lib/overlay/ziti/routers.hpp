// An edge router as the controller names it. A plain value, any thread.
#pragma once

#include <string>

#include "net/endpoint.hpp"

namespace simplon::overlay::ziti {

struct Router {
  std::string name;
  net::Endpoint endpoint;  ///< of its "tls" address
  bool operator==(const Router&) const = default;
};

/// For maps.
inline std::string key_of(const Router& router) {
  return router.name + "\n" + net::to_string(router.endpoint);
}

}  // namespace simplon::overlay::ziti
