#include "ctl/table.hpp"

#include <algorithm>
#include <cstddef>

namespace simplon::ctl {

std::string table(const std::vector<Row>& rows) {
  std::vector<std::size_t> widths;
  for (const Row& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) {
      widths[i] = std::max(widths[i], std::max<std::size_t>(row[i].size(), 1));
    }
  }
  std::string out;
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::string cell = row[i].empty() ? "-" : row[i];
      out += cell;
      if (i + 1 < row.size()) {
        out.append(widths[i] - cell.size() + 2, ' ');
      }
    }
    out += '\n';
  }
  return out;
}

std::string fields(const std::vector<std::pair<std::string, std::string>>& values) {
  std::size_t width = 0;
  for (const auto& [name, value] : values) {
    width = value.empty() ? width : std::max(width, name.size());
  }
  std::string out;
  for (const auto& [name, value] : values) {
    if (!value.empty()) {
      out.append(name).append(":").append(width - name.size() + 2, ' ').append(value).append("\n");
    }
  }
  return out;
}

}  // namespace simplon::ctl
