#include "base/version.hpp"

namespace simplon::base {

std::string version() { return SIMPLON_VERSION; }

}  // namespace simplon::base
