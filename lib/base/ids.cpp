#include "base/ids.hpp"

#include <array>

#include <sodium.h>

namespace simplon::base {

std::string new_id() {
  std::array<unsigned char, 8> bytes;
  randombytes_buf(bytes.data(), bytes.size());
  std::array<char, 2 * bytes.size() + 1> text;
  return sodium_bin2hex(text.data(), text.size(), bytes.data(), bytes.size());
}

}  // namespace simplon::base
