// Names for tunnels whose owner gave none: readable, random, short.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "tunnel/spec.hpp"

namespace simplon::tunnel {

/// A name that `taken` does not know: "<service>-access" for an access (numbered from the second
/// on), two words for the others.
std::string choose_name(const Spec& spec, const std::function<bool(std::string_view)>& taken);

}  // namespace simplon::tunnel
