// The lexical rules of HTTP fields (RFC 9110 §5.6): case-insensitive names, tokens, lists.
// Pure functions over views; any thread.
#pragma once

#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace simplon::http {

inline char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }
bool iequals(std::string_view a, std::string_view b) noexcept;
bool istarts_with(std::string_view text, std::string_view prefix) noexcept;

/// Equal in any case, and with "_" for "-": some servers give programs both as the same variable.
bool same_variable(std::string_view a, std::string_view b) noexcept;

bool is_token_char(char c) noexcept;
bool is_token(std::string_view text) noexcept;

/// Without optional white space (SP, HTAB) at both ends.
std::string_view trim(std::string_view text) noexcept;

/// Digits only, at most 2^63 - 1: no sign, no white space, no overflow.
std::optional<std::uint64_t> parse_decimal(std::string_view digits) noexcept;

/// Calls visit(member) for each non-empty member of a comma-separated list without quoted strings.
template <class Visit>
void for_each_member(std::string_view list, Visit visit) {
  while (!list.empty()) {
    const std::size_t comma = list.find(',');
    if (const auto member = trim(list.substr(0, comma)); !member.empty()) {
      visit(member);
    }
    list = comma == std::string_view::npos ? std::string_view{} : list.substr(comma + 1);
  }
}

/// `name: value CR LF`; both must be valid.
void append_field(std::string& out, std::string_view name, std::string_view value);
void append_number(std::string& out, std::uint64_t number);

/// Whether a comma-separated list names the token, in any case.
bool list_contains(std::string_view list, std::string_view token) noexcept;

}  // namespace simplon::http
