#include "base/printable.hpp"

#include <algorithm>

namespace simplon::base {
namespace {

// The bytes of the character that `text` begins with; 0: a control character, or not UTF-8 (RFC
// 3629 §4: nothing overlong, no surrogates, nothing above U+10FFFF).
std::size_t character_size(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) {
    return first >= 0x20 && first != 0x7f ? 1 : 0;
  }
  const std::size_t size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < size) {
    return 0;
  }
  // The second byte's bounds say what the first leaves open; C1 controls are U+0080 to U+009F.
  const unsigned char least = first == 0xe0   ? 0xa0
                              : first == 0xf0 ? 0x90
                              : first == 0xc2 ? 0xa0
                                              : 0x80;
  const unsigned char most = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
  if (byte(1) < least || byte(1) > most) {
    return 0;
  }
  for (std::size_t i = 2; i < size; ++i) {
    if ((byte(i) & 0xc0) != 0x80) {
      return 0;
    }
  }
  return size;
}

}  // namespace

std::string printable(std::string_view words, std::size_t limit) {
  std::string out;
  while (!words.empty()) {
    const std::size_t size = character_size(words);
    if (out.size() + std::max<std::size_t>(size, 1) > limit) {
      break;
    }
    if (size == 0) {
      out += '?';
    } else {
      out += words.substr(0, size);
    }
    words.remove_prefix(std::max<std::size_t>(size, 1));
  }
  return out;
}

}  // namespace simplon::base
