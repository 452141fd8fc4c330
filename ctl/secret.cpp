#include "ctl/secret.hpp"

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <string_view>

#include <unistd.h>

namespace simplon::ctl {
namespace {

/// Far above any token; what is longer is some other file.
constexpr std::size_t kMaxSecret = 16 * 1024;
constexpr std::size_t kMaxFile = 256 * 1024;
constexpr std::string_view kBlanks = " \t\r\n";

std::unexpected<Trouble> unreadable(const std::string& file, const std::string& option) {
  return trouble(Exit::usage, option + ": cannot read " + file);
}

}  // namespace

Answer<std::string> read_word(std::istream& from, const std::string& what) {
  std::string word;
  for (int next = from.get(); next != std::istream::traits_type::eof(); next = from.get()) {
    const auto byte = static_cast<char>(next);
    if (kBlanks.find(byte) == std::string_view::npos) {
      word += byte;
    } else if (!word.empty()) {
      break;
    }
    if (word.size() > kMaxSecret) {
      return trouble(Exit::usage, what + " does not hold a token");
    }
  }
  return word;
}

Answer<std::string> read_secret(const std::string& file, const std::string& option,
                                const std::string& prompt) {
  if (file == "-") {
    if (::isatty(STDIN_FILENO) != 0) {
      std::cerr << prompt << std::flush;
    }
    return read_word(std::cin, "standard input");
  }
  std::ifstream from(file, std::ios::binary);
  if (!from) {
    return unreadable(file, option);
  }
  auto word = read_word(from, file);
  // A folder opens like a file, and fails when it is read.
  if (from.bad()) {
    return unreadable(file, option);
  }
  return word;
}

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

Answer<std::string> read_small_file(const std::string& file, const std::string& option) {
  std::ifstream from(file, std::ios::binary);
  std::string text(kMaxFile + 1, '\0');
  if (!from || (from.read(text.data(), static_cast<std::streamsize>(text.size())), from.bad())) {
    return unreadable(file, option);
  }
  text.resize(static_cast<std::size_t>(from.gcount()));
  if (text.size() > kMaxFile) {
    return trouble(Exit::usage, option + ": " + file + " is larger than 256 KiB");
  }
  return text;
}

}  // namespace simplon::ctl
