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

/// What the client spoke with the first proxy, as that one says: "http" or "https"; empty: unknown.
std::string_view client_scheme(const Fields& fields);

/// Ours about the client, with what came before where that is continued; nothing where it passes.
/// Says one thing in all of them: what a trusted proxy said in X-Forwarded-* is put into Forwarded,
/// too, also instead of a Forwarded that says something else or cannot be read. Of longer lists the
/// last 64 members go on.
void append_forwarding(std::string& out, const RequestHead& head, const Destination& to,
                       const Client& client);

}  // namespace simplon::http
