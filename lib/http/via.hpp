// Via: who has passed a request on, and whether we have already (RFC 9110 §7.6.3).
//
// Pure functions; any thread.
#pragma once

#include <string>
#include <string_view>

#include "http/head.hpp"

namespace simplon::http {

/// Whether a Via of the request lists the pseudonym: it has come back to where it was.
bool has_passed(const RequestHead& head, std::string_view pseudonym);

/// Our own field, behind those that came.
void append_via(std::string& out, const RequestHead& head, std::string_view pseudonym);

}  // namespace simplon::http
