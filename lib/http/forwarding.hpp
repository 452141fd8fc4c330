// The fields by which a target learns who its client is: Forwarded (RFC 7239), X-Forwarded-* and
// X-Real-IP, and whose word on that counts.
//
// Pure functions; any thread.
#pragma once

#include <string>
#include <string_view>

#include "http/policy.hpp"
#include "http/request_target.hpp"

namespace simplon::http {

/// Whether the field tells of a client; spelled with "_" for "-", too.
bool is_forwarding(std::string_view name) noexcept;

/// Whether a field of the client goes out as it came.
bool passes(const Field& field, Forwarding forwarding);

/// Ours, with what came before where the policy appends; nothing where it passes.
void append_forwarding(std::string& out, const RequestHead& head, const Destination& to,
                       const Policy& policy);

}  // namespace simplon::http
