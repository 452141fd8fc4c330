// Random ids. sodium_init() has been called (main does). Any thread.
#pragma once

#include <string>

namespace simplon::base {

/// 16 hexadecimal digits: of a connection (the same in both agents' logs) or a resource.
std::string new_id();

}  // namespace simplon::base
