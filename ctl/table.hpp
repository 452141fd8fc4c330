// Tables and lists of fields for people: aligned, two spaces between columns, none at a line's end.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace simplon::ctl {

using Row = std::vector<std::string>;

/// The first row is the heading. An empty cell is shown as "-".
std::string table(const std::vector<Row>& rows);

/// "name:  value" lines, values aligned; fields without a value are left out.
std::string fields(const std::vector<std::pair<std::string, std::string>>& values);

}  // namespace simplon::ctl
