// Statuses of heads that are ours (RFC 9110 §15). Pure functions; any thread.
#pragma once

#include <string_view>

namespace simplon::http {

/// The name of a status; "Status" for one that we never write.
std::string_view reason_phrase(int status) noexcept;

}  // namespace simplon::http
