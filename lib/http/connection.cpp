#include "http/connection.hpp"

#include <algorithm>

#include "http/forwarding.hpp"
#include "http/text.hpp"

namespace simplon::http {
namespace {

bool is_protected(std::string_view name) {
  switch (name_of(name)) {
    case Name::authorization:
    case Name::content_length:
    case Name::cookie:
    case Name::expect:
    case Name::host:
    case Name::max_forwards:
    case Name::set_cookie:
    case Name::simplon_error:
    case Name::via:
      return true;
    default:
      return is_forwarding(name);
  }
}

}  // namespace

bool is_hop_by_hop(Name id) noexcept {
  switch (id) {
    case Name::connection:
    case Name::keep_alive:
    case Name::proxy_authenticate:
    case Name::proxy_authorization:
    case Name::proxy_connection:
    case Name::te:
    case Name::transfer_encoding:
    case Name::upgrade:
    case Name::http2_settings:
      return true;
    default:
      return false;
  }
}

ConnectionOptions::ConnectionOptions(const Fields& fields) {
  for (const Field field : fields) {
    if (field.id == Name::connection) {
      for_each_member(field.value, [this](std::string_view name) {
        if (count_ < kMostConnectionOptions && !is_protected(name)) {
          names_[count_++] = name;
        }
      });
    }
  }
}

bool ConnectionOptions::names(std::string_view name) const noexcept {
  return std::any_of(names_.begin(), names_.begin() + static_cast<std::ptrdiff_t>(count_),
                     [name](std::string_view named) { return iequals(named, name); });
}

}  // namespace simplon::http
