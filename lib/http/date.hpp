// Date, for messages that come without one (RFC 9110 §6.6.1). Any thread.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

namespace simplon::http {

/// IMF-fixdate (RFC 9110 §5.6.7): "Sun, 06 Nov 1994 08:49:37 GMT".
std::string http_date(std::chrono::system_clock::time_point when);

/// Of now. The view is good until this thread asks again; made once a second.
std::string_view http_date_now();

}  // namespace simplon::http
