// What a Simplon dialer says to the host of an OpenZiti service: the dial's application data
// (header 1011), compact JSON: {"simplon":1,"kind":"raw","id":"c-…","for":"…","frontend":true}.
//
// Plain functions and values, any thread.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "overlay/network.hpp"

namespace simplon::overlay::ziti {

/// Longer application data is another program's.
inline constexpr std::size_t kMaxAppData = 1024;

struct AppData {
  StreamKind kind = StreamKind::http;
  std::string connection_id;  ///< at most 64 bytes, printable ASCII
  std::string on_behalf_of;   ///< at most 256 bytes, printable ASCII
  bool frontend = false;

  bool operator==(const AppData&) const = default;
};

/// Never more than kMaxAppData: what breaks its limits is cut, or left out.
std::string encode_app_data(const AppData& data);

/// Nothing: it is no Simplon dialer's (absent, of another program, of a later version that means
/// something else), or it breaks its limits.
std::optional<AppData> decode_app_data(std::string_view text);

}  // namespace simplon::overlay::ziti
