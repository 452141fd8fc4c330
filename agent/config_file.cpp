#include "agent/config_file.hpp"

#include <cerrno>
#include <cstring>
#include <fstream>

namespace simplon::agent {
namespace {

// Far more than all keys need; what is longer is some other file.
constexpr int kMaxLines = 1000;

std::string trimmed(const std::string& text) {
  const auto first = text.find_first_not_of(" \t\r");
  if (first == std::string::npos) {
    return {};
  }
  return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

// The value without its quotes, or up to a comment; false if quotes do not match.
bool unquote(std::string& value) {
  if (value.empty() || (value.front() != '"' && value.front() != '\'')) {
    value = trimmed(value.substr(0, value.find('#')));
    return true;
  }
  const auto end = value.find(value.front(), 1);
  if (end == std::string::npos) {
    return false;
  }
  const std::string rest = trimmed(value.substr(end + 1));
  value = value.substr(1, end - 1);
  return rest.empty() || rest.front() == '#';
}

}  // namespace

std::expected<std::vector<ConfigLine>, std::string> read_config(const std::string& file) {
  std::ifstream stream(file);
  if (!stream) {
    return std::unexpected("cannot read " + file + ": " + std::strerror(errno));
  }
  std::vector<ConfigLine> out;
  std::string line;
  for (int number = 1; std::getline(stream, line); ++number) {
    const auto failed = [&](const std::string& what) {
      std::string where = file;
      where.append(":").append(std::to_string(number)).append(": ");
      return std::unexpected(where.append(what));
    };
    if (number > kMaxLines) {
      return failed("a configuration has at most 1,000 lines");
    }
    line = trimmed(line);
    if (line.empty() || line.front() == '#') {
      continue;
    }
    const auto equals = line.find('=');
    if (equals == std::string::npos) {
      return failed("expected: key = value");
    }
    ConfigLine entry{.key = trimmed(line.substr(0, equals)),
                     .value = trimmed(line.substr(equals + 1)),
                     .number = number};
    if (!unquote(entry.value)) {
      return failed("the quotes around the value do not match");
    }
    out.push_back(std::move(entry));
  }
  if (stream.bad()) {
    return std::unexpected("cannot read " + file);
  }
  return out;
}

}  // namespace simplon::agent
