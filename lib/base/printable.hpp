// The words of others, for people and logs. A plain function, any thread.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace simplon::base {

/// What of a peer's words is shown where nobody says otherwise.
inline constexpr std::size_t kMaxWords = 512;

/// A peer's words as UTF-8 (the API's strings are) without control characters, a question mark for
/// every byte that is none; cut to at most `limit` bytes, between two characters.
std::string printable(std::string_view words, std::size_t limit = kMaxWords);

}  // namespace simplon::base
