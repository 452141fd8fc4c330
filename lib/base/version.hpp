// The version of this build: CMakeLists.txt's, the one place that says it.
#pragma once

#include <string>

namespace simplon::base {

/// "0.1.0"
std::string version();

}  // namespace simplon::base
