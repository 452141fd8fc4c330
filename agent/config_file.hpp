// The configuration file: lines of `key = value`, the value with or without quotes, `#` begins a
// comment. Plain values.
#pragma once

#include <expected>
#include <string>
#include <vector>

namespace simplon::agent {

struct ConfigLine {
  std::string key;
  std::string value;
  int number = 0;  ///< of the line, from 1
};

/// The error names the file, and the line where there is one.
std::expected<std::vector<ConfigLine>, std::string> read_config(const std::string& file);

}  // namespace simplon::agent
