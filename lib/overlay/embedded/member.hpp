// What a member of an embedded network is to others, shared by everything that speaks for it, and
// how both ends of a session prove who they are.
//
// Immutable but for the services, which any thread may use.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include <absl/status/statusor.h>

#include "net/tls.hpp"
#include "overlay/embedded/certificate.hpp"
#include "overlay/embedded/identity.hpp"
#include "overlay/embedded/session_memory.hpp"
#include "overlay/services.hpp"

namespace simplon::overlay {

inline constexpr char kSessionProtocol[] = "simplon/1";  ///< ALPN

inline constexpr std::size_t kInstanceBytes = 16;
inline constexpr std::size_t kSpkiBytes = 32;  ///< SHA-256

struct Member {
  IdentityFile identity;
  Identity self;                                    ///< as others see it
  std::chrono::system_clock::time_point expires{};  ///< of the certificate
  std::string instance;                             ///< 16 random bytes of this process
  std::shared_ptr<const net::TlsContext> client;
  std::shared_ptr<const net::TlsContext> server;
  std::shared_ptr<Services> services = std::make_shared<Services>();
  std::shared_ptr<MemoryBudget> budget;
};

/// INVALID_ARGUMENT: the identity does not work.
absl::StatusOr<std::shared_ptr<const Member>> make_member(IdentityFile identity,
                                                          std::shared_ptr<MemoryBudget> budget);

/// Who is at the other end of a session, from its certificate, which chains to the network's root.
struct Proven {
  Identity identity;
  bool hub = false;
};
/// bad_certificate: not a member's.
base::Result<Proven> prove(const net::Stream& session_transport);

}  // namespace simplon::overlay
