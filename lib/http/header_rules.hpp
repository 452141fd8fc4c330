// The changes to heads that the owner of a tunnel asked for.
//
// Rules apply in their order to the fields that travel on: after hop-by-hop fields are gone, before
// the proxy's own are written. Pure functions; any thread.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "http/policy.hpp"

namespace simplon::http {

/// Why no rule may change a field of that name: it frames or routes the message, belongs to one
/// connection, or is the proxy's own. Nothing for every other.
std::optional<std::string_view> why_fixed(std::string_view name) noexcept;

/// Whether a field of that name goes out in spite of the rules. "_" counts as "-": a server may
/// give both to its program as the same variable.
bool survives(std::string_view name, std::span<const HeaderRule> rules) noexcept;

/// What the rules add.
void append_added(std::string& out, std::span<const HeaderRule> rules);

}  // namespace simplon::http
